"""Where does each millisecond of a decode step go, in vLLM and in ours?

Two situations: 256 requests that decode with about 820 tokens each, and one request alone. Each engine runs in a process of its own
(`step_run.py`), which times some steps by the clock alone, then as many under the profiler. Beside them stands the limit: the bytes
that a step must read, over the speed at which the same device copies. `--tiny` is a rehearsal for a machine without a GPU.
"""
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from time import perf_counter

from reference.checkpoint.random_model import write_random_model
from reference.doctor import first_line
from reference.experiments.memory import Shape
from reference.experiments.record import Record, arguments, gpu
from reference.experiments.step_engines import BUILD, DEVICE_NAME
from reference.experiments.step_events import ALL_KINDS, must_move
from reference.vllm_scheduler import QUIET, installed_version

SHAPES = {"full": Shape(), "tiny": Shape(2, 64, 4, 2, 32, 128, 1024, max_position_embeddings=1024, item=4)}
# vLLM as it comes, but in its process: nothing of it may be out of sight. FlashInfer is not installed where this ran first.
AS_IT_COMES = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_USE_FLASHINFER_SAMPLER": "0", "VLLM_LOGGING_LEVEL": "ERROR",
               "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}
ON_CPU = {"TORCHDYNAMO_DISABLE": "1", "OMP_NUM_THREADS": "1", "VLLM_CPU_KVCACHE_SPACE": "1"}
PHASES = ("schedule", "prepare inputs", "launch", "launch sampling", "wait for the device", "wait for the worker", "take the tokens over",
          "update_from_output", "process outputs", "rest")


def main() -> None:
    parser = arguments("step_budget", __doc__.splitlines()[0])
    parser.add_argument("--tiny", action="store_true", help="a small model and few steps: a rehearsal")
    parser.add_argument("--engines", nargs="+", choices=list(BUILD), default=list(BUILD), metavar="ENGINE", help=f"of {', '.join(BUILD)}; all if not given")
    parser.add_argument("--seconds", type=float, default=150, help="an engine that is not done when they are over is ended; 150 if not given")
    asked = parser.parse_args()
    size, began = "tiny" if asked.tiny else "full", perf_counter()
    engines = [name for name in asked.engines if name != "vllm" or installed_version()]
    record = Record("step_budget", __doc__.splitlines()[0], _device())
    with tempfile.TemporaryDirectory() as folder:
        print(f"writing a model of {size} size with random weights ...", file=sys.stderr, flush=True)
        shape = SHAPES[size]
        write_random_model(Path(folder), own_config(shape), "bfloat16" if size == "full" else "float32")
        told = {name: asked_of(name, folder, size, asked.seconds - (perf_counter() - began)) for name in engines}
    fill(record, told, shape)
    record.write(asked.out)


def own_config(shape: Shape) -> dict:
    """What the model has instead of the tiny Qwen3's."""
    return shape.config() | {"rope_parameters": {"rope_theta": 1_000_000.0, "rope_type": "default"}, "max_window_layers": shape.num_hidden_layers,
                             "layer_types": ["full_attention"] * shape.num_hidden_layers, "dtype": "bfloat16" if shape.item == 2 else "float32"}


def asked_of(name: str, folder: str, size: str, seconds: float) -> dict:
    """What an engine's process left: {"situations": [...], "copy speed": ..., "errors": [...]}. It may fail, and it may be late."""
    results = Path(folder) / f"{name}.jsonl"
    environment = {key: value for key, value in os.environ.items() if key not in QUIET} | AS_IT_COMES | (ON_CPU if DEVICE_NAME == "cpu" else {})
    command = [sys.executable, "-m", "reference.experiments.step_run", name, folder, size, str(results)]
    child = subprocess.Popen(command, env=environment, start_new_session=True, stdout=2)     # its words are progress
    errors = []
    try:
        if status := child.wait(timeout=max(1.0, seconds)):
            errors.append(f"the process ended with status {status}; what it said is above")
    except subprocess.TimeoutExpired:
        errors.append(f"not done after {seconds:.0f} s: ended")
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    lines = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    found = {key: line[key] for line in lines for key in ("copy speed", "built") if key in line}
    situations = {line["situation"]: line for line in lines if "situation" in line}
    errors += [f"{line['situation']}: {line['error']}" for line in lines if "error" in line]
    return found | {"situations": situations, "errors": errors}


