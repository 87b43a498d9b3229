"""One engine of the step budget, in a process of its own: built, brought to a steady decode, and timed twice.

    python -m reference.experiments.step_engines ENGINE FOLDER SIZE RESULTS

Each situation leaves a line of JSON in RESULTS as soon as it is done, so that whatever comes after it can take nothing away.
"""
import json
import random
import sys
import tempfile
import threading
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from kernels import has_gpu
from reference.experiments.step_events import DEVICE, WINDOW, told_by

DEVICE_NAME = "cuda" if has_gpu() else "cpu"
MAX_SEQS, KV_BYTES = 256, 32 << 30
REACH = 500     # steps until all decode, at most: 256 prompts of 800 tokens are 25 steps of 8,192


@dataclass(frozen=True)
class Situation:
    """Requests that all decode. `settle`: steps before the clock runs; `steps`: of each of the two measurements."""

    name: str
    num_requests: int
    prompt: int         # tokens
    temperature: float
    settle: int
    steps: int

    @property
    def max_tokens(self) -> int:
        """Nobody ends while others are measured; who came first has decoded for as many steps as the other prompts took."""
        return self.settle + 2 * self.steps + 100


# One alone comes first and ends by itself; of the crowd nobody needs to clean up.
FULL = (Situation("one alone", 1, 100, 0.0, settle=10, steps=40), Situation("256 decode", 256, 800, 0.6, settle=8, steps=20))
TINY = (Situation("one alone", 1, 20, 0.0, settle=2, steps=4), Situation("8 decode", 8, 40, 0.6, settle=2, steps=4))
SIZES = {"full": FULL, "tiny": TINY}


class Clock:
    """Seconds by phase. A phase within another is taken off it; threads other than the main one are told apart."""

    def __init__(self):
        self.seconds: defaultdict[tuple[str, str], float] = defaultdict(float)
        self.within = threading.local()
        self.absent: list[str] = []

    def watch(self, owner, methods: str, phase: str) -> None:
        """`methods`: names, separated by spaces. What an engine of another version does not have is noted."""
        for method in methods.split():
            if hasattr(owner, method):
                setattr(owner, method, self._timed(getattr(owner, method), phase))
            else:
                self.absent.append(f"{phase}: {method}")

    def _timed(self, inner, phase: str):
        def timed(*arguments, **named):
            inner_times = self.within.__dict__.setdefault("times", [])
            inner_times.append(0.0)
            began = perf_counter()
            try:
                return inner(*arguments, **named)
            finally:
                took = perf_counter() - began
                thread = "main" if threading.current_thread() is threading.main_thread() else "worker"
                self.seconds[thread, phase] += took - inner_times.pop()
                if inner_times:
                    inner_times[-1] += took
        return timed


def watch_waiting(clock: Clock) -> None:
    """Wherever the host asks for what the device has not computed yet. (Copies to the device that wait are within the phase that makes them.)"""
    import torch
    if DEVICE_NAME == "cuda":
        clock.watch(torch.cuda.Event, "synchronize", "wait for the device")
        clock.watch(torch.cuda.Stream, "synchronize", "wait for the device")
        clock.watch(torch.cuda, "synchronize", "wait for the device")
    clock.watch(torch.Tensor, "tolist item cpu", "wait for the device")


class Ours:
    """`impl`, by the doors of its engine. `asynchronous`: the next step is decided while this one is computed."""

    def __init__(self, folder: str, size: str, clock: Clock, asynchronous: bool):
        from impl import engine as engine_module
        from impl.llm import LLM
        from impl.sampling_params import SamplingParams
        self.params = SamplingParams
        full = {"dtype": "bfloat16", "max_num_batched_tokens": 8192, "max_num_seqs": MAX_SEQS, "kv_cache_memory_bytes": KV_BYTES, "max_model_len": 4096}
        tiny = {"dtype": "float32", "max_num_batched_tokens": 128, "max_num_seqs": 8, "kv_cache_memory_bytes": 64 << 20, "max_model_len": 512}
        self.engine = engine = LLM(folder, device=DEVICE_NAME, async_scheduling=asynchronous, **{"full": full, "tiny": tiny}[size]).engine
        self.facts = {"scheduler": type(engine.scheduler).__name__, "model runner": type(engine.model_runner).__module__}
        clock.watch(engine.scheduler, "schedule", "schedule")
        clock.watch(engine.scheduler, "update_from_output", "update_from_output")
        clock.watch(engine.output_processor, "process note_admitted", "process outputs")
        clock.watch(engine.model_runner, "_follow _prepare", "prepare inputs")
        clock.watch(engine.model_runner, "execute", "launch")
        if engine.worker:
            clock.watch(engine.worker, "hand_out", "launch")
            clock.watch(engine_module, "wait", "wait for the worker")

    def add(self, request_id: str, prompt: list[int], temperature: float, max_tokens: int) -> None:
        self.engine.add_request(request_id, prompt, self.params(temperature=temperature, max_tokens=max_tokens, ignore_eos=True))

    def step(self) -> int:
        """Of how many requests a token is told."""
        return len(self.engine.step())

    def busy(self) -> bool:
        return self.engine.has_unfinished_requests()


