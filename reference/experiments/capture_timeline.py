"""What happens within a step: the scheduler's decision, the kernels, and the time in between.

A real run of vLLM and of `impl`, eight prompts with chunks and a late arrival, watched by torch.profiler. Each engine leaves
`timeline-ENGINE.jsonl`, a run file with what was decided in each step and when, and `profile-ENGINE.json.gz`, the kernels;
`python -m reports FILE` opens the former in the oscilloscope, and `python -m reports.perfetto FILE --profile PROFILE` puts both on one clock, for ui.perfetto.dev. The same command works on a GPU.
`execute` is the model and the sampler, until the tokens are known.
"""
import gzip
import json
import os
import shutil
from datetime import datetime
from functools import partial
from pathlib import Path
from time import perf_counter

import impl
from reference.experiments.record import Record, arguments, engines_here, machine, versions
from reference.generate import Generation, OurGenerator, generate
from reference.prompts import Prompts, prompts
from reference.timeline import timeline
from reference.vllm_llm import VllmGenerator        # sets the environment of the process up, for our engine too
from reference.vllm_scheduler import installed_device

PHASES = ("schedule", "execute", "update", "rest")
FORMAT = 1      # of a run file: see reports/run_file.py


def asked(model: str = "qwen3") -> Prompts:
    """Eight prompts; the budget cuts the long ones into chunks, and two come while the others decode."""
    some = prompts(model, max_num_batched_tokens=64, max_num_seqs=8)
    for number in range(8):
        prompt = [3 + (number * 31 + position * 7) % 900 for position in range(20 + 25 * number)]
        some = some.ask(f"r{number}", prompt, max_tokens=24, arrives=0 if number < 6 else 12, ignore_eos=True)
    return some


class Clock:
    """Marks the phases of each step of a generator: for a profiler, and with a clock of its own. Wraps the generator; its doors stay."""

    def __init__(self, generator, scheduler, runner, *execute: str):
        from torch.profiler import record_function
        self.generator, self.mark, self.steps = generator, record_function, []
        self.unwrapped: list[tuple] = []
        self._wrap(scheduler, "schedule", "schedule")
        self._wrap(scheduler, "update_from_output", "update")
        for method in execute:
            self._wrap(runner, method, "execute")

    def __getattr__(self, name: str):
        return getattr(self.generator, name)

    def step(self):
        """One step of the engine under the mark `step N`."""
        self.steps.append(dict.fromkeys(PHASES, 0.0))
        began = perf_counter()
        with self.mark(f"step {len(self.steps) - 1}"):
            outputs = self.generator.step()
        ended, told = perf_counter(), self.steps[-1]
        told |= {"time": [began, ended], "rest": ended - began - sum(told[phase] for phase in PHASES[:3])}
        return outputs

    def close(self) -> None:
        """Nobody looks at a clock any more: the real engine is kept, and would go on to be timed."""
        for owner, method, inner in self.unwrapped:
            setattr(owner, method, inner)
        self.generator.close()

    def _wrap(self, owner, method: str, phase: str) -> None:
        inner = getattr(owner, method)
        self.unwrapped.append((owner, method, inner))

        def timed(*arguments, **named):
            began = perf_counter()
            with self.mark(phase):
                answer = inner(*arguments, **named)
            self.steps[-1][phase] += perf_counter() - began
            return answer

        setattr(owner, method, timed)


def build(engine: str, clocks: list[Clock], some: Prompts):
    """The generator of an engine with a clock around it, which is left in `clocks`. Its scheduler is watched inside the clock."""
    if engine == "impl":
        generator = OurGenerator(impl, some, device=installed_device())
        clock = Clock(generator, generator.engine.scheduler, generator.engine.model_runner, "execute")
    else:
        generator = VllmGenerator(some)
        clock = Clock(generator, generator.scheduler, generator.engine.engine_core.engine_core.model_executor, "execute_model", "sample_tokens")
    clocks.append(clock)
    return clock


def captured(engine: str, some: Prompts, profile_to: Path | None) -> tuple[Generation, list[dict]]:
    """A run and the times of its steps, after one that warms up. Writes what a profiler saw to `profile_to`: vLLM's own, or for ours torch's, which is the same by hand."""
    clocks: list[Clock] = []
    plain = partial(build, engine, clocks)
    if engine == "vllm" and profile_to:
        some = some.with_limits(profiler_config={"profiler": "torch", "torch_profiler_dir": str(profile_to.parent.resolve() / "vllm"),
                                                 "torch_profiler_with_stack": False})
    generate(some, partial(build, engine, []), engine)
    run = (generate(some, plain, engine) if profile_to is None else
           profiled_by_vllm(some, plain, profile_to) if engine == "vllm" else profiled_by_torch(some, plain, profile_to))
    if run.error:
        raise RuntimeError(f"{engine} {run.ended}: {run.error}")
    return run, clocks[0].steps


def profiled_by_torch(some: Prompts, build, profile_to: Path) -> Generation:
    from torch.profiler import ProfilerActivity, profile
    kinds = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if installed_device() == "cuda" else [])
    with profile(activities=kinds) as profiler:
        run = generate(some, build, "impl")
    profiler.export_chrome_trace(str(profile_to))
    return run


