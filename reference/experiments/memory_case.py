"""One vLLM, built in a process of its own to see whether it fits: `python -m reference.experiments.memory_case ASKED RESULT`.

`ASKED` is a file of JSON: "model" (a folder), "llm" (arguments of `LLM`), and, where wanted,
"share": bytes that this vLLM may take, instead of a `gpu_memory_utilization`;
"leave": its share is all that is free when vLLM begins to count, but so many bytes;
"other": {"bytes": N} or {"leave": N}: another process that holds N bytes, or all but N of what is free;
"when": "before" vLLM begins, or "during", after it has measured and before it takes its cache.
`RESULT` is where what was seen is written, whatever became of it: the numbers of vLLM's worker, and the error's words.
"""
import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter

OTHER = """
import json, sys, torch
asked, device = json.loads(sys.argv[1]), sys.argv[2]
if device == "cuda":
    torch.empty(1, device=device)
    free = torch.cuda.mem_get_info()[0]
size = asked["bytes"] if "bytes" in asked else max(0, free - asked["leave"])
held = torch.ones(size, dtype=torch.int8, device=device)
free = torch.cuda.mem_get_info()[0] if device == "cuda" else None
print(json.dumps({"held": size, "free": free}), flush=True)
sys.stdin.read()
"""


class OtherProcess:
    """Another process that holds memory until `close`. `told`: what it holds, and what it saw free afterwards."""

    def __init__(self, asked: dict, device: str):
        self.process = subprocess.Popen([sys.executable, "-c", OTHER, json.dumps(asked), device], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the other process could not take its memory and ended with status {self.process.wait()}; what it said is above")
        self.told = json.loads(line)

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


def main() -> None:
    asked, result = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    seen: dict = {"ended": "died"}
    result.write_text(json.dumps(seen))
    others: list[OtherProcess] = []
    try:
        seen |= {"ended": "refused"} | build(asked, seen, others)
    except Exception as error:
        seen |= {"error": type(error).__name__, "words": " ".join(str(error).split())}
    finally:
        seen["seconds"] = round(perf_counter() - STARTED, 1)
        result.write_text(json.dumps(seen, default=str))
        for other in others:
            other.close()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)     # what a half-built engine would do at its end is of no interest, and may take long


def build(asked: dict, seen: dict, others: list[OtherProcess]) -> dict:
    """Build the LLM and write down what its worker measured on the way. Raises what vLLM raises."""
    import torch
    from vllm import LLM

    from reference.vllm_scheduler import installed_device
    device = installed_device()
    seen |= {"ended": "refused", "device": torch.cuda.get_device_name() if device == "cuda" else "cpu"}
    seen["alone"] = memory(device)
    if asked.get("when") == "before":
        others.append(OtherProcess(asked["other"], device))
        seen["other"] = others[-1].told
    seen["before"] = memory(device)
    during = (lambda: others.append(OtherProcess(asked["other"], device)) or seen.update(other=others[-1].told)) if asked.get("when") == "during" else None
    watch(device, seen, during)
    limits = dict(asked["llm"])
    if "leave" in asked and device == "cuda":
        take_what_is_free(asked["leave"], seen)
        limits["gpu_memory_utilization"] = 0.01     # until it is known what is free
    elif share := seen["before"]["free"] - asked["leave"] if "leave" in asked else asked.get("share"):
        limits["gpu_memory_utilization"] = share / seen["before"]["total"]
    seen["utilization"] = limits.get("gpu_memory_utilization")
    llm = LLM(asked["model"], load_format="dummy", skip_tokenizer_init=True, use_tqdm_on_load=False, **limits)
    engine = llm.llm_engine.engine_core.engine_core
    seen["num_blocks"] = engine.scheduler.cache_config.num_gpu_blocks
    seen["block_size"] = engine.scheduler.cache_config.block_size
    return {"ended": "built", "after": memory(device)}


def take_what_is_free(leave: int, seen: dict) -> None:
    """Fix the share of this vLLM when it has begun to count, to all but `leave` bytes of what is then free."""
    from vllm.v1.worker import gpu_worker
    request = gpu_worker.request_memory

    def requested(snapshot, cache_config, *more):
        cache_config.gpu_memory_utilization = seen["utilization"] = (snapshot.free_memory - leave) / snapshot.total_memory
        return request(snapshot, cache_config, *more)

    gpu_worker.request_memory = requested


def memory(device: str) -> dict[str, int]:
    """What the device has, and what is free, as vLLM reads it."""
    if device == "cuda":
        import torch
        free, total = torch.cuda.mem_get_info()
        return {"free": free, "total": total}
    from vllm.utils.cpu_resource_utils import get_allowed_cpu_list, get_memory_node_info
    told = get_memory_node_info(get_allowed_cpu_list()[0].numa_node)
    return {"free": told.available_memory, "total": told.total_memory}


WORKER_NUMBERS = ("requested_memory", "total_consumed", "peak_activation_memory", "cudagraph_memory_estimate", "available_kv_cache_memory_bytes",
                  "requested_cpu_memory")


def watch(device: str, seen: dict, during=None) -> None:
    """Write down what vLLM's worker measures. `during` is called when it has measured and has not yet taken its cache."""
    if device == "cuda":
        from vllm.v1.worker.gpu_worker import Worker
    else:
        from vllm.v1.worker.cpu_worker import CPUWorker as Worker
    measure = Worker.determine_available_memory

    def watched(worker):
        runner = worker.model_runner
        with contextlib.suppress(AttributeError):
            seen["weights"] = int(runner.model_memory_usage)
        capture = getattr(runner, "capture_model", None)

        def captured(*arguments, **named):
            taken = capture(*arguments, **named)
            if not named.get("profile_only"):
                seen["graphs"] = int(taken)
            return taken

        if capture and device == "cuda":
            runner.capture_model = captured
        try:
            cache = seen["cache"] = int(measure(worker))
        finally:
            seen.update({name: int(getattr(worker, name)) for name in WORKER_NUMBERS if isinstance(getattr(worker, name, None), (int, float))})
        if during:
            during()
        return cache

    Worker.determine_available_memory = watched


if __name__ == "__main__":
    STARTED = perf_counter()
    main()
