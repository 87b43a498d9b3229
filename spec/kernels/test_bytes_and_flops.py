"""What a kernel must move and compute, counted from tensors and pairs: measurements are set against these numbers."""
import pytest

torch = pytest.importorskip("torch", reason="needs torch: make setup")

from kernels import (cache_write, decode_attention, greedy, gumbel, penalties, prefill_attention, qk_norm_rope_cache, rms_norm, rope,  # noqa: E402
                     silu_and_mul, top_k_top_p)

BF16, FP32, FP8 = torch.bfloat16, torch.float32, torch.float8_e4m3fn


def size(*tensors: tuple) -> int:
    """Bytes of tensors, each (dtype, *shape)."""
    return sum(each.numel() * each.element_size() for each in (torch.empty(shape, dtype=dtype, device="meta") for dtype, *shape in tensors))


@pytest.mark.parametrize("cache", [BF16, FP8])
def test_decode_attention(cache):
    lengths, heads, kv_heads, head_dim = [5, 0, 1000], 32, 8, 128
    moved = size((BF16, 3, heads, head_dim), (BF16, 3, heads, head_dim), *[(cache, 1005, kv_heads, head_dim)] * 2)
    assert decode_attention.bytes_min(lengths, heads, kv_heads, head_dim, 2, cache.itemsize) == moved
    dots = sum(2 * head_dim for length in lengths for _ in range(heads) for _ in range(length))
    assert decode_attention.flops(lengths, heads, head_dim) == 2 * dots     # of scores, and as much again for values
    assert decode_attention.bytes_min([], heads, kv_heads, head_dim) == decode_attention.flops([0], heads, head_dim) == 0


@pytest.mark.parametrize("cache", [BF16, FP8])
def test_prefill_attention(cache):
    new, lengths, heads, kv_heads, head_dim = [5, 0, 1, 7], [5, 3, 20, 30], 6, 2, 64
    moved = size((BF16, 13, heads, head_dim), (BF16, 13, heads, head_dim), *[(cache, 5 + 20 + 30, kv_heads, head_dim)] * 2)
    assert prefill_attention.bytes_min(new, lengths, heads, kv_heads, head_dim, 2, cache.itemsize) == moved, "a request without queries is not read"
    pairs = sum(1 for count, length in zip(new, lengths) for query in range(length - count, length) for token in range(length) if token <= query)
    assert prefill_attention.flops(new, lengths, heads, head_dim) == 2 * 2 * pairs * heads * head_dim


def test_prefill_of_one_token_each_is_decode():
    lengths = [1, 17, 4000]
    assert prefill_attention.bytes_min([1] * 3, lengths, 8, 2, 64) == decode_attention.bytes_min(lengths, 8, 2, 64)
    assert prefill_attention.flops([1] * 3, lengths, 8, 64) == decode_attention.flops(lengths, 8, 64)


@pytest.mark.parametrize("cache", [None, FP8])
def test_cache_write(cache):
    tokens, kv_heads, head_dim = 100, 8, 128
    moved = size(*[(BF16, tokens, kv_heads, head_dim), (cache or BF16, tokens, kv_heads, head_dim)] * 2, (torch.int64, tokens))
    assert cache_write.bytes_min(tokens, kv_heads, head_dim, BF16, cache) == moved


@pytest.mark.parametrize("cache", [None, FP8])
def test_qk_norm_rope_cache(cache):
    """The norms' two weights, once for all tokens, are left out."""
    tokens, heads, kv_heads, head_dim = 100, 16, 8, 128
    moved = size((BF16, tokens, (heads + 2 * kv_heads) * head_dim), (BF16, tokens, heads, head_dim), *[(cache or BF16, tokens, kv_heads, head_dim)] * 2,
                 (BF16, tokens, head_dim), (torch.int64, tokens), (torch.int64, tokens))
    assert qk_norm_rope_cache.bytes_min(tokens, heads, kv_heads, head_dim, BF16, cache) == moved
    numbers = tokens * (heads + kv_heads) * head_dim
    assert qk_norm_rope_cache.flops(tokens, heads, kv_heads, head_dim) == rms_norm.flops(numbers, 1) + rope.flops(tokens, heads, kv_heads, head_dim)


def test_rms_norm():
    rows, width = 100, 4096
    assert rms_norm.bytes_min(rows, width, BF16) == size(*[(BF16, rows, width)] * 2, (BF16, width))
    assert rms_norm.bytes_min(rows, width, FP32, residual=True) == size(*[(FP32, rows, width)] * 4, (FP32, width))
    assert rms_norm.flops(rows, width, residual=True) - rms_norm.flops(rows, width) == rows * width


@pytest.mark.parametrize("angles", [None, FP32])
def test_rope(angles):
    tokens, heads, kv_heads, head_dim = 100, 16, 8, 128
    moved = size(*[(BF16, tokens, heads, head_dim), (BF16, tokens, kv_heads, head_dim)] * 2, (angles or BF16, tokens, head_dim), (torch.int64, tokens))
    assert rope.bytes_min(tokens, heads, kv_heads, head_dim, BF16, angles) == moved


def test_silu_and_mul():
    assert silu_and_mul.bytes_min(100, 3000, BF16) == size((BF16, 100, 6000), (BF16, 100, 3000))
    assert silu_and_mul.flops(100, 3000) == 5 * 100 * 3000


def test_sampling():
    rows, vocab = 60, 151_936
    logits, row = (FP32, rows, vocab), (FP32, rows)
    assert greedy.bytes_min(rows, vocab) == size(logits, (torch.int64, rows))
    assert greedy.bytes_min(rows, vocab, 2) == size((BF16, rows, vocab), (torch.int64, rows))
    assert gumbel.bytes_min(rows, vocab) == size(logits, row, *[(torch.int64, rows)] * 3)
    assert top_k_top_p.bytes_min(rows, vocab) == size(logits, logits, row, (torch.int32, rows))
    assert penalties.bytes_min(rows, vocab) == size(logits, logits, (torch.int32, rows, vocab), (torch.int32, rows, vocab // 32), row, row, row)
    assert penalties.bytes_min(1, 33) == size((FP32, 1, 33), (FP32, 1, 33), (torch.int32, 1, 33), (torch.int32, 1, 2), *[(FP32, 1)] * 3)
