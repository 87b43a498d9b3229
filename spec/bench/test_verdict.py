"""The judge: each verdict is given when it should be, and not otherwise."""
from dataclasses import replace
from functools import partial

import pytest

import impl
import impl.naive
from reference.choose import Answer
from reference.play import OurEngine, play
from reference.workload import workload
from spec.bench.claim import Claim
from spec.bench.divergence import first_divergence
from spec.bench.verdict import Verdict, judge

CROWDED = (workload(num_blocks=9).request("a", prompt=12, max_tokens=20).request("b", prompt=12, max_tokens=20)
           .request("c", prompt=4, arrives=6))
RUN = play(CROWDED, partial(OurEngine, impl), "impl")
NAIVE = play(CROWDED, partial(OurEngine, impl.naive), "naive")


def verdict_on(holds, ours=RUN, theirs=RUN, about=("preemption",)):
    claim = Claim("A sentence.", (CROWDED,), about, "file::name", holds)
    return judge(claim, [ours], [Answer(theirs, "recorded", "0.32.0", "2026-11-22")])


def true_of_both(run):
    assert run.steps


def false_of_both(run):
    assert not run.steps, "there are steps"


def nothing_is_complained_of(run):
    assert not any(step.errors for step in run.steps), "there are complaints"


def test_true_and_the_same_is_confirmed():
    assert verdict_on(true_of_both).verdict is Verdict.CONFIRMED


def test_false_is_refuted_with_the_reason():
    judgement = verdict_on(false_of_both)
    assert judgement.verdict is Verdict.REFUTED and "there are steps" in judgement.objection


def test_another_decision_is_diverged_though_the_sentence_holds_of_both():
    judgement = verdict_on(true_of_both, ours=NAIVE)
    assert judgement.verdict is Verdict.DIVERGED and judgement.divergence.step == 0


def test_another_answer_is_diverged_though_the_decisions_are_the_same():
    complaining = replace(RUN, steps=[replace(step, errors=("no such request",)) for step in RUN.steps])
    judgement = verdict_on(nothing_is_complained_of, ours=complaining)
    assert judgement.verdict is Verdict.DIVERGED and judgement.divergence is None and "there are complaints" in judgement.objection
    assert verdict_on(nothing_is_complained_of, theirs=complaining).verdict is Verdict.DIVERGED


def test_a_divergence_outweighs_a_refutation():
    assert verdict_on(false_of_both, ours=NAIVE).verdict is Verdict.DIVERGED


def test_what_never_happened_is_vacuous():
    judgement = verdict_on(true_of_both, about=("preemption", "abort"))
    assert judgement.verdict is Verdict.VACUOUS and "no abort" in judgement.objection


def test_an_unknown_event_is_vacuous_not_true():
    assert verdict_on(true_of_both, about=("preemptoin",)).verdict is Verdict.VACUOUS


def test_an_error_in_the_body_is_no_verdict():
    def broken(run):
        raise KeyError("nothing there")

    with pytest.raises(KeyError):
        verdict_on(broken)


@pytest.mark.parametrize("field, value", [
    ("refused", ("request a",)), ("resets", (True,)), ("scheduled", ()), ("preempted", ("z",)), ("finished", ("z",)), ("outputs", ())])
def test_every_part_of_a_step_is_compared(field, value):
    steps = list(RUN.steps)
    steps[3] = replace(steps[3], **{field: value})
    divergence = first_divergence(RUN, replace(RUN, steps=steps))
    assert (divergence.step, divergence.what) == (3, field)


@pytest.mark.parametrize("moment", ["scheduled_state", "updated_state"])
@pytest.mark.parametrize("part", ["running", "waiting", "free_blocks", "cached_blocks", "usage"])
def test_every_part_of_the_state_is_compared(moment, part):
    steps = list(RUN.steps)
    steps[4] = replace(steps[4], **{moment: getattr(steps[4], moment)._replace(**{part: ("another",)})})
    divergence = first_divergence(RUN, replace(RUN, steps=steps))
    assert divergence.step == 4 and divergence.what.startswith(part)


def test_reasons_and_error_texts_are_not_compared():
    steps = [replace(step, reasons=(), errors=("another",)) for step in RUN.steps]
    assert first_divergence(RUN, replace(RUN, steps=steps)) is None


def test_a_run_that_ends_early_has_diverged():
    assert first_divergence(RUN, replace(RUN, steps=RUN.steps[:7])).step == 7
    assert first_divergence(RUN, replace(RUN, ended="stalled")).what == "how it ended"
    assert first_divergence(RUN, replace(RUN, prefix_cache={})).what == "prefix cache statistics"


def _renamed(run, new_name):
    def rename(ids):
        return tuple(new_name(block_id) for block_id in ids)

    def state(old):
        return old._replace(free_blocks=rename(old.free_blocks), cached_blocks=tuple(sorted(rename(old.cached_blocks))))

    return replace(run, steps=[replace(
        step, scheduled=tuple(share._replace(new_block_ids=rename(share.new_block_ids)) for share in step.scheduled),
        scheduled_state=state(step.scheduled_state), updated_state=state(step.updated_state)) for step in run.steps])


def test_up_to_renaming():
    """Other ids for the same blocks are the same decisions; a block shared otherwise is not."""
    mirrored = _renamed(RUN, lambda block_id: 9 - block_id)
    assert first_divergence(RUN, mirrored) is not None
    assert first_divergence(RUN, mirrored, renamed=True) is None
    merged = _renamed(RUN, lambda block_id: 1 if block_id == 4 else block_id)
    assert first_divergence(RUN, merged, renamed=True) is not None
