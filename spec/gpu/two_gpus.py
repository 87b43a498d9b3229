"""`python -m spec.gpu.two_gpus SCENARIO MODEL DTYPE LIMIT`: an engine of two ranks, each on a GPU of its own, and what becomes of it, as a line of JSON.

`test_two_gpus.py` asks for each scenario in a process of its own, so that one that hangs takes nothing with it. All that is seen is
printed as it comes. Without two GPUs this is a rehearsal: gloo, and Triton's interpreter, no CUDA graphs.
"""
import faulthandler
import gc
import json
import os
import signal
import sys
import threading
import time

import kernels  # noqa: F401  before anything imports triton

import torch

from impl import LLM, SamplingParams
from impl.errors import WorkerError
from impl.tensor_parallel import Group
from reference.prompts import CHECKPOINTS
from reference.vllm_ranks import ALONE, ASKED, prompts as reference_prompts
from spec.engine.many_prompts import own_text

DEVICE = "cuda" if torch.cuda.device_count() > 1 else "cpu"
LIMITS = ({"block_size": 16, "max_model_len": 256, "num_gpu_blocks_override": 60, "max_num_seqs": 12, "max_num_batched_tokens": 96} if DEVICE == "cuda" else
          {"block_size": 16, "max_model_len": 96, "num_gpu_blocks_override": 12, "max_num_seqs": 4, "max_num_batched_tokens": 64})
ROUNDS, REQUESTS, TOKENS = (40, 3, 48) if DEVICE == "cuda" else (3, 1, 2)
STARTED, UNTIL = time.monotonic(), "TWO_GPUS_UNTIL"
if __name__ == "__mp_main__":       # rank 1 imports this file again
    faulthandler.dump_traceback_later(float(os.environ[UNTIL]) - time.monotonic())


def say(*what) -> None:
    print(f"[{time.monotonic() - STARTED:6.1f} s]", *what, flush=True)


def engine(model: str, dtype: str, **more) -> LLM:
    say("building", more)
    llm = LLM(str(CHECKPOINTS / model), dtype=dtype, device=DEVICE, kernels=True, **LIMITS | more)
    say("built")
    return llm


def ranks(model: str, dtype: str, **more) -> LLM:
    return engine(model, dtype, tensor_parallel_size=2, **more)


def asked(model: str, greedy: bool) -> tuple[list[dict], list[SamplingParams]]:
    """Prompts of many lengths, some with a common beginning; who asks for logprobs or penalties is sampled by the processor."""
    said = own_text(model)
    kinds = [{"temperature": 0}, {"seed": 1}, {"temperature": 0, "repetition_penalty": 1.2}, {"seed": 2, "top_p": 0.9}, {"seed": 3, "top_k": 20}, {"temperature": 0.8}]
    prompts = [said[7 * number:7 * number + 1 + number * 11 % 70] for number in range(16)] + [said[:64] + said[300:310], said[:70]]
    prompts, kinds = (prompts, [{"temperature": 0}] if greedy else kinds) if DEVICE == "cuda" else ([said[:1], said[7:12], said[14:30]], [kinds[0], kinds[1], kinds[5]])
    return ([{"prompt_token_ids": prompt} for prompt in prompts],
            [SamplingParams(max_tokens=TOKENS, ignore_eos=True, **kinds[number % len(kinds)]) for number in range(len(prompts))])


def said(llm: LLM, prompts: list[dict], params: list[SamplingParams]) -> list[list[int]]:
    outputs = llm.generate(prompts, params, use_tqdm=False)
    say(sum(len(output.outputs[0].token_ids) for output in outputs), "tokens said")
    return [list(output.outputs[0].token_ids) for output in outputs]


def differences(alone: LLM, prompts: list[dict], theirs: list[list[int]], ours: list[list[int]]) -> list[dict]:
    """Where two ranks said something else first, by request, and how much less probable one GPU finds it."""
    found = []
    for number, (prompt, one, other) in enumerate(zip(prompts, theirs, ours)):
        if one == other:
            continue
        position = next(index for index, pair in enumerate(zip(one, other)) if pair[0] != pair[1])
        context = {"prompt_token_ids": [*prompt["prompt_token_ids"], *one[:position]]}
        ranked = alone.generate(context, SamplingParams(temperature=0, max_tokens=1, logprobs=20), use_tqdm=False)[0].outputs[0].logprobs[0]
        gap = ranked[one[position]].logprob - ranked[other[position]].logprob if one[position] in ranked and other[position] in ranked else 99.0
        found.append({"request": number, "position": position, "alone": one[position], "ranks": other[position], "gap": abs(gap)})
    return found


def collectives(llm: LLM) -> list:
    """Those of one step of one prompt, as rank 0 takes part in them: kernel by kernel, or none would be seen."""
    seen: list = []
    for name in ("all_reduce", "all_gather"):
        def noted(group, x, name=name, collective=getattr(Group, name)):
            seen.append([name, list(x.shape)])
            return collective(group, x)
        setattr(Group, name, noted)
    llm.generate({"prompt_token_ids": ALONE}, SamplingParams(temperature=0, max_tokens=1), use_tqdm=False)
    return seen


