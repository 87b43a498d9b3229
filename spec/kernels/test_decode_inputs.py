"""What a decode step is told, and where it finds the rest: tokens, positions, slots and block tables, bit for bit."""
import pytest

torch = pytest.importorskip("torch", reason="needs torch: make setup")

from hypothesis import given
from hypothesis import strategies as st

from kernels.decode_inputs import bytes_min, decode_inputs, decode_inputs_twin
from spec.kernels.caches import examples
from spec.kernels.exactness import DEVICE, captured, needs_gpu, poisoned, unsynchronised


def device_state(lengths: list[int], num_blocks: int, block_size: int, seed: int) -> tuple[torch.Tensor, ...]:
    """(tokens, rows, seq_lens, newest, tables): requests in rows of any order; where nobody looks, indices of nothing."""
    chance = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(lengths) + 2, generator=chance)[:len(lengths)].to(torch.int32)
    newest, tables = poisoned(len(lengths) + 2, dtype=torch.int64), poisoned(len(lengths) + 2, num_blocks, dtype=torch.int32)
    for row, length in zip(rows.tolist(), lengths):
        used = -(-length // block_size)
        newest[row] = int(torch.randint(0, 150_000, (), generator=chance))
        tables[row, :used] = torch.randint(1, 2**27, (used,), generator=chance, dtype=torch.int32).to(DEVICE)
    tokens = torch.where(torch.rand(len(lengths), generator=chance) < 0.5, -1, torch.randint(0, 150_000, (len(lengths),), generator=chance)).to(torch.int32)
    return tokens.to(DEVICE), rows.to(DEVICE), torch.tensor(lengths, dtype=torch.int32, device=DEVICE), newest, tables


@examples(on_cpu=15, on_gpu=200)
@given(lengths=st.lists(st.sampled_from([0, 1, 15, 16, 17, 300]), max_size=6), block_size=st.sampled_from([1, 3, 16, 128]), spare=st.sampled_from([0, 1, 13]),
       seed=st.integers(0, 2**31))
def test_as_its_definition_says(lengths, block_size, spare, seed):
    num_blocks = max([1, *(-(-length // block_size) for length in lengths)]) + spare
    state = device_state(lengths, num_blocks, block_size, seed)
    for ours, wanted in zip(decode_inputs(*state, block_size), decode_inputs_twin(*state, block_size), strict=True):
        assert ours.dtype == wanted.dtype and torch.equal(ours, wanted)


def test_a_token_that_the_processor_knows_goes_before_the_devices():
    tokens, rows, seq_lens, newest, tables = device_state([5, 5], 2, 4, seed=0)
    newest[:] = 77
    tokens[0], tokens[1] = 5, -1
    assert decode_inputs(tokens, rows, seq_lens, newest, tables, 4)[0].tolist() == [5, 77]


def test_padding_has_a_slot_of_nothing():
    """Its row is one that no request has."""
    none = torch.zeros(3, dtype=torch.int32, device=DEVICE)
    token_ids, positions, slots, tables = decode_inputs(none - 1, none, none, torch.zeros(1, dtype=torch.int64, device=DEVICE), none[None, :2].contiguous(), 16)
    assert token_ids.tolist() == positions.tolist() == [0] * 3 and slots.tolist() == [-1] * 3 and not tables.any()


@pytest.mark.parametrize(("change", "complaint"), [
    ({0: torch.zeros(2, dtype=torch.int64)}, "tokens, rows and seq_lens"), ({2: torch.zeros(3, dtype=torch.int32)}, r"\[3\]"),
    ({3: torch.zeros(4, dtype=torch.int32)}, "newest must be int64"), ({4: torch.zeros(9, 2, dtype=torch.int32)}, "newest must be int64"),
    ({4: torch.zeros(2, 4, dtype=torch.int32).T}, "contiguous")])
def test_what_does_not_belong_together_is_refused(change, complaint):
    state = list(device_state([3, 4], 2, 4, seed=0))
    for place, wrong in change.items():
        state[place] = wrong.to(DEVICE)
    with pytest.raises(ValueError, match=complaint):
        decode_inputs(*state, 4)


def test_bytes():
    assert bytes_min([17, 0], 4, 16) == 2 * (3 * 4 + 8 + 3 * 8 + 4 * 4) + 4 * 2


@needs_gpu
def test_replayed_with_other_numbers():
    state = device_state([700, 1, 0, 33], 64, 16, seed=1)
    with unsynchronised():
        decode_inputs(*state, 16)
    results = []
    graph = captured(lambda: results.append(decode_inputs(*state, 16)))
    for mine, other in zip(state, device_state([0, 1000, 16, 17], 64, 16, seed=2)):
        mine.copy_(other)
    graph.replay()
    for ours, wanted in zip(results[-1], decode_inputs_twin(*state, 16), strict=True):
        assert torch.equal(ours, wanted)
