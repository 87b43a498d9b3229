"""How long a kernel takes on a GPU, and how long it must take at least.

A contestant's launches are captured as one CUDA graph, each with memory of its own: together at least three times the
L2 cache, so that nothing a launch reads is left in the cache by an earlier one, and at least a millisecond, so that the
gaps between launches count for little. Events around a replay measure it. Before it, untimed, a large buffer is read:
that empties the cache of what the last contestant left, and keeps the GPU busy until all is submitted, so that the
processor's own time is not measured.

The ceilings are measured in the same run. No kernel is faster than the datasheet allows: a time below that is an error.
"""
import functools
import math
import statistics
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata

import torch

COPIED = 4 << 30                # bytes of the copy that is the ceiling; as many are written
PRODUCT = 8192                  # rows and columns of the product that is the ceiling
L2_TIMES = 3                    # the memory of a replay, in sizes of the L2 cache
REPLAY_SECONDS = 1e-3           # at least
# By the name that the driver gives: bytes and dense bfloat16 FLOP a second, from NVIDIA's datasheets.
DATASHEETS = {"NVIDIA H200": (4.8e12, 989e12), "NVIDIA H100 80GB HBM3": (3.35e12, 989e12),
              "NVIDIA A100-SXM4-80GB": (2.039e12, 312e12), "NVIDIA A100-SXM4-40GB": (1.555e12, 312e12)}
MARGIN = 1.15                   # unknown GPUs are granted so much more than was measured


class TooFast(AssertionError):
    """A time below the physical limit: part of the work was not done, or not timed."""


@dataclass(frozen=True)
class Ceilings:
    """Of this GPU, in this run: bytes (read and written) and FLOP a second that are reached, and those that cannot be exceeded."""

    bytes_per_second: float
    flops_per_second: float
    most_bytes_per_second: float
    most_flops_per_second: float

    @classmethod
    def of(cls, name: str, bytes_per_second: float, flops_per_second: float) -> "Ceilings":
        most = DATASHEETS.get(name, (bytes_per_second * MARGIN, flops_per_second * MARGIN))
        return cls(bytes_per_second, flops_per_second, *most)

    def floor(self, num_bytes: int, flops: int = 0) -> float:
        """Seconds that so much work takes at the ceilings as measured."""
        return max(num_bytes / self.bytes_per_second, flops / self.flops_per_second)

    def check(self, seconds: float, num_bytes: int, flops: int, what: str) -> None:
        """Raises `TooFast` where physics says no."""
        least = max(num_bytes / self.most_bytes_per_second, flops / self.most_flops_per_second)
        if seconds < least:
            raise TooFast(f"{what} took {seconds * 1e6:.2f} us, and {num_bytes / 1e6:,.1f} MB and {flops / 1e9:,.1f} GFLOP take at least "
                          f"{least * 1e6:.2f} us on this GPU: it was timed with a warm cache, or did not do all the work")


class GpuClock:
    """Times launches on the GPU of this machine."""

    device = "cuda"
    dtype = torch.bfloat16
    is_rehearsal = False

    def __init__(self):
        properties = torch.cuda.get_device_properties(0)
        self.name, self.l2_bytes = properties.name, properties.L2_cache_size
        self.start, self.stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        # Reading 1 GB takes a quarter of a millisecond, longer than any submission, and unlike writing leaves nothing to be written back.
        self.junk = torch.ones(1 << 28, dtype=torch.int32, device="cuda")
        self.sink = torch.empty((), dtype=torch.int64, device="cuda")
        self.ceilings = Ceilings.of(self.name, 2 * COPIED / self.copy_seconds(), 2 * PRODUCT ** 3 / self.product_seconds())

    def tenfold(self) -> float:
        """How many times as long a launch takes that does ten times as much."""
        source, target = (torch.ones(1 << 28, dtype=torch.int32, device="cuda") for _ in range(2))
        few, many = (self._median(lambda size=size: torch.neg(source[:size], out=target[:size])) for size in (25_000_000, 250_000_000))
        return many / few

    def num_sets(self, num_bytes: int, flops: int = 0) -> int:
        """How many launches, and sets of tensors, a replay needs."""
        return max(math.ceil(L2_TIMES * self.l2_bytes / num_bytes), math.ceil(REPLAY_SECONDS / self.ceilings.floor(num_bytes, flops)))

    def contestant(self, launches: list[Callable[[], object]], restore: Callable[[], object] | None = None,
                   capture: bool = True) -> Callable[[], float]:
        """A round, which returns the seconds of one launch. `restore` puts back what launches change in place; untimed.

        Without `capture`, launches are submitted one by one, which only suits those of a millisecond or more.
        """
        play = self.captured(launches) if capture else functools.partial(_all, launches)

        def one_round() -> float:
            if restore:
                restore()
            torch.sum(self.junk, dim=0, out=self.sink)
            self.start.record()
            play()
            self.stop.record()
            self.stop.synchronize()
            return self.start.elapsed_time(self.stop) / 1e3 / len(launches)

        return one_round

    def captured(self, launches: list[Callable[[], object]]) -> Callable[[], None]:
        """The launches, one after the other, as a CUDA graph. First of all each is run once: that compiles."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            _all(launches)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            _all(launches)
        return graph.replay

    def copy_seconds(self) -> float:
        source, target = (torch.empty(COPIED, dtype=torch.uint8, device="cuda") for _ in range(2))
        source.random_()
        # Not captured: as a node of a graph, the driver's copy reached 2.4 TB/s on an H100 that copies 3.0.
        return self._median(lambda: target.copy_(source), capture=False)

    def product_seconds(self) -> float:
        left, right, product = (torch.randn(PRODUCT, PRODUCT, device="cuda").to(torch.bfloat16) for _ in range(3))
        return self._median(lambda: torch.mm(left, right, out=product))

    def _median(self, launch: Callable[[], object], capture: bool = True) -> float:
        one_round = self.contestant([launch] * 3, capture=capture)
        return statistics.median([one_round() for _ in range(10)])


class Rehearsal:
    """Stands in for `GpuClock` where there is no GPU: everything runs, in Triton's interpreter, and every launch is said to take a second."""

    device = "cpu"
    dtype = torch.float32
    is_rehearsal = True
    name, l2_bytes = "no GPU", 1
    ceilings = Ceilings(1e15, 1e15, 1e15, 1e15)

    def __init__(self, seconds: float = 1.0):
        self.seconds = seconds

    def num_sets(self, num_bytes: int, flops: int = 0) -> int:
        return 2

    def contestant(self, launches, restore=None, capture=True) -> Callable[[], float]:
        def one_round() -> float:
            if restore:
                restore()
            _all(launches)
            return self.seconds
        return one_round


def _all(launches: list[Callable[[], object]]) -> None:
    for launch in launches:
        launch()


def provenance() -> dict[str, str]:
    """What a time depends on, and may be asked for later."""
    return {"driver": _line("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"),
            **{name: _version(name) for name in ("torch", "triton", "vllm")},
            "commit": _line("git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")}


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _line(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.strip().split("\n")[0]
    except (OSError, subprocess.SubprocessError):
        return "unknown"
