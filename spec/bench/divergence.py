"""Where two runs of one workload part."""
from dataclasses import dataclass
from itertools import chain
from typing import Any

from reference.trace import NULL, Run, State, Step, by_group

# Compared in this order within a step; `Step` says what each one is.
COMPARED = ("refused", "resets", "scheduled", "preempted", "finished", "scheduled_state", "outputs", "updated_state")


@dataclass(frozen=True)
class Divergence:
    """The first difference. `step` is None if the runs differ as a whole: in how they ended, or in their statistics."""

    step: int | None
    what: str
    ours: Any
    theirs: Any


def first_divergence(ours: Run, theirs: Run, *, renamed: bool = False) -> Divergence | None:
    """The first difference between two runs, or None if every decision is the same.

    With `renamed`, blocks may have other ids: they are called by the order in which
    they are first used, and the free queue's order does not matter.
    """
    our_names, their_names = _names(ours, renamed), _names(theirs, renamed)
    for our_step, their_step in zip(ours.steps, theirs.steps):
        for name in COMPARED:
            our_value = _view(our_step, name, our_names)
            their_value = _view(their_step, name, their_names)
            if our_value != their_value:
                return Divergence(our_step.index, *_narrow(name, our_value, their_value))
    if len(ours.steps) != len(theirs.steps):
        return Divergence(min(len(ours.steps), len(theirs.steps)), "the run goes on",
                          _ending(ours), _ending(theirs))
    if ours.ended != theirs.ended:
        return Divergence(None, "how it ended", _ending(ours), _ending(theirs))
    for name in ("prefix_cache", "spec_decoding"):
        if getattr(ours, name) != getattr(theirs, name):
            return Divergence(None, f"{name.replace('_', ' ')} statistics", getattr(ours, name), getattr(theirs, name))
    return None


def _ending(run: Run) -> str:
    return f"{run.ended} after {len(run.steps)} steps" + (f": {run.error}" if run.error else "")


def _narrow(name: str, ours, theirs) -> tuple[str, Any, Any]:
    """Of two states, the one part that differs."""
    if isinstance(ours, State):
        for part in State._fields:
            if getattr(ours, part) != getattr(theirs, part):
                moment = "after schedule()" if name == "scheduled_state" else "after update_from_output()"
                return f"{part} {moment}", getattr(ours, part), getattr(theirs, part)
    return name, ours, theirs


def _names(run: Run, renamed: bool) -> dict[int, int] | None:
    """New names for block ids, by first use; None to leave them as they are."""
    if not renamed:
        return None
    names: dict[int, int] = {NULL: NULL}
    for step in run.steps:
        for share in step.scheduled:
            for block_id in chain(*by_group(share.new_block_ids)):
                names.setdefault(block_id, len(names))
    return names


def _view(step: Step, name: str, names: dict[int, int] | None):
    value = getattr(step, name)
    if names is None:
        return value
    if name == "scheduled":
        return tuple(share._replace(new_block_ids=_renamed(by_group(share.new_block_ids), names)) for share in value)
    if isinstance(value, State):
        tables = value.block_tables and {request_id: _renamed(table, names) for request_id, table in value.block_tables.items()}
        return value._replace(free_blocks=len(value.free_blocks), cached_blocks=len(value.cached_blocks), block_tables=tables)
    return value


def _renamed(groups: tuple[tuple[int, ...], ...], names: dict[int, int]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(names[block_id] for block_id in ids) for ids in groups)
