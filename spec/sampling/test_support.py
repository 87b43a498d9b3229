"""Any logits, any parameters, any batch: the same tokens may come, with the same logprobs, and the same one does, as in vLLM's sampler."""
import os
from importlib.util import find_spec

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from impl.request import Request
from impl.sampling_params import SamplingParams
from reference.vllm_scheduler import installed_device

pytestmark = [
    pytest.mark.skipif((find_spec("vllm") is None or find_spec("torch") is None) and not os.environ.get("CI"),
                       reason="UNTESTED: the sampler is compared with the real vLLM's; 'make spec' installs it"),
    pytest.mark.skipif(installed_device() != "cpu", reason="about the sampler of vLLM's build for CPUs: ask where that is installed; "
                       "the kernels of its sampler on GPUs are compared in spec/kernels")]
VOCABULARY = 24
NEVER = float("-inf")
MODES = ("raw_logprobs", "raw_logits", "processed_logprobs", "processed_logits")

token_ids = st.integers(0, VOCABULARY - 1)
some = st.lists(token_ids, min_size=1, max_size=6, unique=True).map(tuple)
# Few values, so that many tie: where a tie is cut is what implementations differ in.
logit_rows = st.lists(st.sampled_from([-20.0, -2.0, -1.0, 0.0, 0.5, 0.5, 1.0, 3.0, 3.0, 9.0]), min_size=VOCABULARY, max_size=VOCABULARY)
SHAPING = {"top_k": st.integers(1, VOCABULARY + 2), "top_p": st.sampled_from([0.05, 0.3, 0.5, 0.9, 0.999]), "min_p": st.sampled_from([0.01, 0.1, 0.6, 1.0]),
           "allowed_token_ids": some, "bad_words_token_ids": st.lists(some, min_size=1, max_size=3).map(tuple),
           "logit_bias": st.dictionaries(token_ids, st.sampled_from([-100.0, -1.0, 0.5, 150.0]), min_size=1, max_size=4),
           "repetition_penalty": st.sampled_from([0.5, 1.3, 2.0]), "presence_penalty": st.sampled_from([-2.0, 0.5, 2.0]),
           "frequency_penalty": st.sampled_from([-1.0, 0.3, 2.0]), "min_tokens": st.integers(1, 6), "stop_token_ids": some}
parameters = st.fixed_dictionaries(
    {"temperature": st.sampled_from([0, 0, 0.01, 0.3, 1.0, 2.0]), "max_tokens": st.just(50), "seed": st.integers(0, 2**40)}, optional=SHAPING)
batches = st.lists(st.tuples(logit_rows, parameters, st.lists(token_ids, min_size=1, max_size=5), st.lists(token_ids, max_size=5)), min_size=1, max_size=5)


def requests_of(batch, **more):
    """The requests of a batch, as the sampler sees them in the middle of a generation."""
    requests = []
    for index, (_, params, prompt, output) in enumerate(batch):
        request = Request(str(index), prompt, SamplingParams(**params | more))
        request.token_ids += output
        requests.append(request)
    return requests


def ours(logits, requests, mode="raw_logprobs"):
    from impl.sampler import Sampler
    sampled = Sampler(mode)(logits, requests)
    return [(new.token_ids[0] if new.token_ids else None, new.logprobs and new.logprobs[0]) for new in (sampled[request.request_id] for request in requests)]


def close(mine, real):
    """The same tokens in the same order and ranks, and the same numbers but for noise. Where two tie, either may be named first."""
    import torch
    if mine is None or real is None:
        return mine is real
    numbers = [torch.tensor([value for value, _ in ranked.values()]) for ranked in (mine, real)]
    return (len(mine) == len(real) and torch.allclose(*numbers, atol=1e-5) and next(iter(mine)) == next(iter(real))
            and all(token_id not in real or (abs(value - real[token_id][0]) < 1e-5 or value == real[token_id][0])
                    for token_id, (value, _) in mine.items()))


