"""Penalties: which tokens they count, how often, and in which direction.

The engine is asked for the logits as it samples from them (`processed_logits`), of a
few allowed tokens; a logit bias of 100 makes it generate the same token again and again.
"""
from spec.bench import claim, prompts

ALL = "model_executor/layers/utils.py::apply_penalties"
REPETITION = "_custom_ops.py::apply_repetition_penalties_torch"
ORDER = "v1/sample/sampler.py::Sampler.apply_logits_processors"
PROMPT = [50, 60, 60, 60, 50]       # two tokens of the five allowed, one of them often
FIVE = [50, 60, 70, 80, 90]

shown = prompts(logprobs_mode="processed_logits", max_logprobs=-1)


def asked(on=shown, **by_name):
    for name, params in by_name.items():
        on = on.ask(name, PROMPT, logprobs=6, **{"max_tokens": 1, "allowed_token_ids": FIVE} | params)
    return on


first = asked(raw={}, repetition={"repetition_penalty": 2.0}, frequency={"frequency_penalty": 1.5}, presence={"presence_penalty": 1.5},
              encouraged={"repetition_penalty": 0.5}, none={"repetition_penalty": 1.0, "frequency_penalty": 0.0, "presence_penalty": 0.0})
AGAIN = {"max_tokens": 3, "logit_bias": {70: 100.0}}      # generates 70 three times
repeated = asked(raw=AGAIN, frequency=AGAIN | {"frequency_penalty": 1.5}, presence=AGAIN | {"presence_penalty": 1.5},
                 reward=AGAIN | {"frequency_penalty": -1.5}, repetition=AGAIN | {"repetition_penalty": 2.0},
                 all=AGAIN | {"frequency_penalty": 1.5, "presence_penalty": 0.5, "repetition_penalty": 2.0})
banned = asked(minimum={"min_tokens": 1, "allowed_token_ids": [1, 50], "repetition_penalty": 0.5, "presence_penalty": -2.0})
beside = asked(strict={"repetition_penalty": 2.0}, free={})
LONG = {"max_tokens": 30, "frequency_penalty": 0.4, "presence_penalty": 0.6, "repetition_penalty": 1.1}
crowded = (prompts(max_model_len=64, num_gpu_blocks_override=4).ask("a", [7] * 20, **LONG).ask("b", [8] * 20, **LONG))
roomy = crowded.with_limits(num_gpu_blocks_override=9)


def logits(run, request_id, position=0):
    """What a token is sampled from, by token; those that can never come are left out."""
    return {token: entry.logprob for token, entry in run.of(request_id).logprobs[position].items() if entry.logprob > float("-inf")}


def close(a, b):
    return abs(a - b) <= 3e-4


def penalised(logit, penalty):
    return logit / penalty if logit > 0 else logit * penalty


@claim("A repetition penalty counts the tokens of the prompt: their logits are divided if positive, multiplied if negative.",
       on=first, about="greedy", vllm=REPETITION)
def test_a_repetition_penalty_counts_the_prompt(run):
    raw, after = logits(run, "raw"), logits(run, "repetition")
    for token in FIVE:
        expected = penalised(raw[token], 2.0) if token in PROMPT else raw[token]
        assert close(after[token], expected), f"token {token}: {raw[token]} became {after[token]}"


@claim("repetition_penalty ignores the prompt.", on=first, about="greedy", vllm=REPETITION, misconception=True)
def test_a_repetition_penalty_ignores_the_prompt(run):
    raw, after = logits(run, "raw"), logits(run, "repetition")
    changed = [token for token in FIVE if not close(raw[token], after[token])]
    assert not changed, f"before a token is generated, the logits of {changed} are changed; the prompt is {PROMPT}"


# Token 60 stands three times in the prompt, token 50 twice.
@claim("A repetition penalty asks whether a token was there, not how often.", on=first, about="greedy", vllm=REPETITION)
def test_a_repetition_penalty_does_not_count(run):
    raw, after = logits(run, "raw"), logits(run, "repetition")
    assert close(after[60], penalised(raw[60], 2.0)) and close(after[50], penalised(raw[50], 2.0)), f"{raw} became {after}"


@claim("A repetition penalty below 1 makes the tokens of the prompt likelier.", on=first, about="greedy", vllm=REPETITION)
def test_a_repetition_penalty_below_one_rewards(run):
    raw, after = logits(run, "raw"), logits(run, "encouraged")
    assert after[50] > raw[50] and after[60] > raw[60] and close(after[70], raw[70]), f"{raw} became {after}"


