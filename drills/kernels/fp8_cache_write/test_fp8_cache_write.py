"""The judge of the FP8 cache write.

Triton's interpreter gets wrong what has to be rounded to 8 bits: 126.2 becomes 64 in place of 128, and NaN becomes 384.
What is judged everywhere are therefore numbers that need no rounding: every one that float8_e4m3fn has, times a scale that
is a power of two, and those beyond, which become the largest. Rounding and NaN are judged on a GPU.
"""
import pytest

torch = pytest.importorskip("torch", reason="needs torch and triton: make setup")

FP8 = torch.float8_e4m3fn
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(),
                               reason="needs an NVIDIA GPU: without one Triton's interpreter runs the kernel, and it rounds to 8 bits wrongly")


@pytest.fixture(autouse=True)
def the_same_numbers_each_time():
    torch.manual_seed(0)


def every_number():
    """The 254 numbers of float8_e4m3fn, -0 among them, as float32."""
    codes = torch.arange(256)
    return codes[codes % 128 != 127].to(torch.uint8).view(FP8).float()


def noise(*shape):
    return torch.randint(256, shape, dtype=torch.uint8).view(FP8)


def judge(answer, key, value, slots, k_scale, v_scale, block_size=2, blocks=3):
    caches = noise(2, blocks, block_size, *key.shape[1:])
    caches = [caches[0].clone(), caches[1].clone()]
    right = [each.view(torch.uint8).clone() for each in caches]
    scales = torch.tensor([k_scale]), torch.tensor([v_scale])
    for cache, new, scale in zip(right, (key, value), scales):
        for token, slot in enumerate(slots):
            if slot >= 0:
                cache[slot // block_size, slot % block_size] = (new[token].float() / scale).clamp(-448, 448).to(FP8).view(torch.uint8)
    inputs = [key, value, torch.tensor(slots, dtype=torch.int64), *scales]
    before = [each.clone() for each in inputs]
    answer.fp8_cache_write(key, value, *caches, *inputs[2:])
    for name, cache, expected, new, scale in zip(("key_cache", "value_cache"), caches, right, (key, value), (k_scale, v_scale)):
        got = cache.view(torch.uint8)
        for slot in range(blocks * block_size):
            place = slot // block_size, slot % block_size
            if slot not in slots:
                assert torch.equal(got[place], expected[place]), f"{name}: slot {slot} is nobody's of slots {slots}, and was overwritten"
                continue
            wrong = (got[place] != expected[place]) & ((got[place] | expected[place]) % 128 != 0)     # -0 is 0
            wrong &= (got[place] % 128 != 127) | (expected[place] % 128 != 127)     # there are two NaN
            if wrong.any():
                at = tuple(wrong.nonzero()[0].tolist())
                number, stored, best = new[slots.index(slot)][at].item(), cache[place][at].item(), expected[place].view(FP8)[at].item()
                raise AssertionError(f"{name}, slot {slot}: {number:g} with the scale {scale:g} is stored as {stored:g}, should be {best:g} "
                                     f"({int(wrong.sum())} of {wrong.numel()} numbers of this slot are wrong)")
    for name, each, old in zip(("key", "value", "slot_mapping", "k_scale", "v_scale"), inputs, before):
        assert torch.equal(each, old) or each.isnan().any(), f"{name} was changed"


def test_every_number_that_fp8_has(answer):
    """With scales of 1: each code arrives as it is, in float32 and in float16."""
    numbers = every_number().view(1, 2, 127)
    judge(answer, numbers, numbers.flip(2), [3], 1.0, 1.0)
    judge(answer, numbers.half(), numbers.flip(2).half(), [0], 1.0, 1.0)


def test_a_number_is_divided_by_its_scale(answer):
    """x is stored as x / scale, and whoever reads multiplies again. Keys and values have a scale each."""
    x = torch.tensor([1.0, -2.0, 3.5, 96.0]).view(1, 1, 4)
    judge(answer, x, x, [1], 2.0, 2.0)
    judge(answer, x, x, [1], 0.5, 8.0)
    numbers = every_number().view(1, 2, 127)
    judge(answer, 0.25 * numbers, 4 * numbers, [2], 0.25, 4.0)


def test_what_is_too_large_becomes_the_largest(answer):
    """Too large is what is beyond 448 after the division: 600 over 2 is not, 300 over 0.5 is."""
    judge(answer, torch.tensor([[[448.0, 480.0, -500.0, 1e6]]]), torch.tensor([[[-448.0, 512.0, -1e30, 3.0]]]), [0], 1.0, 1.0)
    judge(answer, torch.tensor([[[640.0, -768.0, 1024.0]]]), torch.tensor([[[256.0, -320.0, 16.0]]]), [4], 2.0, 0.5)


def test_slots_and_padding(answer):
    numbers = every_number()
    for tokens, slots, kv_heads, head_dim in ((0, [], 1, 4), (1, [-1], 1, 4), (4, [5, -1, 0, 2], 2, 5), (2, [1, 4], 12, 128)):
        key, value = numbers[torch.randint(254, (2, tokens, kv_heads, head_dim))]
        judge(answer, key, value, slots, 1.0, 1.0)


@needs_gpu
def test_the_nearest_number_is_stored(answer):
    """Of two that are equally near, the one whose last bit is 0."""
    for dtype in (torch.float32, torch.float16):
        for k_scale, v_scale in ((1.0, 2.0), (0.37, 1.9)):
            key, value = 100 * torch.randn(2, 3, 2, 64).to(dtype)
            judge(answer, key, value, [5, 0, 3], k_scale, v_scale)
    between = torch.arange(16.0, 32.0).view(1, 1, 16)      # every other one lies in the middle of two
    judge(answer, between, between.half().float() / 8, [1], 1.0, 1.0)


@needs_gpu
def test_nan_stays_nan(answer):
    """A broken number must not look like 448."""
    judge(answer, torch.tensor([[[float("nan"), 1.0]]]), torch.tensor([[[2.0, float("nan")]]]), [0], 1.0, 1.0)