class Vllm:
    """The real one in this process, as it comes on a GPU: asynchronous, compiled, decode steps in CUDA graphs."""

    def __init__(self, folder: str, size: str, clock: Clock):
        from vllm import LLM, SamplingParams
        from vllm.v1.executor import uniproc_executor
        self.params = SamplingParams
        # The graphs of the two batches that decode here, and the kernels that they use: the others cost a minute and are never run.
        full = {"dtype": "bfloat16", "max_num_batched_tokens": 8192, "max_num_seqs": MAX_SEQS, "kv_cache_memory_bytes": KV_BYTES, "max_model_len": 4096,
                "gpu_memory_utilization": 0.6, "compilation_config": {"cudagraph_capture_sizes": [1, 2, 4, 8, MAX_SEQS]},
                "kernel_config": {"enable_jit_warmup": False, "enable_flashinfer_autotune": False}}
        tiny = {"dtype": "float32", "max_num_batched_tokens": 128, "max_num_seqs": 8, "kv_cache_memory_bytes": 64 << 20, "max_model_len": 512,
                "enforce_eager": DEVICE_NAME == "cpu"}
        self.engine = engine = LLM(folder, use_tqdm_on_load=False, **{"full": full, "tiny": tiny}[size]).llm_engine
        core = engine.engine_core.engine_core
        executor = core.model_executor
        runner = executor.driver_worker.worker.model_runner
        self.facts = {"scheduler": type(core.scheduler).__name__, "model runner": type(runner).__module__,
                      "CUDA graphs": str(core.vllm_config.compilation_config.cudagraph_mode), "steps in flight": core.batch_queue_size - 1}
        clock.watch(core.scheduler, "schedule", "schedule")
        clock.watch(core.scheduler, "update_from_output", "update_from_output")
        clock.watch(engine.output_processor, "process_outputs", "process outputs")
        if hasattr(runner, "prepare_inputs"):       # Model Runner V2
            clock.watch(runner, "finish_requests free_states add_requests update_requests gather_batch_req_state prepare_inputs prepare_attn", "prepare inputs")
            clock.watch(runner.block_tables, "apply_staged_writes", "prepare inputs")
            clock.watch(runner.model_state, "prepare_attn", "prepare inputs")
        else:
            clock.watch(runner, "_update_states _prepare_inputs", "prepare inputs")
        clock.watch(executor, "execute_model", "launch")
        clock.watch(executor, "sample_tokens", "launch sampling")
        clock.watch(uniproc_executor.AsyncOutputFuture, "result", "take the tokens over")

    def add(self, request_id: str, prompt: list[int], temperature: float, max_tokens: int) -> None:
        self.engine.add_request(request_id, {"prompt_token_ids": prompt}, self.params(temperature=temperature, max_tokens=max_tokens, ignore_eos=True))

    def step(self) -> int:
        return len(self.engine.step())

    def busy(self) -> bool:
        return self.engine.has_unfinished_requests()


BUILD = {"impl": lambda *told: Ours(*told, asynchronous=True), "vllm": Vllm, "impl, one step at a time": lambda *told: Ours(*told, asynchronous=False)}


