"""Drawing with Gumbel noise: vLLM's hash, softmax's distribution, and nothing that depends on neighbours."""
import math
import struct

import pytest

torch = pytest.importorskip("torch", reason="needs torch: make setup")

from hypothesis import given
from hypothesis import strategies as st

from kernels.greedy import greedy
from kernels.gumbel import bytes_min, gumbel, gumbel_twin, murmur3, noisy
from reference import vllm_kernels
from spec.kernels.caches import examples
from spec.kernels.exactness import DEVICE, captured, each_dtype, needs_gpu, poisoned, unsynchronised

WORD = 0xFFFFFFFF
seeds_of_requests = st.integers(-2**63, 2**63 - 1)


def murmur3_of_bytes(data: bytes) -> int:
    """MurmurHash3_x86_32 with seed 0, as its author defines it, of whole words and a rest."""
    mixed, words = 0, len(data) // 4

    def scrambled(piece: int) -> int:
        piece = piece * 0xCC9E2D51 & WORD
        return (piece << 15 | piece >> 17) * 0x1B873593 & WORD

    for (piece,) in struct.iter_unpack("<I", data[:4 * words]):
        mixed ^= scrambled(piece)
        mixed = (mixed << 13 | mixed >> 19) & WORD
        mixed = (mixed * 5 + 0xE6546B64) & WORD
    if data[4 * words:]:
        mixed ^= scrambled(int.from_bytes(data[4 * words:], "little"))
    mixed ^= len(data)
    mixed = (mixed ^ mixed >> 16) * 0x85EBCA6B & WORD
    mixed = (mixed ^ mixed >> 13) * 0xC2B2AE35 & WORD
    return mixed ^ mixed >> 16


def test_the_reference_hash_gives_what_is_published():
    assert murmur3_of_bytes(b"test") == 0xBA6BD213
    assert murmur3_of_bytes(b"Hello, world!") == 0xC0363E43
    assert murmur3_of_bytes(b"The quick brown fox jumps over the lazy dog") == 0x2E4FF723


@examples(on_cpu=100, on_gpu=100)
@given(seed=seeds_of_requests, position=st.integers(0, 2**40), token=st.integers(0, 2**31 - 1))
def test_the_hash_is_murmur3_of_seed_position_and_token(seed, position, token):
    ours = murmur3(torch.tensor([[seed]]), torch.tensor([[position]]), torch.tensor([[token]])).item()
    assert ours == murmur3_of_bytes(struct.pack("<qII", seed, position & WORD, token))


@each_dtype
@examples(on_cpu=12, on_gpu=200)
@given(rows=st.integers(0, 3), vocabulary=st.sampled_from([1, 2, 31, 32, 33, 100]), margin=st.sampled_from([3, 16]),
       temperature=st.lists(st.sampled_from([0.0, 0.1, 0.7, 1.0, 2.0]), min_size=3, max_size=3),
       seeds=st.lists(seeds_of_requests, min_size=3, max_size=3), position=st.integers(0, 2**33))
def test_the_token_is_the_best_with_its_noise(dtype, rows, vocabulary, margin, temperature, seeds, position):
    torch.manual_seed(position)
    logits = poisoned(rows + 2, vocabulary + 2 * margin, dtype=dtype)[1:-1, margin:-margin]
    logits.copy_(torch.randn(logits.shape))
    logits[:, 1::3] = float("-inf")
    temperature, seeds = torch.tensor(temperature[:rows], device=DEVICE), torch.tensor(seeds[:rows], dtype=torch.int64, device=DEVICE)
    positions = torch.arange(position, position + rows, device=DEVICE)
    tokens = gumbel(logits, temperature, seeds, positions, chunk=32)
    exact = noisy(logits.double(), temperature.double(), seeds, positions)
    assert tokens.dtype == torch.int64 and tokens.shape == (rows,) and (tokens < vocabulary).all()
    # The kernel's float32 may take one of two that are as good as equal. Else the token is the twin's.
    behind = exact.amax(-1) - exact.gather(1, tokens[:, None])[:, 0]
    assert (behind <= 1e-5 * exact.amax(-1).abs().clamp(min=1)).all(), behind
    for row in range(rows):     # nothing but its own numbers enters a row
        alone = slice(row, row + 1)
        assert tokens[row] == gumbel(logits[alone], temperature[alone], seeds[alone], positions[alone], chunk=32)[0]


def test_no_temperature_is_greedy_and_any_other_is_not():
    logits = (torch.randn(4, 50) / 10).to(DEVICE)
    cold, warm = torch.zeros(4, device=DEVICE), torch.full((4,), 1e4, device=DEVICE)
    seeds = torch.arange(4, device=DEVICE)
    assert torch.equal(gumbel(logits, cold, seeds, seeds), greedy(logits))
    assert not torch.equal(gumbel(logits, warm, seeds, seeds), greedy(logits))


