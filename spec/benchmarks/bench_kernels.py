"""How fast our kernels are on this GPU, against vLLM's own and against what the memory or the tensor cores allow: `make bench`.

`gpu_time.py` says how a launch is timed, `kernel_cases.py` what is compared. Speed fails no test: a row says whether
it met its bar. What fails is a result that is wrong, and a time that is impossible.
"""
import gc

import pytest

pytest.importorskip("torch", reason="needs torch: make setup")

import torch

from reference import vllm_kernels
from spec.benchmarks.gpu_time import GpuClock, provenance
from spec.benchmarks.kernel_cases import case_of, shapes
from spec.benchmarks.kernel_race import STOPWATCH, command, race
from spec.kernels.exactness import needs_gpu

pytestmark = [needs_gpu, pytest.mark.benchmark(timer=STOPWATCH)]


@pytest.fixture(scope="session")
def clock(request):
    """The GPU's clock, and in `facts` where and when it ran. Measures the ceilings, and that it can be trusted."""
    clock = GpuClock()
    tenfold = clock.tenfold()
    assert 8 < tenfold < 12, f"ten times the work took {tenfold:.1f} times as long: is somebody else using this GPU?"
    clock.facts = {"gpu": clock.name, **provenance(), "command": command(), "ceilings": {
        "copy TB/s": clock.ceilings.bytes_per_second / 1e12, "product TFLOP/s": clock.ceilings.flops_per_second / 1e12}}
    if not vllm_kernels.available():
        request.config.get_terminal_writer().line(f"\nno comparison with vLLM's kernels: {vllm_kernels.WANTED}")
    return clock


@pytest.fixture
def measure(clock, benchmark, record_property):
    def measured(kernel: str, shape: str) -> None:
        row = race(case_of(kernel, shape), clock, benchmark)
        benchmark.extra_info |= clock.facts | row.figures()
        record_property("kernel benchmark", row.shown())
        record_property("kernel benchmark facts", clock.facts)

    yield measured
    gc.collect()
    torch.cuda.empty_cache()


@pytest.mark.parametrize("shape", shapes("decode attention"))
def test_decode_attention(measure, shape):
    measure("decode attention", shape)


@pytest.mark.parametrize("shape", shapes("prefill attention"))
def test_prefill_attention(measure, shape):
    measure("prefill attention", shape)


@pytest.mark.parametrize("shape", shapes("RMS norm"))
def test_rms_norm(measure, shape):
    measure("RMS norm", shape)


@pytest.mark.parametrize("shape", shapes("add and RMS norm"))
def test_add_rms_norm(measure, shape):
    measure("add and RMS norm", shape)


@pytest.mark.parametrize("shape", shapes("SiLU and mul"))
def test_silu_and_mul(measure, shape):
    measure("SiLU and mul", shape)


@pytest.mark.parametrize("shape", shapes("rope"))
def test_rope(measure, shape):
    measure("rope", shape)


@pytest.mark.parametrize("shape", shapes("cache write"))
def test_cache_write(measure, shape):
    measure("cache write", shape)


@pytest.mark.parametrize("shape", shapes("norm, rope and cache write in one"))
def test_qk_norm_rope_cache(measure, shape):
    measure("norm, rope and cache write in one", shape)


@pytest.mark.parametrize("shape", shapes("top-k and top-p"))
def test_top_k_top_p(measure, shape):
    measure("top-k and top-p", shape)


@pytest.mark.parametrize("shape", shapes("greedy"))
def test_greedy(measure, shape):
    measure("greedy", shape)


@pytest.mark.parametrize("shape", shapes("Gumbel sampling"))
def test_gumbel(measure, shape):
    measure("Gumbel sampling", shape)


@pytest.mark.parametrize("shape", shapes("penalties"))
def test_penalties(measure, shape):
    measure("penalties", shape)
