"""Logprobs: how many are told, of which tokens, in which order, and what they are of: the model, not the sampling."""
import math

from spec.bench import claim, prompts

GATHER = "v1/sample/sampler.py::Sampler.gather_logprobs"
FORWARD = "v1/sample/sampler.py::Sampler.forward"
APPEND = "logprobs.py::append_logprobs_for_next_position"
PROCESSOR = "v1/engine/logprobs.py::LogprobsProcessor._update_sample_logprobs"
PROMPT = "v1/worker/gpu_model_runner.py::GPUModelRunner._get_prompt_logprobs_dict"
VALIDATE = "sampling_params.py::SamplingParams._validate_logprobs"
PARAMS = "sampling_params.py::SamplingParams.__post_init__"
START = "Elizabeth was"
LONG = [5, 6, 7, 8, 9] * 14      # 70 tokens: two full blocks and some

counts = (prompts().ask("none", START, max_tokens=4).ask("0", START, max_tokens=4, logprobs=0).ask("3", START, max_tokens=4, logprobs=3)
          .ask("20", START, max_tokens=4, logprobs=20))
hot = prompts().ask("hot", START, max_tokens=12, temperature=2.0, seed=1, logprobs=3).ask("greedy", START, max_tokens=1, logprobs=3)
FREELY = {"temperature": 2.0, "seed": 1}
changed = (prompts().ask("plain", START, max_tokens=1, logprobs=5)
           .ask("hot", START, max_tokens=1, logprobs=5, **FREELY)
           .ask("filtered", START, max_tokens=1, logprobs=5, top_k=2, top_p=0.5, min_p=0.1, **FREELY)
           .ask("biased", START, max_tokens=1, logprobs=5, logit_bias={50: 100.0})
           .ask("penalised", START, max_tokens=1, logprobs=5, repetition_penalty=2.0)
           .ask("allowed", START, max_tokens=1, logprobs=5, allowed_token_ids=[50]))
processed = (prompts(logprobs_mode="processed_logprobs").ask("plain", START, max_tokens=1, logprobs=20)
             .ask("hot", START, max_tokens=1, logprobs=20, **FREELY)
             .ask("two", START, max_tokens=1, logprobs=20, top_k=2, temperature=1.0, seed=1)
             .ask("biased", START, max_tokens=1, logprobs=1, logit_bias={50: 100.0}))
whole = prompts(max_logprobs=-1).ask("all", START, max_tokens=1, logprobs=-1)
too_many = (prompts().ask("21", START, logprobs=21).ask("-1", START, logprobs=-1).ask("prompt 21", START, prompt_logprobs=21)
            .ask("20", START, max_tokens=1, logprobs=20, prompt_logprobs=20))
of_prompt = (prompts().ask("0", LONG, max_tokens=1, prompt_logprobs=0).ask("2", LONG, max_tokens=1, prompt_logprobs=2)
             .ask("hot", LONG, max_tokens=1, prompt_logprobs=2, repetition_penalty=2.0, **FREELY)
             .ask("one", [5], max_tokens=1, prompt_logprobs=2))
in_chunks = prompts(max_num_batched_tokens=16).ask("2", LONG, max_tokens=1, prompt_logprobs=2)
cached = (prompts().ask("first", LONG, max_tokens=1).ask("again", LONG, arrives=2, max_tokens=1)
          .ask("scored", LONG, arrives=4, max_tokens=1, prompt_logprobs=0)
          .ask("after", LONG, arrives=6, max_tokens=1))
scored_first = prompts().ask("scored", LONG, max_tokens=1, prompt_logprobs=0).ask("after", LONG, arrives=2, max_tokens=1)
ended = prompts().ask("eos", START, max_tokens=4, logprobs=1, logit_bias={1: 100.0}).ask("string", START, max_tokens=4, logprobs=1, stop="e")
TIED = {"allowed_token_ids": [50, 51, 52, 60], "logit_bias": {50: 1e9, 51: 1e9, 52: 1e9}}     # so large that float32 forgets the logits
tied = prompts(logprobs_mode="processed_logits", max_logprobs=-1).ask("0", START, max_tokens=1, logprobs=0, **TIED)


def values(run, request_id, position=0):
    return {token: entry.logprob for token, entry in run.of(request_id).logprobs[position].items()}


def close(a, b):
    return a == b or abs(a - b) <= 2e-4


def alike(a, b):
    return a.keys() == b.keys() and all(close(a[token], b[token]) for token in a)


@claim("logprobs=0 tells the logprob of the chosen token, and no other.", on=counts, about="logprobs", vllm=APPEND)
def test_logprobs_zero_is_the_chosen_one(run):
    assert [set(entries) for entries in run.of("0").logprobs] == [{token} for token in run.tokens("0")], f"{run.of('0').logprobs}"


