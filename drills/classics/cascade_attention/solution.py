"""One attention of all queries over the shared blocks, one per request over the rest, and a merge of the two by their weights."""
import torch


class KVCache:  # given
    """Keys and values in blocks: [num_blocks, block_size, num_heads, head_size] each. `blocks_read` counts what is read."""

    def __init__(self, key: torch.Tensor, value: torch.Tensor):
        self.key, self.value = key, value
        self.block_size = key.shape[1]
        self.blocks_read = 0

    def read(self, blocks: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values of these blocks after each other: [len(blocks) * block_size, num_heads, head_size] each."""
        self.blocks_read += len(blocks)
        return self.key[blocks].flatten(0, 1), self.value[blocks].flatten(0, 1)


def num_common_blocks(block_tables: list[list[int]], seq_lens: list[int], block_size: int) -> int:
    """How many blocks at the beginning all requests share, and fill: a sequence fills seq_len // block_size of its blocks."""
    filled = min(seq_len // block_size for seq_len in seq_lens)
    common = 0
    while common < filled and all(table[common] == block_tables[0][common] for table in block_tables):
        common += 1
    return common


def cascade_attention(query: torch.Tensor, cache: KVCache, block_tables: list[list[int]], seq_lens: list[int], scale: float) -> torch.Tensor:
    """A decode step: each request's query over its seq_len keys; float32 [num_reqs, num_heads, head_size], like query.

    The common blocks are read once for all requests. What lies behind a sequence in its last block may be NaN.
    """
    common = num_common_blocks(block_tables, seq_lens, cache.block_size)
    shared, shared_lse = _attention(query, *cache.read(block_tables[0][:common]), scale)
    out = torch.empty_like(query)
    for i, (table, seq_len) in enumerate(zip(block_tables, seq_lens)):
        used = -(-seq_len // cache.block_size)
        rest = seq_len - common * cache.block_size
        key, value = cache.read(table[common:used])
        own, own_lse = _attention(query[i:i + 1], key[:rest], value[:rest], scale)
        out[i:i + 1] = _merged(shared[i:i + 1], shared_lse[i:i + 1], own, own_lse)
    return out


def _attention(query, key, value, scale):
    """Every query over all keys: the output [num_reqs, num_heads, head_size] and the log of the sum of exponentials [num_reqs, num_heads]."""
    scores = scale * torch.einsum("rhd,khd->rhk", query, key)
    return torch.einsum("rhk,khd->rhd", scores.softmax(2), value), scores.logsumexp(2)


def _merged(out, lse, other_out, other_lse):
    """Weighted by what each part has of the sum of exponentials; without keys that is exp(-inf) = 0."""
    highest = torch.maximum(lse, other_lse)
    weight, other_weight = (lse - highest).exp()[..., None], (other_lse - highest).exp()[..., None]
    return (weight * out + other_weight * other_out) / (weight + other_weight)
