"""Top-k, top-p and min-p: which tokens may still come, at the edges, at ties (as vLLM's build for CPUs treats them), and one after the other.

Eight tokens are allowed, so that the engine's own processed logits tell the whole set
that is left. What should be left is worked out by hand from the logits of a greedy request.
"""
import math

from spec.bench import claim, prompts

CPU = "v1/sample/ops/topk_topp_sampler.py::apply_top_k_top_p_pytorch"
TOP_K_ONLY = "v1/sample/ops/topk_topp_sampler.py::apply_top_k_only"
MIN_P = "v1/sample/logits_processor/builtin.py::MinPLogitsProcessor.apply"
SAMPLE = "v1/sample/sampler.py::Sampler.sample"
ADD = "v1/worker/gpu_input_batch.py::InputBatch.add_request"
START = "Elizabeth was"
EIGHT = list(range(269, 277))
TIED = {"allowed_token_ids": [50, 51, 52, 60], "logit_bias": {50: 1e9, 51: 1e9, 52: 1e9}}     # so large that float32 forgets the logits

shown = prompts(logprobs_mode="processed_logits", max_logprobs=-1).ask("raw", START, max_tokens=1, logprobs=10, allowed_token_ids=EIGHT)


def sampled(name, asked=shown, temperature=1.0, **filters):
    return asked.ask(name, START, max_tokens=1, logprobs=10, allowed_token_ids=EIGHT, temperature=temperature, seed=1, **filters)


def sampled_each(asked=shown, **by_name):
    for name, filters in by_name.items():
        asked = sampled(name, asked, **filters)
    return asked


def left(run, request_id):
    """The tokens that may still come."""
    return {token for token, entry in run.of(request_id).logprobs[0].items() if entry.logprob > float("-inf")}


def by_hand(run, *, temperature=1.0, min_p=0.0, top_k=None, top_p=1.0):
    """What should be left, in vLLM's order: temperature, min-p, top-k, top-p."""
    logits = {token: entry.logprob / temperature for token, entry in run.of("raw").logprobs[0].items() if entry.logprob > float("-inf")}
    likely = sorted(logits, key=logits.get, reverse=True)
    likely = [token for token in likely if math.exp(logits[token] - logits[likely[0]]) >= min_p][:top_k]
    total, kept, before = sum(math.exp(logits[token]) for token in likely), set(), 0.0
    for token in likely:
        if not kept or before < top_p:
            kept.add(token)
        before += math.exp(logits[token]) / total
    return kept


ks = sampled_each(**{f"k={k}": {"top_k": k} for k in (-1, 0, 1, 3, 7, 8, 9, 5000)})
ps = sampled_each(**{f"p={p}": {"top_p": p, "temperature": 2.0} for p in (1e-9, 0.3, 0.6, 0.9, 1.0)})
temperatures = sampled_each(warm={"top_p": 0.6}, hot={"top_p": 0.6, "temperature": 2.0})
min_ps = sampled_each(**{f"min_p={p}": {"min_p": p, "temperature": 2.0} for p in (0.0, 0.045, 0.27, 1.0)})
min_p_at_temperatures = sampled_each(warm={"min_p": 0.27}, hot={"min_p": 0.27, "temperature": 2.0})
k_then_p = sampled_each(both={"top_k": 2, "top_p": 0.6, "temperature": 2.0}, p={"top_p": 0.6, "temperature": 2.0})
min_p_then_p = sampled_each(both={"min_p": 0.27, "top_p": 0.73, "temperature": 2.0}, p={"top_p": 0.73, "temperature": 2.0})
absolute = sampled_each(half={"min_p": 0.6, "temperature": 2.0})
ties = (prompts(logprobs_mode="processed_logits", max_logprobs=-1)
        .ask("k=1", START, max_tokens=1, logprobs=6, temperature=1.0, seed=1, top_k=1, **TIED)
        .ask("k=1 and p", START, max_tokens=1, logprobs=6, temperature=1.0, seed=1, top_k=1, top_p=0.99, **TIED)
        .ask("p=0.5", START, max_tokens=1, logprobs=6, temperature=1.0, seed=1, top_p=0.5, **TIED))