@claim("logprobs=0 is no logprobs.", on=counts, about="logprobs", vllm=APPEND, misconception=True)
def test_logprobs_zero_is_none(run):
    assert run.of("0").logprobs is None, f"without logprobs there are {run.of('none').logprobs}; with 0, {run.of('0').logprobs[0]}"


@claim("Each request gets as many logprobs as it asked for, whatever its mates ask for.", on=counts, about="logprobs", vllm=GATHER)
def test_each_gets_its_number_of_logprobs(run):
    for name in ("3", "20"):
        assert [len(entries) for entries in run.of(name).logprobs] == [int(name)] * 4, f"{name}: {run.of(name).logprobs}"


@claim("A chosen token outside the k likeliest is told besides them: k+1 entries.", on=hot, about=("sampling", "logprobs"), vllm=APPEND)
def test_an_unlikely_choice_is_told_besides(run):
    lengths = set()
    for token, entries in zip(run.tokens("hot"), run.of("hot").logprobs):
        lengths.add(len(entries))
        assert len(entries) == (3 if entries[token].rank <= 3 else 4), f"{token} of {entries}"
    assert lengths == {3, 4}, "both cases have to be there"


@claim("logprobs=k tells k logprobs a token.", on=hot, about=("sampling", "logprobs"), vllm=APPEND, misconception=True)
def test_logprobs_k_tells_k(run):
    assert all(len(entries) == 3 for entries in run.of("hot").logprobs), f"{[len(entries) for entries in run.of('hot').logprobs]}"


@claim("The chosen token is the first entry of its position.", on=hot, about=("sampling", "logprobs"), vllm=APPEND)
def test_the_chosen_token_is_told_first(run):
    firsts = [next(iter(entries)) for entries in run.of("hot").logprobs]
    assert firsts == run.tokens("hot"), f"{firsts} for the tokens {run.tokens('hot')}"


@claim("Ranks count from 1, by the logprob.", on=hot, about="logprobs", vllm=GATHER)
def test_ranks_count_from_one(run):
    for entries in run.of("hot").logprobs:
        ranked = sorted(entries.values(), key=lambda entry: entry.rank)
        assert [entry.rank for entry in ranked[:3]] == [1, 2, 3], f"{ranked}"
        assert all(a.logprob >= b.logprob for a, b in zip(ranked, ranked[1:])), f"{ranked}"


# The rank counts the tokens that are at least as likely, the token itself and its equals included.
@claim("The rank of the chosen token is one more than the number of likelier tokens.", on=tied, about="logprobs",
       vllm="v1/sample/ops/logprobs.py::batched_count_greater_than", misconception=True)
def test_a_rank_counts_the_likelier_ones(run):
    entry = run.of("0").logprobs[0][run.tokens("0")[0]]
    assert entry.rank == 1, f"of three equally likely tokens, with none likelier, the chosen one has the rank {entry.rank}"


@claim("The logprobs are those of the model: temperature, filters, penalties, biases and bans do not show.",
       on=changed, about=("logprobs", "sampling"), vllm=FORWARD)
def test_logprobs_are_of_the_model(run):
    plain = values(run, "plain")
    for name in ("hot", "filtered", "biased", "penalised", "allowed"):
        told = values(run, name)
        assert all(close(told[token], plain[token]) for token in plain), f"{name}: {told}, plainly {plain}"


@claim("logprobs show the effect of the temperature.", on=changed, about=("logprobs", "sampling"), vllm=FORWARD, misconception=True)
def test_logprobs_show_the_temperature(run):
    best = max(values(run, "plain").values())
    assert max(values(run, "hot").values()) < best - 0.1, f"the best has {best} when greedy and {max(values(run, 'hot').values())} at temperature 2"


@claim("A token that came for sure has a logprob of 0.", on=changed, about="logprobs", vllm=FORWARD, misconception=True)
def test_a_certain_token_has_logprob_zero(run):
    token = run.tokens("allowed")[0]
    assert close(values(run, "allowed")[token], 0), f"{token} was the only one allowed, and its logprob is {values(run, 'allowed')[token]}"


@claim("With processed_logprobs they are of what is sampled from: shares of what the filters left.", on=processed, about=("logprobs", "sampling"),
       vllm="v1/sample/ops/topk_topp_sampler.py::TopKTopPSampler.forward_cpu")
def test_processed_logprobs_are_of_the_sampling(run):
    assert close(values(run, "biased")[50], 0), f"a bias of 100: {values(run, 'biased')}"
    left = [value for value in values(run, "two").values() if value > -math.inf]
    assert len(left) == 2 and close(sum(map(math.exp, left)), 1), f"top_k=2: {left}"
    assert max(values(run, "hot").values()) < max(values(run, "plain").values()) - 0.1


