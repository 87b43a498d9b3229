"""A run as a table, one row per step: short enough to be reviewed in a snapshot."""
from reference.trace import Run, Step, by_group

COLUMNS = ("step", "scheduled (tokens after computed, on blocks)", "preempted", "ended", "waiting", "free")


def table(run: Run) -> str:
    """`a new 12@0 [1 2 3]`: request a, admitted, computes 12 tokens after 0, on blocks 1, 2 and 3."""
    rows = [COLUMNS] + [_row(step) for step in run.steps]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    return "\n".join([run.workload.source(), "", *lines, f"{run.ended} after {len(run.steps)} steps", ""])


def _row(step: Step) -> tuple[str, ...]:
    state = step.scheduled_state
    ended = [f"{done.request_id}:{done.finish_reason}" for done in step.outputs if done.finish_reason]
    return (str(step.index), ", ".join(map(_share, step.scheduled)) or "-", " ".join(step.preempted) or "-",
            " ".join(ended) or "-", " ".join(state.waiting) or "-", " ".join(map(str, state.free_blocks)) or "-")


def _share(share) -> str:
    groups = " | ".join(" ".join(map(str, ids)) for ids in by_group(share.new_block_ids))
    blocks = f" [{groups}]" if groups else ""
    kind = "" if share.kind == "running" else f"{share.kind} "
    return f"{share.request_id} {kind}{share.num_tokens}@{share.num_computed_tokens}{blocks}{f' +{len(share.spec_token_ids)} drafts' if share.spec_token_ids else ''}"
