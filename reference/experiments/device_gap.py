"""How long a device has nothing to do: while an engine decodes, when its model computes, and when it does not.

On a CPU the device is the thread that computes: it is busy from the call of the model to the tokens. On a GPU it is busy while a
kernel or a copy runs, as torch.profiler saw it; what the same steps take is measured without the profiler, which slows them.
"""
import json
import tempfile
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import mean, median
from time import perf_counter, time

import impl
from reference.vllm_llm import _vllm
from reference.vllm_overlapped import vllm_engine
from reference.vllm_scheduler import installed_device

PROMPT, EDGE = 24, 3        # tokens of a prompt; steps at either end that are not counted: with the prompts, and at the end of all
GPU_WORK, LAUNCHES = ("kernel", "gpu_memcpy", "gpu_memset"), ("cuda_runtime", "cuda_driver")


@dataclass
class Span:
    """The calls in which the model computes one step, or launches it. Seconds, of `perf_counter`."""

    began: float
    ended: float
    busy: float


class Meter:
    """Notes each step of a model: a call of `owner.begins` begins one, and `owner.goes_on` goes on with it.

    `shares`: where a decision names who has a share in the step. One in which nobody has any is none.
    """

    def __init__(self, owner, shares: str, begins: str, goes_on: str | None = None):
        self.spans: list[Span] = []
        self.shares = shares
        for method in filter(None, (begins, goes_on)):
            setattr(owner, method, partial(self._timed, getattr(owner, method), method == begins))

    def take(self) -> list[Span]:
        """The steps since the last call."""
        spans, self.spans = self.spans, []
        return spans

    def _timed(self, compute: Callable, begins: bool, *arguments):
        began = perf_counter()
        answer = compute(*arguments)
        ended = perf_counter()
        if begins and not getattr(arguments[0], self.shares):
            return answer
        if begins:
            self.spans.append(Span(began, ended, ended - began))
        else:
            self.spans[-1].ended, self.spans[-1].busy = ended, self.spans[-1].busy + ended - began
        return answer


@dataclass
class Gap:
    """What a decoding step takes, in milliseconds: all of it, what the device works, and what it waits until the next. None: not known."""

    step: float
    busy: float | None = None
    between: float | None = None

    @property
    def idle(self) -> float | None:
        """The share of the time in which the device has nothing to do, within steps too."""
        return None if self.busy is None else 1 - self.busy / self.step


class Engine:
    """An engine of either kind, which decodes while a meter runs. Built as `impl` or as vLLM, with its steps overlapped or one by one."""

    def __init__(self, name: str, model: Path, overlapped: bool, **limits):
        if name == "impl":
            self.engine = impl.LLM(str(model), device=installed_device(), async_scheduling=overlapped, **limits).engine
            runner = self.engine.model_runner
            self.meter, self.params = Meter(runner, "scheduled", "hand_out" if hasattr(runner, "hand_out") else "execute"), impl.SamplingParams
        else:
            self.engine = vllm_engine(model, overlapped, **limits)
            worker = self.engine.engine_core.engine_core.model_executor.driver_worker
            self.meter, self.params = Meter(worker, "num_scheduled_tokens", "execute_model", "sample_tokens"), _vllm().SamplingParams
        self.asked = 0

    def decode(self, requests: int, tokens: int) -> list[Span]:
        """The steps in which so many requests decode, all together. Raises `RuntimeError` if they were not together."""
        for number in range(requests):
            prompt = [3 + (number * 31 + position * 7) % 900 for position in range(PROMPT)]
            self.engine.add_request(str(self.asked), {"prompt_token_ids": prompt}, self.params(temperature=0, max_tokens=tokens, ignore_eos=True))
            self.asked += 1
        while self.engine.has_unfinished_requests():
            self.engine.step()
        spans = self.meter.take()
        if len(spans) != tokens:
            raise RuntimeError(f"{tokens} tokens took {len(spans)} steps: give the engine room for {requests} requests at once")
        return spans[EDGE:-EDGE]


def fastest(runs: list[list[Span]]) -> list[Span]:
    """The run with which others on this machine interfered least."""
    return min(runs, key=step_of)


