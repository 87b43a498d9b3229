"""Detokenisation: when text becomes visible, and what never does. Four byte tokens make one emoji.

A script makes an engine say given tokens in their order: huge biases, each smaller than
the one before, and a repetition penalty that takes the bias from a token once it came.
"""
from spec.bench import claim, prompts

DECODE = "v1/engine/detokenizer.py::FastIncrementalDetokenizer.decode_next"
INIT = "v1/engine/detokenizer.py::FastIncrementalDetokenizer"
NEW = "v1/engine/detokenizer.py::IncrementalDetokenizer.from_new_request"
LOGPROBS = "v1/engine/logprobs.py::LogprobsProcessor._correct_decoded_token"
PROCESSOR = "v1/engine/logprobs.py::LogprobsProcessor._update_sample_logprobs"
START = "Elizabeth was"
EMOJI = {"qwen3": (175, 256, 250, 227), "llama": (177, 258, 252, 229)}      # the bytes of U+1F642
P = {"qwen3": 50, "llama": 52}      # the letter P


def script(*token_ids):
    return {"logit_bias": {token: 10_000.0 - 1_000 * place for place, token in enumerate(token_ids)}, "repetition_penalty": 1e6,
            "max_tokens": len(token_ids), "ignore_eos": True}


def on_each(ask):
    """The same prompts for both models, in the token ids of each."""
    return tuple(ask(prompts(model), *EMOJI[model], P[model]) for model in EMOJI)


whole = on_each(lambda on, a, b, c, d, p: on.ask("a", START, logprobs=0, **script(a, b, c, d, p)).ask("mate", START, max_tokens=5))
cut = on_each(lambda on, a, b, c, d, p: on.ask("a", START, **script(a, b, c)))
broken = on_each(lambda on, a, b, c, d, p: on.ask("begun", START, **script(a, b, p)).ask("tail", START, **script(c, d, p)))
border = on_each(lambda on, a, b, c, d, p: on.ask("a", [p, a, b], **script(c, d, p + 1)))
special = on_each(lambda on, a, b, c, d, p: on.ask("hidden", START, **script(p, 1, p + 1)).ask("shown", START, skip_special_tokens=False, **script(p, 1, p + 1)))
stopped = on_each(lambda on, a, b, c, d, p: on.ask("a", START, stop="\N{SLIGHTLY SMILING FACE}", **script(p, a, b, c, d, p + 1)))
raw = prompts().ask("ids", START, max_tokens=6, detokenize=False, logprobs=1).ask("text", START, max_tokens=6, logprobs=1)
spaces = prompts().ask("begun", "It is a truth universally acknowledged, that a single man in possession", max_tokens=3)
SMILE = "\N{SLIGHTLY SMILING FACE}"


@claim("Of a character in several tokens nothing is seen before its last one comes.", on=whole, about="held back", vllm=DECODE)
def test_a_character_comes_whole(*runs):
    for run in runs:
        assert [said.get("a", "") for said in run.stream] == ["", "", "", SMILE, "P"], f"{run.pieces['a']}"


@claim("A character that max_tokens cuts off is never seen, though its tokens are there.", on=cut, about="held back", vllm=DECODE)
def test_a_cut_character_is_never_seen(*runs):
    for run in runs:
        assert run.text("a") == "" and len(run.tokens("a")) == 3, f"{run.text('a')!r}"


@claim("A character that max_tokens cuts off ends as a replacement character.", on=cut, about="length", vllm=DECODE, misconception=True)
def test_a_cut_character_is_replaced(*runs):
    for run in runs:
        assert "\N{REPLACEMENT CHARACTER}" in run.text("a"), f"three of four bytes came: {run.text('a')!r}"


@claim("Bytes that make no character are replaced, and seen as soon as that is certain: with the next whole character.",
       on=broken, about="held back", vllm=DECODE)
def test_broken_bytes_are_replaced(*runs):
    for run in runs:
        for name in ("begun", "tail"):
            pieces = [said.get(name, "") for said in run.stream]
            assert pieces[:2] == ["", ""] and set(pieces[2]) == {"\N{REPLACEMENT CHARACTER}", "P"}, f"{name}: {pieces}"


# The stream of text is primed with the prompt; a prompt that ends in the middle of a character is not yet seen to be over.
@claim("The text of an output does not repeat any of the prompt.", on=border, about="generated token", vllm=INIT, misconception=True)
def test_no_text_of_the_prompt_in_the_output(*runs):
    for run in runs:
        assert not run.text("a").startswith("P"), f"the prompt was a P and half an emoji; the output has the other half, and is {run.text('a')!r}"


@claim("Special tokens are left out of the text, and are among the tokens.", on=special, about="length", vllm=INIT)
def test_special_tokens_are_hidden(*runs):
    for run in runs:
        assert len(run.text("hidden")) == 2 and len(run.tokens("hidden")) == 3 and 1 in run.tokens("hidden"), f"{run.text('hidden')!r}"


@claim("With skip_special_tokens=False they are in the text.", on=special, about="length", vllm=INIT)
def test_special_tokens_are_shown(*runs):
    for run in runs:
        assert run.tokens("hidden") == run.tokens("shown") and run.text("shown")[1:-1] in ("<|im_end|>", "<|eot_id|>"), f"{run.text('shown')!r}"


@claim("A stop string of one character in several tokens is found when it is whole.", on=stopped, about="stop string", vllm=DECODE)
def test_a_stop_string_of_several_tokens(*runs):
    for run in runs:
        assert run.text("a") == "P" and len(run.tokens("a")) == 5 and run.of("a").stop_reason == SMILE, f"{run.text('a')!r}, {run.tokens('a')}"


@claim("Among logprobs, a token with a part of a character has no text; the last part has the whole character.", on=whole, about="logprobs", vllm=LOGPROBS)
def test_the_text_of_a_part_of_a_character(*runs):
    for run in runs:
        told = [entries[token].decoded_token for token, entries in zip(run.tokens("a"), run.of("a").logprobs)]
        assert told == ["", "", "", SMILE, "P"], f"{told}"


@claim("Without detokenization there is no text, and the tokens are the same.", on=raw, about="greedy", vllm=NEW)
def test_no_text_without_detokenization(run):
    assert run.text("ids") == "" and run.tokens("ids") == run.tokens("text"), f"{run.text('ids')!r}"


@claim("Without detokenization logprobs have no texts either.", on=raw, about="logprobs", vllm=PROCESSOR)
def test_no_texts_of_logprobs_without_detokenization(run):
    assert all(entry.decoded_token is None for entries in run.of("ids").logprobs for entry in entries.values()), f"{run.of('ids').logprobs[0]}"
    assert all(entry.decoded_token for entries in run.of("text").logprobs for entry in entries.values())


@claim("The space before the first word of an output is part of the text.", on=spaces, about="greedy", vllm=DECODE)
def test_the_first_space_is_kept(run):
    assert run.text("begun") == " of a good" and run.pieces["begun"] == [" of", " a", " good"], f"{run.pieces['begun']}"
