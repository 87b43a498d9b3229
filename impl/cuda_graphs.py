"""CUDA graphs: a step as one launch.

A model is some three hundred kernels; to launch each by itself takes the processor longer than a GPU needs for a few
tokens. A graph is recorded once and replayed with one call. It knows addresses, not numbers: so what a step is about
lies in buffers that never move, and there is a graph for each of some sizes, of which a step takes the next larger.

Mirrors `v1/worker/gpu/cudagraph_utils.py::CudaGraphManager`, for whole steps.
"""
from collections.abc import Callable

import torch
from tqdm import tqdm

LARGEST = 8192      # tokens of a step with prompts; more of them keep a GPU busy for longer than their launches take


def sizes(largest: int) -> list[int]:
    """Requests of a step, as vLLM has them (`config/vllm.py::VllmConfig._set_cudagraph_sizes`): 1, 2, 4, then every 8, from 256 on every 16."""
    steps = [1, 2, 4, *range(8, min(largest + 1, 256), 8), *range(256, largest + 1, 16)]
    return sorted({size for size in steps if size <= largest} | {largest})


def token_sizes(most: int) -> list[int]:
    """Tokens of a step with prompts, up to `most` or `LARGEST`; from 512 on, padding is at most a fifth."""
    steps = [*range(64, 512, 64), *range(512, 1024, 128), *range(1024, 2048, 256), *range(2048, 4096, 512), *range(4096, LARGEST, 1024)]
    return sorted({size for size in steps if size <= most} | {min(most, LARGEST)})


class CudaGraphs:
    """Of `compute(size)`, which launches a step of `size` requests, or tokens, and returns what is to be read of it: when replayed, in the same memory each time."""

    def __init__(self, sizes: list[int]):
        self.sizes = sizes
        self.graphs: dict[int, torch.cuda.CUDAGraph] = {}
        self.results: dict[int, tuple[torch.Tensor, ...]] = {}

    def capture(self, compute: Callable[[int], tuple[torch.Tensor, ...]], what: str, pool: tuple[int, int] | None = None,
                shown: bool = True) -> tuple[int, int] | None:
        """Record all sizes, the largest first: the smaller ones find room in its memory, and in that of others, their `pool`. Returns it for those to come.

        One step runs before, as kernels are compiled, and ranks connected, with their first launch. `shown`: the progress, if the standard
        error is a terminal. Other threads may use the GPU meanwhile.
        """
        for size in tqdm(self.sizes[::-1], f"Capturing CUDA graphs ({what})", dynamic_ncols=True, disable=None if shown else True):
            compute(size)
            torch.cuda.synchronize()
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
                self.results[size] = compute(size)
            pool, self.graphs[size] = graph.pool(), graph
        return pool

    def size_for(self, number: int) -> int | None:
        """The smallest size that holds so many; None if there is none."""
        return next((size for size in self.sizes if size >= number), None)

    def run(self, size: int, compute: Callable[[int], tuple[torch.Tensor, ...]]) -> tuple[torch.Tensor, ...]:
        """Launch a step of `size`: from its graph, or if none was captured, kernel by kernel."""
        if size not in self.graphs:
            return compute(size)
        self.graphs[size].replay()
        return self.results[size]