def undisturbed(spans: list[Span]) -> list[tuple[Span, Span]]:
    """Each step with the next one, without the quarter that took longest: others on this machine interrupt a step now and then."""
    pairs = sorted(pairwise(spans), key=lambda pair: pair[1].began - pair[0].began)
    return pairs[:max(1, len(pairs) * 3 // 4)]


def step_of(spans: list[Span]) -> float:
    """Milliseconds from one step's begin to the next one's."""
    return mean(after.began - before.began for before, after in undisturbed(spans)) * 1e3


def gap(engine: Engine, requests: int, tokens: int, spans: list[Span]) -> Gap:
    """The gap of an engine whose steps took `spans`: seen in them, or on a GPU in a second run, which is watched."""
    if installed_device() == "cpu":
        return on_the_cpu(spans)
    with tempfile.TemporaryDirectory() as folder:
        return on_a_gpu(spans, *profiled(engine, requests, tokens, Path(folder) / "profile.json"))


def on_the_cpu(spans: list[Span]) -> Gap:
    return Gap(step=step_of(spans), busy=mean(before.busy for before, _ in undisturbed(spans)) * 1e3,
               between=mean(after.began - before.ended for before, after in undisturbed(spans)) * 1e3)


def on_a_gpu(spans: list[Span], steps: list[float], events: list[dict]) -> Gap:
    """`spans`: of a run that nobody watched. `steps`: when those of the watched one were begun, on the clock of the profile's `events`.

    A kernel is of the step in which it was launched, not of that in which it runs.
    """
    work = [event for event in events if event.get("cat") in GPU_WORK]
    launched = {_correlation(event): event["ts"] for event in events if event.get("cat") in LAUNCHES}
    by_step: dict[int, list[tuple[float, float]]] = {}
    for event in work:
        step = bisect_right(steps, launched.get(_correlation(event), float("-inf")))
        if 0 < step < len(steps):       # not before the first, and of the last nobody knows where it ends
            by_step.setdefault(step, []).append((event["ts"], event["ts"] + event["dur"]))
    if len(by_step) < len(steps) / 2:
        raise RuntimeError(f"the profile knows what was launched in {len(by_step)} of {len(steps) - 1} steps; "
                           f"it has {len(work)} pieces of work and {len(launched)} launches")
    ends = {step: (min(began for began, _ in each), max(ended for _, ended in each)) for step, each in by_step.items()}
    return Gap(step=step_of(spans), busy=union([span for each in by_step.values() for span in each]) / len(by_step) / 1e3,
               between=median(max(0.0, ends[step + 1][0] - ended) for step, (_, ended) in ends.items() if step + 1 in ends) / 1e3)


def union(spans: list[tuple[float, float]]) -> float:
    """How long at least one of them lasts."""
    lasted, until = 0.0, float("-inf")
    for began, ended in sorted(spans):
        lasted += max(0.0, ended - max(began, until))
        until = max(until, ended)
    return lasted


def profiled(engine: Engine, requests: int, tokens: int, written: Path) -> tuple[list[float], list[dict]]:
    """A watched run: when its steps were begun, and the events of the profile; microseconds on the clock of the profile."""
    from torch.profiler import ProfilerActivity, profile
    with profile(activities=[ProfilerActivity.CUDA if installed_device() == "cuda" else ProfilerActivity.CPU]) as profiler:
        since = seconds_between_clocks()
        spans = engine.decode(requests, tokens)
    profiler.export_chrome_trace(str(written))
    told = json.loads(written.read_text())
    return [(span.began + since) * 1e6 - told.get("baseTimeNanoseconds", 0) / 1e3 for span in spans], told["traceEvents"]


def seconds_between_clocks() -> float:
    """What to add to `perf_counter` to get the time of day; read several times, as one may be interrupted in between."""
    read = [(perf_counter(), time(), perf_counter()) for _ in range(20)]
    before, of_day, after = min(read, key=lambda each: each[2] - each[0])
    return of_day - (before + after) / 2


def _correlation(event: dict) -> int | None:
    """What a launch and the work that it launched have in common."""
    return event.get("args", {}).get("correlation")
