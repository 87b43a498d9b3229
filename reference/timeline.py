"""A run as plain data, for whoever shows it without an engine: the reports' pages, other tools.

    {"engine": "vllm", "ended": "finished", "error": None, "limits": {"num_blocks": 9, "block_size": 4, …},
     "requests": [{"id": "a", "prompt": "system:8 b:4", "arrives": 0, …}],
     "steps": [{"scheduled": [["a", "new", 12, 0, "1-3"]], "state": [["a"], [], "4-8", "", 0.3], …}]}

A step is written as in a cassette (`reference/cassette.py`), with the reasons and, where a model was asked, the text it added; where
expressions were watched, with what they came to.
"""
from reference.cassette import write_step
from reference.generate import Generation
from reference.prompts import Prompts
from reference.trace import Run


def timeline(run: Run) -> dict:
    """The whole run."""
    before = [None] + [step.updated_state for step in run.steps]
    steps = [write_step(step, state) | ({"reasons": list(step.reasons)} if step.reasons else {}) for step, state in zip(run.steps, before)]
    if isinstance(run, Generation):
        steps = [step | ({"text": text} if text else {}) for step, text in zip(steps, run.stream)]
    if run.watched:
        steps = [step | ({"watched": values} if values else {}) for step, values in zip(steps, run.watched)]
    limits = dict(run.workload.config)
    if "num_gpu_blocks_override" in limits:
        limits["num_blocks"] = limits.pop("num_gpu_blocks_override")
    return {"engine": run.engine, "ended": run.ended, "error": run.error, "limits": limits, "requests": _requests(run), "steps": steps}


def beside(ours: Run, theirs: Run) -> dict:
    """Two runs of the same workload. `ours` is None where it is as `theirs`, but for the reasons, which `theirs` has then."""
    mine, other = timeline(ours), timeline(theirs)
    if _decided(mine) == _decided(other):
        return {"ours": None, "theirs": other | {"steps": [{**one, **two} for one, two in zip(mine["steps"], other["steps"])]}}
    return {"ours": mine, "theirs": other}


def _decided(told: dict) -> dict:
    """Without what only one side can tell."""
    steps = [{name: value for name, value in step.items() if name not in ("reasons", "watched")} for step in told["steps"]]
    return told | {"engine": None, "steps": steps}


def _requests(run: Run) -> list[dict]:
    if isinstance(run.workload, Prompts):
        return [{"id": ask.request_id, "prompt": ask.prompt if isinstance(ask.prompt, str) else f"{len(ask.prompt)} tokens",
                 "arrives": ask.arrives, "priority": ask.priority, **ask.params} for ask in run.workload.asks]
    return [{"id": spec["request_id"]} | {name: value for name, value in spec.items() if name != "request_id"}
            for spec in run.workload.to_json()["requests"]]
