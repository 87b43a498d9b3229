"""Allowed tokens, bad words and logit biases: what they forbid, what they do not, and what happens when they contradict one another."""
from spec.bench import claim, prompts

BAD = "v1/sample/ops/bad_words.py::_apply_bad_words_single_batch"
WORDS = "sampling_params.py::SamplingParams.update_from_tokenizer"
ORDER = "v1/sample/sampler.py::Sampler.apply_logits_processors"
BIAS = "v1/sample/logits_processor/builtin.py::LogitBiasLogitsProcessor.apply"
ADD = "v1/worker/gpu_input_batch.py::InputBatch.add_request"
START = "Elizabeth was"
BY_HEART = "It is a truth universally acknowledged, that a single man in possession"    # " of a good fortune, must be in want ..."

allowed = (prompts().ask("greedy", START, max_tokens=8, allowed_token_ids=[50, 60, 70])
           .ask("hot", START, max_tokens=8, allowed_token_ids=list(range(269, 289)), temperature=2.0, seed=1)
           .ask("mate", START, max_tokens=8)
           .ask("alone", START, max_tokens=8, allowed_token_ids=[50, 60, 70], logit_bias={80: 100.0}))
without_allowed = prompts().ask("mate", START, max_tokens=8)
words = prompts().ask("plain", BY_HEART, max_tokens=8)
for word in ("a", " a", "must", " must", "a good fortune"):
    words = words.ask(word, BY_HEART, max_tokens=8, bad_words=[word])
border = prompts().ask("a", BY_HEART + " of a good", max_tokens=4, bad_words=["a good fortune"])
shouted = (prompts().ask("plain", START, max_tokens=6)
           .ask("certain", START, max_tokens=6, logit_bias={11: 100.0}).ask("never", START, max_tokens=6, logit_bias={11: -100.0})
           .ask("both", START, max_tokens=6, logit_bias={11: -100.0, 12: -100.0}, allowed_token_ids=[11, 12]))
shown = prompts(logprobs_mode="processed_logits", max_logprobs=-1)
biased = (shown.ask("raw", START, max_tokens=1, logprobs=2, allowed_token_ids=[50])
          .ask("biased", START, max_tokens=1, logprobs=2, allowed_token_ids=[50], logit_bias={50: 500.0}))
nothing_left = (prompts().ask("min", START, max_tokens=3, min_tokens=2, allowed_token_ids=[1])
                .ask("ids", START, max_tokens=3, min_tokens=2, allowed_token_ids=[50], stop_token_ids=[50])
                .ask("goes on", START, max_tokens=3, min_tokens=2, allowed_token_ids=[1], ignore_eos=True))
eos_outside = prompts().ask("a", START, max_tokens=6, allowed_token_ids=[50], logit_bias={1: 100.0})


@claim("Only allowed tokens come, greedy or sampled.", on=allowed, about=("greedy", "sampling"), vllm=ADD)
def test_only_allowed_tokens_come(run):
    assert set(run.tokens("greedy")) <= {50, 60, 70}, f"50, 60 and 70 are allowed: {run.tokens('greedy')}"
    assert set(run.tokens("hot")) <= set(range(269, 289)), f"269 to 288 are allowed: {run.tokens('hot')}"
    assert len(set(run.tokens("hot"))) > 1


@claim("A mate's allowed tokens are its own.", on=(allowed, without_allowed), about="greedy", vllm=ADD)
def test_allowed_tokens_are_for_one_request(beside, alone):
    assert beside.tokens("mate") == alone.tokens("mate"), f"{beside.text('mate')!r} beside, {alone.text('mate')!r} alone"


@claim("A logit bias of 100 for a token that is not allowed does not bring it back.", on=allowed, about="greedy", vllm=ORDER)
def test_a_bias_does_not_allow(run):
    assert 80 not in run.tokens("alone"), f"{run.tokens('alone')}"


