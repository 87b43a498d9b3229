"""What this machine can do, measured here and now: the ceilings that badges are shares of. On the GPU, where there is one."""
import statistics
import time
from collections.abc import Callable
from functools import cache

from kernels import has_gpu


def require_gpu() -> None:
    """Raises `RuntimeError` without one."""
    if not has_gpu():
        raise RuntimeError("needs an NVIDIA GPU: Triton's interpreter says nothing about speed")


def seconds(function: Callable[[], object], rounds: int = 11) -> float:
    """The median time of a call, the first two left out. On a GPU the work itself is timed, by events."""
    times = []
    for number in range(rounds + 2):
        elapsed = _on_gpu(function) if has_gpu() else _on_cpu(function)
        if number >= 2:
            times.append(elapsed)
    return statistics.median(times)


def _on_cpu(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def _on_gpu(function: Callable[[], object]) -> float:
    import torch
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    function()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1000


@cache
def copy_bandwidth() -> float:
    """Bytes a second, read and written, of copying a large tensor."""
    import torch
    size = 1 << 30 if has_gpu() else 1 << 26    # bytes: far more than a cache holds
    source = torch.randn(size // 4, device="cuda" if has_gpu() else "cpu")
    target = torch.empty_like(source)
    return 2 * size / seconds(lambda: target.copy_(source))


@cache
def matmul_rate() -> float:
    """Floating-point operations a second of a large product: bfloat16 on a GPU, float32 elsewhere."""
    import torch
    size, options = (8192, {"device": "cuda", "dtype": torch.bfloat16}) if has_gpu() else (1024, {})
    left, right = torch.randn(size, size, **options), torch.randn(size, size, **options)
    return 2 * size ** 3 / seconds(lambda: left @ right)
