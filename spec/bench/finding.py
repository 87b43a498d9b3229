"""A finding: a failed claim told so that one can act on it."""
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import ModuleType

from impl.outputs import ScheduledRequest
from reference.cassette import write_groups, write_ids
from reference.choose import Answer, Reference
from reference.generate import Generation, OurGenerator, generate
from reference.play import OurEngine, play
from reference.prompts import Prompts
from reference.source import locate, vllm_folder
from reference.timeline import beside
from reference.trace import RUNNING, Run, Step, by_group
from reference.workload import Workload
from spec.bench.agreement import generate_beside, says
from spec.bench.claim import Claim
from spec.bench.divergence import Divergence
from spec.bench.events import events
from spec.bench.shrink import shrink
from spec.bench.verdict import Judgement, Verdict, compare

CONTEXT = 2     # steps shown before the one to look at
MANY_IDS = 16   # from here on a list is shortened
Asked = Workload | Prompts
Both = Callable[[Asked], tuple[Run, Run]]   # our run of what is asked, and vLLM's


def describe(judgement: Judgement, package: ModuleType, reference: Reference, nodeid: str, may_shrink: bool) -> dict:
    """The finding as plain data, for the terminal and for the report."""
    workload = judgement.claim.on[judgement.which]
    both = partial(_play_both, package=package, name=judgement.ours[0].engine, reference=reference)
    shrunk = _shrink(judgement, both) if may_shrink and reference.asks_vllm else None
    if shrunk:
        judgement = _judge_again(judgement, shrunk, both)
    rows, (advice, command) = _rows(judgement), _next(judgement, reference, nodeid)
    step = judgement.divergence.step if judgement.divergence else None
    our_steps = judgement.ours[judgement.which].steps
    message, detail = _split(judgement.objection or "")
    return {
        "headline": _headline(judgement, message), "detail": detail, "step": step,
        "what": judgement.divergence.what if judgement.divergence else "",
        "ours": _in_words(judgement.divergence.ours) if judgement.divergence else "",
        "theirs": _in_words(judgement.divergence.theirs) if judgement.divergence else "",
        "rows": rows, "ours_reasons": _reasons(judgement.divergence, our_steps),
        "workload": workload.source(), "shrunk": shrunk.source() if shrunk else None,
        "run": beside(judgement.ours[judgement.which], judgement.theirs[judgement.which]) if shrunk else judgement.which,
        "source": source_line(judgement.claim.vllm), "advice": advice, "next": command, "remedy": None}


def tell(finding: dict, sentence: str, engine: str, answer: Answer) -> str:
    """The finding for the terminal."""
    theirs = f"vLLM {answer.version} ({answer.mode}, {answer.date})"
    lines = [finding["headline"], "", f'"{sentence}"', ""]
    lines += [f"    {line}" for line in finding["detail"].splitlines()] + [""] * bool(finding["detail"])
    both = any(row["ours"] for row in finding["rows"])
    width = max([len(line) for row in finding["rows"] for line in row["ours"]] + [len(engine), 16]) + 2
    if finding["rows"]:
        lines.append(f"            {engine:<{width}}  {theirs}" if both else f"            {theirs}")
    for row in finding["rows"]:
        lines += _tell_row(row, width, both)
    if finding["ours_reasons"]:
        lines += ["", f"why {engine} did so at step {finding['step']}:"] + [f"    {reason}" for reason in finding["ours_reasons"]]
    title = "the smallest workload that still shows it:" if finding["shrunk"] else "the workload:"
    lines += ["", title] + [f"    {line}" for line in (finding["shrunk"] or finding["workload"]).splitlines()]
    lines += ["", f"vLLM decides this in {finding['source']}", f"next: {finding['advice']}:", f"    {finding['next']}"]
    return "\n".join(lines)


def _tell_row(row: dict, width: int, both: bool) -> list[str]:
    mark = ">" if row["differs"] else " "
    if both and not row["differs"]:
        pairs = [(line, "") for line in row["ours"]]
        pairs[0] = (pairs[0][0], "(the same)")
    elif both:
        height = max(len(row["ours"]), len(row["theirs"]))
        pairs = list(zip(row["ours"] + [""] * (height - len(row["ours"])), row["theirs"] + [""] * (height - len(row["theirs"]))))
    else:
        pairs = [(line, "") for line in row["theirs"]]
    label = f"step {row['step']}"
    return [f"{mark if not index else ' '} {label if not index else '':<8}  {ours:<{width}}  {theirs}".rstrip()
            for index, (ours, theirs) in enumerate(pairs)]


