"""Stopping: stop strings, stop tokens, EOS, lengths, and which of them wins.

Both models know the first sentence of the novel by heart and go on in the same tokens:
" of", " a", " good", " fortun", "e", ",", " must", " be", " in", " want".
"""
from spec.bench import claim, prompts

UPDATE = "v1/engine/detokenizer.py::BaseIncrementalDetokenizer.update"
CHECK = "v1/engine/detokenizer.py::check_stop_strings"
NEXT = "v1/engine/detokenizer.py::BaseIncrementalDetokenizer.get_next_output_text"
CHECK_STOP = "v1/core/sched/utils.py::check_stop"
MIN_TOKENS = "v1/sample/logits_processor/builtin.py::MinTokensLogitsProcessor.apply"
GENERATION_CONFIG = "sampling_params.py::SamplingParams.update_from_generation_config"
OUTPUTS = "v1/engine/output_processor.py::OutputProcessor.process_outputs"
PROMPT = "It is a truth universally acknowledged, that a single man in possession"
SAID = " of a good fortune, must be in want"


def asked(**by_name):
    on = prompts()
    for name, params in by_name.items():
        on = on.ask(name, PROMPT, **{"max_tokens": 10} | params)
    return on


# One after the other: vLLM frees the requests that a stop string ends in one step in the order of a set of random ids.
strings = asked(plain={}, across={"stop": "good fort"}, kept={"stop": "good fort", "include_stop_str_in_output": True, "arrives": 1},
                never={"stop": "zzzzzz"}, both={"stop": ["fortune", "fort"], "arrives": 2}, last={"stop": "or", "max_tokens": 4, "arrives": 3},
                ties={"stop": ["une", "fortune"], "arrives": 3}, ties_turned={"stop": ["fortune", "une"], "arrives": 4}, never_kept={"stop": "zzzzzz", "include_stop_str_in_output": True})
prompt_border = prompts().ask("across", PROMPT + " of a good", max_tokens=6, stop="good fortune").ask("inside", PROMPT, max_tokens=6, stop="truth")
min_tokens = asked(late={"stop": "good", "min_tokens": 8}, again={"stop": ["good", "in"], "min_tokens": 4},
                   eos={"logit_bias": {1: 100.0}, "min_tokens": 3}, second_eos={"logit_bias": {0: 100.0}, "min_tokens": 3},
                   ids={"logit_bias": {50: 100.0}, "stop_token_ids": [50], "min_tokens": 3},
                   ignoring={"logit_bias": {1: 100.0}, "min_tokens": 3, "ignore_eos": True, "max_tokens": 6})
eos = asked(first={"logit_bias": {1: 100.0}}, second={"logit_bias": {0: 100.0}},
            ignored={"logit_bias": {1: 100.0}, "ignore_eos": True, "max_tokens": 4},
            second_ignored={"logit_bias": {0: 100.0}, "ignore_eos": True, "max_tokens": 4},
            at_the_end={"logit_bias": {1: 100.0}, "max_tokens": 1}, hot={"logit_bias": {1: 100.0}, "temperature": 2.0, "seed": 1})
SAY_50 = {"logit_bias": {50: 100.0}, "max_tokens": 4}
stop_ids = asked(plain=SAY_50, ids=SAY_50 | {"stop_token_ids": [50]},
                 shown=SAY_50 | {"stop_token_ids": [50], "include_stop_str_in_output": True},
                 with_others=SAY_50 | {"stop_token_ids": [49, 50, 51]})
string_and_id = (prompts("qwen3").ask("id", PROMPT, stop="P", stop_token_ids=[50], **SAY_50)
                 .ask("shown", PROMPT, stop="P", stop_token_ids=[50], include_stop_str_in_output=True, **SAY_50))
