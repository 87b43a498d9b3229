"""Plays the kernels' benchmark where there is no GPU: `python -m spec.kernels.rehearsal`, one JSON line a row.

So that no minute of a GPU is lost to a slip. Tiny shapes; our kernels in Triton's interpreter, and vLLM's as
`reference/vllm_kernels_rehearsed.py` can have them.
"""
import functools
import json
from inspect import signature

from kernels import top_k_top_p
from reference import vllm_kernels_rehearsed
from reference.source import vllm_folder
from spec.benchmarks import kernel_race
from spec.benchmarks.gpu_time import Rehearsal
from spec.benchmarks.kernel_cases import CASES


def small_tiles() -> None:
    """The interpreter takes seconds for tiles as large as a GPU likes them."""
    launch = top_k_top_p.top_k_top_p
    tiles = {"chunk": 512, "sample": 64, "capacity": 512, "tile": 256, "gather_tile": 256, "bisect_tile": 256, "mask_chunk": 512}
    top_k_top_p.top_k_top_p = functools.partial(launch, **{name: size for name, size in tiles.items() if name in signature(launch).parameters})


def main() -> None:
    kernel_race.ROUNDS, kernel_race.WARM_UP = 1, 0
    small_tiles()
    if compare := vllm_folder() is not None:
        vllm_kernels_rehearsed.stand_in()
    once = {(case.build, str(case.tiny)): case for case in CASES}   # most shapes of a kernel are one, when tiny
    for case in once.values():
        row = kernel_race.race(case, Rehearsal(), kernel_race.Turns(), compare)
        print(json.dumps({"figures": row.figures(), "shown": row.shown(), "times": row.times}), flush=True)


if __name__ == "__main__":
    main()