@claim("logprobs=-1 tells the whole vocabulary, and the probabilities add up to 1.", on=whole, about="logprobs", vllm=FORWARD)
def test_all_logprobs(run):
    told = values(run, "all")
    assert set(told) == set(range(1024)) and close(sum(map(math.exp, told.values())), 1), f"{len(told)} add up to {sum(map(math.exp, told.values()))}"


@claim("More than max_logprobs, 20 unless said otherwise, is refused; so is -1, which asks for all.", on=too_many, about=("refusal", "logprobs"), vllm=VALIDATE)
def test_more_than_max_logprobs_is_refused(run):
    assert run.refused.keys() == {"21", "-1", "prompt 21"}, f"{run.refused}"
    assert all("logprobs" in error for error in run.refused.values()), f"the errors name the parameter: {run.refused}"


@claim("The cumulative logprob is the sum over the chosen tokens, and there is none without logprobs.", on=counts, about="logprobs", vllm=PROCESSOR)
def test_the_cumulative_logprob_is_a_sum(run):
    done = run.of("3")
    assert close(done.cumulative_logprob, sum(entries[token].logprob for token, entries in zip(done.token_ids, done.logprobs)))
    assert run.of("none").cumulative_logprob is None, f"{run.of('none').cumulative_logprob}"


@claim("The token that ends a request has its logprobs like any other, though the text leaves it out.", on=ended, about=("end of sequence", "logprobs"), vllm=PROCESSOR)
def test_the_last_token_has_logprobs(run):
    for name in ("eos", "string"):
        done = run.of(name)
        assert len(done.logprobs) == len(done.token_ids) and done.token_ids[-1] in done.logprobs[-1], f"{name}: {done}"


@claim("Prompt logprobs have one position a token, and nothing is told of the first.", on=of_prompt, about="prompt logprobs",
       vllm="logprobs.py::create_prompt_logprobs")
def test_the_first_prompt_logprob_is_none(run):
    for name in ("0", "2", "one"):
        output = run.requests[name]
        assert len(output.prompt_logprobs) == len(output.prompt_token_ids), f"{name}: {len(output.prompt_logprobs)}"
        assert [entries is None for entries in output.prompt_logprobs] == [True] + [False] * (len(output.prompt_token_ids) - 1)


@claim("Each position of the prompt logprobs tells its own token, as predicted by those before, besides the k likeliest.",
       on=of_prompt, about="prompt logprobs", vllm=PROMPT)
def test_prompt_logprobs_tell_the_prompt(run):
    for name, k in (("0", 0), ("2", 2)):
        output = run.requests[name]
        for token, entries in zip(output.prompt_token_ids[1:], output.prompt_logprobs[1:]):
            assert token in entries and len(entries) == max(k, 1) + (entries[token].rank > k > 0), f"{token}: {entries}"


@claim("Prompt logprobs know no temperature and no penalty.", on=of_prompt, about=("prompt logprobs", "sampling"), vllm=PROMPT)
def test_prompt_logprobs_are_of_the_model(run):
    plain, hot = (run.requests[name].prompt_logprobs[1:] for name in ("2", "hot"))
    told = [({token: entry.logprob for token, entry in a.items()}, {token: entry.logprob for token, entry in b.items()}) for a, b in zip(plain, hot)]
    assert all(alike(a, b) for a, b in told), f"{[pair for pair in told if not alike(*pair)][:1]}"


@claim("A prompt in several chunks has the same prompt logprobs as in one.", on=(of_prompt, in_chunks), about="prompt logprobs", vllm=PROMPT)
def test_prompt_logprobs_in_chunks(at_once, in_chunks):
    assert len([step for step in in_chunks.steps if step.of("2")]) > 4, "70 tokens in chunks of 16"
    for a, b in zip(at_once.requests["2"].prompt_logprobs[1:], in_chunks.requests["2"].prompt_logprobs[1:], strict=True):
        common = a.keys() & b.keys()
        assert common and all(close(a[token].logprob, b[token].logprob) for token in common), f"{a}, {b}"


@claim("A request with prompt logprobs does not use the prefix cache: it has to compute every position.", on=cached,
       about=("cache hit", "prompt logprobs"), vllm=PARAMS)
def test_prompt_logprobs_skip_the_cache(run):
    hits = {name: run.requests[name].num_cached_tokens for name in ("again", "scored", "after")}
    assert hits == {"again": 64, "scored": 0, "after": 64}, f"tokens found in the cache: {hits}"


@claim("A request with prompt logprobs leaves its blocks in the prefix cache for others.", on=scored_first, about=("cache hit", "prompt logprobs"),
       vllm="v1/core/kv_cache_manager.py::KVCacheManager.get_computed_blocks")
def test_prompt_logprobs_fill_the_cache(run):
    assert run.requests["after"].num_cached_tokens == 64, f"{run.requests['after'].num_cached_tokens} of 70 tokens were cached"
