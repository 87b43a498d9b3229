"""The rejection sampler: a request with drafts draws as it would without them, token by token.

Where a request is not greedy, what vLLM says is no measure on a CPU: see the last test. So our tokens are compared with
the probabilities themselves, and with our own of the same seed without drafts.
"""
import math

import pytest

from impl.request import Request
from impl.sampling_params import SamplingParams
from reference.vllm_scheduler import installed_device
from spec.engine.side_by_side import TEXTS, folder, needs_torch, needs_vllm, told
from spec.sampling.test_distribution import ERROR_RATE, g_test

MANY = 20_000
LOGITS = ([2.0, 1.0, 0.5, -1.0], [0.0, 0.3, 2.5, 1.0], [1.0, 1.0, 0.0, 2.0])     # of the last token and of two drafts
DRAFTS = (1, 2)
NGRAM = {"method": "ngram", "num_speculative_tokens": 3, "prompt_lookup_min": 1, "prompt_lookup_max": 3}


def verified(rows, drafts, **params):
    """What the rejection sampler says for one request, whose prompt is 3 0."""
    import torch
    from impl.rejection_sampler import RejectionSampler
    from impl.sampler import Sampler
    request = Request("a", [3, 0], SamplingParams(**{"temperature": 0} | params))
    return RejectionSampler(Sampler())(torch.tensor(rows), [request], [drafts])["a"]


@needs_torch
@pytest.mark.parametrize("drafts, said, why", [
    ((), [0], "nobody drafted"), ((1, 2), [0], "the first is wrong, and what is right behind it counts for nothing"),
    ((0, 1), [0, 2], "the second is wrong: what the model says in its place"), ((0, 2), [0, 2, 3], "all are right: one comes on top"),
    ((-1, -1), [0], "placeholders are never right"), ((0, -1), [0, 2], "nor is one behind a draft that is"),
])
def test_greedy_requests_say_what_the_model_says(drafts, said, why):
    assert verified(LOGITS[:len(drafts) + 1], drafts).token_ids == said, why


@needs_torch
def test_what_looks_back_sees_the_drafts():
    """Said once, a token is much less likely: the second row would say 2, and the third 3."""
    assert verified(LOGITS, (0, 2), frequency_penalty=2.0).token_ids == [0, 2, 3]
    assert verified([LOGITS[1], LOGITS[1], LOGITS[2]], (2, 3), frequency_penalty=2.0).token_ids == [2, 3, 0]
    assert verified([LOGITS[1], LOGITS[1], LOGITS[2]], (2, 3), bad_words_token_ids=((2, 3),)).token_ids == [2, 2]


@needs_torch
def test_each_token_has_its_logprobs_and_no_rejected_draft_has_any():
    sampled = verified(LOGITS, (0, 1), logprobs=0)
    assert [list(ranked) for ranked in sampled.logprobs] == [[0], [2]]
    for token_id, ranked, row in zip(sampled.token_ids, sampled.logprobs, LOGITS):
        assert ranked[token_id][0] == pytest.approx(row[token_id] - math.log(sum(map(math.exp, row))), abs=1e-5)


@needs_torch
def test_logits_that_are_no_numbers_count_only_where_they_are_reached():
    broken = [LOGITS[0], [math.nan] * 4, LOGITS[2]]
    assert verified(broken, (1, 2)).token_ids == [0]
    reached = verified(broken, (0, 2))
    assert reached.token_ids == [] and "NonFiniteLogitsError" in reached.error


def shares(row, temperature=1.0, keep=range(4)):
    weights = {token_id: math.exp(row[token_id] / temperature) for token_id in keep}
    return {token_id: weight / sum(weights.values()) for token_id, weight in weights.items()}


def outcomes(rows):
    """How probable each answer is, by what a draft is for: each row counts if the drafts before it came."""
    (first, second, third), (one, two) = rows, DRAFTS
    told = {(token_id,): share for token_id, share in first.items() if token_id != one}
    told |= {(one, token_id): first.get(one, 0) * share for token_id, share in second.items() if token_id != two}
    return told | {(one, two, token_id): first.get(one, 0) * second.get(two, 0) * share for token_id, share in third.items()}


@needs_torch
@pytest.mark.parametrize("seeds", [False, True], ids=["unseeded", "seeded"])
@pytest.mark.parametrize("params, rows", [
    ({"temperature": 1.0}, [shares(row) for row in LOGITS]), ({"temperature": 0.5}, [shares(row, 0.5) for row in LOGITS]),
    ({"temperature": 2.0, "top_k": 2}, [shares(LOGITS[0], 2.0, (0, 1)), shares(LOGITS[1], 2.0, (2, 3)), shares(LOGITS[2], 2.0, (0, 1, 3))]),
], ids=["plain", "cold", "top-k, with a tie"])
def test_answers_come_as_often_as_they_should(params, rows, seeds):
    import torch
    from impl.rejection_sampler import RejectionSampler
    from impl.sampler import Sampler
    requests = [Request(str(number), [3], SamplingParams(**params, seed=number if seeds else None)) for number in range(MANY)]
    said = RejectionSampler(Sampler(seed=1))(torch.tensor(LOGITS).repeat(MANY, 1), requests, [DRAFTS] * MANY)
    answers = [tuple(sampled.token_ids) for sampled in said.values()]
    expected = outcomes(rows)
    assert sum(expected.values()) == pytest.approx(1.0) and set(answers) == {answer for answer, share in expected.items() if share}
    likely, observed, wanted = g_test(answers, expected)
    assert likely > ERROR_RATE, f"{observed} where {wanted} is expected: chance {likely:.1e}"


@needs_torch
@pytest.mark.parametrize("model", ["qwen3", "llama"])
def test_a_seed_says_with_drafts_what_it_says_without(model):
    from impl.llm import LLM
    limits = {"block_size": 32, "num_gpu_blocks_override": 49, "max_model_len": 512, "max_num_batched_tokens": 256, "max_num_seqs": 16}
    params = SamplingParams(temperature=0.8, seed=3, n=2, max_tokens=100, ignore_eos=True, frequency_penalty=-1.5, top_p=0.95, logprobs=1)
    drafting = LLM(folder(model), speculative_config=NGRAM, **limits)
    assert told(drafting.generate(TEXTS, params)) == told(LLM(folder(model), **limits).generate(TEXTS, params))
    stats = drafting.engine.scheduler.speculation.stats
    assert stats.num_accepted_tokens > 100 and stats.num_draft_tokens - stats.num_accepted_tokens > 100


@needs_vllm
@pytest.mark.skipif(installed_device() != "cpu", reason="this is about vLLM's build for CPUs; ask where that build is installed ('LAB=cpu make setup')")
def test_on_a_cpu_vllm_leaves_the_temperature_of_drafts_to_chance():
    """It writes them into a copy, so that drafts are verified at whatever was in memory, and with a top_k from there crashes."""
    from reference.vllm_sampler import expanded_on_cpu
    assert expanded_on_cpu([0.5, 2.0], [2, 1], unset=-7.0) == [-7.0] * 3, "vLLM has mended it: compare seeded tokens beside drafts with vLLM's"