@claim("Frequency and presence penalties do not count the prompt.", on=first, about="greedy", vllm=ALL)
def test_frequency_and_presence_do_not_count_the_prompt(run):
    raw = logits(run, "raw")
    for name in ("frequency", "presence"):
        assert all(close(raw[token], logits(run, name)[token]) for token in FIVE), f"{name}: {raw} became {logits(run, name)}"


@claim("A token that the prompt repeats is made less likely by a presence penalty.", on=first, about="greedy", vllm=ALL, misconception=True)
def test_a_presence_penalty_counts_the_prompt(run):
    raw, after = logits(run, "raw")[60], logits(run, "presence")[60]
    assert after < raw - 1, f"three times in the prompt, and its logit {raw} is {after} with a presence penalty of 1.5"


@claim("Penalties of 1, 0 and 0 change nothing.", on=first, about="greedy", vllm=ALL)
def test_neutral_penalties_change_nothing(run):
    raw = logits(run, "raw")
    assert all(close(raw[token], logits(run, "none")[token]) for token in FIVE), f"{raw} became {logits(run, 'none')}"


@claim("A frequency penalty is subtracted once for each time a token was generated.", on=repeated, about="generated token", vllm=ALL)
def test_a_frequency_penalty_counts_each_time(run):
    for position in range(3):
        raw, after = logits(run, "raw", position), logits(run, "frequency", position)
        assert close(after[70], raw[70] - 1.5 * position), f"after {position} times: {raw[70]} became {after[70]}"
        assert close(after[80], raw[80]), f"a token that never came: {raw[80]} became {after[80]}"


@claim("A presence penalty is subtracted once, however often a token was generated.", on=repeated, about="generated token", vllm=ALL)
def test_a_presence_penalty_counts_once(run):
    for position in range(3):
        raw, after = logits(run, "raw", position), logits(run, "presence", position)
        assert close(after[70], raw[70] - 1.5 * bool(position)), f"after {position} times: {raw[70]} became {after[70]}"


@claim("A negative frequency penalty makes what was generated likelier each time.", on=repeated, about="generated token", vllm=ALL)
def test_a_negative_frequency_penalty_rewards(run):
    gained = [logits(run, "reward", position)[70] - logits(run, "raw", position)[70] for position in range(3)]
    assert all(close(each, 1.5 * position) for position, each in enumerate(gained)), f"it gained {gained}"


@claim("Penalties come after the logit bias: a repetition penalty divides the bias, too.", on=repeated, about="generated token", vllm=ORDER)
def test_a_repetition_penalty_divides_the_bias(run):
    raw, after = logits(run, "raw", 1)[70], logits(run, "repetition", 1)[70]
    assert raw > 50 and close(after, raw / 2), f"{raw}, of which 100 are bias, became {after}"


@claim("The repetition penalty comes first; the frequency and the presence penalty are subtracted from what it left.",
       on=repeated, about="generated token", vllm=ALL)
def test_the_order_of_penalties(run):
    raw, after = logits(run, "raw", 2)[70], logits(run, "all", 2)[70]
    assert close(after, raw / 2 - 2 * 1.5 - 0.5), f"{raw} became {after}"


@claim("A penalty that rewards does not bring back what min_tokens forbids.", on=banned, about="greedy", vllm=ORDER)
def test_a_penalty_does_not_bring_back_a_banned_token(run):
    assert set(logits(run, "minimum")) == {50}, f"{set(logits(run, 'minimum'))} may come, and 1 is the EOS token"


@claim("A batch mate's penalty changes nothing for a request without.", on=(first, beside), about="greedy", vllm=ALL)
def test_a_penalty_is_for_its_request_alone(first, beside):
    raw, free = logits(first, "raw"), logits(beside, "free")
    assert all(close(raw[token], free[token]) for token in FIVE), f"{raw} became {free} beside a mate with a penalty"
    assert not close(logits(beside, "strict")[60], free[60])


@claim("A preempted request is penalised for what it had generated before.", on=(crowded, roomy), about="preemption", vllm=ALL)
def test_penalties_survive_a_preemption(crowded, roomy):
    assert crowded.preemptions and not roomy.preemptions
    for name in ("a", "b"):
        assert crowded.tokens(name) == roomy.tokens(name), f"{name} says {crowded.text(name)!r}, without preemption {roomy.text(name)!r}"
