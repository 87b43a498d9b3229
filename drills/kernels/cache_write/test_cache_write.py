"""The judge of the cache write."""
import pytest

torch = pytest.importorskip("torch", reason="needs torch and triton: make setup")


@pytest.fixture(autouse=True)
def the_same_numbers_each_time():
    torch.manual_seed(0)


def bits(x):
    return x.contiguous().view({2: torch.int16, 4: torch.int32}[x.element_size()])


def noise(*shape, dtype=torch.float32):
    """Random bits: numbers, infinities, and NaN of many kinds. A copy carries them all."""
    integers = {2: torch.int16, 4: torch.int32}[dtype.itemsize]
    return torch.randint(torch.iinfo(integers).min, torch.iinfo(integers).max, shape, dtype=integers).view(dtype)


def judge(answer, slots, blocks, block_size, kv_heads, head_dim, dtype=torch.float32, halves=False):
    """Write and compare, slot by slot. halves: both caches are parts of one array."""
    key, value = noise(2, len(slots), kv_heads, head_dim, dtype=dtype)
    both = noise(blocks, 2, block_size, kv_heads, head_dim, dtype=dtype)
    caches = both.unbind(1) if halves else [each.clone() for each in both.unbind(1)]
    right = [each.clone() for each in caches]
    for token, slot in enumerate(slots):
        if slot >= 0:
            for cache, new in zip(right, (key, value)):
                cache[slot // block_size, slot % block_size] = new[token]
    before = key.clone(), value.clone()
    slot_mapping = torch.tensor(slots, dtype=torch.int64)
    answer.cache_write(key, value, *caches, slot_mapping)
    case = f"slots {slots}, block size {block_size}, {kv_heads} KV heads, D = {head_dim}" + (", both caches in one array" if halves else "")
    for name, cache, expected in zip(("key_cache", "value_cache"), caches, right):
        for slot in range(blocks * block_size):
            place = slot // block_size, slot % block_size
            wrong = (bits(cache[place]) != bits(expected[place])).sum().item()
            assert not wrong, f"{case}: {name}, slot {slot}, which is " + (
                f"token {slots.index(slot)}'s: {wrong} of {kv_heads * head_dim} numbers are not its own" if slot in slots
                else f"nobody's: {wrong} of {kv_heads * head_dim} numbers were overwritten")
    assert torch.equal(bits(key), bits(before[0])) and torch.equal(bits(value), bits(before[1])), f"{case}: key or value was changed"
    assert slot_mapping.tolist() == list(slots), f"{case}: slot_mapping was changed"


def test_tokens_go_to_their_slots(answer):
    judge(answer, [2], 1, 4, 1, 4)
    judge(answer, [0, 1, 2, 3], 1, 4, 1, 4)
    judge(answer, [9, 2, 4, 11], 3, 4, 2, 8)
    judge(answer, [], 1, 4, 1, 4)


def test_padding_is_written_nowhere(answer):
    judge(answer, [-1], 1, 2, 1, 4)
    judge(answer, [5, -1, 0, -1, -1], 3, 2, 2, 4)


def test_any_size(answer):
    for block_size, kv_heads, head_dim in ((1, 1, 1), (3, 3, 5), (5, 2, 80), (16, 8, 128), (2, 12, 128)):
        slots = torch.randperm(4 * block_size)[:4].tolist()
        judge(answer, slots, 4, block_size, kv_heads, head_dim)


def test_half_precision(answer):
    judge(answer, [3, -1, 6], 2, 4, 2, 6, dtype=torch.float16)


def test_both_caches_in_one_array(answer):
    """[blocks, 2, block size, KV heads, D]: from a block of keys to the next it is twice as far."""
    judge(answer, [0, 1], 2, 2, 1, 4, halves=True)
    judge(answer, [7, 2, 4, 1], 4, 2, 2, 4, halves=True)