FAR_APART = {"allowed_token_ids": [50, 51, 52], "logit_bias": {50: 2e9, 51: 1e9, 52: 1e9}}
far_apart_alone = (prompts(logprobs_mode="processed_logits", max_logprobs=-1)
                   .ask("a", START, max_tokens=1, logprobs=5, temperature=1.0, seed=1, **FAR_APART))
far_apart_beside_top_p = far_apart_alone.ask("mate", START, max_tokens=1, temperature=1.0, seed=1, top_p=0.9)
mixed = sampled_each(few={"top_k": 2}, many={"top_k": 6}, all={}, nucleus={"top_p": 0.6, "temperature": 2.0})


@claim("top_k=k leaves the k likeliest tokens.", on=ks, about="sampling", vllm=TOP_K_ONLY)
def test_top_k_leaves_k(run):
    for k in (1, 3, 7):
        assert left(run, f"k={k}") == by_hand(run, top_k=k), f"top_k={k} left {left(run, f'k={k}')}"


@claim("top_k of 0, of -1 and of more than the vocabulary leave every token.", on=ks, about="sampling", vllm=ADD)
def test_top_k_beyond_its_edges_leaves_all(run):
    for k in (-1, 0, 8, 9, 5000):
        assert left(run, f"k={k}") == set(EIGHT), f"top_k={k} left {left(run, f'k={k}')}"


# Other libraries, and vLLM for years, wanted -1 or at least 1.
@claim("top_k=0 is refused.", on=ks, about="sampling", vllm="sampling_params.py::SamplingParams._verify_args", misconception=True)
def test_top_k_of_zero_is_refused(run):
    assert "k=0" in run.refused, f"it is taken, and leaves {len(left(run, 'k=0'))} of 8 tokens"


@claim("top_k=1 leaves one token.", on=ties, about="sampling", vllm=TOP_K_ONLY, misconception=True, build="cpu")
def test_top_k_of_one_leaves_one(run):
    assert len(left(run, "k=1")) == 1, f"{left(run, 'k=1')} are equally likely, and all of them stay"


@claim("All tokens that are as likely as the k-th stay, on the way with and on that without top_p.", on=ties, about="sampling", vllm=CPU, build="cpu")
def test_ties_at_the_kth_place_stay(run):
    for name in ("k=1", "k=1 and p"):
        assert left(run, name) == {50, 51, 52}, f"{name} left {left(run, name)} of three that are equally likely"


@claim("Unlike top_k, top_p parts tokens that are equally likely: it leaves as few as it needs.", on=ties, about="sampling", vllm=CPU, build="cpu")
def test_top_p_parts_ties(run):
    chosen = left(run, "p=0.5")
    assert len(chosen) == 2 and chosen < {50, 51, 52}, f"of three with a third each, {chosen} are left for half of the probability"


@claim("top_p leaves the fewest likeliest tokens that reach it together: the one that crosses the bound stays.",
       on=ps, about="sampling", vllm=CPU)
def test_the_token_that_crosses_top_p_stays(run):
    for p in (0.3, 0.6, 0.9):
        assert left(run, f"p={p}") == by_hand(run, temperature=2.0, top_p=p), f"top_p={p} left {left(run, f'p={p}')}"
    assert 1 == len(left(run, "p=0.3")) < len(left(run, "p=0.6")) < len(left(run, "p=0.9")) < 8


@claim("However small top_p is, the likeliest token stays.", on=ps, about="sampling", vllm=CPU)
def test_top_p_leaves_one_at_least(run):
    assert left(run, "p=1e-09") == by_hand(run, top_k=1), f"top_p=1e-9 left {left(run, 'p=1e-09')}"


@claim("top_p=1 leaves every token that has a probability.", on=ps, about="sampling", vllm=CPU)
def test_top_p_of_one_leaves_all(run):
    assert left(run, "p=1.0") == set(EIGHT), f"top_p=1 left {left(run, 'p=1.0')}"


@claim("The temperature comes before top_p: the hotter, the more tokens it leaves.", on=temperatures, about="sampling", vllm=SAMPLE)
def test_the_temperature_comes_before_top_p(run):
    for name, temperature in (("warm", 1.0), ("hot", 2.0)):
        assert left(run, name) == by_hand(run, temperature=temperature, top_p=0.6), f"{name}: {left(run, name)}"
    assert len(left(run, "warm")) < len(left(run, "hot"))