def source_line(source: str) -> str:
    """file::Class.name as file:line of the installed vLLM; unchanged if vLLM is not installed."""
    found = locate(source, folder) if (folder := vllm_folder()) else None
    return f"{found[0]}:{found[1]} ({source.partition('::')[2]})" if found else source


def _split(objection: str) -> tuple[str, str]:
    """What the predicate's author says, and what pytest has to say about the assertion."""
    if objection.startswith("assert "):
        return "its predicate is false", objection
    message, _, detail = objection.partition("\nassert ")
    return message, f"assert {detail}" if detail else ""


def _headline(judgement: Judgement, message: str) -> str:
    divergence, engine = judgement.divergence, judgement.ours[0].engine
    vllm = f"vLLM {judgement.answer.version}"
    if judgement.verdict is Verdict.DIVERGED and divergence and divergence.step is not None:
        return f"DIVERGED at step {divergence.step}, in {divergence.what}: {engine} and {vllm} part."
    if judgement.verdict is Verdict.DIVERGED and divergence:
        return f"DIVERGED: {engine} and {vllm} differ in {divergence.what}: {divergence.ours} / {divergence.theirs}"
    if judgement.verdict is Verdict.DIVERGED:
        return f"DIVERGED: {vllm} and {engine} answer differently; of {engine}, {message}."
    if judgement.verdict is Verdict.VACUOUS:
        return f"VACUOUS: {message}. A claim about what never happens says nothing: change the workload."
    if judgement.verdict is Verdict.REFUTED:
        return f"REFUTED, {vllm} does otherwise: {message}"
    return f"{judgement.verdict}"


def _rows(judgement: Judgement) -> list[dict]:
    """The steps to look at, each side in the same words."""
    ours, theirs = judgement.ours[judgement.which], judgement.theirs[judgement.which]
    if judgement.divergence and judgement.divergence.step is not None:
        last = judgement.divergence.step
        return [{"step": index, "differs": index == last, "ours": _lines(ours, index), "theirs": _lines(theirs, index)}
                for index in range(max(0, last - CONTEXT), last + 1)]
    if judgement.verdict is Verdict.REFUTED:
        last = _contradicting_step(judgement.claim, theirs)
        return [{"step": index, "differs": index == last, "ours": [], "theirs": _lines(theirs, index)}
                for index in range(max(0, last - CONTEXT), last + 1)]
    return []


def _contradicting_step(claim: Claim, run: Run) -> int:
    """The step at which a claim that held so far is contradicted, as far as a beginning of the run can tell."""
    for length in range(1, len(run.steps)):
        try:
            claim.holds(replace(run, steps=run.steps[:length]))
        except AssertionError:
            return length - 1
        except Exception:   # too short a run to ask the question
            continue
    return len(run.steps) - 1


def _lines(run: Run, index: int) -> list[str]:
    if index >= len(run.steps):
        return [f"the run has {run.ended}" + (f": {run.error}" if run.error else "")]
    lines = step_lines(run.steps[index])
    return lines + [f"{name} says {said}" for name, said in says(run, index).items()][:MANY_IDS] if isinstance(run, Generation) else lines


def step_lines(step: Step) -> list[str]:
    """One step in a few short lines."""
    lines = [_share(share) for share in step.scheduled] or ["nothing is scheduled"]
    if step.refused:
        lines.append(f"refused: {', '.join(step.refused)}")
    if step.resets:
        lines.append(f"reset_prefix_cache: {', '.join(map(str, step.resets))}")
    if step.preempted:
        lines.append(f"preempted: {' '.join(step.preempted)}")
    if step.finished:
        lines.append(f"told to be finished: {' '.join(step.finished)}")
    before, after = step.scheduled_state, step.updated_state
    lines.append(f"running: {' '.join(before.running) or '-'}   waiting: {' '.join(before.waiting) or '-'}")
    lines.append(f"free: {_ids(before.free_blocks)}")
    later = [done.request_id for done in step.outputs if not step.of(done.request_id)]      # with asynchronous scheduling
    if later:
        lines.append(f"told what the step before computed: {' '.join(later)}")
    if before.block_tables:
        lines.append("tables: " + "   ".join(f"{request_id} {write_groups(table)}" for request_id, table in before.block_tables.items()))
    ended = [f"{done.request_id} ({done.finish_reason})" for done in step.outputs if done.finish_reason]
    if ended:
        lines.append(f"ended: {' '.join(ended)}")
    if after.free_blocks != before.free_blocks:
        lines.append(f"free after update: {_ids(after.free_blocks)}")
    return lines


