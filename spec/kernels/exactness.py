"""How exact a kernel must be, and what it must leave alone.

FlashAttention-3's rule: against float64, a kernel may err at most twice as much as
its twin does, computed by torch in the precision of the kernel's inputs.
"""
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch

from kernels import has_gpu

DEVICE = "cuda" if has_gpu() else "cpu"
DTYPES = [torch.float32, torch.bfloat16, torch.float16]
ROUNDINGS = 16  # of float32: what the same sum costs in another order, and an exponential by another formula
needs_gpu = pytest.mark.skipif(DEVICE == "cpu", reason="needs an NVIDIA GPU: run this on a machine that has one")
# Triton's interpreter truncates where bfloat16 is to be rounded, and multiplies its bits as integers.
each_dtype = pytest.mark.parametrize("dtype", [pytest.param(each, marks=needs_gpu) if each == torch.bfloat16 else each for each in DTYPES],
                                     ids=lambda dtype: str(dtype).removeprefix("torch."))


def assert_as_exact_as_torch(ours: torch.Tensor, torchs: torch.Tensor, exact: torch.Tensor, exponent: float = 0.0,
                             on_the_way: float = 0.0) -> None:
    """`ours`: the kernel's result; `torchs`: the twin's, same precision; `exact`: the twin's on the same inputs in float64.

    Where torch happens to hit a small case exactly, that must not be asked of a kernel: what rounding the exact result costs is
    granted twice as well, and a few roundings of float32, in which kernels compute, of the largest number. `exponent`: no number on the
    way to an exponential is larger; one rounding of it changes the result by its share. `on_the_way`: the largest number that a sum comes to
    before it ends, where all the results may be small because their terms cancel.
    Where the exact result is infinite, or becomes so when it is rounded, ours must be the same.
    """
    assert ours.shape == torchs.shape == exact.shape and ours.dtype == torchs.dtype and exact.dtype == torch.float64
    assert not ours.isnan().any(), f"{int(ours.isnan().sum())} of {ours.numel()} numbers are NaN: read from poison, or never written"
    rounded = exact.to(ours.dtype).double()
    finite = rounded.isfinite()
    assert torch.equal(ours.double()[~finite], rounded[~finite]), "not infinite, or the wrong infinity, where the exact result is infinite"
    assert torchs[finite].isfinite().all(), "the twin overflows, so that its error allows anything: give it smaller numbers"
    error, torchs_error, rounding = ((each.double() - exact)[finite].abs().max().item() if finite.any() else 0.0 for each in (ours, torchs, rounded))
    order = (ROUNDINGS + exponent) * 2.0 ** -24 * max(on_the_way, exact[finite].abs().max().item() if finite.any() else 0.0)
    assert error <= 2 * torchs_error + 2 * rounding + order + 1e-12, f"error {error:.3g}, torch's {torchs_error:.3g}, rounding {rounding:.3g}"


def poisoned(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Memory as nobody left it: NaN for numbers, a hopeless index for integers."""
    return torch.full(shape, float("nan") if dtype.is_floating_point else 2**31 - 1, dtype=dtype, device=DEVICE)


@contextmanager
def unsynchronised() -> Iterator[None]:
    """Fails if what is done within lets the CPU wait for the GPU."""
    if DEVICE == "cpu":
        yield
        return
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def captured(launch: Callable[[], object]) -> torch.cuda.CUDAGraph:
    """`launch` as a CUDA graph: fails if it synchronises, or allocates outside the graph's pool. Change inputs in place, then `replay()`."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        launch()    # compiles
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        launch()
    return graph