@claim("top_p counts what top_k has left as the whole.", on=k_then_p, about="sampling", vllm=CPU)
def test_top_p_shares_out_what_top_k_left(run):
    assert left(run, "both") == by_hand(run, temperature=2.0, top_k=2, top_p=0.6)
    assert len(left(run, "both")) == 1 < len(left(run, "p")), f"alone, top_p leaves {left(run, 'p')}; after top_k=2, {left(run, 'both')}"


@claim("With both set, what is left is what top_k and top_p leave each by itself, cut with one another.",
       on=sampled("k", k_then_p, top_k=2, temperature=2.0), about="sampling", vllm=CPU, misconception=True)
def test_top_k_and_top_p_are_independent(run):
    assert left(run, "both") == left(run, "k") & left(run, "p"), f"{left(run, 'k')} and {left(run, 'p')}, but together {left(run, 'both')}"


@claim("min_p leaves the tokens that are at least that many times as likely as the likeliest.", on=min_ps, about="sampling", vllm=MIN_P)
def test_min_p_is_relative(run):
    for p in (0.0, 0.045, 0.27):
        assert left(run, f"min_p={p}") == by_hand(run, temperature=2.0, min_p=p), f"min_p={p} left {left(run, f'min_p={p}')}"
    assert 1 < len(left(run, "min_p=0.27")) < len(left(run, "min_p=0.045")) < len(left(run, "min_p=0.0")) == 8


@claim("min_p=1 leaves the likeliest token alone.", on=min_ps, about="sampling", vllm=MIN_P)
def test_min_p_of_one_leaves_the_likeliest(run):
    assert left(run, "min_p=1.0") == by_hand(run, top_k=1), f"min_p=1 left {left(run, 'min_p=1.0')}"


@claim("min_p is the probability below which a token cannot come.", on=absolute, about="sampling", vllm=MIN_P, misconception=True)
def test_min_p_is_absolute(run):
    logits = [entry.logprob / 2 for entry in run.of("raw").logprobs[0].values()]
    for token in left(run, "half"):
        share = math.exp(run.of("half").logprobs[0][token].logprob) / sum(map(math.exp, logits))
        assert share >= 0.6, f"token {token} has the probability {share:.2f} and stays with min_p=0.6"


@claim("The temperature comes before min_p: the hotter, the more tokens it leaves.", on=min_p_at_temperatures, about="sampling", vllm=SAMPLE)
def test_the_temperature_comes_before_min_p(run):
    for name, temperature in (("warm", 1.0), ("hot", 2.0)):
        assert left(run, name) == by_hand(run, temperature=temperature, min_p=0.27), f"{name}: {left(run, name)}"
    assert len(left(run, "warm")) < len(left(run, "hot"))


@claim("min_p comes before top_p, which counts what min_p has left as the whole.", on=min_p_then_p, about="sampling", vllm=SAMPLE)
def test_min_p_comes_before_top_p(run):
    assert left(run, "both") == by_hand(run, temperature=2.0, min_p=0.27, top_p=0.73), f"{left(run, 'both')}"
    assert len(left(run, "both")) < len(left(run, "p")), f"alone, top_p leaves {left(run, 'p')}; after min_p, {left(run, 'both')}"


@claim("Each request of a batch is filtered by its own bounds.", on=mixed, about="sampling", vllm=CPU)
def test_each_has_its_own_filters(run):
    assert [len(left(run, name)) for name in ("few", "many", "all")] == [2, 6, 8]
    assert left(run, "nucleus") == by_hand(run, temperature=2.0, top_p=0.6)


# With one top_p in the batch all rows take that way, and its bound for top_p=1 drops what adds up to exactly 0.
@claim("Beside a mate with top_p, a request with top_p=1 loses the tokens whose probability is too small for float32.",
       on=(far_apart_alone, far_apart_beside_top_p), about="sampling", vllm=CPU, build="cpu")
def test_a_mate_with_top_p_drops_what_cannot_come(alone, beside):
    assert left(alone, "a") == {50, 51, 52}, f"alone, {left(alone, 'a')}"
    assert left(beside, "a") == {50}, f"beside, {left(beside, 'a')}"