@pytest.mark.parametrize("what", ["seed", "position"])
def test_each_seed_and_position_has_its_own_chance(what):
    logits, ones, zeros = torch.zeros(12, 1000, device=DEVICE), torch.ones(12, device=DEVICE), torch.zeros(12, dtype=torch.int64, device=DEVICE)
    each = torch.arange(12, device=DEVICE) << (32 if what == "seed" else 0)     # all of a seed's 64 bits count
    tokens = gumbel(logits, ones, each, zeros) if what == "seed" else gumbel(logits, ones, zeros, each)
    assert len(set(tokens.tolist())) > 9


def test_a_row_of_nothing_gives_token_0_and_what_is_forbidden_never_comes():
    logits = torch.full((6, 40), float("-inf"), device=DEVICE)
    logits[1:, 37] = -1e4
    numbers = torch.arange(6, device=DEVICE)
    assert gumbel(logits, torch.ones(6, device=DEVICE), numbers, numbers, chunk=16).tolist() == [0, 37, 37, 37, 37, 37]


@pytest.mark.parametrize("draw", [pytest.param(gumbel, marks=needs_gpu), gumbel_twin])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_come_as_often_as_softmax_says(draw, temperature):
    count, logits = 100_000, torch.tensor([3.0, 2.0, 1.0, 0.0, -1.0, -3.0, float("-inf")], device=DEVICE)
    rows = logits.expand(count, 7).contiguous()
    numbers = torch.arange(count, device=DEVICE)
    tokens = draw(rows, torch.full((count,), temperature, device=DEVICE), torch.full_like(numbers, 1234), numbers)
    came = tokens.bincount(minlength=7).double()
    expected = (logits.double() / temperature).softmax(-1) * count
    assert came[6] == 0 and len(came) == 7
    chi_square = ((came - expected) ** 2 / expected)[:6].sum().item()
    assert chi_square < 20.5, f"{came.tolist()} instead of {expected.tolist()}"     # 5 degrees of freedom: chance exceeds it 1 time in 1000


def test_rare_tokens_come_too():
    """The tail of the noise: a token of probability 1 / 20,000 wins only with a large one."""
    count, numbers = 400_000, torch.arange(400_000, device=DEVICE)
    logits = torch.tensor([0.0, -math.log(20_000)], device=DEVICE).expand(count, 2).contiguous()
    draw = gumbel_twin if DEVICE == "cpu" else gumbel
    rare = draw(logits, torch.ones(count, device=DEVICE), numbers, numbers * 0).sum().item()
    assert 5 <= rare <= 38      # 20 on average: 3.4 and 4 standard deviations


def test_bytes():
    assert bytes_min(3, 100, 2) == 3 * 100 * 2 + 3 * 28


def test_what_does_not_fit_is_refused():
    logits, temperature, numbers = torch.zeros(3, 5), torch.ones(3), torch.zeros(3, dtype=torch.int64)
    for arguments, complaint in [
            ((logits, temperature[:2], numbers, numbers), "temperature"), ((logits, temperature, numbers.int(), numbers), "seeds"),
            ((logits, temperature, numbers, numbers[None]), "positions"), ((logits[0], temperature, numbers, numbers), "logits")]:
        with pytest.raises(ValueError, match=complaint):
            gumbel(*arguments)


@needs_gpu
def test_replayed_with_other_numbers():
    logits = torch.randn(8, 151_936, device=DEVICE)
    temperature, seeds, positions = torch.ones(8, device=DEVICE), torch.arange(8, device=DEVICE), torch.zeros(8, dtype=torch.int64, device=DEVICE)
    tokens = None

    def launch():
        nonlocal tokens
        tokens = gumbel(logits, temperature, seeds, positions)

    graph = captured(launch)
    for _ in range(3):
        positions += 1
        temperature[::2] *= 0.5
        graph.replay()
        replayed = tokens.clone()
        with unsynchronised():
            again = gumbel(logits, temperature, seeds, positions, chunk=4096, num_warps=8)
        assert torch.equal(replayed, again)


@needs_gpu
@vllm_kernels.needs_vllm_kernels
@pytest.mark.parametrize("vocabulary", [1000, 151_936])
def test_the_tokens_are_vllms(vocabulary):
    torch.manual_seed(0)
    rows = 512
    logits = torch.randn(rows, vocabulary, device=DEVICE) * 3
    temperature = torch.rand(rows, device=DEVICE) * 2
    temperature[::5], temperature[1::5] = 0, 1
    seeds = torch.randint(-2**63, 2**63 - 1, (rows,), device=DEVICE)
    positions = torch.randint(0, 40_000, (rows,), device=DEVICE)
    assert torch.equal(gumbel(logits, temperature, seeds, positions), vllm_kernels.gumbel(logits.clone(), temperature, seeds, positions))