lengths = prompts().ask("one", PROMPT, max_tokens=1).ask("full", [5, 6, 7] * 168, max_tokens=100).ask("open", [5, 6, 7] * 168, max_tokens=None)
special = (prompts().ask("hidden", PROMPT, logit_bias={1: 100.0}, ignore_eos=True, max_tokens=4, stop=["<|im_end|>", "<|eot_id|>"])
           .ask("shown", PROMPT, logit_bias={1: 100.0}, ignore_eos=True, max_tokens=4, stop=["<|im_end|>", "<|eot_id|>"], skip_special_tokens=False))
beside = asked(a={"stop": "good"}, b={})


def end(run, request_id):
    """How many tokens, its finish reason and its stop reason."""
    done = run.of(request_id)
    return len(done.token_ids), done.finish_reason, done.stop_reason


@claim("A stop string is found across the borders of tokens, and the text ends before it.", on=strings, about="stop string", vllm=CHECK)
def test_a_stop_string_across_tokens(run):
    assert run.text("across") == " of a " and end(run, "across") == (4, "stop", "good fort"), f"{run.text('across')!r}, {end(run, 'across')}"


@claim("The token that completes a stop string stays among the token ids, though its text does not show.", on=strings, about="stop string", vllm=UPDATE)
def test_the_token_of_a_stop_string_stays(run):
    assert run.tokens("across") == run.tokens("plain")[:4], f"{run.tokens('across')} for the text {run.text('across')!r}"


@claim("With include_stop_str_in_output the text ends with the stop string, in the middle of a token if need be.",
       on=strings, about="stop string", vllm=CHECK)
def test_an_included_stop_string_ends_the_text(run):
    assert run.text("kept") == " of a good fort" and run.tokens("kept") == run.tokens("plain")[:4], f"{run.text('kept')!r}"


@claim("Of several stop strings in one token, the one that is complete first in the text wins, not the first of the list.",
       on=strings, about="stop string", vllm=CHECK)
def test_the_stop_string_that_ends_first_wins(run):
    assert end(run, "both") == (4, "stop", "fort") and run.text("both") == " of a good ", f"{end(run, 'both')}: {run.text('both')!r}"


@claim("Of stop strings that end at the same character, the first of the list wins.", on=strings, about="stop string", vllm=CHECK)
def test_the_first_of_the_list_wins_a_tie(run):
    assert run.of("ties").stop_reason == "une" and run.text("ties") == " of a good fort", f"{run.text('ties')!r}"
    assert run.of("ties_turned").stop_reason == "fortune" and run.text("ties_turned") == " of a good ", f"{run.text('ties_turned')!r}"


@claim("Of several stop strings that match, the longest wins.", on=strings, about="stop string", vllm=CHECK, misconception=True)
def test_the_longest_stop_string_wins(run):
    assert run.of("ties").stop_reason == "fortune", f"une, fortune: {run.of('ties').stop_reason} wins, and {run.text('ties')!r} is left"


@claim("A stop string in the last token of max_tokens makes the reason stop, not length.", on=strings, about="stop string", vllm=OUTPUTS)
def test_a_stop_string_beats_max_tokens(run):
    assert end(run, "last") == (4, "stop", "or") and run.text("last") == " of a good f", f"{end(run, 'last')}"


# Whoever streams with a long stop string waits for text that nothing can be decided about any more.
@claim("While a request goes on, the last characters are held back, one fewer than the longest stop string has, whatever they are.",
       on=strings, about="held back", vllm=NEXT)
def test_as_much_is_held_back_as_a_stop_string_is_long(run):
    shown, lengths = "", []
    for said in run.stream:
        shown += said.get("never", "")
        lengths.append(len(shown))
    texts = [len("".join(said.get("plain", "") for said in run.stream[:index + 1])) for index in range(len(run.stream))]
    expected = [max(0, length - 5) for length in texts[:-1]] + texts[-1:]
    assert lengths == expected, f"of {texts} characters {lengths} were shown"
    assert run.text("never") == run.text("plain") == SAID


