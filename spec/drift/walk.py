"""Which lines of vLLM a claim's run goes through. `python -m spec.drift.walk OUT CLAIM …` writes them down as JSON.

Started by `spec.drift.changes`: what changed between two releases matters to a claim only where its run passes.
"""
import json
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from reference.play import play
from reference.source import vllm_folder
from reference.vllm_scheduler import VllmEngine, unknown_limits
from spec.drift.ask import scheduler_claims

# Where decisions are taken: the scheduler, the KV cache, its statistics, requests, and the limits they are given.
WATCHED = ("v1/core/", "v1/metrics/stats.py", "v1/request.py", "v1/engine/input_processor.py", "config/scheduler.py")


def walked(action: Callable[[], object], folder: Path) -> dict[str, list[int]]:
    """The lines below `folder` that `action` executes, by file."""
    lines: dict[str, set[int]] = defaultdict(set)
    top = f"{folder}/"

    def enter(frame, event, _):
        name = frame.f_code.co_filename
        if not name.startswith(top) or not name.removeprefix(top).startswith(WATCHED):
            return None
        here = lines[name.removeprefix(top)]

        def pass_by(frame, event, _):
            here.add(frame.f_lineno)
            return pass_by
        return pass_by

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        action()
    finally:
        sys.settrace(before)
    return {name: sorted(passed) for name, passed in lines.items()}


def main(out: str, *names: str) -> None:
    claims = {claim.name: claim for claim in scheduler_claims()}
    told = {}
    play(claims[names[0]].on[0], VllmEngine, "vllm")    # what the first one sets up is the same for all, and slow to trace
    for name in names:
        asked = [workload for workload in claims[name].on if not unknown_limits(workload)]
        told[name] = walked(lambda: [play(workload, VllmEngine, "vllm") for workload in asked], vllm_folder())
    with open(out, "w") as file:
        json.dump(told, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
