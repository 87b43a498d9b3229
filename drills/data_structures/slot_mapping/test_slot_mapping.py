"""The judge of the slot mapping."""
import random

import pytest

from drills.judging import assert_close, count_lines, grows

torch = pytest.importorskip("torch", reason="needs torch: make setup")


def batch(lengths, computed, block_size, seed=0):
    """Requests with `computed` tokens each that compute `lengths` more, and the right slots."""
    rng = random.Random(seed)
    blocks = [-(-(before + new) // block_size) for before, new in zip(computed, lengths)]
    ids = rng.sample(range(1, sum(blocks) + 10), sum(blocks))
    tables = torch.full((len(lengths), max(blocks, default=0) + 2), 2**30, dtype=torch.int32)     # a hopeless id: it must not be used
    slots, positions, starts = [], [], [0]
    for request, (before, new) in enumerate(zip(computed, lengths)):
        own, ids = ids[:blocks[request]], ids[blocks[request]:]
        tables[request, :len(own)] = torch.tensor(own, dtype=torch.int32)
        for position in range(before, before + new):
            positions.append(position)
            slots.append(own[position // block_size] * block_size + position % block_size)
        starts.append(len(positions))
    return tables, torch.tensor(starts, dtype=torch.int32), torch.tensor(positions, dtype=torch.int64), slots


def judged(answer, lengths, computed, block_size, padding=0, seed=0):
    tables, starts, positions, slots = batch(lengths, computed, block_size, seed)
    inputs = [tables.clone(), starts.clone(), positions.clone()]
    got = answer.slot_mapping(tables, starts, positions, block_size, len(slots) + padding)
    for name, before, after in zip(("block_tables", "query_start_loc", "positions"), inputs, (tables, starts, positions)):
        assert torch.equal(before, after), f"{name} was changed"
    what = f"lengths {lengths}, {computed} computed before, block size {block_size}, {padding} of padding"
    assert_close(got, torch.tensor(slots + [-1] * padding, dtype=torch.int64), what)


def test_one_prompt(answer):
    for length in (1, 3, 4, 5, 9):
        judged(answer, [length], [0], 4)


def test_requests_of_all_kinds(answer):
    judged(answer, [1, 1], [5, 9], 4)                     # decoding
    judged(answer, [5, 1, 7], [0, 12, 3], 4)              # a prompt, a decoding one, a chunk in the middle
    for seed in range(20):
        rng = random.Random(seed)
        number = rng.randint(1, 6)
        lengths, computed = [rng.randint(1, 9) for _ in range(number)], [rng.randint(0, 20) for _ in range(number)]
        judged(answer, lengths, computed, rng.choice([1, 3, 4, 16]), seed=seed)


def test_requests_without_tokens(answer):
    """They are in the batch, and compute nothing in this step."""
    for lengths in ([0, 2], [2, 0], [1, 0, 0, 3], [0, 0]):
        judged(answer, lengths, [6] * len(lengths), 4)


def test_padding(answer):
    """A CUDA graph has a fixed length: what is beyond the tokens must be written nowhere."""
    for padding in (1, 5):
        judged(answer, [3, 1], [0, 4], 4, padding)
    judged(answer, [], [], 4, 3)
    judged(answer, [], [], 4, 0)


def test_a_large_cache(answer):
    """2**28 blocks of 16 are more slots than 32 bits can count."""
    tables, starts = torch.tensor([[3, 2**28 + 5]], dtype=torch.int32), torch.tensor([0, 2], dtype=torch.int32)
    got = answer.slot_mapping(tables, starts, torch.tensor([15, 17]), 16, 2)
    right = torch.tensor([3 * 16 + 15, (2**28 + 5) * 16 + 1])
    assert_close(got, right, "block 2**28 + 5 of 16 slots: int32 overflows when multiplied")


def test_no_loop_over_tokens(answer):
    costs = {}
    for number in (10, 300):
        tables, starts, positions, slots = batch([3] * number, [7] * number, 4)
        costs[number] = count_lines(answer, lambda: answer.slot_mapping(tables, starts, positions, 4, len(slots)))
    assert grows(costs) < 0.1, f"lines executed: {costs[10]} for 10 requests, {costs[300]} for 300: let torch loop, over all tokens at once"