@claim("Text is held back only where a stop string may have begun.", on=strings, about="held back", vllm=NEXT, misconception=True)
def test_only_a_possible_stop_string_is_held_back(run):
    first = run.stream[0]
    assert first.get("never") == first.get("plain"), f"the stop string is zzzzzz; of {first.get('plain')!r} {first.get('never')!r} is shown"


@claim("With include_stop_str_in_output nothing is held back.", on=strings, about="held back", vllm=NEXT)
def test_nothing_is_held_back_if_stop_strings_are_included(run):
    assert run.pieces["never_kept"] == run.pieces["plain"], f"{run.pieces['never_kept']}"


@claim("A stop string is looked for in the output alone: not in the prompt, and not across its end.", on=prompt_border, about="length", vllm=UPDATE)
def test_a_stop_string_does_not_begin_in_the_prompt(run):
    assert run.text("across").startswith(" fortune") and end(run, "across") == (6, "length", None), f"{run.text('across')!r}"
    assert end(run, "inside") == (6, "length", None), f"{end(run, 'inside')}"


@claim("A stop string that is complete within the first min_tokens tokens is passed over for good.", on=min_tokens, about="length", vllm=UPDATE)
def test_min_tokens_passes_over_stop_strings(run):
    assert run.text("late") == SAID and end(run, "late") == (10, "length", None), f"{end(run, 'late')}: {run.text('late')!r}"


@claim("After min_tokens, the next stop string ends the request.", on=min_tokens, about="stop string", vllm=UPDATE)
def test_a_stop_string_after_min_tokens(run):
    assert end(run, "again") == (9, "stop", "in") and run.text("again") == " of a good fortune, must be ", f"{end(run, 'again')}"


@claim("A stop string ends a request before its min_tokens: these delay EOS and stop tokens only.",
       on=min_tokens, about="length", vllm=UPDATE, misconception=True)
def test_min_tokens_is_not_for_stop_strings(run):
    assert end(run, "late")[1] == "stop", f"good came as the third token; with min_tokens=8 it ended as {end(run, 'late')}"


@claim("Before min_tokens, neither EOS, nor the other EOS of the generation config, nor a stop token is generated.",
       on=min_tokens, about=("end of sequence", "stop token"), vllm=MIN_TOKENS)
def test_min_tokens_forbids_the_ends(run):
    for name, token in (("eos", 1), ("second_eos", 0), ("ids", 50)):
        assert token not in run.tokens(name)[:3] and run.tokens(name)[3:] == [token], f"{name}: {run.tokens(name)}"


@claim("min_tokens forbids EOS even to a request that ignores EOS.", on=min_tokens, about="length", vllm=GENERATION_CONFIG)
def test_min_tokens_forbids_an_ignored_eos(run):
    tokens = run.tokens("ignoring")
    assert 1 not in tokens[:3] and tokens[3:] == [1, 1, 1], f"EOS is wanted from the first token on: {tokens}"


@claim("Every EOS of the generation config ends a request; only that of the tokenizer is not named as the stop reason.",
       on=eos, about="end of sequence", vllm=GENERATION_CONFIG)
def test_a_second_eos_is_a_stop_token(run):
    assert end(run, "first") == (1, "stop", None) and end(run, "second") == (1, "stop", 0), f"{end(run, 'first')}, {end(run, 'second')}"


@claim("ignore_eos ignores every EOS of the generation config.", on=eos, about="length", vllm=GENERATION_CONFIG)
def test_ignore_eos_ignores_all_of_them(run):
    assert run.tokens("ignored") == [1] * 4 and run.tokens("second_ignored") == [0] * 4, f"{run.tokens('ignored')}, {run.tokens('second_ignored')}"


@claim("An EOS that is also the last of max_tokens ends with the reason stop.", on=eos, about="end of sequence", vllm=CHECK_STOP)
def test_eos_beats_max_tokens(run):
    assert end(run, "at_the_end") == (1, "stop", None), f"{end(run, 'at_the_end')}"