def profiled_by_vllm(some: Prompts, build, profile_to: Path) -> Generation:
    """`start_profile` and `stop_profile` are vLLM's (`entrypoints/llm.py::LLM`); it writes one file for each rank, here one."""
    started = []

    def build_and_start(prompts: Prompts):
        started.append(build(prompts))
        started[0].generator.engine.start_profile()
        return started[0]

    run = generate(some, build_and_start, "vllm")
    started[0].generator.engine.stop_profile()
    folder = profile_to.parent / "vllm"
    [written] = folder.glob("*.json.gz")
    written.replace(profile_to)
    shutil.rmtree(folder)
    return run


def write_run_file(path: Path, run: Generation, steps: list[dict]) -> None:
    """A run file as `spec/live/session.py` writes it, so that the live page plays it back; each step with the seconds at which it began and ended."""
    told, side = timeline(run), "ours" if run.engine == "impl" else "theirs"
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    lines = [{"type": "header", "format": FORMAT, "started": now, "command": ["python", "-m", "reference.experiments.capture_timeline"], "folder": ".",
              "machine": machine(), "lab": versions() | {"live": True}},
             {"type": "run", "side": side, "model": run.workload.model, "timeline": told | {"requests": [], "steps": [], "ended": None}}]
    lines += [{"type": "request", "request": request} for request in told["requests"]]
    lines += [{"type": "step", "side": side, "index": index, "step": step | {"time": timed["time"]}} for index, (step, timed) in enumerate(zip(told["steps"], steps))]
    lines += [{"type": "workload", "source": run.workload.source()}, {"type": "footer", "ended": now, "exit_status": 0, "verdicts": {}, "tests": {}}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def shares(steps: list[dict]) -> list[float]:
    """Of all steps together: milliseconds of a step, and the share of each phase."""
    whole = sum(step["time"][1] - step["time"][0] for step in steps)
    return [whole / len(steps) * 1e3, *(sum(step[phase] for step in steps) / whole for phase in PHASES)]


def events_of(profile_to: Path) -> list[dict]:
    opener = gzip.open if profile_to.suffix == ".gz" else open
    with opener(profile_to, "rt") as file:
        return json.load(file)["traceEvents"]


def busiest(events: list[dict], count: int = 8) -> list[list]:
    """The operators or kernels that took most: name, calls, milliseconds. On a GPU its kernels, elsewhere the operators that call no others."""
    kernels = [event for event in events if event.get("cat") == "kernel"] or [
        event for event in events if event.get("cat") == "cpu_op" and (event["name"] in LEAVES or event["name"].startswith("_C"))]
    taken: dict[str, list] = {}
    for event in kernels:
        row = taken.setdefault(event["name"][:60], [0, 0.0])
        row[0], row[1] = row[0] + 1, row[1] + event["dur"] / 1e3
    return [[name, calls, round(milliseconds, 2)] for name, (calls, milliseconds) in sorted(taken.items(), key=lambda each: -each[1][1])[:count]]


LEAVES = {"aten::mm", "aten::addmm", "aten::bmm", "aten::copy_", "aten::index", "aten::index_select", "aten::mul", "aten::add", "aten::cat",
          "aten::_softmax", "aten::_log_softmax", "aten::topk", "aten::sort", "aten::silu", "aten::rsqrt", "aten::mean", "aten::pow",
          "aten::_scaled_dot_product_flash_attention_for_cpu", "aten::argmax", "aten::index_put_", "aten::max"}


def main() -> None:
    parser = arguments("capture_timeline", __doc__.splitlines()[0])
    parser.add_argument("--model", choices=("qwen3", "llama"), default="qwen3")
    told = parser.parse_args()
    record, some = Record("capture_timeline", __doc__.splitlines()[0], installed_device()), asked(told.model)
    told.out.mkdir(parents=True, exist_ok=True)
    phases, plots, written = [], [], []
    for engine in engines_here():
        with record.part(engine):
            profile_to, run_file = told.out / f"profile-{engine}.json.gz", told.out / f"timeline-{engine}.jsonl"
            _, unwatched = captured(engine, some, None)
            run, steps = captured(engine, some, profile_to)
            write_run_file(run_file, run, steps)
            phases += [[engine, *shares(unwatched)], [f"{engine}, under the profiler", *shares(steps)]]
            plots.append({"label": "milliseconds of a step", "engine": engine, "values": [(step["time"][1] - step["time"][0]) * 1e3 for step in unwatched]})
            record.table(f"{engine}: what took most", ["operator or kernel", "calls", "milliseconds"], busiest(events_of(profile_to)))
            written.append(f"python -m reports {os.path.relpath(run_file)}")
        written.append(f"python -m reports.perfetto {os.path.relpath(run_file)} --profile {os.path.relpath(profile_to)}")
    record.table("Where a step's time went", ["engine", "ms per step", *PHASES], phases)
    if len({len(line["values"]) for line in plots}) == 1:
        record.plot("The time of each step, without the profiler", "step", "ms", list(range(len(plots[0]["values"]))), plots)
    print("\n" + "\n".join(written))
    record.write(told.out)


if __name__ == "__main__":
    main()
