"""Cascade attention: your answer. The problem is in drills/classics/cascade_attention/README.md."""
import torch


class KVCache:
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
    raise NotImplementedError("cascade_attention: num_common_blocks is not written yet")


def cascade_attention(query: torch.Tensor, cache: KVCache, block_tables: list[list[int]], seq_lens: list[int], scale: float) -> torch.Tensor:
    """A decode step: each request's query over its seq_len keys; float32 [num_reqs, num_heads, head_size], like query.

    The common blocks are read once for all requests. What lies behind a sequence in its last block may be NaN.
    """
    raise NotImplementedError("cascade_attention: cascade_attention is not written yet")
