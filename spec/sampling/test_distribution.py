"""Whether tokens come as often as they should: many seeded draws against the model's own probabilities.

A G-test for each claim: if the engine samples rightly, it fails for one list of seeds in
a million. The seeds are fixed, so it fails always or never.
"""
import math
from collections import Counter

from spec.bench import claim, prompts

DRAW = "v1/sample/ops/topk_topp_sampler.py::TopKTopPSampler.forward_cpu"
CPU = "v1/sample/ops/topk_topp_sampler.py::apply_top_k_top_p_pytorch"
TEMPERATURE = "v1/sample/sampler.py::Sampler.apply_temperature"
CHILD = "v1/engine/parallel_sampling.py::ParentRequest._get_child_sampling_params"
ERROR_RATE = 1e-6
MANY = 400
START = "Elizabeth was"
EIGHT = list(range(269, 277))

plain = (prompts().ask("model", START, max_tokens=1, logprobs=20)
         .ask("many", START, n=MANY, max_tokens=1, temperature=1.0, seed=1000))
shown = prompts(logprobs_mode="processed_logits", max_logprobs=-1).ask("model", START, max_tokens=1, logprobs=8, allowed_token_ids=EIGHT)
MANY_OF_EIGHT = {"n": MANY, "max_tokens": 1, "allowed_token_ids": EIGHT}
hot = shown.ask("many", START, temperature=2.0, seed=2000, **MANY_OF_EIGHT)
top_k = shown.ask("many", START, temperature=2.0, top_k=3, seed=3000, **MANY_OF_EIGHT)
top_p = shown.ask("many", START, temperature=2.0, top_p=0.75, seed=4000, **MANY_OF_EIGHT)
strangers = shown
for number in range(200):
    strangers = strangers.ask(f"{number}", START, max_tokens=1, temperature=2.0, seed=number * 7919 + 5, allowed_token_ids=EIGHT)


def chance(g, degrees):
    """How likely a G-statistic of at least `g` is, if all is right: the tail of chi-square."""
    a, tail = (0.5, math.erfc(math.sqrt(g / 2))) if degrees % 2 else (1.0, math.exp(-g / 2))
    while a < degrees / 2:
        tail += math.exp(a * math.log(g / 2) - g / 2 - math.lgamma(a + 1))
        a += 1
    return tail


def g_test(chosen, probabilities):
    """How likely such a choice is. What is expected less than 8 times is put together with the rest."""
    total, counted = len(chosen), Counter(chosen)
    expected = {token: total * share for token, share in probabilities.items() if total * share >= 8}
    observed = {token: counted[token] for token in expected}
    rest = total - sum(expected.values())
    if rest > 1e-6 * total:
        expected["rest"], observed["rest"] = rest, total - sum(observed.values())
    g = 2 * sum(count * math.log(count / expected[token]) for token, count in observed.items() if count)
    return chance(g, len(expected) - 1), observed, {token: round(value, 1) for token, value in expected.items()}


def shares(run, temperature, keep=8):
    """The probabilities of the `keep` likeliest of the eight tokens."""
    logits = {token: entry.logprob / temperature for token, entry in run.of("model").logprobs[0].items()}
    logits = {token: logits[token] for token in sorted(logits, key=logits.get, reverse=True)[:keep]}
    total = sum(map(math.exp, logits.values()))
    return {token: math.exp(logit) / total for token, logit in logits.items()}


def first_tokens(run):
    return [done.token_ids[0] for done in run.requests["many"].outputs]


@claim("At temperature 1 a token comes as often as its logprob says.", on=plain, about=("sampling", "logprobs"), vllm=DRAW)
def test_tokens_come_as_often_as_the_model_says(run):
    told = {token: math.exp(entry.logprob) for token, entry in run.of("model").logprobs[0].items()}
    likely, observed, expected = g_test(first_tokens(run), told)
    assert likely > ERROR_RATE, f"{observed} where {expected} is expected: chance {likely:.1e}"


@claim("At temperature 2 a token comes as often as half its logit says.", on=hot, about="sampling", vllm=TEMPERATURE)
def test_a_hot_token_comes_as_often_as_it_should(run):
    likely, observed, expected = g_test(first_tokens(run), shares(run, 2.0))
    assert likely > ERROR_RATE, f"{observed} where {expected} is expected: chance {likely:.1e}"
    cold, _, _ = g_test(first_tokens(run), shares(run, 1.0))
    assert cold < ERROR_RATE, f"the test would not see the difference to temperature 1: chance {cold:.1e}"


@claim("What top_k leaves comes as often as its share of what is left.", on=top_k, about="sampling", vllm=CPU)
def test_top_k_shares_out_the_rest(run):
    likely, observed, expected = g_test(first_tokens(run), shares(run, 2.0, keep=3))
    assert likely > ERROR_RATE and sum(observed.values()) == MANY, f"{observed} where {expected} is expected: chance {likely:.1e}"
    assert set(first_tokens(run)) == set(shares(run, 2.0, keep=3)), f"{observed}"


@claim("What top_p leaves comes as often as its share of what is left.", on=top_p, about="sampling", vllm=CPU)
def test_top_p_shares_out_the_rest(run):
    left = len(set(first_tokens(run)))
    together = sum(list(shares(run, 2.0).values())[:left])
    assert together >= 0.75 > sum(list(shares(run, 2.0).values())[:left - 1]), f"{left} tokens have {together:.2f} together"
    likely, observed, expected = g_test(first_tokens(run), shares(run, 2.0, keep=left))
    assert likely > ERROR_RATE, f"{observed} where {expected} is expected: chance {likely:.1e}"


@claim("Requests with seeds of their own draw as the n sequences of one do.", on=strangers, about="sampling", vllm=DRAW)
def test_many_requests_draw_as_one(run):
    chosen = [output.outputs[0].token_ids[0] for name, output in run.requests.items() if name != "model"]
    likely, observed, expected = g_test(chosen, shares(run, 2.0))
    assert likely > ERROR_RATE and len(chosen) == 200, f"{observed} where {expected} is expected: chance {likely:.1e}"


# The children of a request have seeds one after the other; a poor generator starts alike for such seeds.
@claim("Seeds that follow one another draw independently.", on=hot, about="several sequences", vllm=CHILD)
def test_neighbouring_seeds_are_independent(run):
    probabilities = shares(run, 2.0)
    best = max(probabilities, key=probabilities.get)
    hits = [token == best for token in first_tokens(run)]
    p = probabilities[best]
    pairs = {(a, b): (p if a else 1 - p) * (p if b else 1 - p) for a in (True, False) for b in (True, False)}
    likely, observed, expected = g_test(list(zip(hits[::2], hits[1::2])), pairs)
    assert likely > ERROR_RATE, f"{observed} where {expected} is expected of {MANY // 2} pairs: chance {likely:.1e}"