def measured(engine, situation: Situation, clock: Clock, vocabulary: int) -> dict:
    """Raises `RuntimeError` if not all requests decode in each measured step."""
    rng = random.Random(situation.num_requests)
    for number in range(situation.num_requests):
        prompt = [rng.randrange(3, vocabulary) for _ in range(situation.prompt)]
        engine.add(f"{situation.name} {number}", prompt, situation.temperature, situation.max_tokens)
    reached = _all_decode(engine, situation)
    reached += sum(_step(engine, situation) for _ in range(situation.settle))
    clock.seconds.clear()
    walls = [_timed_step(engine, situation) for _ in range(situation.steps)]
    phases = [[*where, seconds / situation.steps * 1e3] for where, seconds in clock.seconds.items()]
    cached = situation.num_requests * (situation.prompt + situation.steps / 2) + reached     # tokens, in the middle of these steps
    found = {"situation": situation.name, "requests": situation.num_requests, "cached": cached, "walls": walls, "phases": phases,
             "absent": clock.absent, "facts": engine.facts}
    try:
        found["profile"] = profiled(engine, situation)
    except Exception as error:
        found["error"] = f"the profile: {type(error).__name__}: {error}"
    return found


def _all_decode(engine, situation: Situation) -> int:
    """Step until each request has a new token in the same step; returns how many tokens there are by then."""
    reached = 0
    for _ in range(REACH):
        told = engine.step()
        reached += told
        if told == situation.num_requests:
            return reached
    raise RuntimeError(f"after {REACH} steps the {situation.num_requests} requests still do not decode together")


def profiled(engine, situation: Situation) -> dict:
    """As many steps again under the profiler, after two in which it warms up."""
    from torch.profiler import ProfilerActivity, profile, record_function
    kinds = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if DEVICE_NAME == "cuda" else [])
    with profile(activities=kinds) as profiler:
        for _ in range(2):
            _step(engine, situation)
        with record_function(WINDOW):
            for _ in range(situation.steps):
                _step(engine, situation)
        _step(engine, situation)        # what was launched last is told as well
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "profile.json"
        profiler.export_chrome_trace(str(path))
        events = json.loads(path.read_text())["traceEvents"]
    return told_by(events, situation.steps, DEVICE if DEVICE_NAME == "cuda" else ("cpu_op",))


def _step(engine, situation: Situation) -> int:
    told = engine.step()
    if told != situation.num_requests:
        raise RuntimeError(f"a step told of {told} requests, not of {situation.num_requests}: they do not decode together")
    return told


def _timed_step(engine, situation: Situation) -> float:
    """Milliseconds."""
    began = perf_counter()
    _step(engine, situation)
    return (perf_counter() - began) * 1e3


def copy_speed() -> float:
    """Bytes a second, read and written, of the fastest of five copies on the device."""
    import torch
    source = torch.randint(0, 255, (1 << (30 if DEVICE_NAME == "cuda" else 24),), dtype=torch.uint8, device=DEVICE_NAME)
    target, best = torch.empty_like(source), 0.0
    for _ in range(5):
        if DEVICE_NAME == "cuda":
            torch.cuda.synchronize()
        began = perf_counter()
        for _ in range(10):
            target.copy_(source)
        if DEVICE_NAME == "cuda":
            torch.cuda.synchronize()
        best = max(best, 10 * 2 * source.numel() / (perf_counter() - began))
    del source, target
    if DEVICE_NAME == "cuda":
        torch.cuda.empty_cache()
    return best


def main() -> None:
    name, folder, size, results = sys.argv[1:]
    began = perf_counter()

    def say(words: str) -> None:
        print(f"[{name} {perf_counter() - began:5.1f} s] {words}", file=sys.stderr, flush=True)

    def leave(told: dict) -> None:
        with open(results, "a") as file:
            file.write(json.dumps(told) + "\n")

    vocabulary = json.loads((Path(folder) / "config.json").read_text())["vocab_size"]
    leave({"copy speed": copy_speed()})
    clock = Clock()
    say("building the engine ...")
    engine = BUILD[name](folder, size, clock)
    watch_waiting(clock)
    leave({"built": perf_counter() - began})
    for situation in SIZES[size]:
        say(f"{situation.name} ...")
        try:
            leave(measured(engine, situation, clock, vocabulary))
            while situation is not SIZES[size][-1] and engine.busy():
                engine.step()
        except Exception as error:
            say(f"{situation.name}: {type(error).__name__}: {error}")
            leave({"situation": situation.name, "error": f"{type(error).__name__}: {error}"})
    say("done")


if __name__ == "__main__":
    main()