def support(ranked):
    return {token_id for token_id, (value, _) in ranked.items() if value != NEVER}


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(batches, st.sampled_from(MODES))
def test_the_same_token_is_drawn_from_the_same_support(batch, mode):
    """Ours in a batch, vLLM's request by request: beside a request with top-p, vLLM itself reports others otherwise than alone."""
    import torch
    from reference.vllm_sampler import vllm_sample
    logits, requests = torch.tensor([row for row, *_ in batch]), requests_of(batch, logprobs=-1)
    for index, (token_id, ranked) in enumerate(ours(logits, requests, mode)):
        [(real_id, real)] = vllm_sample(logits[index:index + 1], requests[index:index + 1], mode)
        if token_id is None:    # everything is forbidden: vLLM gives token 0 all the same, ours ends the request
            assert real_id == 0 and (mode.startswith("raw") or all(value == NEVER or value != value for value, _ in real.values())), f"row {index}"
            continue
        assert token_id == real_id, f"row {index}"
        assert support(ranked) == support(real), f"row {index}"
        assert close(ranked, real), f"row {index}: {ranked} {real}"


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(batches)
def test_a_batch_draws_what_vllms_batch_draws(batch):
    import torch
    from reference.vllm_sampler import vllm_sample
    logits, requests = torch.tensor([row for row, *_ in batch]), requests_of(batch)
    for index, ((token_id, _), (real_id, _)) in enumerate(zip(ours(logits, requests), vllm_sample(logits, requests), strict=True)):
        assert token_id is None or token_id == real_id, f"row {index}"


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.permutations([float(value) for value in range(VOCABULARY)]), st.sampled_from([None, 0, 1, 3, 20])), min_size=1, max_size=5))
def test_everybody_gets_as_many_logprobs_as_he_asked_for(rows):
    import torch
    from reference.vllm_sampler import vllm_sample
    logits = torch.tensor([row for row, _ in rows])
    requests = [Request(str(index), [1], SamplingParams(logprobs=count, seed=index)) for index, (_, count) in enumerate(rows)]
    for index, ((_, ranked), (_, real)) in enumerate(zip(ours(logits, requests), vllm_sample(logits, requests), strict=True)):
        assert close(ranked, real), f"row {index}: {ranked} {real}"
        assert ranked is None or [rank for _, rank in ranked.values()] == [rank for _, rank in real.values()], f"row {index}"


def test_without_a_seed_each_token_comes_as_often_as_it_is_probable():
    """vLLM's support and logprobs are the measure; 20,000 draws, from a sampler's own seed."""
    import torch
    from reference.vllm_sampler import vllm_sample
    row = [3.0, 2.0, 2.0, 1.0, 0.0, -1.0] + [-20.0] * (VOCABULARY - 6)
    batch = [(row, {"temperature": 0.7, "top_k": 4}, [1], [])]
    [(_, real)] = vllm_sample(torch.tensor([row]), requests_of(batch, logprobs=-1), "processed_logprobs")
    probable = torch.zeros(VOCABULARY)
    for token_id, (logprob, _) in real.items():
        probable[token_id] = torch.tensor(logprob).exp()
    draws = 20_000
    requests = [Request(str(index), [1], SamplingParams(temperature=0.7, top_k=4)) for index in range(draws)]
    drawn = torch.tensor([token_id for token_id, _ in ours(torch.tensor([row]).expand(draws, -1), requests)])
    counts = drawn.bincount(minlength=VOCABULARY).float()
    assert counts[probable == 0].sum() == 0
    assert ((counts / draws - probable).abs() < 4 * (probable * (1 - probable) / draws).sqrt() + 1e-9).all()


def test_the_draw_of_a_seed_is_vllms_over_a_large_vocabulary():
    import torch
    from reference.vllm_sampler import vllm_sample
    torch.manual_seed(3)
    logits = torch.randn(8, 32_000) * 2
    requests = [Request(str(seed), [1], SamplingParams(seed=seed, temperature=0.9)) for seed in range(8)]
    mine = [token_id for token_id, _ in ours(logits, requests)]
    assert mine == [token_id for token_id, _ in vllm_sample(logits, requests)] and len(set(mine)) > 4
