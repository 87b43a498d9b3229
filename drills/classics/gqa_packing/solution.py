"""The query heads of a group become rows under each other, so that one matrix product serves them all."""
import torch


def pack(query: torch.Tensor, num_kv_heads: int) -> torch.Tensor:
    """[num_tokens, num_heads, head_size] to [num_kv_heads, num_tokens * group, head_size], where group = num_heads / num_kv_heads.

    Row r of KV head j is query head j * group + r % group of token r // group. Raises `ValueError` if the heads do not
    divide evenly.
    """
    num_tokens, num_heads, head_size = query.shape
    if num_heads % num_kv_heads:
        raise ValueError(f"{num_heads} query heads cannot share {num_kv_heads} KV heads evenly")
    group = num_heads // num_kv_heads
    return query.view(num_tokens, num_kv_heads, group, head_size).transpose(0, 1).reshape(num_kv_heads, num_tokens * group, head_size)


def unpack(packed: torch.Tensor, num_heads: int) -> torch.Tensor:
    """The way back: [num_tokens, num_heads, head_size]."""
    num_kv_heads, rows, head_size = packed.shape
    group = num_heads // num_kv_heads
    return packed.view(num_kv_heads, rows // group, group, head_size).transpose(0, 1).reshape(rows // group, num_heads, head_size)


def attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float) -> torch.Tensor:
    """Causal attention of the last tokens of a sequence: float32 [num_tokens, num_heads, head_size].

    query [num_tokens, num_heads, head_size]; key and value [num_keys, num_kv_heads, head_size]. The queries are those of
    the last num_tokens of the num_keys tokens; each sees the keys up to its own.
    """
    num_tokens, num_heads, _ = query.shape
    num_keys, num_kv_heads, _ = key.shape
    packed = pack(query, num_kv_heads)
    scores = scale * packed @ key.permute(1, 2, 0)              # [num_kv_heads, rows, num_keys]
    token = torch.arange(packed.shape[1]) // (num_heads // num_kv_heads)
    position = num_keys - num_tokens + token
    scores.masked_fill_(torch.arange(num_keys) > position[:, None], float("-inf"))
    return unpack(scores.softmax(2) @ value.transpose(0, 1), num_heads)