def _ids(ids: tuple[int, ...]) -> str:
    """All of a few, ranges of many."""
    return (" ".join(map(str, ids)) if len(ids) <= MANY_IDS else write_ids(ids)) or "-"


def _reasons(divergence: Divergence | None, steps: list[Step]) -> list[str]:
    """Why our engine decided so at the step that differs. For what it did with the step's outputs there are none."""
    if divergence is None or divergence.step is None or divergence.step >= len(steps) or divergence.what.endswith("after update_from_output()"):
        return []
    return list(steps[divergence.step].reasons)


def _in_words(value) -> str:
    """One side of a difference, short enough for a line."""
    if isinstance(value, tuple) and value and hasattr(value[0], "num_computed_tokens"):     # of whatever engine's own class
        return "; ".join(map(_share, value))
    if isinstance(value, tuple):
        return " ".join(map(str, value)) or "nothing"
    return str(value)


def _share(share: ScheduledRequest) -> str:
    """`a running: 1 after 8 on +6`: one token, after 8 computed ones, with block 6 added to its table."""
    added = "+" if share.kind == RUNNING else ""
    blocks = " |".join("".join(f" {added}{block_id}" for block_id in ids) for ids in by_group(share.new_block_ids))
    return f"{share.request_id} {share.kind}: {share.num_tokens} after {share.num_computed_tokens}{' on' + blocks if blocks else ''}{_drafts(share)}"


def _drafts(share: ScheduledRequest) -> str:
    drafts = getattr(share, "spec_token_ids", ())   # another engine's class may have none
    return f", {len(drafts)} of them drafts" if drafts else ""


def _next(judgement: Judgement, reference: Reference, nodeid: str) -> tuple[str, str]:
    """What to do, and the command to type then."""
    if judgement.verdict in (Verdict.REFUTED, Verdict.VACUOUS):
        return "read that function, correct the claim or its workload, and ask again", f"pytest {nodeid}"
    if reference.mode in ("auto", "recorded"):
        return "ask the real vLLM, which also finds the smallest workload", f"pytest {nodeid} --reference=live"
    return "compare that function with its twin in impl, and ask again", f"pytest {nodeid} --reference=live"


def _play_both(asked: Asked, package: ModuleType, name: str, reference: Reference) -> tuple[Run, Run]:
    """Our run and vLLM's."""
    theirs = reference.live(asked)
    if isinstance(asked, Prompts):
        return generate_beside(theirs, lambda forced: generate(asked, partial(OurGenerator, package, forced=forced, **reference.where), name)), theirs
    return play(asked, partial(OurEngine, package), name), theirs


def _shrink(judgement: Judgement, both: Both) -> Asked | None:
    asked = judgement.claim.on[judgement.which]
    if judgement.verdict is Verdict.VACUOUS or len(judgement.claim.on) > 1 and not judgement.divergence:
        return None     # a predicate on several runs cannot be asked about one
    still_shows = _still_shows(judgement, both)
    return shrink(asked, still_shows) if still_shows(asked) else None


def _still_shows(judgement: Judgement, both: Both) -> Callable[[Asked], bool]:
    claim, verdict = judgement.claim, judgement.verdict
    refuted = claim.objection(judgement.theirs) if verdict is Verdict.REFUTED else None

    def still_shows(asked: Asked) -> bool:
        try:
            ours, theirs = both(asked)
            happened = events(theirs)
            if not all(happened[event] for event in claim.about) and not judgement.divergence:
                return False
            if refuted:     # by the same assertion, or it would be another finding
                objection = claim.objection([theirs])
                return objection is not None and objection.line == refuted.line
            if judgement.divergence:
                return compare(claim, ours, theirs) is not None
            return (claim.objection([ours]) is None) != (claim.objection([theirs]) is None)
        except Exception:   # a workload on which the claim cannot even be asked shows nothing
            return False

    return still_shows


def _judge_again(judgement: Judgement, asked: Asked, both: Both) -> Judgement:
    """The same judgement, resting on a smaller workload."""
    ours, theirs = both(asked)
    divergence = compare(judgement.claim, ours, theirs)
    objection = None if divergence else judgement.claim.objection([theirs if judgement.verdict is Verdict.REFUTED else ours])
    return replace(judgement, claim=replace(judgement.claim, on=(asked,)), ours=[ours], theirs=[theirs], which=0,
                   divergence=divergence, objection=objection.text if objection else judgement.objection)
