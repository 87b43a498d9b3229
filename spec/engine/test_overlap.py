"""The overlapped loop says what the plain one says: only when a step is decided and when its tokens are told is different.

That the plain one says what vLLM says is compared in `test_same_tokens.py`, that its decisions are those of vLLM's
AsyncScheduler in `spec/fuzz`.
"""
import pytest

from impl.sampling_params import SamplingParams
from impl.scheduler import Scheduler
from reference.prompts import CHECKPOINTS, Prompts
from spec.engine.random_prompts import at_random
from spec.engine.side_by_side import needs_torch

pytestmark = needs_torch

SMALL = {"dtype": "float32", "block_size": 32, "num_gpu_blocks_override": 8, "max_model_len": 128, "max_num_batched_tokens": 40, "max_num_seqs": 16}
TEXTS = ["Elizabeth was", "Mr. Darcy", "She had never", "It is a truth universally acknowledged, that a single man in possession of a good fortune",
         "My dear", "The evening"]


def model(name="qwen3", **limits):
    from impl import LLM
    return LLM(str(CHECKPOINTS / name), **SMALL | limits)


def many_params():
    """Whatever looks at what was said before, or at nobody else's chance: the worker has to know the newest token too."""
    return [SamplingParams(temperature=0, max_tokens=60, ignore_eos=True, logprobs=2),
            SamplingParams(temperature=1.0, seed=5, max_tokens=60), SamplingParams(temperature=0.7, top_k=20, seed=6, max_tokens=50, ignore_eos=True),
            SamplingParams(temperature=0, repetition_penalty=1.3, presence_penalty=0.5, frequency_penalty=0.3, max_tokens=60, ignore_eos=True),
            SamplingParams(temperature=0, max_tokens=40, min_tokens=30, stop=["th", "e "]), SamplingParams(temperature=0, max_tokens=1, prompt_logprobs=1)]


def said(outputs):
    return [(output.prompt_logprobs, output.outputs[0].token_ids, output.outputs[0].text, output.outputs[0].finish_reason, output.outputs[0].stop_reason)
            for output in outputs]


@pytest.mark.parametrize("name", ("qwen3", "llama"))
def test_the_overlapped_loop_says_the_same(name, monkeypatch):
    preempted = []
    preempt = Scheduler._preempt
    monkeypatch.setattr(Scheduler, "_preempt", lambda self, request: (preempted.append(type(self).__name__), preempt(self, request)))
    plain = said(model(name).generate(TEXTS, many_params(), use_tqdm=False))
    overlapped = said(model(name, async_scheduling=True).generate(TEXTS, many_params(), use_tqdm=False))
    assert [one[1:] for one in overlapped] == [one[1:] for one in plain]
    assert {"Scheduler", "AsyncScheduler"} <= set(preempted) and {one[3] for one in plain} == {"stop", "length"}
    for ours, theirs in zip(overlapped[-1][0][1:], plain[-1][0][1:], strict=True):
        assert {token: round(entry.logprob, 4) for token, entry in ours.items()} == pytest.approx({token: entry.logprob for token, entry in theirs.items()}, abs=2e-4)


def played(asked: Prompts, **limits) -> dict[str, list[int]]:
    """The tokens of each request of `asked`, which arrive as it says and are never aborted."""
    engine = model(**asked.limits | limits).engine
    tokens: dict[str, list[int]] = {}
    arriving, index = sorted(asked.asks, key=lambda ask: ask.arrives), 0
    while arriving or engine.has_unfinished_requests():
        while arriving and arriving[0].arrives <= index:
            ask = arriving.pop(0)
            engine.add_request(ask.request_id, ask.prompt, SamplingParams(**ask.params), priority=ask.priority)
        for output in engine.step():
            tokens[output.request_id] = list(output.outputs[0].token_ids)
        index += 1
    return tokens


@pytest.mark.parametrize("seed", range(6))
def test_random_requests_are_told_the_same(seed):
    asked = at_random(seed)
    assert played(asked, async_scheduling=True) == played(asked) != {}


def test_a_step_is_decided_before_the_one_before_is_taken_in():
    engine = model(async_scheduling=True).engine
    engine.add_request("a", "Elizabeth was", SamplingParams(temperature=0, max_tokens=3))
    told = [len(outputs) for outputs in (engine.step(), engine.step(), engine.step(), engine.step())]
    assert told == [0, 1, 1, 1] and not engine.has_unfinished_requests()


def test_an_abort_in_flight_leaves_the_others_alone():
    alone = model().generate([TEXTS[1]], SamplingParams(temperature=0, max_tokens=12), use_tqdm=False)
    engine = model(async_scheduling=True).engine
    for request_id, text in zip("ab", TEXTS):
        engine.add_request(request_id, text, SamplingParams(temperature=0, max_tokens=12))
    engine.step(), engine.step()
    assert [output.outputs[0].finish_reason for output in engine.abort("a")] == ["abort"]
    engine.add_request("a", TEXTS[2], SamplingParams(temperature=0, max_tokens=12))     # its name is free at once
    last = {}
    while engine.has_unfinished_requests():
        last |= {output.request_id: output.outputs[0].token_ids for output in engine.step()}
    assert last["b"] == alone[0].outputs[0].token_ids
    assert last["a"] == model().generate([TEXTS[2]], SamplingParams(temperature=0, max_tokens=12), use_tqdm=False)[0].outputs[0].token_ids


def test_after_a_step_that_failed_the_next_prompts_are_answered(monkeypatch):
    llm = model(async_scheduling=True)
    params = SamplingParams(temperature=0, max_tokens=8)
    execute = llm.engine.model_runner.execute
    monkeypatch.setattr(llm.engine.model_runner, "execute", lambda output, requests: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        llm.generate(TEXTS[:2], params, use_tqdm=False)
    monkeypatch.setattr(llm.engine.model_runner, "execute", execute)
    assert said(llm.generate(TEXTS[:2], params, use_tqdm=False)) == said(model().generate(TEXTS[:2], params, use_tqdm=False))


def test_a_request_without_a_token_ends_and_the_step_in_flight_computes_on(monkeypatch):
    """Of a request for which no token could be chosen, the next step is in flight already."""
    llm = model(async_scheduling=True)
    execute, steps = llm.engine.model_runner.execute, []

    def failing_once(output, requests):
        sampled = execute(output, requests)
        steps.append(output)
        if len(steps) == 2:
            sampled["0"].token_ids, sampled["0"].error = [], "NonFiniteLogitsError: on purpose"
        return sampled

    monkeypatch.setattr(llm.engine.model_runner, "execute", failing_once)
    params = SamplingParams(temperature=0, max_tokens=8)
    failed, fine = llm.generate(TEXTS[:2], params, use_tqdm=False)
    assert (failed.outputs[0].finish_reason, len(failed.outputs[0].token_ids)) == ("error", 1)
    assert said([fine]) == said(model().generate(TEXTS[1:2], params, use_tqdm=False))