@claim("A logit bias of 100 makes a token come for sure, one of -100 makes it never come.", on=shouted, about="greedy", vllm=BIAS)
def test_a_bias_of_100_is_certain(run):
    assert set(run.tokens("certain")) == {11}, f"{run.tokens('certain')}"
    assert 11 not in run.tokens("never"), f"{run.tokens('never')}"


@claim("A logit bias of -100 is a ban.", on=shouted, about="greedy", vllm=BIAS, misconception=True)
def test_a_bias_of_minus_100_is_a_ban(run):
    assert not set(run.tokens("both")) & {11, 12}, f"with nothing better about, {run.tokens('both')} come"


# OpenAI's API clamps it, and so does vLLM's server; SamplingParams itself does not.
@claim("A logit bias is clamped to between -100 and 100.", on=biased, about="greedy", vllm=BIAS, misconception=True)
def test_a_bias_is_clamped(run):
    raw, after = (run.of(name).logprobs[0][50].logprob for name in ("raw", "biased"))
    assert after - raw < 100.1, f"a bias of 500 adds {after - raw}"


@claim("A bad word of one token never comes, with or without a space before it, however it is written.", on=words, about="greedy", vllm=WORDS)
def test_a_bad_word_of_one_token_never_comes(run):
    assert " a " in run.text("plain"), f"the model says {run.text('plain')!r}"
    assert run.tokens("a") == run.tokens(" a"), f"{run.text('a')!r}, {run.text(' a')!r}"
    assert " a " not in run.text("a") and not run.text("a").endswith(" a"), f"with a forbidden it says {run.text('a')!r}"


@claim("Of a bad word of several tokens only the last is forbidden, and only after all the others.", on=words, about="greedy", vllm=BAD)
def test_only_the_end_of_a_bad_word_is_forbidden(run):
    assert " a good fortune" in run.text("plain") and "fortune" not in run.text("a good fortune")
    assert run.text("a good fortune").startswith(" of a good fortun"), f"it says {run.text('a good fortune')!r}"


# A space before a word makes other tokens of it. That form is forbidden only if it has as many tokens as the bare word.
@claim("A word given as a bad word is never said.", on=words, about="greedy", vllm=WORDS, misconception=True)
def test_a_bad_word_is_never_said(run):
    for word in ("must", " must"):
        assert " must" not in run.text(word), f"with {word!r} forbidden it says {run.text(word)!r}"


@claim("The beginning of a bad word has to be generated: in the prompt it does not count.", on=(words, border), about="greedy", vllm=BAD)
def test_a_bad_word_does_not_begin_in_the_prompt(inside, across):
    assert across.text("a").startswith(" fortune"), f"after a prompt that ends with a good it says {across.text('a')!r}"
    assert " a good fortune" not in inside.text("a good fortune"), f"generated from the first word on, {inside.text('a good fortune')!r}"


# All logits are minus infinity then, and the first of equals is token 0: a token that was forbidden as well.
@claim("If the rules of a request leave no token, token 0 comes.", on=nothing_left, about="greedy", vllm=ORDER)
def test_token_zero_comes_when_none_is_left(run):
    for name in ("min", "ids", "goes on"):
        assert run.tokens(name)[0] == 0, f"{name} says {run.tokens(name)}"


@claim("A request whose rules leave no token is refused.", on=nothing_left, about="greedy", vllm=ORDER, misconception=True)
def test_contradicting_rules_are_refused(run):
    assert "min" in run.refused, f"allowed is only EOS, which min_tokens forbids: it says {run.tokens('min')}, {run.of('min').finish_reason}"


@claim("Only an allowed token comes, whatever else is asked for.", on=nothing_left, about="greedy", vllm=ORDER, misconception=True)
def test_allowed_tokens_are_a_promise(run):
    assert set(run.tokens("ids")) <= {50}, f"token 50 is the only one allowed, and {run.tokens('ids')} comes"


@claim("A request that may not say EOS runs to its length.", on=eos_outside, about="length", vllm=ADD)
def test_a_request_without_eos_runs_to_its_length(run):
    assert (run.tokens("a"), run.of("a").finish_reason) == ([50] * 6, "length"), f"{run.tokens('a')}"
