"""Whether our engine generates what vLLM generates: every decision, token and text the same, every logprob within the noise.

Two ways to add up the same float32 numbers differ in the last digits. Where the two
best tokens are closer than that, which of them wins is nobody's decision: such a
near-tie has to be *proved*, by our gap between the two and by the difference between
our logprobs and vLLM's at that very position. Our engine is then made to take
vLLM's token, so that everything behind it is compared too.
"""
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isfinite

from impl.request_output import CompletionOutput, Logprob, RequestOutput
from reference.generate import Generation, NearTie
from spec.bench.divergence import Divergence, first_divergence

# How far two right logprobs may be apart. Half precision rounds the logits themselves: near 20 a bfloat16 has steps of
# 0.125, a float16 of 0.016, and a model adds several of them up (seen: 4e-5, 0.37 and 0.06).
NOISE = {"float32": 5e-5, "bfloat16": 0.6, "float16": 0.1}
USUAL = 30.0    # the size of a logprob or logit; a larger one, divided by a small temperature, has a larger error
NEVER = float("-inf")
Positions = list[dict[int, Logprob] | None] | None


@dataclass
class Agreement:
    """What became of each sequence: the counts, and the largest difference of a logprob seen."""

    identical: int = 0
    near_ties: int = 0
    diverged: int = 0
    positions: int = 0      # tokens compared
    largest: float = 0.0


def generate_beside(theirs: Generation, generate: Callable[[dict[str, list[int]] | None], Generation]) -> Generation:
    """Our generation, made to follow `theirs` through proved near-ties. `generate`: our engine, with tokens forced upon it or not."""
    free = generate(None)
    if _told(free) == _told(theirs):
        return free
    greedy = {ask.request_id for ask in theirs.workload.asks if ask.params["temperature"] == 0}
    forced = generate({name: done.token_ids for name, done in sequences(theirs) if name in greedy})
    ties = _near_ties(forced, theirs, greedy)
    if ties is None:
        return free
    forced.near_ties = ties
    return forced


def first_difference(ours: Generation, theirs: Generation, *, renamed: bool = False) -> Divergence | None:
    """The first decision that differs, or else the first thing a user would see. `renamed`: as in `first_divergence`."""
    divergence = first_divergence(ours, theirs, renamed=renamed)
    if divergence:
        return _in_tokens(divergence, ours, theirs) if divergence.what == "outputs" else divergence
    if ours.refused.keys() != theirs.refused.keys():
        return Divergence(None, "who is refused", ours.refused, theirs.refused)
    if ours.stream != theirs.stream:
        step = next((index for index, pair in enumerate(zip(ours.stream, theirs.stream)) if pair[0] != pair[1]), None)
        return Divergence(step, "the text that became visible", *(_at(run.stream, step) for run in (ours, theirs)))
    noise = NOISE.get(theirs.workload.limits["dtype"], 0.0)
    for request_id, output in theirs.requests.items():
        difference = _request_difference(ours.requests[request_id], output, noise)
        if difference:
            return Divergence(None, f"{difference[0]} of {request_id}", *difference[1:])
    return None


def says(run: Generation, step: int) -> dict[str, str]:
    """What each sequence says in a step: the token, its text, what it and its rivals score, and an end."""
    told = {}
    for done in run.steps[step].outputs:
        name = done.request_id
        number = sum(other.request_id == name for before in run.steps[:step] for other in before.outputs)
        logprobs = dict(sequences(run))[name].logprobs
        ranked = logprobs[number] if logprobs else {}
        scores = ", ".join(f"{token_id} {entry.decoded_token or ''!r} {entry.logprob:.6f}" for token_id, entry in list(ranked.items())[:3])
        told[name] = " ".join(filter(None, (*map(str, done.new_token_ids), f"({scores})" if scores else "", done.finish_reason and f"and ends: {done.finish_reason}")))
    return told


def _in_tokens(divergence: Divergence, ours: Generation, theirs: Generation) -> Divergence:
    """Of all that a step put out, the first sequence that differs."""
    mine, real = says(ours, divergence.step), says(theirs, divergence.step)
    for name in {**real, **mine}:
        if mine.get(name) != real.get(name):
            return Divergence(divergence.step, f"what {name} says", mine.get(name, "nothing"), real.get(name, "nothing"))
    return divergence


def agreement(ours: Generation, theirs: Generation) -> Agreement:
    """The three-way verdict on each sequence, counted."""
    count, tied = Agreement(), {tie.request_id for tie in ours.near_ties}
    mine = dict(sequences(ours))
    for name, done in sequences(theirs):
        same = name in mine and mine[name].token_ids == done.token_ids
        count.positions += len(done.token_ids)
        if name in tied:
            count.near_ties += 1
        elif same:
            count.identical += 1
        else:
            count.diverged += 1
        if same:
            count.largest = max([count.largest, *_differences(mine[name].logprobs, done.logprobs)])
    for request_id, output in theirs.requests.items():
        if request_id in ours.requests:
            count.largest = max([count.largest, *_differences(ours.requests[request_id].prompt_logprobs, output.prompt_logprobs)])
    return count


