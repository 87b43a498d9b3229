"""How long an all-reduce takes between two GPUs, with as many in a row as a step of the model has: what tensor parallelism pays.

`python -m spec.benchmarks.all_reduce_time cuda 73 4096 1 96`: so many in a row, of [rows, hidden] in bfloat16, for 1 and for 96 rows; a
line of JSON has microseconds by rows. On GPUs NCCL does it, in a CUDA graph; on a CPU, for a rehearsal, Gloo.
"""
import json
import os
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from tempfile import TemporaryDirectory
from time import perf_counter

import torch

REPLAYS, WARM_UP = 20, 3
PATIENCE = 60       # seconds, of which the start takes most


class NotMeasured(RuntimeError):
    """The ranks did not come to an end."""


def microseconds(device: str, in_a_row: int, hidden: int, rows: list[int]) -> dict[str, float]:
    """Of one all-reduce, by rows. Raises `NotMeasured`."""
    command = [sys.executable, "-m", "spec.benchmarks.all_reduce_time", device, *map(str, [in_a_row, hidden, *rows])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        told, _ = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired as error:
        os.killpg(process.pid, signal.SIGKILL)      # the ranks as well: they would keep the GPUs busy with waiting for each other
        process.communicate()
        raise NotMeasured(f"the ranks took more than {PATIENCE} s") from error
    if process.returncode:
        raise NotMeasured(f"a rank failed, and what it said is above (status {process.returncode})")
    return json.loads(told.splitlines()[-1])


def rank_main(rank: int, folder: str, device: str, in_a_row: int, hidden: int, rows: list[int]) -> None:
    if device == "cuda":
        torch.cuda.set_device(rank)
    torch.distributed.init_process_group("nccl" if device == "cuda" else "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2,
                                         timeout=timedelta(seconds=PATIENCE / 2))
    told = {str(count): 1e6 * _median(torch.zeros(count, hidden, dtype=torch.bfloat16, device=device), in_a_row) for count in rows}
    if rank == 0:
        print(json.dumps(told), flush=True)
    torch.distributed.destroy_process_group()       # which would wait for graphs that are still there


def _median(x: torch.Tensor, in_a_row: int) -> float:
    """Seconds of one."""
    def launch() -> None:
        for _ in range(in_a_row):
            torch.distributed.all_reduce(x)

    seconds = (_replay if x.is_cuda else _by_the_clock)(launch)
    return statistics.median([seconds() for _ in range(WARM_UP + REPLAYS)][WARM_UP:]) / in_a_row


def _replay(launch: Callable[[], None]) -> Callable[[], float]:
    """The seconds of a graph of what `launch` launches. The first time it is launched without one: NCCL connects then."""
    launch()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):     # another thread of torch's looks after NCCL meanwhile
        launch()
    start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))

    def seconds() -> float:
        start.record()
        graph.replay()
        stop.record()
        stop.synchronize()
        return start.elapsed_time(stop) / 1e3

    return seconds


def _by_the_clock(launch: Callable[[], None]) -> Callable[[], float]:
    def seconds() -> float:
        began = perf_counter()
        launch()
        return perf_counter() - began

    return seconds


def main() -> None:
    device, *numbers = sys.argv[1:]
    in_a_row, hidden, *rows = map(int, numbers)
    if device == "cpu":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    with TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(rank_main, (folder, device, in_a_row, hidden, rows), nprocs=2)


if __name__ == "__main__":
    main()
