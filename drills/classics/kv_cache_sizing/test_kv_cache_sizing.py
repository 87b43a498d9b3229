"""The judge of KV cache sizing."""
import pytest
from hypothesis import given
from hypothesis import strategies as st

# Published shapes; bytes per token of the whole model, counted by hand.
LLAMA_7B = (32, 32, 32, 128, "float16"), 524_288
LLAMA_8B = (32, 32, 8, 128, "bfloat16"), 131_072
LLAMA_70B = (80, 64, 8, 128, "bfloat16"), 327_680
ONE_HEAD = (18, 8, 1, 256, "bfloat16"), 18_432


def same(got, right, what):
    assert isinstance(got, int) and not isinstance(got, bool), f"{what}: {got!r} is a {type(got).__name__}; sizes are integers"
    assert got == right, f"{what}: {got:,}, should be {right:,}"


def test_bytes_per_token(answer):
    """Two vectors, key and value, per layer and key/value head."""
    for shape, right in (LLAMA_7B, LLAMA_8B, LLAMA_70B, ONE_HEAD):
        same(answer.bytes_per_token(answer.Model(*shape), 1), right, f"bytes per token of {shape} on one device")


def test_sizes_of_a_number(answer):
    for dtype, size in (("float32", 4), ("float16", 2), ("bfloat16", 2), ("fp8", 1)):
        same(answer.bytes_per_token(answer.Model(1, 1, 1, 64, dtype), 1), 128 * size, f"a key and a value of 64 numbers in {dtype}")


def test_split_over_devices(answer):
    for devices, right in ((1, 8), (2, 4), (8, 1)):
        model = answer.Model(*LLAMA_70B[0])
        same(answer.kv_heads_per_device(model, devices), right, f"8 key/value heads on {devices} devices: heads per device")
        same(answer.bytes_per_token(model, devices), 327_680 * right // 8, f"8 key/value heads on {devices} devices: bytes per token on each")


def test_more_devices_than_heads(answer):
    """A head cannot be cut: devices hold replicas, and more devices save nothing."""
    for devices in (16, 32):
        same(answer.kv_heads_per_device(answer.Model(*LLAMA_70B[0]), devices), 1, f"8 key/value heads on {devices} devices: heads per device")
    same(answer.bytes_per_token(answer.Model(*ONE_HEAD[0]), 8), 18_432, "one key/value head on 8 devices: each holds it")


def test_splits_that_do_not_work(answer):
    for heads, kv_heads, devices, why in ((32, 8, 3, "32 attention heads"), (12, 12, 8, "12 attention heads"), (24, 6, 4, "6 key/value heads"),
                                          (24, 3, 8, "3 key/value heads")):
        with pytest.raises(ValueError):
            answer.kv_heads_per_device(answer.Model(1, heads, kv_heads, 64, "float16"), devices)
            pytest.fail(f"{why} on {devices} devices: that is a ValueError, neither can be shared out evenly")


def test_blocks_that_fit(answer):
    model, block = answer.Model(*LLAMA_8B[0]), 16 * 131_072
    for memory, right in ((0, 0), (block - 1, 0), (block, 1), (10 * block - 1, 9), (10 * block, 10), (20 * 2**30, 10_240)):
        same(answer.num_blocks(model, 1, 16, memory), right, f"blocks of {block:,} bytes in {memory:,} bytes")
    same(answer.num_blocks(model, 4, 16, 10 * block), 40, "a fourth of each block on each of 4 devices")


def test_the_longest_request(answer):
    """One of the blocks is the null block, which holds nobody's tokens."""
    for blocks, right in ((0, 0), (1, 0), (2, 16), (100, 1584)):
        same(answer.longest_request(blocks, 16), right, f"the longest request in {blocks} blocks of 16, one of them the null block")


def test_concurrency(answer):
    """A request takes whole blocks."""
    for blocks, num_tokens, right in ((1, 1, 0), (2, 1, 1), (2, 16, 1), (2, 17, 0), (7, 17, 3), (101, 16, 100), (101, 17, 50), (101, 1601, 0)):
        same(answer.concurrency(blocks, 16, num_tokens), right,
             f"requests of {num_tokens} tokens in {blocks} blocks of 16, one of them the null block")
    same(answer.concurrency(0, 16, 1), 0, "requests in no blocks at all")


MODELS = st.tuples(st.integers(1, 100), st.integers(0, 3), st.integers(0, 4), st.sampled_from([64, 80, 128, 256]),
                   st.sampled_from(["float32", "bfloat16", "fp8"]))


@given(shape=MODELS, log_devices=st.integers(0, 4), block_size=st.sampled_from([1, 16, 24]), num_tokens=st.integers(1, 10**6), num_requests=st.integers(1, 300))
def test_the_memory_needed_is_the_least(answer, shape, log_devices, block_size, num_tokens, num_requests):
    """With it the requests fit, with one byte less they do not."""
    num_layers, log_kv_heads, log_group, head_size, dtype = shape
    model = answer.Model(num_layers, 16 * 2**(log_kv_heads + log_group), 2**log_kv_heads, head_size, dtype)
    devices = 2**log_devices
    what = f"{num_requests} requests of {num_tokens} tokens, blocks of {block_size}, {model} on {devices} devices"
    memory = answer.memory_needed(model, devices, block_size, num_tokens, num_requests)
    blocks = answer.num_blocks(model, devices, block_size, memory)
    fit = answer.concurrency(blocks, block_size, num_tokens)
    assert fit == num_requests, f"{what}: with the {memory:,} bytes that memory_needed says, {fit} fit"
    fewer = answer.num_blocks(model, devices, block_size, memory - 1)
    assert fewer == blocks - 1, f"{what}: memory_needed says {memory:,} bytes; with one byte less there are {fewer} blocks instead of {blocks - 1}"
    assert answer.longest_request(blocks, block_size) >= num_tokens, f"{what}: the pool is too small for one of them"
    right = (1 + num_requests * -(-num_tokens // block_size)) * block_size * 2 * num_layers * max(1, 2**log_kv_heads // devices) * head_size * (
        {"float32": 4, "bfloat16": 2, "fp8": 1}[dtype])
    same(memory, right, f"{what}: bytes")
