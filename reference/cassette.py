"""Cassettes: what vLLM decided, written down once and replayed without it.

One file per workload and version of vLLM, `cassettes/<version>/<workload's key>.jsonl`:
a header line, which holds the workload, then one line per step, meant to be read in
a review. Ids in a row are written as ranges: `4-6 9` is 4, 5, 6, 9.
"""
import datetime
import json
import os
from pathlib import Path

from impl.outputs import EngineCoreOutput, ScheduledRequest
from reference.trace import Run, State, Step
from reference.workload import Workload

FOLDER = Path(__file__).parent / "cassettes"
FORMAT = 1


def path_of(workload: Workload, version: str) -> Path:
    return FOLDER / version / f"{workload.key}.jsonl"


def save(run: Run, version: str) -> Path:
    """Write a run down. The date of an unchanged recording stays."""
    path = path_of(run.workload, version)
    old = load(run.workload, version)
    date = old[1] if old and old[0] == run else datetime.date.today().isoformat()
    header = {"format": FORMAT, "vllm": version, "recorded": date, "ended": run.ended, "error": run.error,
              "prefix_cache": run.prefix_cache, "workload": run.workload.to_json()}
    lines = [json.dumps(header)] + [json.dumps(_write_step(step)) for step in run.steps]
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(f".{os.getpid()}")    # several processes may record the same workload
    beside.write_text("\n".join(lines) + "\n")
    beside.replace(path)
    return path


def load(workload: Workload, version: str) -> tuple[Run, str] | None:
    """The recorded run and its date; None if this very workload was not recorded with this version."""
    path = path_of(workload, version)
    if not path.exists():
        return None
    header, *steps = (json.loads(line) for line in path.read_text().splitlines())
    if header["format"] != FORMAT or header["vllm"] != version or header["workload"] != json.loads(json.dumps(workload.to_json())):
        return None
    run = Run(workload, "vllm", [_read_step(index, step) for index, step in enumerate(steps)],
              header["ended"], header["error"], header["prefix_cache"])
    return run, header["recorded"]


def newest_date(version: str) -> str | None:
    """The date of the newest recording made with this version; None if there is none."""
    headers = []
    for path in (FOLDER / version).glob("*.jsonl"):
        with path.open() as file:
            headers.append(json.loads(file.readline()))
    return max((header["recorded"] for header in headers), default=None)


def _write_step(step: Step) -> dict:
    """Only what is not empty; the state after the update only if something changed."""
    lines = {
        "scheduled": [[*share[:4], _write_ids(share.new_block_ids)] for share in step.scheduled],
        "preempted": step.preempted, "finished": step.finished, "refused": step.refused, "errors": step.errors,
        "resets": step.resets, "outputs": [[done.request_id, *done[1:]] for done in step.outputs],
        "state": _write_state(step.scheduled_state),
        "updated": None if step.updated_state == step.scheduled_state else _write_state(step.updated_state)}
    return {name: value for name, value in lines.items() if value}


def _read_step(index: int, data: dict) -> Step:
    state = _read_state(data["state"])
    return Step(
        index, tuple(data.get("refused", ())), tuple(data.get("resets", ())),
        tuple(ScheduledRequest(*share[:4], _read_ids(share[4])) for share in data.get("scheduled", ())),
        tuple(data.get("preempted", ())), tuple(data.get("finished", ())), state,
        tuple(EngineCoreOutput(request_id, tuple(tokens), *end) for request_id, tokens, *end in data.get("outputs", ())),
        _read_state(data["updated"]) if "updated" in data else state, tuple(data.get("errors", ())))


def _write_state(state: State) -> list:
    return [list(state.running), list(state.waiting), _write_ids(state.free_blocks), _write_ids(state.cached_blocks), state.usage]


def _read_state(data: list) -> State:
    return State(tuple(data[0]), tuple(data[1]), _read_ids(data[2]), _read_ids(data[3]), data[4])


def _write_ids(ids: tuple[int, ...]) -> str:
    """Ascending neighbours as one range: (4, 5, 6, 9) is "4-6 9"."""
    ranges: list[list[int]] = []
    for number in ids:
        if ranges and ranges[-1][1] + 1 == number:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return " ".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


def _read_ids(text: str) -> tuple[int, ...]:
    bounds = [tuple(map(int, piece.split("-"))) for piece in text.split()]
    return tuple(number for first, *last in bounds for number in range(first, (last or [first])[0] + 1))