def fill(record: Record, told: dict[str, dict], shape: Shape) -> None:
    """The tables and the pictures, of whatever was measured."""
    measured = [(engine, found) for engine, each in told.items() for found in each["situations"].values() if "walls" in found]
    situations = list(dict.fromkeys(found["situation"] for _, found in measured))
    measured.sort(key=lambda each: situations.index(each[1]["situation"]))
    speed = max((each["copy speed"] for each in told.values() if "copy speed" in each), default=None)
    record.table("On what", ["fact", "value"], facts(told, speed))
    limits = {found["situation"]: limit(shape, found, speed) for _, found in measured}
    record.table("The least a step can take: each weight and each cached key and value, once, as fast as a copy",
                 ["situation", "requests", "tokens each", "weights GB", "keys and values GB", "ms", "tokens/s"], [[*row] for row in limits.values()])
    record.table("A step, in milliseconds: by the clock, and what the profile says of as many more", STEP,
                 [step_row(engine, found, limits[found["situation"]][5]) for engine, found in measured])
    record.table("Milliseconds of the device in a step, by what the kernels are for", ["engine", "situation", *ALL_KINDS], [
        [engine, found["situation"], *found["profile"]["kinds"].values()] for engine, found in measured if "profile" in found])
    record.table("Milliseconds of the host in a step, by the clock, without the profiler", ["engine, thread", "situation", *PHASES], [
        row for engine, found in measured for row in host_rows(engine, found)])
    for situation in situations:
        here = [(engine, found) for engine, found in measured if found["situation"] == situation]
        bars = [[engine, [*found["profile"]["kinds"].values(), 0.0, max(0.0, wall(found) - found["profile"]["busy"])]]
                for engine, found in here if "profile" in found]
        record.bars(f"The device, {situation}", "ms of a step", [*ALL_KINDS, "what must be read", "idle"],
                    [*bars, ["the limit", [*[0.0] * len(ALL_KINDS), limits[situation][5] or 0.0, 0.0]]])
        record.bars(f"The host, {situation}", "ms of a step", list(PHASES), [[row[0], [value or 0.0 for value in row[2:]]]
                                                                          for engine, found in here for row in host_rows(engine, found)])
        record.plot(f"The time of each step, {situation}", "step", "ms", list(range(len(here[0][1]["walls"]))), [
            {"label": engine, "engine": engine.split(",")[0], "values": found["walls"]} for engine, found in here])
    for engine, found in measured:
        if "profile" in found:
            record.table(f"{engine}, {found['situation']}: what took most on the device", ["kernel or copy", "kind", "calls in a step", "ms in a step"],
                         [[row[0][:100], *row[1:]] for row in found["profile"]["busiest"]])
    failed = [[engine, error] for engine, each in told.items() for error in each["errors"]]
    failed += [[engine, f"has no {name}: its time is in the phase around it"] for engine, each in told.items()
               for name in sorted({name for found in each["situations"].values() for name in found.get("absent", ())})]
    if failed:
        record.table("What was not measured", ["engine", "why"], failed)


STEP = ["engine", "situation", "ms by the clock", "tokens/s", "times the limit", "device busy", "device idle", "ms under the profiler", "kernels",
        "kernel launches", "graph launches", "copies to the device", "copies to the host", "host in calls that wait"]


def wall(found: dict) -> float:
    """Milliseconds of a step. The mean: what is late in one step is often early in the next."""
    return sum(found["walls"]) / len(found["walls"])


def step_row(engine: str, found: dict, least: float | None) -> list:
    taken = wall(found)
    row = [engine, found["situation"], taken, found["requests"] / taken * 1e3, taken / least if least else None]
    if "profile" not in found:
        return row + [None] * (len(STEP) - len(row))
    told = found["profile"]
    return [*row, told["busy"], max(0.0, taken - told["busy"]), told["wall"], told["kernels"], told["kernel launches"], told["graph launches"],
            told["copies"]["HtoD"], told["copies"]["DtoH"], told["host waits"]]


def host_rows(engine: str, found: dict) -> list[list]:
    """A row for the thread that steps, and one for the worker's if there is one. What no phase covers is the rest."""
    rows = []
    for thread in ("main", "worker"):
        phases = {phase: taken for where, phase, taken in found["phases"] if where == thread}
        if phases:
            rest = wall(found) - sum(phases.values())
            rows.append([engine if thread == "main" else f"{engine}, worker", found["situation"],
                         *(phases.get(phase) for phase in PHASES[:-1]), max(0.0, rest)])
    return rows


def limit(shape: Shape, found: dict, speed: float | None) -> list:
    of_weights, of_cache = must_move(shape, found["cached"])
    least = (of_weights + of_cache) / speed * 1e3 if speed else None
    return [found["situation"], found["requests"], found["cached"] / found["requests"], of_weights / 1e9, of_cache / 1e9, least,
            found["requests"] / least * 1e3 if least else None]


def facts(told: dict[str, dict], speed: float | None) -> list[list]:
    """What a time depends on, and may be asked for later."""
    rows = [["device", gpu() if DEVICE_NAME == "cuda" else "CPU"], ["driver", first_line("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")],
            ["vllm", installed_version()], *([name, _version(name)] for name in ("torch", "triton")),
            ["commit", first_line("git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")],
            ["copy on the device, read and written, TB/s", speed and speed / 1e12]]
    for engine, each in told.items():
        rows.append([f"{engine}: ready after s", each.get("built")])
        found = next((found["facts"] for found in each["situations"].values() if "facts" in found), {})
        rows += [[f"{engine}: {name}", value] for name, value in found.items()]
    return rows


def _device() -> str:
    """The GPU's name as part of a file's: each kind has a record of its own."""
    return re.sub(r"[^a-z0-9]+", "-", gpu().lower()).strip("-") if DEVICE_NAME == "cuda" else "cpu"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    main()