@claim("A sampled EOS ends a request as a greedy one does.", on=eos, about=("sampling", "end of sequence"), vllm=CHECK_STOP)
def test_a_sampled_eos_ends(run):
    assert end(run, "hot") == end(run, "first"), f"{end(run, 'hot')}"


@claim("A stop token is among the token ids and not in the text.", on=stop_ids, about="stop token", vllm=UPDATE)
def test_a_stop_token_is_not_in_the_text(run):
    for name in ("ids", "with_others"):
        assert run.tokens(name) == [50] and run.text(name) == "" and end(run, name) == (1, "stop", 50), f"{run.tokens(name)}: {run.text(name)!r}"


@claim("include_stop_str_in_output shows a stop token, too, not just stop strings.", on=stop_ids, about="stop token", vllm=UPDATE)
def test_a_stop_token_can_be_shown(run):
    assert run.text("shown") == run.text("plain")[:1] != "", f"{run.text('shown')!r}"
    assert run.tokens("shown") == [50]


@claim("If the stop token would also complete a stop string, the token wins: its text is never looked at.",
       on=string_and_id, about="stop token", vllm=UPDATE)
def test_a_stop_token_beats_a_stop_string(run):
    assert end(run, "id") == (1, "stop", 50), f"{end(run, 'id')}"


@claim("If stop tokens are shown, a stop string that one completes becomes the stop reason.", on=string_and_id, about="stop string", vllm=OUTPUTS)
def test_a_stop_string_beats_a_shown_stop_token(run):
    assert end(run, "shown") == (1, "stop", "P") and run.text("shown") == "P", f"{end(run, 'shown')}"


@claim("The scheduler never hears of stop strings: it is told to abort, by those who read the text.", on=beside, about=("stop string", "abort"), vllm=OUTPUTS)
def test_the_scheduler_aborts_at_a_stop_string(run):
    told = [done.finish_reason for step in run.steps for done in step.outputs if done.request_id == "a"]
    assert end(run, "a") == (3, "stop", "good") and told == [None] * 3, f"the scheduler's outcomes for a: {told}"
    assert [step.index for step in run.steps if "a" in step.finished] == [3], "the next step tells the workers"


@claim("A stop string ends the request in the scheduler's step in which it is generated.", on=beside, about="stop string",
       vllm="v1/core/sched/scheduler.py::Scheduler.update_from_output", misconception=True)
def test_the_scheduler_ends_a_stop_string(run):
    step = run.steps[2]
    assert "a" not in step.updated_state.running, f"after the step that completed it, running is {step.updated_state.running}"


@claim("max_tokens=1 gives one token, and its reason is length.", on=lengths, about="length", vllm=CHECK_STOP)
def test_one_token_is_a_length(run):
    assert end(run, "one") == (1, "length", None), f"{end(run, 'one')}"


@claim("max_tokens beyond what max_model_len has room for is not refused: the request ends when it is full, as with no max_tokens.",
       on=lengths, about="length", vllm=CHECK_STOP)
def test_a_full_model_len_is_a_length(run):
    for name in ("full", "open"):
        room = 512 - len(run.requests[name].prompt_token_ids)
        assert end(run, name) == (room, "length", None), f"{name}: {end(run, name)}, room for {room}"


@claim("max_tokens beyond max_model_len is refused.", on=lengths, about="length", vllm=CHECK_STOP, misconception=True)
def test_max_tokens_without_room_is_refused(run):
    assert "full" in run.refused, f"100 tokens were asked for, with room for 8: it got {end(run, 'full')}"


@claim("A stop string that is a special token is found only if special tokens are shown.", on=special, about=("length", "stop string"), vllm=UPDATE)
def test_a_special_token_is_no_stop_string(run):
    assert end(run, "hidden") == (4, "length", None) and run.text("hidden") == "", f"{end(run, 'hidden')}"
    assert end(run, "shown")[:2] == (1, "stop") and run.text("shown") == "", f"{end(run, 'shown')}"
