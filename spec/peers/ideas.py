"""What each idea on the way from static batching to vLLM buys, in steps, tokens and blocks. No clock is read.

Time is counted in tokens computed: a request waits as long as the tokens take which are
computed, for anybody, from its arrival to its first token, that step included.
"""
from collections.abc import Callable, Iterator
from functools import partial
from types import ModuleType
from typing import NamedTuple

import impl
import impl.naive
import impl.static_batching
from reference.play import OurEngine, play
from reference.trace import Run
from reference.workload import Workload
from spec.peers.workloads import with_chunks, without_caching


class Idea(NamedTuple):
    name: str
    engine: ModuleType
    limits: Callable[[Workload], Workload]


IDEAS = [
    Idea("static batching", impl.static_batching, without_caching),
    Idea("+ continuous batching", impl.naive, without_caching),
    Idea("+ blocks on demand", impl, without_caching),
    Idea("+ prefix caching", impl, lambda asked: asked),
    Idea("+ chunked prefill", impl, with_chunks),
]


class Figures(NamedTuple):
    """What a run cost. Waits and gaps are in tokens computed by the whole engine."""

    served: str             # requests that got to their end, of all
    steps: int              # that computed something
    tokens: int             # computed
    prompt_tokens: int      # ... of prompts; after a preemption once more
    largest_step: int       # tokens
    peak_blocks: int        # held or reserved at once
    idle_blocks: int        # ... by nobody's tokens: set aside, or kept behind an end
    mean_wait: float        # for the first token
    longest_wait: int
    longest_gap: int        # between two tokens of one request


def run_of(idea: Idea, situation: Workload) -> Run:
    return play(idea.limits(situation), partial(OurEngine, idea.engine), idea.engine.__name__)


def figures(run: Run) -> Figures:
    """Count a run's cost. What was never told counts as not served, and waits for nothing."""
    prompts = {spec.request_id: spec for spec in run.workload.requests}
    spent = [0]
    for step in run.steps:
        spent.append(spent[-1] + step.num_tokens)      # before each step, and at last
    told = {name: [step.index for step in run.steps for done in step.outputs if done.request_id == name] for name in prompts}
    waits = [spent[steps[0] + 1] - spent[prompts[name].arrives] for name, steps in told.items() if steps]
    gaps = [spent[after + 1] - spent[before + 1] for steps in told.values() for before, after in zip(steps, steps[1:])]
    shares = [share for step in run.steps for share in step.scheduled]
    blocks = list(_blocks(run))
    return Figures(
        served=f"{len(run.finish_reasons)} of {len(prompts)}",
        steps=sum(bool(step.scheduled) for step in run.steps),
        tokens=spent[-1],
        prompt_tokens=sum(max(0, min(share.num_tokens, prompts[share.request_id].num_prompt_tokens - share.num_computed_tokens))
                          for share in shares),
        largest_step=max((step.num_tokens for step in run.steps), default=0),
        peak_blocks=max((held for held, _ in blocks), default=0),
        idle_blocks=max((held - filled for held, filled in blocks), default=0),
        mean_wait=round(sum(waits) / len(waits), 1) if waits else 0.0,
        longest_wait=max(waits, default=0),
        longest_gap=max(gaps, default=0))


def _blocks(run: Run) -> Iterator[tuple[int, int]]:
    """How many blocks are held in each step, and how many have tokens of a running request in them."""
    config, num_tokens = run.workload.config, {}
    for step, tables in zip(run.steps, run.block_tables):
        num_tokens |= {share.request_id: share.num_computed_tokens + share.num_tokens for share in step.scheduled}
        filled = {block_id for name, table in tables.items() for block_id in table[:-(-num_tokens[name] // config["block_size"])]}
        yield config["num_blocks"] - 1 - len(step.scheduled_state.free_blocks), len(filled)
