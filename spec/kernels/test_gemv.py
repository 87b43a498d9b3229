"""One row times a weight, by FlashAttention-3's rule."""
import pytest

torch = pytest.importorskip("torch", reason="needs torch: make setup")

from hypothesis import given
from hypothesis import strategies as st

from kernels.gemv import LONGEST, bytes_min, flops, gemv, gemv_twin
from spec.kernels.caches import examples
from spec.kernels.exactness import DEVICE, assert_as_exact_as_torch, captured, each_dtype, needs_gpu, poisoned, unsynchronised


def factors(outputs: int, size: int, dtype: torch.dtype, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """`x` between poison, and a weight."""
    chance = torch.Generator().manual_seed(seed)
    x = poisoned(3, size, dtype=dtype)
    x[1] = torch.randn(size, generator=chance).to(DEVICE, dtype)
    return x[1:2], torch.randn(outputs, size, generator=chance).to(DEVICE, dtype)


def check(x: torch.Tensor, weight: torch.Tensor, **how) -> None:
    products = x.double() * weight.double()
    sums = products.cumsum(dim=1)       # in one order of the many that a sum can be taken in
    assert_as_exact_as_torch(gemv(x, weight, **how), torch.nn.functional.linear(x, weight), sums[None, :, -1], on_the_way=sums.abs().max().item())


@each_dtype
@examples(on_cpu=10, on_gpu=100)
@given(outputs=st.sampled_from([1, 3, 4, 5, 17]), size=st.sampled_from([1, 16, 31, 64, 100]), at_a_time=st.sampled_from([1, 4, 16]), seed=st.integers(0, 2**31))
def test_as_exact_as_torch(dtype, outputs, size, at_a_time, seed):
    check(*factors(outputs, size, dtype, seed), outputs=at_a_time)


def test_terms_that_cancel_may_cost_what_their_sums_on_the_way_do():
    check(*factors(1, 31, torch.float32, seed=479013024), outputs=16)     # -0.38, after sums of up to 4.9; torch hits it, by chance


@each_dtype
@pytest.mark.parametrize("size", [LONGEST - 1, LONGEST, LONGEST + 1, 2 * LONGEST + 100])
def test_rows_longer_than_a_program_holds(dtype, size):
    check(*factors(5, size, dtype))


def test_the_twin_is_torchs_product():
    x, weight = factors(7, 33, torch.float32)
    assert torch.allclose(gemv_twin(x, weight), torch.nn.functional.linear(x, weight), atol=1e-5)


def test_a_number_that_is_none_spoils_its_own_output_alone():
    x, weight = factors(9, 40, torch.float32)
    weight[4, 7] = float("nan")
    assert gemv(x, weight).isnan()[0].tolist() == [output == 4 for output in range(9)]


@pytest.mark.parametrize(("x", "weight"), [
    (torch.zeros(2, 8), torch.zeros(4, 8)), (torch.zeros(1, 8), torch.zeros(4, 9)), (torch.zeros(8), torch.zeros(4, 8)),
    (torch.zeros(1, 8).half(), torch.zeros(4, 8)), (torch.zeros(1, 8), torch.zeros(8, 4).T)])
def test_what_it_cannot_do_is_refused(x, weight):
    with pytest.raises(ValueError, match="give "):
        gemv(x, weight)


def test_bytes_and_flops():
    assert bytes_min(10, 100, 2) == 2 * (1000 + 100 + 10) and flops(10, 100) == 2000


@needs_gpu
@pytest.mark.parametrize(("outputs", "size"), [(4096, 1024), (1024, 2048), (6144, 1024), (1024, 3072), (151_936, 1024)])
def test_at_full_size_and_replayed(outputs, size):
    x, weight = factors(outputs, size, torch.bfloat16)
    with unsynchronised():
        gemv(x, weight)
    results = []
    graph = captured(lambda: results.append(gemv(x, weight)))
    x.normal_()
    graph.replay()
    assert_as_exact_as_torch(results[-1], torch.nn.functional.linear(x, weight), x.double() @ weight.double().T)
