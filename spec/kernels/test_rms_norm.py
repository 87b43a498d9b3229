"""RMSNorm, alone and with the residual's addition: as exact as torch, for any rows in any memory, and as vLLM's."""
import pytest

torch = pytest.importorskip("torch", reason="needs torch: make setup")

from hypothesis import given
from hypothesis import strategies as st

from kernels.rms_norm import LONGEST, add_rms_norm, add_rms_norm_twin, bytes_min, flops, rms_norm, rms_norm_twin
from reference import vllm_kernels
from spec.kernels.caches import examples
from spec.kernels.exactness import DEVICE, DTYPES, assert_as_exact_as_torch, captured, each_dtype, needs_gpu, poisoned

EPS = 1e-5
# Few sizes: on a GPU, each is compiled anew.
some_rows = given(rows=st.integers(0, 9), size=st.sampled_from([1, 2, 7, 100, 128, 300, 1024, 1025]),
                  # A small scale brings out eps; squares of a large one are more than float16 can hold.
                  scale=st.sampled_from([1e-3, 1.0, 300.0]),
                  # 16 numbers on either side of a row leave it aligned, where loads of 16 bytes are possible.
                  margin=st.sampled_from([3, 16]), seed=st.integers(0, 2**31))


def amid_poison(rows: int, size: int, margin: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Poisoned rows, and the memory around them, poisoned too."""
    memory = poisoned(rows + 2, size + 2 * margin, dtype=dtype)
    return memory[1:-1, margin:-margin], memory


def assert_poison_around(x: torch.Tensor, memory: torch.Tensor) -> None:
    x[:] = 0
    assert memory.isnan().sum() == memory.numel() - x.numel(), "written outside of the rows"


def assert_normed(ours: torch.Tensor, x: torch.Tensor, weight: torch.Tensor) -> None:
    assert_as_exact_as_torch(ours, rms_norm_twin(x, weight, EPS), rms_norm_twin(x.double(), weight.double(), EPS))


def test_the_twin_is_what_torch_calls_rms_norm():
    x, weight = torch.randn(7, 33, dtype=torch.float64), torch.randn(33, dtype=torch.float64)
    torch.testing.assert_close(rms_norm_twin(x, weight, 0.1), torch.nn.functional.rms_norm(x, (33,), weight, 0.1))


@each_dtype
@pytest.mark.parametrize("version", ["fast", "naive"])
@examples(on_cpu=15, on_gpu=100)
@some_rows
def test_the_norm_is_as_exact_as_torchs_and_nothing_else_is_touched(dtype, version, rows, size, scale, margin, seed):
    torch.manual_seed(seed)
    (x, around_x), (out, around) = amid_poison(rows, size, margin, dtype), amid_poison(rows, size, margin, dtype)
    x.copy_(torch.randn(rows, size) * scale)
    weight, before = torch.randn(size, device=DEVICE).to(dtype), x.clone()
    assert rms_norm(x, weight, EPS, out, version=version) is out
    assert torch.equal(x, before)
    assert_normed(out, x, weight)
    assert_poison_around(x, around_x)
    assert_poison_around(out, around)


@each_dtype
@examples(on_cpu=15, on_gpu=100)
@some_rows
def test_the_fused_addition_leaves_the_rounded_sum_and_its_norm(dtype, rows, size, scale, margin, seed):
    torch.manual_seed(seed)
    (x, around_x), (residual, around_residual) = amid_poison(rows, size, margin, dtype), amid_poison(rows, size, margin, dtype)
    x.copy_(torch.randn(rows, size) * scale), residual.copy_(torch.randn(rows, size) * scale)
    weight = torch.randn(size, device=DEVICE).to(dtype)
    expected, total = add_rms_norm_twin(x, residual, weight, EPS)
    exact, _ = add_rms_norm_twin(x.double(), residual.double(), weight.double(), EPS)
    add_rms_norm(x, residual, weight, EPS)
    assert torch.equal(residual, total)
    assert_normed(x, residual, weight)      # of the sum as it was rounded: tighter than the next
    assert_as_exact_as_torch(x, expected, exact)
    assert_poison_around(x, around_x)
    assert_poison_around(residual, around_residual)


@pytest.mark.parametrize("dtype", [torch.float16, pytest.param(torch.bfloat16, marks=needs_gpu)], ids=str)
def test_the_fused_norm_is_of_the_sum_as_it_was_rounded(dtype):
    """Who norms the sum before it is rounded is as exact, but differs in the last bit of every fourth number or so."""
    x, residual = torch.randn(4, 1024, device=DEVICE).to(dtype), torch.randn(4, 1024, device=DEVICE).to(dtype)
    weight = torch.ones(1024, dtype=dtype, device=DEVICE)
    add_rms_norm(x, residual, weight, EPS)
    assert (x == rms_norm(residual, weight, EPS)).float().mean() > 0.99


@each_dtype
def test_heads_in_the_midst_of_wider_rows(dtype):
    """Queries as they come out of the QKV product: rows of rows, with two strides; the keys are in place."""
    tokens, heads, head_dim = 3, 5, 24
    qkv = torch.randn(tokens, 9 * head_dim, device=DEVICE).to(dtype)
    before, weight = qkv.clone(), torch.randn(head_dim, device=DEVICE).to(dtype)
    queries, keys = (each.unflatten(-1, (-1, head_dim)) for each in (qkv[:, :heads * head_dim], qkv[:, heads * head_dim:7 * head_dim]))
    old_keys = keys.clone()
    ours = rms_norm(queries, weight, EPS)
    assert torch.equal(qkv, before) and ours.is_contiguous()
    assert_normed(ours, queries, weight)
    rms_norm(keys, weight, EPS, out=keys)
    assert_normed(keys, old_keys, weight)
    assert torch.equal(qkv[:, :heads * head_dim], before[:, :heads * head_dim]) and torch.equal(qkv[:, 7 * head_dim:], before[:, 7 * head_dim:])


@pytest.mark.parametrize("shape", [(8,), (2, 8), (2, 3, 8), (2, 3, 2, 8), (0, 3, 8)], ids=str)
def test_any_number_of_dimensions(shape):
    x, residual, weight = torch.randn(shape, device=DEVICE), torch.randn(shape, device=DEVICE), torch.randn(8, device=DEVICE)
    assert_normed(rms_norm(x, weight, EPS), x, weight)
    total = x + residual
    add_rms_norm(x, residual, weight, EPS)
    assert torch.equal(residual, total)
    assert_normed(x, total, weight)


@each_dtype
@pytest.mark.parametrize("size", [5120, 16384, LONGEST])
def test_long_rows(dtype, size):
    x, weight = torch.randn(2, size, device=DEVICE).to(dtype), torch.randn(size, device=DEVICE).to(dtype)
    assert_normed(rms_norm(x, weight, EPS), x, weight)
    assert_normed(rms_norm(x, weight, EPS, version="naive"), x, weight)
    residual = torch.zeros_like(x)
    add_rms_norm(x, residual, weight, EPS)
    assert_normed(x, residual, weight)


@pytest.mark.parametrize("rows_per_program, num_warps", [(1, 1), (2, 4), (4, 2), (16, 8)])
def test_how_the_work_is_cut_up_is_nobodys_business(rows_per_program, num_warps):
    x, residual, weight = torch.randn(7, 100, device=DEVICE), torch.randn(7, 100, device=DEVICE), torch.randn(100, device=DEVICE)
    assert_normed(rms_norm(x, weight, EPS, rows_per_program=rows_per_program, num_warps=num_warps), x, weight)
    add_rms_norm(x, residual, weight, EPS, rows_per_program=rows_per_program, num_warps=num_warps)
    assert_normed(x, residual, weight)


def test_a_row_of_zeros_stays_one():
    assert not rms_norm(torch.zeros(2, 8, device=DEVICE), torch.ones(8, device=DEVICE), EPS).any()


X, W = torch.zeros(4, 8), torch.zeros(8)


@pytest.mark.parametrize("arguments, says", [
    ((X, W.half()), "cast them"),
    ((X.long(), W.long()), "cast them"),
    ((X, W[:7]), "as long as their last dimension"),
    ((X, W, torch.zeros(3, 8)), "two equal ones"),
    ((X[:, :0], W[:0]), "1 to"),
    ((torch.zeros(8, 4).T, W), "contiguous"),
    ((X, torch.zeros(16)[::2]), "contiguous"),
    ((X, W, torch.zeros(8, 4).T), "contiguous"),
    ((torch.zeros(4, 3, 2, 8).transpose(0, 1), W), "two steps through memory"),
    ((torch.zeros(1, LONGEST + 1), torch.zeros(LONGEST + 1)), "1 to"),
])
def test_what_it_cannot_do_it_says(arguments, says):
    x, weight, *out = arguments
    with pytest.raises(ValueError, match=says):
        rms_norm(x, weight, EPS, *out)
    with pytest.raises(ValueError, match=says):
        add_rms_norm(x, *(out or [x]), weight, EPS)
    with pytest.raises(ValueError, match="fast.*naive"):
        rms_norm(X, W, EPS, version="fastest")


def test_the_bytes_that_must_move_are_those_of_the_tensors():
    x, weight = torch.zeros(7, 33, dtype=torch.float16), torch.zeros(33, dtype=torch.float16)
    assert bytes_min(7, 33, torch.float16) == 2 * x.nbytes + weight.nbytes
    assert bytes_min(7, 33, torch.float16, residual=True) == 4 * x.nbytes + weight.nbytes
    assert flops(7, 33) == 4 * x.numel() and flops(7, 33, residual=True) == 5 * x.numel()


@needs_gpu
@each_dtype
def test_in_a_cuda_graph(dtype):
    x, residual, weight = (torch.randn(shape, device=DEVICE).to(dtype) for shape in ((33, 4096), (33, 4096), (4096,)))
    out = poisoned(33, 4096, dtype=dtype)
    alone, fused = captured(lambda: rms_norm(x, weight, EPS, out)), captured(lambda: add_rms_norm(x, residual, weight, EPS))
    for each in (x, residual, weight):
        each.normal_()
    alone.replay()
    assert_normed(out, x, weight)
    total = x + residual
    fused.replay()
    assert torch.equal(residual, total)
    assert_normed(x, total, weight)


@needs_gpu
@pytest.mark.usefixtures("gigabytes")
def test_rows_beyond_two_to_the_31():
    stride = 3 * 2**29      # the third row begins at 3 * 2**30
    x, out = (torch.empty(2 * stride + 64, dtype=torch.bfloat16, device=DEVICE).as_strided((3, 64), (stride, 1)) for _ in range(2))
    x.normal_()
    weight = torch.randn(64, device=DEVICE).bfloat16()
    for version in ("fast", "naive"):
        assert_normed(rms_norm(x, weight, EPS, out.fill_(float("nan")), version=version), x, weight)
    total = x + out.zero_()
    add_rms_norm(x, out, weight, EPS)
    assert torch.equal(out, total)
    assert_normed(x, total, weight)


@vllm_kernels.needs_vllm_kernels
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("rows, size", [(1, 4096), (16, 1024), (257, 5120), (64, 16384)])
def test_as_exact_as_vllms(dtype, rows, size):
    x, residual, weight = (torch.randn(shape, device=DEVICE).to(dtype) for shape in ((rows, size), (rows, size), (size,)))
    exact = rms_norm_twin(x.double(), weight.double(), EPS)
    assert_as_exact_as_torch(rms_norm(x, weight, EPS), vllm_kernels.rms_norm(x, weight, EPS), exact)

    theirs, their_residual = x.clone(), residual.clone()
    vllm_kernels.add_rms_norm(theirs, their_residual, weight, EPS)
    exact, _ = add_rms_norm_twin(x.double(), residual.double(), weight.double(), EPS)
    add_rms_norm(x, residual, weight, EPS)
    assert torch.equal(residual, their_residual)
    assert_as_exact_as_torch(x, theirs, exact)
