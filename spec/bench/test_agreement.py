"""The judge of two generations: what counts as the same, and what proves a near-tie. No model is needed to ask it."""
import copy

import pytest

from impl.outputs import NEW, RUNNING, EngineCoreOutput, ScheduledRequest
from impl.request_output import CompletionOutput, Logprob, RequestOutput
from reference import cassette
from reference.generate import Generation
from reference.prompts import Prompts, prompts
from reference.trace import State, Step
from spec.bench.agreement import agreement, first_difference, generate_beside

ASKED = prompts("qwen3").ask("a", "The", max_tokens=3, logprobs=2)
STATE = State(("a",), (), (2, 3), (), 0.5)


def generation(token_ids=(7, 8, 9), gap=1.0, shift=0.0, asked: Prompts = ASKED) -> Generation:
    """`a` says `token_ids`; at each position the runner-up (token + 100) is `gap` behind, and the best is moved by `shift`."""
    run = Generation(asked, "an engine")
    for index, token_id in enumerate(token_ids):
        share = ScheduledRequest("a", RUNNING if index else NEW, 1, index, () if index else (1,))
        end = "length" if index == len(token_ids) - 1 else None
        run.steps.append(Step(index, (), (), (share,), (), (), STATE, (EngineCoreOutput("a", (token_id,), end),), STATE))
        run.stream.append({"a": f" {token_id}"})
    logprobs = [{token_id: Logprob(-1.0 + shift, 1, f" {token_id}"), token_id + 100: Logprob(-1.0 - gap, 2, "?")} for token_id in token_ids]
    done = CompletionOutput(0, "".join(f" {token_id}" for token_id in token_ids), list(token_ids), -3.0, logprobs, "length", None)
    run.requests["a"] = RequestOutput(request_id="a", prompt="The", prompt_token_ids=[5], prompt_logprobs=None, outputs=[done],
                                      finished=True, num_cached_tokens=0)
    return run


def test_the_same_is_no_difference():
    assert first_difference(generation(), generation(shift=1e-5)) is None
    assert agreement(generation(), generation(shift=1e-5)).largest == pytest.approx(1e-5)


def test_a_difference_is_told_in_terms_of_usual_numbers():
    """A logit of 1e10 keeps steps of 1,024 in float32."""
    huge, other = (generation(gap=1e10 + more) for more in (0, 8192))
    assert first_difference(huge, other) is None and 0 < agreement(huge, other).largest < 5e-5


@pytest.mark.parametrize("what, change", [
    ("what a says", lambda run: run.steps[1].__setattr__("outputs", (EngineCoreOutput("a", (77,)),))),
    ("scheduled", lambda run: run.steps[1].__setattr__("scheduled", (ScheduledRequest("a", RUNNING, 1, 1, (4,)),))),
    ("became visible", lambda run: run.stream.__setitem__(1, {})),
    ("who is refused", lambda run: run.refused.update(b="no")),
    ("text", lambda run: setattr(run.of("a"), "text", "else")),
    ("finish_reason", lambda run: setattr(run.of("a"), "finish_reason", "stop")),
    ("stop_reason", lambda run: setattr(run.of("a"), "stop_reason", 9)),
    ("num_cached_tokens", lambda run: setattr(run.requests["a"], "num_cached_tokens", 32)),
    ("logprobs, position 2", lambda run: setattr(run.of("a").logprobs[2][9], "logprob", -1.0001)),
    ("logprobs, position 0", lambda run: setattr(run.of("a").logprobs[0][7], "rank", 2)),
    ("logprobs, position 0", lambda run: setattr(run.of("a").logprobs[0][7], "decoded_token", "x")),
    ("logprobs, position 0", lambda run: run.of("a").logprobs[0].pop(107)),
    ("logprobs, position 0", lambda run: run.of("a").logprobs[0].update({66: run.of("a").logprobs[0].pop(7)})),
    ("logprobs, position 1", lambda run: setattr(run.of("a").logprobs[1][8], "logprob", float("nan"))),
    ("logprobs, position 1", lambda run: setattr(run.of("a").logprobs[1][8], "logprob", float("-inf"))),
    ("logprobs", lambda run: setattr(run.of("a"), "logprobs", None)),
    ("prompt logprobs", lambda run: setattr(run.requests["a"], "prompt_logprobs", [None])),
    ("how it ended", lambda run: setattr(run, "ended", "crashed")),
])
def test_each_thing_a_user_sees_is_compared(what, change):
    other = copy.deepcopy(generation())
    change(other)
    for pair in ((other, generation()), (generation(), other)):
        assert what in first_difference(*pair).what


def test_equal_ranks_may_change_places():
    """Two tokens that are nearer to each other than the noise have no order."""
    ours, theirs = generation(gap=1e-6), generation(gap=1e-6)
    for entry, rank in zip(ours.of("a").logprobs[0].values(), (2, 1)):
        entry.rank = rank
    assert first_difference(ours, theirs) is None


def choosing_otherwise(gap: float, shift: float, runner_up: float = 1.0):
    """Our engine says 107 where vLLM says 7, and follows if it is made to: 7 is then `gap` behind, and known as well as `shift` tells."""
    def generate(forced):
        run = generation((7, 8, 9), gap=runner_up, shift=-gap + shift) if forced else generation((107, 8, 9))
        run.of("a").logprobs[0][107 if forced else 7] = Logprob(-1.0 + shift, 1, "?")
        return run
    return generate


def test_a_near_tie_is_proved_by_gap_and_error():
    """At the position in question our two best are 3e-6 apart, and our logprobs 2e-6 from vLLM's."""
    ours = generate_beside(generation(gap=4e-6), choosing_otherwise(gap=3e-6, shift=2e-6, runner_up=4e-6))
    (tie,) = ours.near_ties
    assert (tie.request_id, tie.position) == ("a", 0) and 0 < tie.gap <= 2 * tie.error
    assert ours.tokens("a") == [7, 8, 9], "it went on with vLLM's token"
    assert (agreement(ours, generation()).near_ties, agreement(ours, generation()).identical) == (1, 0)


def test_a_wide_gap_is_no_near_tie():
    theirs = generation(gap=1.0)
    ours = generate_beside(theirs, choosing_otherwise(gap=0.01, shift=1e-6))
    assert not ours.near_ties and ours.tokens("a") == [107, 8, 9]
    assert agreement(ours, theirs).diverged == 1 and first_difference(ours, theirs).step == 0


def test_without_logprobs_there_is_no_proof():
    def generate(forced):
        run = choosing_otherwise(gap=1e-6, shift=1e-6)(None)    # nothing can be forced: it does not say how likely vLLM's token is
        run.of("a").logprobs = None
        return run
    theirs = generation()
    theirs.of("a").logprobs = None
    assert agreement(generate_beside(theirs, generate), theirs).diverged == 1


def test_a_recorded_generation_is_read_as_it_was_written(tmp_path, monkeypatch):
    monkeypatch.setattr(cassette, "FOLDER", tmp_path)
    run = generation()
    run.engine, run.refused = "vllm", {"b": "ValueError: no"}
    run.requests["a"].prompt_logprobs = [None, {5: Logprob(-0.25, 3, "é"), 6: Logprob(float("-inf")), 7: Logprob(float("-inf"))}]
    cassette.save(run, "1.2.3")
    assert cassette.load(ASKED, "1.2.3")[0] == run
    assert cassette.load(ASKED.of("llama"), "1.2.3") is None