def same(model: str, dtype: str) -> dict:
    """One GPU against two: asynchronously with graphs, and for the first model, in the plain loop kernel by kernel."""
    prompts, params = asked(model, greedy=dtype != "float32")
    alone = engine(model, dtype, enforce_eager=True)
    expected = said(alone, prompts, params)
    llm = ranks(model, dtype, async_scheduling=True)
    graphs = sorted(llm.engine.model_runner.model_runner.graphs.graphs, key=str)
    result = {"graphs": len(graphs), "requests": len(prompts), "differ": differences(alone, prompts, expected, said(llm, prompts, params))}
    say("asynchronous, with", len(graphs), "graphs:", result["differ"] or "no difference")
    if dtype == "float32":
        greedy = [number for number, params in enumerate(ASKED) if not params["temperature"]]   # a seed draws otherwise on a CPU, where vLLM was asked
        result["as vllm"] = said(llm, [{"prompt_token_ids": reference_prompts()[number]} for number in greedy],
                                 [SamplingParams(temperature=0, max_tokens=24, ignore_eos=True)] * len(greedy)) if DEVICE == "cuda" else None
    if model == "qwen3" and dtype == "float32":
        llm.engine.model_runner.shutdown()
        del llm
        llm = ranks(model, dtype, enforce_eager=True)
        result["plainly differ"] = differences(alone, prompts, expected, said(llm, prompts, params))
        result["collectives"] = collectives(llm)
    return result


def in_the_middle(model: str, dtype: str) -> tuple[LLM, int]:
    """Two ranks in the middle of an asynchronous run, and the process of the second. Each has a gigabyte and more of KV cache."""
    llm = ranks(model, dtype, async_scheduling=True, distributed_timeout_seconds=90.0, **{"num_gpu_blocks_override": 100_000} if DEVICE == "cuda" else {})
    for number in range(REQUESTS):
        llm.engine.add_request(f"before {number}", {"prompt_token_ids": [5 + number, 6]}, SamplingParams(max_tokens=200 if DEVICE == "cuda" else 80, ignore_eos=True))
    for _ in range(ROUNDS):
        llm.engine.step()
    say("in the middle:", len(llm.engine.scheduler.running), "requests running")
    return llm, llm.engine.model_runner.workers[0].process.pid


def outcome(llm: LLM, pid: int) -> dict:
    """Step until it ends: how, after how long, and what is left of the other rank."""
    started, error = time.monotonic(), None
    try:
        for _ in range(100):
            llm.engine.step()
    except WorkerError as raised:
        error = raised
    seconds = time.monotonic() - started
    say(f"ended after {seconds:.2f} s with {type(error).__name__}: {error}")
    try:
        llm.generate({"prompt_token_ids": [5]}, SamplingParams(temperature=0, max_tokens=3), use_tqdm=False)
        again = "nothing"
    except WorkerError as raised:
        again = type(raised).__name__
    try:
        os.kill(pid, 0)
        lives = True
    except ProcessLookupError:
        lives = False
    return {"error": type(error).__name__, "says": str(error), "seconds": seconds, "again": again, "lives": lives}


def killed(model: str, dtype: str) -> dict:
    """Rank 1 is killed. Then, in the same process and on the same GPUs, a new engine speaks, also when a request's name is used
    again while it is in flight; until rank 0's chance is another than rank 1's."""
    llm, pid = in_the_middle(model, dtype)
    os.kill(pid, signal.SIGKILL)
    result = {"killed": outcome(llm, pid)}
    del llm
    gc.collect()
    result["bytes"] = torch.cuda.memory_allocated() if DEVICE == "cuda" else 0
    say(f"of torch's memory on rank 0 is left: {result['bytes'] / 2**20:.1f} MiB")
    llm, pid = in_the_middle(model, dtype)
    for params in ({"temperature": 0}, {"temperature": 1.5}):
        for number in range(REQUESTS):
            llm.engine.abort(f"before {number}")
            llm.engine.add_request(f"before {number}", {"prompt_token_ids": [8 + number, 6]}, SamplingParams(max_tokens=60, ignore_eos=True, **params))
        if params["temperature"]:
            llm.engine.model_runner.model_runner.sampler.chance.manual_seed(99)
        else:
            say([len(output.outputs[0].token_ids) for _ in range(ROUNDS) for output in llm.engine.step()][-REQUESTS:], "tokens by others of the same name")
    return result | {"other tokens": outcome(llm, pid)}


def hung(model: str, dtype: str) -> dict:
    """Rank 1 stops. The process ends with the engine alive in it, and must come to its end."""
    global llm
    llm, pid = in_the_middle(model, dtype)
    llm.engine.model_runner.timeout = llm.engine.model_runner.patience = 6.0    # only now: the first steps may have had kernels to compile
    os.kill(pid, signal.SIGSTOP)
    return outcome(llm, pid)


def orphaned(model: str, dtype: str) -> None:
    """Rank 0 is killed in a step. Rank 1 holds the other end of what this process prints, until it ends."""
    llm, pid = in_the_middle(model, dtype)
    print(json.dumps({"pid": pid}), flush=True)
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGKILL)).start()
    while True:
        llm.engine.step()


def main(scenario: str, model: str, dtype: str, limit: str) -> None:
    """`limit`: seconds, after which all threads' stacks are told, those of rank 1 a little earlier, and it ends."""
    faulthandler.dump_traceback_later(float(limit), exit=True)
    os.environ[UNTIL] = str(time.monotonic() + float(limit) - 5)
    say(scenario, model, dtype, "on", torch.cuda.get_device_name() if DEVICE == "cuda" else "the CPU", "torch", torch.__version__)
    if DEVICE == "cuda":
        say("NCCL", torch.cuda.nccl.version(), {name: value for name, value in os.environ.items() if name.startswith(("NCCL", "TORCH", "CUDA"))})
    print(json.dumps({"same": same, "killed": killed, "hung": hung, "orphaned": orphaned}[scenario](model, dtype)), flush=True)
    say("leaving")


if __name__ == "__main__":
    main(*sys.argv[1:])
