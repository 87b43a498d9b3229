"""Cassettes: what vLLM decided, written down once and replayed without it.

One file per workload and version of vLLM, `cassettes/<version>/<workload's key>.jsonl`:
a header line, which holds the workload, then one line per step, meant to be read in
a review. Ids in a row are written as ranges: `4-6 9` is 4, 5, 6, 9. Where a model was
asked, each step has the text it added, and one more line per request what it said,
with logprobs as token, logprob, rank and text, one token after the other.
"""
import datetime
import json
import os
from collections.abc import Sequence
from pathlib import Path

from impl.outputs import EngineCoreOutput, ScheduledRequest
from impl.request_output import CompletionOutput, Logprob, RequestOutput
from reference.generate import Generation
from reference.prompts import Prompts
from reference.trace import Run, State, Step, by_group
from reference.workload import Workload

FOLDER = Path(__file__).parent / "cassettes"
FORMAT = 1
NEVER = float("-inf")


def path_of(workload: Workload | Prompts, version: str) -> Path:
    return FOLDER / version / f"{workload.key}.jsonl"


def save(run: Run, version: str) -> Path:
    """Write a run down. The date of an unchanged recording stays."""
    path = path_of(run.workload, version)
    old = load(run.workload, version)
    header = {"format": FORMAT, "vllm": version, "recorded": None, "ended": run.ended, "error": run.error,
              "prefix_cache": run.prefix_cache, "workload": run.workload.to_json()}
    if run.spec_decoding:
        header["spec_decoding"] = run.spec_decoding
    before = [None] + [step.updated_state for step in run.steps]
    lines = [write_step(step, state) for step, state in zip(run.steps, before)]
    if isinstance(run, Generation):
        header["refused"] = run.refused
        lines = [step | ({"text": text} if text else {}) for step, text in zip(lines, run.stream)]
        lines += [_write_request(output) for output in run.requests.values()]
    unchanged = old and old[0] == _read(run.workload, json.loads(json.dumps([header, *lines])))
    header["recorded"] = old[1] if unchanged else datetime.date.today().isoformat()
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(f".{os.getpid()}")    # several processes may record the same workload
    beside.write_text("".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in [header, *lines]))
    beside.replace(path)
    return path


def load(workload: Workload | Prompts, version: str) -> tuple[Run, str] | None:
    """The recorded run and its date; None if this very workload was not recorded with this version."""
    path = path_of(workload, version)
    if not path.exists():
        return None
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    header = lines[0]
    if header["format"] != FORMAT or header["vllm"] != version or header["workload"] != json.loads(json.dumps(workload.to_json())):
        return None
    return _read(workload, lines), header["recorded"]


def _read(workload: Workload | Prompts, lines: list[dict]) -> Run:
    header, steps = lines[0], [line for line in lines[1:] if "request" not in line]
    told = (read_steps(steps), header["ended"], header["error"], header["prefix_cache"])
    if not isinstance(workload, Prompts):
        return Run(workload, "vllm", *told, spec_decoding=header.get("spec_decoding", {}))
    outputs = [_read_request(line) for line in lines[1:] if "request" in line]
    return Generation(workload, "vllm", *told, {output.request_id: output for output in outputs}, header["refused"],
                      [step.get("text", {}) for step in steps])


def newest_date(version: str) -> str | None:
    """The date of the newest recording made with this version; None if there is none."""
    headers = []
    for path in (FOLDER / version).glob("*.jsonl"):
        with path.open() as file:
            headers.append(json.loads(file.readline()))
    return max((header["recorded"] for header in headers), default=None)


def write_step(step: Step, before: State | None) -> dict:
    """Only what is not empty; a state only if it is another than that before."""
    lines = {
        "scheduled": [[*share[:4], write_groups(by_group(share.new_block_ids)), *([share.spec_token_ids] if share.spec_token_ids else ())]
                      for share in step.scheduled],
        "preempted": step.preempted, "finished": step.finished, "refused": step.refused, "errors": step.errors,
        "resets": step.resets, "outputs": [_without_end([done.request_id, *done[1:]]) for done in step.outputs],
        "state": None if step.scheduled_state == before else _write_state(step.scheduled_state),
        "updated": None if step.updated_state == step.scheduled_state else _write_state(step.updated_state)}
    return {name: value for name, value in lines.items() if value}


