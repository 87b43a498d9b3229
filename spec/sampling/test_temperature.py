"""Temperature: what it divides, how cold it may be, and what greedy decoding is.

The engine is asked for the logits as it samples from them (`processed_logits`).
"""
from spec.bench import claim, prompts

APPLY = "v1/sample/sampler.py::Sampler.apply_temperature"
SAMPLE = "v1/sample/sampler.py::Sampler.sample"
PARAMS = "sampling_params.py::SamplingParams.__post_init__"
START = "Elizabeth was"
KNOWN_BY_HEART = "It is a truth universally acknowledged, that a single man in possession"    # the models go on without a doubt

shown = prompts(logprobs_mode="processed_logits", max_logprobs=-1)
degrees = (shown.ask("raw", START, max_tokens=1, logprobs=8)
           .ask("hot", START, max_tokens=1, logprobs=8, temperature=2.0, seed=1)
           .ask("cold", START, max_tokens=1, logprobs=8, temperature=0.5, seed=1)
           .ask("biased", START, max_tokens=1, logprobs=1, temperature=2.0, seed=1, logit_bias={50: 60.0}, allowed_token_ids=[50])
           .ask("raw of 50", START, max_tokens=1, logprobs=1, allowed_token_ids=[50]))
HUGE = {"allowed_token_ids": [50], "logit_bias": {50: 1e9}}      # so large that float32 forgets the logit: 1e9 exactly
freezing = (shown.ask("0.01", START, max_tokens=1, logprobs=1, temperature=0.01, seed=1, **HUGE)
            .ask("0.0001", START, max_tokens=1, logprobs=1, temperature=0.0001, seed=1, **HUGE)
            .ask("1e-9", START, max_tokens=1, logprobs=1, temperature=1e-9, seed=1, **HUGE)
            .ask("0.02", START, max_tokens=1, logprobs=1, temperature=0.02, seed=1, **HUGE))
tiny = prompts().ask("tiny", START, max_tokens=4, temperature=1e-9, n=2, seed=1).ask("zero", START, max_tokens=4, n=2)
greedy_alone = prompts().ask("a", START, max_tokens=12)
greedy_in_a_crowd = (prompts().ask("hot", START, max_tokens=12, temperature=2.0, seed=1).ask("a", START, max_tokens=12)
                     .ask("late", START, arrives=3, max_tokens=12, temperature=1.0, seed=2))
sure = prompts().ask("greedy", KNOWN_BY_HEART, max_tokens=12)
for seed in range(6):
    sure = sure.ask(f"seed {seed}", KNOWN_BY_HEART, max_tokens=12, temperature=0.01, seed=seed)
filtered = (shown.ask("greedy", START, max_tokens=1, logprobs=8, top_k=1, top_p=0.1, min_p=0.9)
            .ask("mate", START, max_tokens=1, logprobs=8, temperature=1.0, seed=1, top_k=1, top_p=0.1, min_p=0.9))


def logits(run, request_id, position=0):
    """What a token is sampled from, by token; those that can never come are left out."""
    return {token: entry.logprob for token, entry in run.of(request_id).logprobs[position].items() if entry.logprob > float("-inf")}


def close(a, b):
    return abs(a - b) <= 2e-4 * max(1, abs(a))


@claim("The temperature divides each logit and does nothing else.", on=degrees, about=("greedy", "sampling"), vllm=APPLY)
def test_the_temperature_divides_the_logits(run):
    raw = logits(run, "raw")
    for name, temperature in (("hot", 2.0), ("cold", 0.5)):
        for token in raw.keys() & logits(run, name).keys():
            value = logits(run, name)[token]
            assert close(value, raw[token] / temperature), f"token {token}: {raw[token]} at {temperature} became {value}"


@claim("A logit bias is added before the temperature divides: at temperature 2 it counts half.", on=degrees, about="sampling", vllm=SAMPLE)
def test_the_temperature_divides_the_bias_too(run):
    raw, biased = logits(run, "raw of 50")[50], logits(run, "biased")[50]
    assert close(biased, (raw + 60) / 2), f"{raw} with a bias of 60 is {biased} at temperature 2"


@claim("A temperature between 0 and 0.01 is raised to 0.01.", on=freezing, about="sampling", vllm=PARAMS)
def test_a_tiny_temperature_is_raised(run):
    for name, temperature in (("0.01", 0.01), ("0.0001", 0.01), ("1e-9", 0.01), ("0.02", 0.02)):
        value = logits(run, name)[50]
        assert close(value, 1e9 / temperature), f"temperature {name} divides by {1e9 / value}"


# The sampler calls greedy what is below 1e-5; but the parameters have raised it to 0.01 before anybody asks.
@claim("A temperature of 1e-9 is greedy decoding.", on=tiny, about=("refusal", "sampling"), vllm=PARAMS, misconception=True)
def test_a_temperature_next_to_zero_is_greedy(run):
    assert "tiny" in run.refused, f"n=2 is refused when greedy ({run.refused}), and taken at 1e-9"


@claim("A greedy request generates the same tokens beside sampled ones as alone.", on=(greedy_alone, greedy_in_a_crowd),
       about="greedy", vllm=SAMPLE)
def test_greedy_beside_sampled(alone, crowd):
    assert alone.tokens("a") == crowd.tokens("a"), f"alone {alone.text('a')!r}, in a crowd {crowd.text('a')!r}"
    assert crowd.tokens("a") != crowd.tokens("hot"), "the crowd says the same: it would not be noticed"


@claim("Where the model has no doubt, the lowest temperature gives the greedy tokens, whatever the seed.", on=sure, about="sampling", vllm=APPLY)
def test_the_lowest_temperature_follows_the_model(run):
    for seed in range(6):
        assert run.tokens(f"seed {seed}") == run.tokens("greedy"), f"seed {seed} says {run.text(f'seed {seed}')!r}"


@claim("A greedy request drops its top_k, top_p and min_p: all tokens stay in.", on=filtered, about=("greedy", "sampling"), vllm=PARAMS)
def test_greedy_drops_the_filters(run):
    assert len(logits(run, "mate")) == 1, "the filters of the sampled mate do bite"
    assert len(logits(run, "greedy")) == 8, f"of 8 tokens shown {len(logits(run, 'greedy'))} can come"
