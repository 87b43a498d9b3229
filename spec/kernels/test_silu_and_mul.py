"""SiLU and multiply: as exact as torch, for rows of any length in any memory, and as vLLM's."""
import pytest

torch = pytest.importorskip("torch", reason="needs torch: make setup")

from hypothesis import given
from hypothesis import strategies as st

from kernels.silu_and_mul import bytes_min, flops, silu_and_mul, silu_and_mul_twin
from reference import vllm_kernels
from spec.kernels.caches import examples
from spec.kernels.exactness import DEVICE, DTYPES, assert_as_exact_as_torch, captured, each_dtype, needs_gpu, poisoned


def assert_gated(ours: torch.Tensor, x: torch.Tensor) -> None:
    assert_as_exact_as_torch(ours, silu_and_mul_twin(x), silu_and_mul_twin(x.double()))


@each_dtype
@examples(on_cpu=20, on_gpu=100)
@given(shape=st.tuples(st.integers(0, 5), st.sampled_from([1, 7, 100, 1023, 1024, 1025, 2500, 3072]))
       | st.tuples(st.sampled_from([1024, 1025]), st.sampled_from([8, 9])),
       margin=st.sampled_from([3, 16]), seed=st.integers(0, 2**31))
def test_the_product_is_as_exact_as_torchs_and_nothing_else_is_touched(dtype, shape, margin, seed):
    torch.manual_seed(seed)
    rows, size = shape      # few of any length; and many, which are cut up otherwise
    around_x, around = (poisoned(rows + 2, width + 2 * margin, dtype=dtype) for width in (2 * size, size))
    x, out = around_x[1:-1, margin:-margin], around[1:-1, margin:-margin]
    x.copy_(torch.randn(rows, 2 * size) * 3)
    before = x.clone()
    assert silu_and_mul(x, out) is out
    assert torch.equal(x, before)
    assert_gated(out, x)
    out[:] = 0
    assert around.isnan().sum() == around.numel() - out.numel(), "written outside of the rows"


def test_far_from_zero_the_gate_is_open_or_shut():
    gate = torch.tensor([-6e4, -1e3, -90.0, -20.0, 0.0, 20.0, 90.0, 1e3, 6e4], device=DEVICE)
    x = torch.cat((gate, torch.full_like(gate, 2.0)))[None]
    ours = silu_and_mul(x)[0]
    torch.testing.assert_close(ours[4:], 2 * gate[4:], rtol=1e-6, atol=0)
    assert (ours[:3].abs() < 1e-30).all() and -1e-6 < ours[3] < 0


@pytest.mark.parametrize("columns_per_program, num_warps", [(16, 1), (64, 2), (1024, 8)])
def test_how_the_work_is_cut_up_is_nobodys_business(columns_per_program, num_warps):
    x = torch.randn(9, 2 * 100, device=DEVICE)
    assert_gated(silu_and_mul(x, columns_per_program=columns_per_program, num_warps=num_warps), x)


X = torch.zeros(4, 8)


@pytest.mark.parametrize("x, out, says", [
    (X[:, :7], None, "2n"),
    (X[None], None, "flatten"),
    (X.long(), None, "float32"),
    (X, X[:, :3], "out"),
    (X, X[:, :4].half(), "out"),
    (torch.zeros(8, 4).T, None, "contiguous"),
    (X, torch.zeros(4, 4).T, "contiguous"),
])
def test_what_it_cannot_do_it_says(x, out, says):
    with pytest.raises(ValueError, match=says):
        silu_and_mul(x, out)


def test_the_bytes_that_must_move_are_those_of_the_tensors():
    x = torch.zeros(7, 2 * 33, dtype=torch.float16)
    assert bytes_min(7, 33, torch.float16) == x.nbytes + silu_and_mul_twin(x).nbytes
    assert flops(7, 33) == 5 * 7 * 33


@needs_gpu
@each_dtype
def test_in_a_cuda_graph(dtype):
    x, out = torch.randn(33, 2 * 3072, device=DEVICE).to(dtype), poisoned(33, 3072, dtype=dtype)
    graph = captured(lambda: silu_and_mul(x, out))
    x.normal_()
    out.fill_(float("nan"))
    graph.replay()
    assert_gated(out, x)


@needs_gpu
@pytest.mark.usefixtures("gigabytes")
def test_rows_beyond_two_to_the_31():
    stride = 3 * 2**29      # the third row begins at 3 * 2**30
    x, out = (torch.empty(2 * stride + 2048, dtype=torch.bfloat16, device=DEVICE).as_strided((3, size), (stride, 1)) for size in (2048, 1024))
    assert_gated(silu_and_mul(x.normal_(), out.fill_(float("nan"))), x)


@vllm_kernels.needs_vllm_kernels
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("rows, size", [(1, 12288), (64, 3072), (1030, 11008)])
def test_as_exact_as_vllms(dtype, rows, size):
    x = torch.randn(rows, 2 * size, device=DEVICE).to(dtype)
    assert_as_exact_as_torch(silu_and_mul(x), vllm_kernels.silu_and_mul(x), silu_and_mul_twin(x.double()))
