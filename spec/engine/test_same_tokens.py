"""Greedy decoding over more than two hundred prompts a model: no chance is in it, so every token must be vLLM's."""
import pytest

from reference.prompts import MODELS, Prompts
from spec.bench import claim
from spec.engine.many_prompts import (CORPUS, LONGEST, UNICODE, UNTOLD, ask_all, at_random, long_ones, of_each_length,
                                      with_common_beginnings)

SAMPLER = "v1/sample/sampler.py::Sampler.forward"


def on_each_model(prompts_of) -> dict[str, Prompts]:
    return {model: prompts_of(model).of(model) for model in MODELS}


EACH_LENGTH = on_each_model(lambda model: ask_all(of_each_length(model), prompt_logprobs=0, **UNTOLD))
LONG = on_each_model(lambda model: ask_all(long_ones(model), max_tokens=1, prompt_logprobs=0, **UNTOLD))
COMMON = on_each_model(lambda model: ask_all(with_common_beginnings(model), **UNTOLD))
AT_RANDOM = on_each_model(lambda model: ask_all(at_random(model), prompt_logprobs=1, **UNTOLD))


def sampled(run):
    """Of each token that was sampled: the request, the position, and its entry among the logprobs."""
    for request_id, output in run.requests.items():
        done = output.outputs[0]
        for position, (token_id, ranked) in enumerate(zip(done.token_ids, done.logprobs, strict=True)):
            yield request_id, position, ranked[token_id], ranked


def assert_the_best_is_taken(run):
    for request_id, position, entry, ranked in sampled(run):
        assert entry.logprob == max(other.logprob for other in ranked.values()), f"{request_id}, position {position}: {ranked}"


@claim("Greedy decoding takes the most likely token, behind a prompt of each length from 1 to 64.",
       on=tuple(EACH_LENGTH.values()), about=("greedy", "prompt logprobs"), vllm=SAMPLER)
def test_the_best_token_behind_each_length(*runs):
    for run in runs:
        assert len(run.requests) == 64
        assert_the_best_is_taken(run)


@claim("A prompt may fill all of max_model_len but one token, and is answered by the most likely token.",
       on=tuple(LONG.values()), about=("greedy", "chunk", "prompt logprobs"), vllm="v1/engine/input_processor.py::InputProcessor._validate_prompt_len")
def test_the_longest_prompt_that_fits(*runs):
    for run in runs:
        assert max(len(output.prompt_token_ids) for output in run.requests.values()) == LONGEST
        assert all(len(output.outputs[0].token_ids) == 1 for output in run.requests.values()), "one token each was asked for"
        assert_the_best_is_taken(run)


@claim("Only whole blocks of a common beginning are found in the cache, and they change no token.",
       on=tuple(COMMON.values()), about=("greedy", "cache hit"), vllm="v1/core/single_type_kv_cache_manager.py::FullAttentionManager.find_longest_cache_hit")
def test_common_beginnings_are_found_by_the_block(*runs):
    for run in runs:
        found = {output.num_cached_tokens for output in run.requests.values()}
        assert all(number % 32 == 0 for number in found) and len(found) > 1, f"found {sorted(found)} tokens in blocks of 32"
        assert_the_best_is_taken(run)


@claim("Text in is tokens in: a prompt as text is answered by the most likely tokens behind its own ids.",
       on=ask_all(CORPUS, prompt_logprobs=1), about=("greedy", "prompt logprobs"), vllm="v1/engine/input_processor.py::InputProcessor.process_inputs")
def test_texts_of_the_corpus(run):
    assert all(output.prompt == text for output, text in zip(run.requests.values(), CORPUS, strict=True))
    assert_the_best_is_taken(run)


@claim("Text of any script is a prompt, and no answer ever shows half a character while it grows.",
       on=ask_all(UNICODE), about="greedy", vllm="v1/engine/detokenizer.py::FastIncrementalDetokenizer.decode_next")
def test_texts_of_any_script(run):
    assert not run.refused and len(run.requests) == len(UNICODE)
    for name, pieces in run.pieces.items():
        assert "".join(pieces) == run.text(name), f"{name} was shown as {pieces} and ends as {run.text(name)!r}"
    assert_the_best_is_taken(run)


@claim("Ids that no tokenizer would put in a row are a prompt like any other: each has a logprob, and the best answer is taken.",
       on=tuple(AT_RANDOM.values()), about=("greedy", "prompt logprobs"), vllm="v1/worker/gpu_model_runner.py::GPUModelRunner._get_prompt_logprobs_dict")
def test_ids_at_random(*runs):
    for run in runs:
        for output in run.requests.values():
            assert all(token_id in ranked for token_id, ranked in zip(output.prompt_token_ids[1:], output.prompt_logprobs[1:], strict=True))
        assert_the_best_is_taken(run)


@pytest.mark.parametrize("model", MODELS)
def test_there_are_two_hundred(model):
    asked = [EACH_LENGTH[model], LONG[model], COMMON[model], AT_RANDOM[model], ask_all(CORPUS), ask_all(UNICODE)]
    prompts = {ask.prompt for some in asked for ask in some.asks}
    assert len(prompts) >= 200, f"{len(prompts)} different prompts for {model}"
