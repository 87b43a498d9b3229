"""Greedy decoding: no chance, so every token must be the same."""
import pytest

from impl.sampling_params import SamplingParams
from spec.engine.side_by_side import MODELS, NOISE, TEXTS, needs_vllm, ours, theirs, token_prompts

pytestmark = [needs_vllm, pytest.mark.parametrize("model", MODELS)]
GREEDY = SamplingParams(temperature=0, max_tokens=40)


def told(outputs):
    return [(done.token_ids, done.text, done.finish_reason, done.stop_reason) for output in outputs for done in output.outputs]


def test_token_prompts_of_all_lengths_give_the_same_tokens(model):
    prompts = token_prompts(model)
    assert told(ours(model, prompts, GREEDY)) == told(theirs(model, prompts, GREEDY))


def test_texts_are_read_and_written_alike(model):
    outputs, expected = ours(model, TEXTS, GREEDY), theirs(model, TEXTS, GREEDY)
    assert [output.prompt_token_ids for output in outputs] == [output.prompt_token_ids for output in expected]
    assert told(outputs) == told(expected)


def test_logprobs_are_those_of_the_model(model):
    params = SamplingParams(temperature=0, max_tokens=16, logprobs=3)
    for output, expected in zip(ours(model, TEXTS, params), theirs(model, TEXTS, params), strict=True):
        mine, real = output.outputs[0], expected.outputs[0]
        assert mine.token_ids == real.token_ids
        assert mine.cumulative_logprob == pytest.approx(real.cumulative_logprob, abs=NOISE * 16)
        for position, (ranked, real_ranked) in enumerate(zip(mine.logprobs, real.logprobs, strict=True)):
            assert ranked.keys() == real_ranked.keys(), f"position {position}"
            for token_id, entry in ranked.items():
                assert entry.logprob == pytest.approx(real_ranked[token_id].logprob, abs=NOISE)
                assert (entry.rank, entry.decoded_token) == (real_ranked[token_id].rank, real_ranked[token_id].decoded_token)


@pytest.mark.parametrize("limits", [
    {"max_num_batched_tokens": 16}, {"num_blocks": 17}, {"enable_prefix_caching": False}, {"max_num_seqs": 1}, {"block_size": 3, "num_blocks": 175},
], ids=["small chunks", "crowded", "no prefix cache", "one by one", "odd blocks"])
def test_scheduling_changes_when_and_never_what(model, limits):
    """Chunks, preemptions, cache hits and batch mates may not change a token: vLLM's, under its own limits, are the measure."""
    prompts = token_prompts(model)
    assert told(ours(model, prompts, GREEDY, **limits)) == told(theirs(model, prompts, GREEDY))


@pytest.mark.parametrize("params", [
    {"repetition_penalty": 1.3}, {"presence_penalty": 1.5}, {"frequency_penalty": 0.7}, {"logit_bias": {11: 5.0, 12: -100.0}},
    {"allowed_token_ids": tuple(range(40, 90))}, {"min_tokens": 12, "stop_token_ids": tuple(range(0, 1000, 3))}, {"stop_token_ids": tuple(range(0, 1000, 7))},
    {"stop": ("e ", "th")}, {"stop": ("e ", "th"), "include_stop_str_in_output": True}, {"stop": (" ",), "min_tokens": 6},
], ids=lambda params: " ".join(params))
def test_what_changes_the_best_token_changes_it_alike(model, params):
    asked = SamplingParams(**{"temperature": 0, "max_tokens": 24} | params)
    assert told(ours(model, TEXTS, asked)) == told(theirs(model, TEXTS, asked))


def test_no_block_is_lost(model):
    from spec.engine.side_by_side import our_llm
    ours(model, token_prompts(model), GREEDY)
    manager = our_llm(model).engine.scheduler.block_manager
    assert len(manager.free_blocks) == manager.pool.num_blocks - 1
