"""Refusals: what vLLM does not take, what it takes against all expectation, and that nobody else is harmed."""
from spec.bench import claim, prompts

PARAMS = "sampling_params.py::SamplingParams._verify_args"
NUMBER = "sampling_params.py::_verify_num_sequences"
GREEDY = "sampling_params.py::SamplingParams._verify_greedy_sampling"
STOPS = "sampling_params.py::SamplingParams._validate_stop_token_ids"
ALLOWED = "sampling_params.py::SamplingParams._validate_allowed_token_ids"
BIAS = "sampling_params.py::SamplingParams._validate_logit_bias"
WORDS = "sampling_params.py::SamplingParams.update_from_tokenizer"
LENGTH = "v1/engine/input_processor.py::InputProcessor._validate_prompt_len"
TOKENS = "renderers/base.py::BaseRenderer.validate_token_ids"
START = "Elizabeth was"
SAMPLED = {"temperature": 1.0, "seed": 1}


def each(on=None, **by_name):
    on = on or prompts()
    for name, params in by_name.items():
        on = on.ask(name, START, **{"max_tokens": 2} | params)
    return on


temperatures = each(below={"temperature": -0.1}, above={"temperature": 2.01}, infinite={"temperature": float("inf")},
                    zero={"temperature": 0}, two={"temperature": 2.0, "seed": 1})
filters = each(p0=SAMPLED | {"top_p": 0}, p_above=SAMPLED | {"top_p": 1.01}, p1=SAMPLED | {"top_p": 1}, k_below=SAMPLED | {"top_k": -2},
               k_half=SAMPLED | {"top_k": 1.5}, k_off=SAMPLED | {"top_k": -1}, m_below=SAMPLED | {"min_p": -0.1}, m_above=SAMPLED | {"min_p": 1.01},
               m1=SAMPLED | {"min_p": 1}, greedy_p0={"top_p": 0}, greedy_k={"top_k": -5})
penalties = each(presence={"presence_penalty": 2.01}, frequency={"frequency_penalty": -2.01}, zero={"repetition_penalty": 0},
                 negative={"repetition_penalty": -1.0}, bound={"presence_penalty": 2, "frequency_penalty": -2}, huge={"repetition_penalty": 1e6})
counts = each(none={"max_tokens": 0}, too_many={"min_tokens": 3}, negative={"min_tokens": -1}, same={"min_tokens": 2},
              n0=SAMPLED | {"n": 0}, n2={"n": 2}, n2_sampled=SAMPLED | {"n": 2})
outside = each(allowed={"allowed_token_ids": [50, 1024]}, stop={"stop_token_ids": [1024]}, bias={"logit_bias": {1024: 1.0}},
               negative={"allowed_token_ids": [-1]}, last={"allowed_token_ids": [1023]}, nothing={"allowed_token_ids": []})
texts = each(empty_stop={"stop": ""}, one_empty={"stop": ["x", ""]}, unread={"stop": "x", "detokenize": False}, empty_word={"bad_words": [""]},
             space={"bad_words": [" "]}, words={"stop_token_ids": ["a"]})
unknown = each(best_of={"best_of": 2}, beams={"use_beam_search": True}, good={})
ids = prompts().ask("high", [5, 1024], max_tokens=1).ask("negative", [5, -1], max_tokens=1).ask("last", [5, 1023], max_tokens=1)
no_ids = prompts().ask("nothing", []).ask("good", START, max_tokens=2)
no_text = (prompts("qwen3").ask("nothing", "", max_tokens=2).ask("good", START, max_tokens=2), prompts("llama").ask("nothing", "", max_tokens=2))
long = prompts().ask("longer", [5] * 600).ask("full", [5] * 512).ask("fits", [5] * 511, max_tokens=9)
harm = each(bad={"top_p": 0}, good={"max_tokens": 8}).ask("worse", [], arrives=2).ask("worst", START, arrives=3, max_tokens=0)
no_harm = each(good={"max_tokens": 8})


def refused(run, *names):
    """Whether just these were refused."""
    return run.refused.keys() == set(names)


@claim("A temperature has to be between 0 and 2, both allowed.", on=temperatures, about=("refusal", "sampling", "greedy"), vllm=PARAMS)
def test_temperatures_out_of_bounds(run):
    assert refused(run, "below", "above", "infinite"), f"{run.refused}"
    assert all("temperature" in error for error in run.refused.values()), f"{run.refused}"


@claim("Any temperature that is not negative is taken.", on=temperatures, about="refusal", vllm=PARAMS, misconception=True)
def test_any_temperature_is_taken(run):
    assert "above" not in run.refused, f"{run.refused['above']}"


@claim("top_p has to be above 0 and at most 1, min_p between 0 and 1, top_k a whole number from -1.", on=filters, about=("refusal", "sampling"), vllm=PARAMS)
def test_filters_out_of_bounds(run):
    assert refused(run, "p0", "p_above", "k_below", "k_half", "m_below", "m_above", "greedy_p0", "greedy_k"), f"{run.refused.keys()}"


