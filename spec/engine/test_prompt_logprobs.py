"""The logprobs of a prompt's own tokens, beside vLLM's: values, ranks, order and texts, however the prompt was computed."""
import pytest

from impl.sampling_params import SamplingParams
from spec.engine.side_by_side import MODELS, NOISE, TEXTS, needs_vllm, our_llm, ours, theirs, token_prompts

pytestmark = [needs_vllm, pytest.mark.parametrize("model", MODELS)]


MANY = 2 * NOISE    # of thousands of values the farthest: 5.007e-5 was seen on one processor, 4.0e-5 on another


def asking(count, **more):
    return SamplingParams(**{"temperature": 0, "max_tokens": 3, "prompt_logprobs": count} | more)


def same(outputs, expected):
    for number, (mine, real) in enumerate(zip(outputs, expected, strict=True)):
        assert mine.prompt_logprobs[0] is None and real.prompt_logprobs[0] is None
        assert len(mine.prompt_logprobs) == len(real.prompt_logprobs) == len(mine.prompt_token_ids)
        for position, (ranked, real_ranked) in enumerate(zip(mine.prompt_logprobs[1:], real.prompt_logprobs[1:]), 1):
            where = f"prompt {number}, position {position}"
            own = mine.prompt_token_ids[position]
            assert next(iter(ranked)) == next(iter(real_ranked)) == own, where
            assert sorted(entry.logprob for entry in ranked.values()) == pytest.approx(sorted(entry.logprob for entry in real_ranked.values()), abs=MANY), where
            near = [entry.logprob for entry in real_ranked.values()]    # two that are closer than the noise may change places
            for token_id in ranked.keys() & real_ranked.keys():
                entry, real_entry = ranked[token_id], real_ranked[token_id]
                assert entry.decoded_token == real_entry.decoded_token, where
                if sum(abs(value - real_entry.logprob) < NOISE for value in near) == 1 and len(near) > 1 and real_entry.rank <= len(near):
                    assert entry.rank == real_entry.rank, where


@pytest.mark.parametrize("count", [0, 1, 5])
def test_texts(model, count):
    outputs, expected = ours(model, TEXTS, asking(count)), theirs(model, TEXTS, asking(count))
    same(outputs, expected)
    assert [output.outputs[0].token_ids for output in outputs] == [output.outputs[0].token_ids for output in expected]


def test_the_own_token_has_its_own_rank(model):
    for mine, real in zip(ours(model, TEXTS[:2], asking(0)), theirs(model, TEXTS[:2], asking(0))):
        ranks = [[entry.rank for ranked in output.prompt_logprobs[1:] for entry in ranked.values()] for output in (mine, real)]
        assert ranks[0] == ranks[1] and max(ranks[0]) > 20


@pytest.mark.parametrize("limits", [{"max_num_batched_tokens": 16}, {"num_gpu_blocks_override": 17}, {"enable_prefix_caching": False}],
                         ids=["small chunks", "crowded", "no prefix cache"])
def test_however_a_prompt_was_computed(model, limits):
    """In chunks, preempted on the way, over cached blocks: every token has its logprob."""
    prompts = token_prompts(model)
    many = asking(2, max_tokens=30)
    ours(model, prompts, SamplingParams(temperature=0, max_tokens=1), **limits)     # now the prompts are in the prefix cache
    same(ours(model, prompts, many, **limits), theirs(model, prompts, many))


def test_a_crowded_engine_preempts_prompts_under_way(model):
    """What the test above means by it happens."""
    llm = our_llm(model, num_gpu_blocks_override=17, max_num_batched_tokens=16)
    requests, prompts = [], token_prompts(model)
    add = llm.engine.scheduler.add_request
    llm.engine.scheduler.add_request = lambda request: (requests.append(request), add(request))
    try:
        same(llm.generate(prompts, asking(1, max_tokens=60)), theirs(model, prompts, asking(1, max_tokens=60)))
    finally:
        del llm.engine.scheduler.add_request
    assert any(request.num_preemptions for request in requests)


def test_only_those_who_ask_get_them(model):
    asked = [asking(2), asking(None), asking(0, temperature=0.8, seed=1)]
    outputs, expected = ours(model, TEXTS[:3], asked), theirs(model, TEXTS[:3], asked)
    same(outputs[::2], expected[::2])
    assert outputs[1].prompt_logprobs is None and expected[1].prompt_logprobs is None


def test_nothing_is_kept_of_who_has_gone(model):
    engine = our_llm(model, max_num_batched_tokens=16).engine
    engine.add_request("gone", list(range(100, 140)), asking(1))
    engine.step()
    assert engine.model_runner.sampler.prompt_logprobs.positions
    engine.abort("gone")
    ours(model, ["next"], asking(None), max_num_batched_tokens=16)
    assert not engine.model_runner.sampler.prompt_logprobs.positions