def sequences(run: Generation) -> Iterator[tuple[str, CompletionOutput]]:
    """Each sequence by the name its scheduler gives it."""
    for request_id, output in run.requests.items():
        family = len(output.outputs) > 1
        for done in output.outputs:
            yield (f"{done.index}_{request_id}" if family else request_id), done


def _told(run: Generation) -> dict[str, list[int]]:
    return {name: done.token_ids for name, done in sequences(run)}


def _near_ties(forced: Generation, theirs: Generation, greedy: set[str]) -> list[NearTie] | None:
    """A proof for each token that our engine would have chosen otherwise; None if one cannot be had."""
    mine, ties = dict(sequences(forced)), []
    for name, done in sequences(theirs):
        if name not in mine or mine[name].token_ids != done.token_ids:
            return None
        for position, token_id in enumerate(done.token_ids if name in greedy and done.logprobs else ()):
            ranked, error = mine[name].logprobs[position], max(_differences([mine[name].logprobs[position]], [done.logprobs[position]]), default=0.0)
            gap = max(entry.logprob for entry in ranked.values()) - ranked[token_id].logprob
            if gap > 2 * error or error > NOISE[theirs.workload.limits["dtype"]]:   # a large error proves a bug, not a tie
                return None
            if gap > 0:
                ties.append(NearTie(name, position, gap, error))
    return ties


def _request_difference(ours: RequestOutput, theirs: RequestOutput, noise: float) -> tuple | None:
    for name in ("prompt", "prompt_token_ids", "num_cached_tokens", "finished"):
        if getattr(ours, name) != getattr(theirs, name):
            return name, getattr(ours, name), getattr(theirs, name)
    difference = _positions_difference(ours.prompt_logprobs, theirs.prompt_logprobs, noise)
    if difference:
        return f"prompt logprobs, position {difference[0]},", *difference[1:]
    for mine, real in zip(ours.outputs, theirs.outputs, strict=True):
        for name in ("token_ids", "text", "finish_reason", "stop_reason"):
            if getattr(mine, name) != getattr(real, name):
                return f"{name}, sequence {mine.index},", getattr(mine, name), getattr(real, name)
        difference = _positions_difference(mine.logprobs, real.logprobs, noise)
        if difference:
            return f"logprobs, position {difference[0]},", *difference[1:]
    return None


def _positions_difference(ours: Positions, theirs: Positions, noise: float) -> tuple | None:
    """The first position at which they differ by more than noise, and both sides there."""
    if ours is None or theirs is None or len(ours) != len(theirs):
        return None if ours is None and theirs is None else (0, ours and len(ours), theirs and len(theirs))
    for position, (mine, real) in enumerate(zip(ours, theirs)):
        if (mine is None) != (real is None) or mine is not None and not _same_ranking(mine, real, noise):
            return position, mine, real
    return None


def _same_ranking(ours: dict[int, Logprob], theirs: dict[int, Logprob], noise: float) -> bool:
    """The same tokens with the same logprobs; who is within noise of another may stand in its place."""
    if len(ours) != len(theirs):
        return False
    last_of_theirs = min(entry.logprob for entry in theirs.values())
    for token_id, entry in ours.items():
        real = theirs.get(token_id)
        if real is None:
            if abs(entry.logprob - last_of_theirs) > 2 * noise:
                return False
        elif entry.logprob == real.logprob == NEVER:    # of what can never come, the order means nothing
            continue
        elif not abs(entry.logprob - real.logprob) <= noise * _size(real.logprob):
            return False
        elif entry.decoded_token != real.decoded_token:
            return False
        elif entry.rank != real.rank and not _crowded(entry, real, ours, noise):
            return False
    return True


def _crowded(entry: Logprob, real: Logprob, ranked: dict[int, Logprob], noise: float) -> bool:
    """Whether two ranks may differ: another token is as likely, as far as can be told, or it is not listed."""
    listed = sorted(other.rank for other in ranked.values())
    neighbours = [other for other in ranked.values() if other is not entry and abs(other.logprob - entry.logprob) <= 2 * noise]
    beyond = entry.rank > len(listed) and entry.rank == listed[-1]
    return bool(neighbours) or beyond and abs(entry.rank - real.rank) <= 2


def _differences(ours: Positions, theirs: Positions) -> Iterator[float]:
    """How far the logprobs of the tokens that both list are apart, in terms of usual ones."""
    for mine, real in zip(ours or (), theirs or ()):
        for token_id in (mine or {}).keys() & (real or {}).keys():
            if mine[token_id].logprob != real[token_id].logprob:
                yield abs(mine[token_id].logprob - real[token_id].logprob) / _size(real[token_id].logprob)


def _size(logprob: float) -> float:
    """How much more noise it may have than a usual one: what a float32 keeps is a share of the number. Infinity has none."""
    return max(1.0, abs(logprob) / USUAL) if isfinite(logprob) else 1.0


def _at(stream: list, step: int | None):
    return stream[step] if step is not None and step < len(stream) else "nothing"
