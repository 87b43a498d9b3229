"""A workload through `impl` and through vLLM's scheduler, and what was counted in both runs."""
from functools import partial

import impl
from reference.play import OurEngine, play
from reference.trace import FINISHED, Run
from reference.vllm_scheduler import VllmEngine
from reference.workload import Workload

BUILD = {"impl": partial(OurEngine, impl), "vllm": VllmEngine}


def runs(workload: Workload, engines: list[str]) -> dict[str, Run]:
    """One finished run per engine. Raises `RuntimeError` if an engine did not finish: what it left behind says nothing."""
    done = {engine: play(workload, BUILD[engine], engine) for engine in engines}
    for engine, run in done.items():
        if run.ended != FINISHED:
            raise RuntimeError(f"{engine} {run.ended} after {len(run.steps)} steps {run.error or ''}: give it a larger pool or more steps\n{workload.source()}")
    return done


def computed_tokens(run: Run) -> int:
    """Tokens whose keys and values were computed, over all steps."""
    return sum(step.num_tokens for step in run.steps)


def generated_tokens(run: Run) -> int:
    return sum(map(len, run.outputs.values()))


def recomputed_tokens(run: Run) -> int:
    """Tokens computed more than once. By request, each position counts as new the first time, so chunks and cache hits do not matter."""
    again, reached = 0, {}
    for step in run.steps:
        for share in step.scheduled:
            end = share.num_computed_tokens + share.num_tokens
            again += max(0, min(end, reached.get(share.request_id, 0)) - share.num_computed_tokens)
            reached[share.request_id] = max(end, reached.get(share.request_id, 0))
    return again
