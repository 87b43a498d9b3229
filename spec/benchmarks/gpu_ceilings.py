"""How fast each of several GPUs copies and multiplies, while the others do so as well.

`python -m spec.benchmarks.gpu_ceilings` says it of the first GPU that it sees. `of_each` asks a process for each GPU: in one process
torch captures the graphs of all GPUs on a stream of the first.
"""
import json
import os
import subprocess
import sys

COMMAND = (sys.executable, "-m", "spec.benchmarks.gpu_ceilings")
PATIENCE = 60       # seconds; it takes about ten


class NoCeilings(RuntimeError):
    """A GPU could not be measured."""


def of_each(count: int) -> list[dict]:
    """Of the first `count` GPUs, what `main` prints. Raises `NoCeilings`."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(count)))
    gpus = visible.split(",")[:count]
    processes = [subprocess.Popen(COMMAND, stdout=subprocess.PIPE, text=True, env=os.environ | {"CUDA_VISIBLE_DEVICES": gpu}) for gpu in gpus]
    try:
        told = [process.communicate(timeout=PATIENCE)[0] for process in processes]
    except subprocess.TimeoutExpired as error:
        raise NoCeilings(f"a GPU was not measured within {PATIENCE} s: see whether another program uses it") from error
    finally:
        for process in processes:
            process.kill()
            process.wait()
    for gpu, process in zip(gpus, processes):
        if process.returncode:
            raise NoCeilings(f"GPU {gpu} was not measured: the process ended with status {process.returncode}, and what it said is above")
    return [json.loads(each) for each in told]


def main() -> None:
    from spec.benchmarks.gpu_time import GpuClock
    clock = GpuClock()
    print(json.dumps({"gpu": clock.name, "copy TB/s": clock.ceilings.bytes_per_second / 1e12, "product TFLOP/s": clock.ceilings.flops_per_second / 1e12}))


if __name__ == "__main__":
    main()