@claim("Greedy requests are refused for filters they would not use.", on=filters, about="refusal", vllm=PARAMS)
def test_greedy_with_a_bad_filter(run):
    assert {"greedy_p0", "greedy_k"} <= run.refused.keys(), f"{run.refused.keys()}"


@claim("Presence and frequency penalties have to be between -2 and 2; a repetition penalty above 0, with no upper bound.",
       on=penalties, about=("refusal", "greedy"), vllm=PARAMS)
def test_penalties_out_of_bounds(run):
    assert refused(run, "presence", "frequency", "zero", "negative"), f"{run.refused.keys()}"


@claim("max_tokens has to be 1 at least, and min_tokens between 0 and max_tokens.", on=counts, about=("refusal", "length"), vllm=PARAMS)
def test_counts_out_of_bounds(run):
    assert {"none", "too_many", "negative"} <= run.refused.keys() and "same" not in run.refused, f"{run.refused.keys()}"


@claim("n has to be 1 at least, and 1 for a greedy request.", on=counts, about=("refusal", "several sequences"), vllm=GREEDY)
def test_n_out_of_bounds(run):
    assert {"n0", "n2"} <= run.refused.keys() and len(run.requests["n2_sampled"].outputs) == 2, f"{run.refused.keys()}"


@claim("With n=2 and temperature 0 one gets the same text twice.", on=counts, about="refusal", vllm=GREEDY, misconception=True)
def test_n_greedy_sequences(run):
    assert "n2" not in run.refused, f"{run.refused['n2']}"


@claim("Token ids outside the vocabulary are refused, whether allowed, stopping or biased.", on=outside, about=("refusal", "greedy"), vllm=STOPS)
def test_ids_out_of_the_vocabulary(run):
    assert {"allowed", "stop", "bias", "negative"} <= run.refused.keys() and run.tokens("last") == [1023, 1023], f"{run.refused.keys()}"


@claim("An empty list of allowed tokens is refused: it does not mean all.", on=outside, about="refusal", vllm=ALLOWED)
def test_no_token_allowed(run):
    assert "nothing" in run.refused, f"it says {run.tokens('nothing')}"


@claim("An empty stop string is refused, alone or among others.", on=texts, about="refusal", vllm=PARAMS)
def test_an_empty_stop_string(run):
    assert {"empty_stop", "one_empty"} <= run.refused.keys(), f"{run.refused.keys()}"


@claim("Stop strings without detokenization are refused: nobody would read the text.", on=texts, about="refusal", vllm=PARAMS)
def test_stop_strings_that_nobody_reads(run):
    assert "unread" in run.refused, f"{run.refused.keys()}"


@claim("A bad word is refused that is empty, or nothing but a space.", on=texts, about="refusal", vllm=WORDS)
def test_an_empty_bad_word(run):
    assert {"empty_word", "space"} <= run.refused.keys(), f"{run.refused.keys()}"


# Both were there in the V0 engine.
@claim("best_of and use_beam_search are parameters of a request.", on=unknown, about="refusal", vllm="sampling_params.py::SamplingParams", misconception=True)
def test_best_of_is_a_parameter(run):
    assert not {"best_of", "beams"} & run.refused.keys(), f"{run.refused}"


@claim("Prompts with token ids outside the vocabulary are refused.", on=ids, about=("refusal", "greedy"), vllm=TOKENS)
def test_prompt_ids_out_of_the_vocabulary(run):
    assert refused(run, "high", "negative"), f"{run.refused.keys()}"


@claim("A prompt of no tokens is refused.", on=no_ids, about=("refusal", "greedy"), vllm=LENGTH)
def test_a_prompt_of_no_tokens(run):
    assert refused(run, "nothing"), f"{run.refused.keys()}"


# What counts is the tokens: a tokenizer that begins every prompt with one of its own makes a prompt of nothing.
@claim("An empty text is refused.", on=no_text, about="greedy", vllm=LENGTH, misconception=True)
def test_an_empty_text_is_refused(qwen3, llama):
    assert "nothing" in qwen3.refused
    assert "nothing" in llama.refused, f"as the tokens {llama.requests['nothing'].prompt_token_ids} it is taken: {llama.text('nothing')!r}"


@claim("A prompt has to leave room for one token: max_model_len tokens are refused, one fewer gives one token.", on=long, about=("refusal", "length"), vllm=LENGTH)
def test_a_prompt_that_fills_the_model(run):
    assert refused(run, "longer", "full") and len(run.tokens("fits")) == 1, f"{run.refused.keys()}"


@claim("A prompt that is too long is cut.", on=long, about="refusal", vllm=LENGTH, misconception=True)
def test_a_long_prompt_is_cut(run):
    assert "longer" not in run.refused, f"{run.refused['longer']}"


@claim("A refusal leaves the other requests as they are.", on=(harm, no_harm), about="greedy", vllm=PARAMS)
def test_a_refusal_harms_nobody(harm, no_harm):
    assert refused(harm, "bad", "worse", "worst") and not no_harm.refused
    assert harm.tokens("good") == no_harm.tokens("good") and len(harm.steps) == len(no_harm.steps), f"{harm.text('good')!r}"
