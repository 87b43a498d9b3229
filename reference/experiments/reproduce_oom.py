"""In which ways does a vLLM run out of memory, and can each be told before it happens?

Each case is a vLLM in a process of its own, with a time limit; a case that goes otherwise than expected stops no other.
On a host with a GPU the cases are those of a GPU. Weights are made up, no tokenizer and no network is needed.
"""
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from time import perf_counter

from reference.experiments import oom_cases
from reference.experiments.memory import GIB, Shape
from reference.experiments.oom_cases import Case
from reference.experiments.record import Record, arguments
from reference.vllm_scheduler import QUIET, installed_device, installed_version

WORDS = 600         # of an error, in the table; all of it is in the logs
ALLOWED = 0.05      # what may lie between expected and seen, as a share of what was seen


def main() -> None:
    parser = arguments("reproduce_oom", __doc__.splitlines()[0])
    parser.add_argument("--each", type=float, metavar="SECONDS", help="the limit of one case (default: 75 on a GPU, 300 on a CPU)")
    parser.add_argument("--all", type=float, metavar="SECONDS", help="the limit of all cases (default: 225 on a GPU, 1200 on a CPU)")
    parser.add_argument("--only", default="", metavar="PART", help="only the cases with this in their name, after the healthy run")
    asked = parser.parse_args()
    if not installed_version():
        raise SystemExit("this asks the real vLLM, and none is installed here: 'make setup' installs it")
    device = installed_device()
    record = Record("reproduce_oom", __doc__.splitlines()[0], device)
    shape, cases = (Shape(), oom_cases.ON_GPU) if device == "cuda" else (oom_cases.SMALL, oom_cases.ON_CPU)
    each, all_of_them = (asked.each or 75, asked.all or 225) if device == "cuda" else (asked.each or 300, asked.all or 1200)
    asked.out.mkdir(parents=True, exist_ok=True)
    known, told, until = dict(oom_cases.GUESSED), [], perf_counter() + all_of_them
    with tempfile.TemporaryDirectory() as folder:
        for case in [case for case in cases if asked.only in case.name or case is cases[0]]:
            seen = run(case, shape, known, Path(folder), asked.out, min(each, until - perf_counter()))
            if case is cases[0] and seen["ended"] == "built":
                known |= oom_cases.known_after(device, seen)
            told.append((case, seen, outcome(case, shape, known, seen)))
            print(f"{case.name}: {told[-1][2]['verdict']} ({seen.get('seconds', '?')} s)", flush=True)
            (asked.out / "reproduce_oom-seen.json").write_text(json.dumps({case.name: seen for case, seen, _ in told}, indent=1))
    tell(record, told)
    record.write(asked.out)


def run(case: Case, shape: Shape, known: dict, model: Path, out: Path, limit: float) -> dict:
    """What became of one case; its vLLM's own words go to `out/oom-NAME.log`."""
    if limit <= 0:
        return {"ended": "not begun", "words": "the time was over before its turn"}
    asked = {"model": str(model)} | case.ask(shape, known)
    (model / "config.json").write_text(json.dumps(shape.config() | asked.pop("config", {})))
    environment = {name: value for name, value in (os.environ | QUIET).items() if name != "VLLM_CPU_KVCACHE_SPACE"}
    environment |= {"VLLM_LOGGING_LEVEL": "DEBUG", "VLLM_USE_FLASHINFER_SAMPLER": "0"} | asked.pop("environment", {})
    question, answer = model / "asked.json", model / "seen.json"
    question.write_text(json.dumps(asked))
    answer.unlink(missing_ok=True)
    began = perf_counter()
    with (out / f"oom-{case.name.replace(' ', '-').replace(',', '')}.log").open("w") as log:
        process = subprocess.Popen([sys.executable, "-m", "reference.experiments.memory_case", question, answer], stdin=subprocess.DEVNULL,
                                   stdout=log, stderr=subprocess.STDOUT, start_new_session=True, env=environment, cwd=Path(__file__).parents[2])
        try:
            status = process.wait(limit)
        except subprocess.TimeoutExpired:
            status = f"it was ended after {limit:.0f} s"
        _end(process)
    seen = json.loads(answer.read_text()) if answer.exists() else {"ended": "died"}
    if seen["ended"] == "died" or status:
        seen |= {"ended": "died", "words": seen.get("words") or f"status {status}; its log has more"}
    return {"seconds": round(perf_counter() - began, 1)} | seen


def outcome(case: Case, shape: Shape, known: dict, seen: dict) -> dict:
    """The verdict on a case, and its rows of quantity, expected, seen and difference in percent."""
    try:
        rows = case.compare(shape, known, seen)
    except (KeyError, TypeError) as missing:
        rows = [(f"not told: {missing}", None, None)]
    rows = [(name, expected, found, _percent(expected, found)) for name, expected, found in rows]
    far = [name for name, *_, percent in rows if percent is not None and abs(percent) > 100 * ALLOWED]
    if not _ended_as_meant(case, seen):
        return {"verdict": "OTHERWISE", "rows": rows}
    return {"verdict": f"as expected, but for {', '.join(far)}" if far else "as expected", "rows": rows}


def tell(record: Record, told: list[tuple[Case, dict, dict]]) -> None:
    """The three tables: the numbers, the words, and where the memory went."""
    record.table("Expected and seen", ["case", "quantity", "expected", "seen", "difference [%]"], [
        [case.name, name, _in_gib(name, expected), _in_gib(name, found), None if percent is None else round(percent, 2)]
        for case, _, found_out in told for name, expected, found, percent in found_out["rows"]])
    record.table("What each says", ["case", "what is done", "verdict", "seconds", "words"], [
        [case.name, case.why, found_out["verdict"], seen.get("seconds"), f"{seen.get('error', seen['ended'])}: {seen.get('words', '')[:WORDS]}"]
        for case, seen, found_out in told])
    parts = ("weights", "total_consumed", "peak_activation_memory", "cudagraph_memory_estimate", "graphs", "cache")
    record.table("Where the memory went, as vLLM's worker tells it [GiB]", ["case", "device", "free before", *parts], [
        [case.name, *(_gib(seen.get("before", {}).get(name)) for name in ("total", "free")), *(_gib(seen.get(part)) for part in parts)]
        for case, seen, _ in told])


def _ended_as_meant(case: Case, seen: dict) -> bool:
    if case.words is None:
        return seen["ended"] == "built"
    return seen["ended"] == "refused" and re.search(case.words, f"{seen.get('error', '')} {seen.get('words', '')}") is not None


def _percent(expected: float | None, found: float | None) -> float | None:
    """By how much `found` lies above what was expected."""
    return 100 * (found - expected) / abs(found) if expected is not None and found else None


def _in_gib(name: str, value: float | None) -> str | None:
    """Bytes as GiB; tokens and blocks as they are."""
    if value is None:
        return None
    return f"{value:,.0f}" if "tokens]" in name or name == "blocks" else f"{value / GIB:.3f} GiB"


def _gib(value: float | None) -> float | None:
    return None if value is None else round(value / GIB, 3)


def _end(process: subprocess.Popen) -> None:
    """End a case and whatever it has begun."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


if __name__ == "__main__":
    main()