def _without_end(values: list) -> list:
    """Without the `None`s at the end, which are the defaults."""
    while values and values[-1] is None:
        values.pop()
    return values


def read_steps(lines: list[dict]) -> list[Step]:
    steps: list[Step] = []
    for index, data in enumerate(lines):
        state = _read_state(data["state"]) if "state" in data else steps[-1].updated_state
        steps.append(Step(
            index, tuple(data.get("refused", ())), tuple(data.get("resets", ())),
            tuple(ScheduledRequest(*share[:4], _new_block_ids(share[4]), *map(tuple, share[5:])) for share in data.get("scheduled", ())),
            tuple(data.get("preempted", ())), tuple(data.get("finished", ())), state,
            tuple(EngineCoreOutput(request_id, tuple(tokens), *end) for request_id, tokens, *end in data.get("outputs", ())),
            _read_state(data["updated"]) if "updated" in data else state, tuple(data.get("errors", ()))))
    return steps


def _write_state(state: State) -> list:
    return [list(state.running), list(state.waiting), write_ids(state.free_blocks), write_ids(state.cached_blocks), state.usage,
            *([] if state.block_tables is None else [{request_id: write_groups(table) for request_id, table in state.block_tables.items()}])]


def _read_state(data: list) -> State:
    tables = {request_id: _read_groups(table) for request_id, table in data[5].items()} if len(data) > 5 else None
    return State(tuple(data[0]), tuple(data[1]), _read_ids(data[2]), _read_ids(data[3]), data[4], tables)


def write_ids(ids: Sequence[int]) -> str:
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


def write_groups(groups: Sequence[Sequence[int]]) -> str:
    """The ids of each KV cache group: ((1, 2), (3, 5)) is "1-2 | 3 5"."""
    return " | ".join(map(write_ids, groups))


def _read_groups(text: str) -> tuple[tuple[int, ...], ...]:
    return tuple(map(_read_ids, text.split("|")))


def _new_block_ids(text: str) -> tuple:
    groups = _read_groups(text)
    return groups if len(groups) > 1 else groups[0]


def _write_request(output: RequestOutput) -> dict:
    outputs = [[done.index, done.text, done.token_ids, done.cumulative_logprob and round(done.cumulative_logprob, 6),
                _write_positions(done.logprobs), done.finish_reason, done.stop_reason] for done in output.outputs]
    return {"request": output.request_id, "prompt": output.prompt, "prompt_token_ids": output.prompt_token_ids,
            "finished": output.finished, "num_cached_tokens": output.num_cached_tokens,
            "prompt_logprobs": _write_positions(output.prompt_logprobs), "outputs": outputs}


def _read_request(data: dict) -> RequestOutput:
    outputs = [CompletionOutput(*done[:4], _read_positions(done[4]), *done[5:]) for done in data["outputs"]]
    return RequestOutput(request_id=data["request"], prompt=data["prompt"], prompt_token_ids=data["prompt_token_ids"], outputs=outputs,
                         finished=data["finished"], prompt_logprobs=_read_positions(data["prompt_logprobs"]),
                         num_cached_tokens=data["num_cached_tokens"])


def _write_positions(positions: list[dict[int, Logprob] | None] | None) -> list | None:
    """Six digits, which is finer than the noise; what can never come, as ids at the end."""
    return positions and [position and [
        value for token_id, entry in position.items() if entry.logprob != NEVER
        for value in (token_id, round(entry.logprob, 6), entry.rank, entry.decoded_token)
    ] + [write_ids(sorted(token_id for token_id, entry in position.items() if entry.logprob == NEVER))] for position in positions]


def _read_positions(positions: list | None) -> list[dict[int, Logprob] | None] | None:
    return positions and [position and {
        token_id: Logprob(logprob, rank, text) for token_id, logprob, rank, text in zip(*[iter(position[:-1])] * 4)
    } | {token_id: Logprob(NEVER) for token_id in _read_ids(position[-1])} for position in positions]
