"""A session: what the engines make of what is asked of them, and what is written down of it."""
import json

import pytest

import impl
from reference import prompts
from reference.generate import OurGenerator, generate
from reference.timeline import timeline
from spec.engine.side_by_side import needs_torch, needs_vllm
from spec.live.by_hand import ask, begin, driver, errors, finish, lines, steps, text, tokens

pytestmark = needs_torch
PROMPTS = ["Elizabeth was", "It is a truth universally acknowledged, that a single man in possession of a good fortune", "Mr. Darcy"]


def test_it_says_what_our_llm_says(driver):
    """Prompts that come in between, chunks and waiting change nothing of what each is answered."""
    from impl import LLM, SamplingParams
    from reference.prompts import CHECKPOINTS
    begin(driver)
    ask(driver, PROMPTS[0])
    driver.turn()
    ask(driver, PROMPTS[1])
    driver.turn()
    ask(driver, PROMPTS[2], temperature=0.9, seed=5)
    finish(driver)
    params = [SamplingParams(temperature=0, max_tokens=12)] * 2 + [SamplingParams(temperature=0.9, seed=5, max_tokens=12)]
    alone = LLM(str(CHECKPOINTS / "qwen3"), dtype="float32").generate(PROMPTS, params, use_tqdm=False)
    assert tokens(driver) == {str(number): output.outputs[0].token_ids for number, output in enumerate(alone, 1)}
    assert [text(driver, str(number)) for number in (1, 2, 3)] == [output.outputs[0].text for output in alone]
    assert [share for step in steps(driver) for share in step["scheduled"] if share[1] == "running" and share[2] > 1], "the long prompt was meant to come in chunks"


def test_the_more_urgent_is_admitted_first(driver):
    begin(driver, policy="priority", max_num_seqs=1)
    for priority in (5, 5, -1):
        ask(driver, "Elizabeth", priority=priority)
    finish(driver)
    assert [share[0] for step in steps(driver) for share in step["scheduled"] if share[1] == "new"] == ["3", "1", "2"]


def test_an_aborted_request_gives_its_blocks_back(driver):
    begin(driver)
    ask(driver, "Elizabeth was")
    ask(driver, "Mr. Darcy")
    driver.turn()
    driver.take({"do": "abort", "request_id": "1"})
    assert lines(driver, "abort") == [{"type": "abort", "id": "1"}]
    driver.turn()
    assert [share[0] for share in steps(driver)[1]["scheduled"]] == ["2"] and steps(driver)[1]["finished"] == ["1"]
    finish(driver)
    assert len(tokens(driver)["1"]) == 1 and len(tokens(driver)["2"]) == 12
    assert steps(driver)[-1]["updated"][:2] == [[], []] and len(driver.session.engines[0].generator.engine.scheduler.block_manager.free_blocks) == 19


@pytest.mark.parametrize("request_id", ["2", "1"], ids=["never was", "has finished"])
def test_whom_one_cannot_abort(driver, request_id):
    begin(driver)
    ask(driver, "Elizabeth was", max_tokens=1)
    finish(driver)
    driver.take({"do": "abort", "request_id": request_id})
    assert errors(driver) == [f"There is no request '{request_id}' to abort: it has finished, or never was."]
    assert not lines(driver, "abort")


def test_a_prompt_that_is_refused_leaves_the_others_alone(driver):
    begin(driver)
    ask(driver, "Elizabeth was")
    driver.turn()
    ask(driver, "Elizabeth was " * 200)
    ask(driver, "Mr. Darcy")
    finish(driver)
    [error] = errors(driver)
    assert "impl does not take the prompt: PromptTooLongError" in error and "raise max_model_len" in error
    assert {name: len(said) for name, said in tokens(driver).items()} == {"1": 12, "2": 12}
    assert [line["request"]["id"] for line in lines(driver, "request")] == ["1", "2"]


def test_a_crowd_is_not_taken(driver):
    begin(driver)
    for _ in range(65):
        ask(driver, "a")
    assert len(lines(driver, "request")) == 64 and "no more are taken" in errors(driver)[0]


def test_an_engine_that_crashes_is_told_and_what_was_seen_stays(driver):
    begin(driver)
    ask(driver, "Elizabeth was")
    driver.turn()
    driver.session.engines[0].generator.engine.model_runner.execute = lambda *_: 1 / 0
    driver.turn()
    assert "impl crashed in step 1: ZeroDivisionError" in errors(driver)[0] and not driver.session.unfinished
    ask(driver, "Mr. Darcy")
    assert lines(driver, "control")[-1]["crashed"] and len(lines(driver, "request")) == 1
    begin(driver)
    ask(driver, "Mr. Darcy")
    finish(driver)
    assert len(tokens(driver)["1"]) == 12 and len(steps(driver, file=0)) == 2


def test_the_session_can_be_made_a_claim_of(driver):
    """What was typed, as Python, does again what was seen: each decision in each step, and each text."""
    begin(driver, policy="priority", num_blocks=6, max_num_seqs=3)
    ask(driver, PROMPTS[0], max_tokens=30)
    driver.turn()
    ask(driver, PROMPTS[1], priority=2, max_tokens=30)
    driver.turn()
    ask(driver, PROMPTS[2], priority=-1, temperature=0.9, seed=3)
    driver.turn()
    driver.take({"do": "abort", "request_id": "1"})
    finish(driver)
    seen = steps(driver)
    driver.take({"do": "save"})
    [line] = lines(driver, "workload", file=0)
    asked = eval(line["source"], {"prompts": prompts.prompts})
    again = timeline(generate(asked, lambda asked: OurGenerator(impl, asked), "impl"))
    assert json.loads(json.dumps(again["steps"])) == seen and len(seen) > 20
    assert [line["request"] for line in lines(driver, "request", file=0)] == again["requests"]


@needs_vllm
def test_both_engines_in_step(driver):
    """The real vLLM beside ours: the same steps; its refusals are told; a difference is told once."""
    begin(driver, "both", num_blocks=7, block_size=32, max_num_batched_tokens=32)
    ask(driver, PROMPTS[0], max_tokens=40)
    driver.turn()
    ask(driver, PROMPTS[1] * 2, max_tokens=40)
    ask(driver, "Elizabeth was " * 200)
    finish(driver)
    assert [error.split(" does not")[0] for error in errors(driver)] == ["impl", "vLLM"]
    ours, theirs = ([step | {"reasons": None} for step in steps(driver, side)] for side in ("ours", "theirs"))
    assert ours == theirs and len(ours) == 40 and tokens(driver).keys() == {"1", "2"}
    assert not [line for line in lines(driver, "note") if line["kind"] == "difference"]

    driver.take({"do": "save"})
    ask(driver, PROMPTS[0])
    driver.turn()
    run, sampled = driver.session.engines[0].generator.engine.model_runner, 7
    execute = run.execute

    def another(*asked):
        new = execute(*asked)
        for each in new.values():
            each.token_ids = [sampled]
        return new

    run.execute = another
    for _ in range(3):
        driver.turn()
    [told] = [line["text"] for line in lines(driver, "note") if line["kind"] == "difference"]
    assert told == "The engines part in step 1: outputs differs."
    driver.take({"do": "abort", "request_id": "1"})
