"""Structured output, end to end: the text follows a regular expression, a choice, a JSON schema or a grammar, token by token as in vLLM."""
import json
import re

import pytest

from spec.bench import claim, prompts

MASK = "v1/structured_output/__init__.py::StructuredOutputManager.grammar_bitmask"
CHECK = "v1/structured_output/backend_xgrammar.py::validate_xgrammar_grammar"
SCHEMA = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 8}, "age": {"type": "integer", "maximum": 99, "minimum": 1}},
          "required": ["name", "age"], "additionalProperties": False}
NUMBER = r"[0-9]{3}-[0-9]{4}"

every_kind = (prompts()
              .ask("regex", "Elizabeth was", max_tokens=30, logprobs=2, structured_outputs={"regex": NUMBER})
              .ask("choice", "Elizabeth was", max_tokens=30, logprobs=2, structured_outputs={"choice": ["happy", "un\"happy", "hap\nless"]})
              .ask("json", "Elizabeth was", max_tokens=80, structured_outputs={"json": SCHEMA})
              .ask("grammar", "Elizabeth was", max_tokens=30, structured_outputs={"grammar": 'root ::= ("ab" | "ba")+ "!"'})
              .ask("free", "Elizabeth was", max_tokens=12, logprobs=2))

by_chance = (prompts()
             .ask("a", "Elizabeth was", max_tokens=30, temperature=1.5, seed=1, structured_outputs={"regex": NUMBER})
             .ask("b", "Elizabeth was", max_tokens=30, temperature=1.5, seed=2, structured_outputs={"regex": NUMBER}))

crowded = (prompts(num_gpu_blocks_override=4, max_model_len=96, max_num_batched_tokens=32)
           .ask("a", list(range(10, 40)), max_tokens=40, structured_outputs={"regex": "[a-z ]+"})
           .ask("b", list(range(50, 82)), max_tokens=40, structured_outputs={"regex": "[A-Z ]+"}))

cut_short = prompts().ask("a", "Elizabeth was", max_tokens=3, structured_outputs={"regex": NUMBER})

unreadable = (prompts()
              .ask("regex", "Elizabeth was", max_tokens=4, structured_outputs={"regex": "(["})
              .ask("json", "Elizabeth was", max_tokens=4, structured_outputs={"json": "{not json"})
              .ask("fine", "Elizabeth was", max_tokens=4))

without_end = prompts().ask("a", "Elizabeth was", max_tokens=30, ignore_eos=True, structured_outputs={"choice": ["happy"]})


@claim("The text follows the regular expression, and ends where it ends.", on=every_kind, about=("greedy", "end of sequence"), vllm=MASK)
def test_a_regular_expression(run):
    assert re.fullmatch(NUMBER, run.text("regex")) and run.of("regex").finish_reason == "stop"


@claim("The text is one of the choices, whatever is in them.", on=every_kind, about="greedy", vllm=MASK)
def test_a_choice(run):
    assert run.text("choice") in ("happy", 'un"happy', "hap\nless")


@claim("A text that has ended is JSON by its schema. (It need not end: white space is always allowed, and one of the models says nothing else.)",
       on=every_kind, about="greedy", vllm=MASK)
def test_json(run):
    text = run.text("json")
    if run.of("json").finish_reason == "length":
        assert re.fullmatch(r'\{\s*"name"\s*', text), f"neither JSON nor white space: {text!r}"
    else:
        said = json.loads(text)
        assert said.keys() == {"name", "age"} and isinstance(said["age"], int) and 1 <= said["age"] <= 99


@claim("The text follows the grammar as far as it goes.", on=every_kind, about="greedy", vllm=MASK)
def test_a_grammar(run):
    assert re.fullmatch("(ab|ba)*(ab|ba|a|b)?!?", run.text("grammar"))


@claim("Who asks for no structure is not affected by those who do.", on=every_kind, about="greedy", vllm=MASK)
def test_others_are_free(run):
    assert not re.fullmatch(r"[0-9\-]*", run.text("free"))


@claim("The raw logprobs are those of the model, as if there were no grammar.", on=every_kind, about="logprobs", vllm=MASK, misconception=True)
def test_raw_logprobs_know_nothing_of_the_grammar(run):
    assert {entry.logprob for entry in run.of("regex").logprobs[0].values()} == {entry.logprob for entry in run.of("free").logprobs[0].values()}


@claim("What the grammar forbids has no probability: the rest shares it, also in the raw logprobs.", on=every_kind, about="logprobs", vllm=MASK)
def test_forbidden_tokens_have_no_share(run):
    forced = run.of("regex").logprobs[3]       # the dash, which alone may come, or a token that begins with it
    assert max(entry.logprob for entry in forced.values()) > -1


@claim("By chance as well, only what the grammar allows comes.", on=by_chance, about="sampling", vllm=MASK)
def test_by_chance(run):
    assert all(re.fullmatch(NUMBER, run.text(name)) for name in "ab") and run.text("a") != run.text("b")


@claim("A request that is preempted goes on where its grammar was.", on=crowded, about=("preemption", "resumption"), vllm=MASK)
def test_preemption_keeps_the_grammar(run):
    assert re.fullmatch("[a-z ]+", run.text("a")) and re.fullmatch("[A-Z ]+", run.text("b"))


@claim("max_tokens cuts what follows a grammar short: the text need not be complete.", on=cut_short, about="length", vllm=MASK)
def test_cut_short(run):
    assert not re.fullmatch(NUMBER, run.text("a")) and run.of("a").finish_reason == "length"


@claim("What cannot be read is refused at the door, and others go on.", on=unreadable, about="refusal", vllm=CHECK)
def test_unreadable(run):
    assert set(run.refused) == {"regex", "json"} and len(run.tokens("fine")) == 4


@claim("With ignore_eos a grammar that is complete still ends the request.", on=without_end, about="generated token",
       vllm="v1/structured_output/backend_xgrammar.py::XgrammarGrammar.accept_tokens", misconception=True)
def test_a_complete_grammar_ends_it(run):
    assert run.of("a").finish_reason == "stop"


@pytest.mark.parametrize("wrong, says", [({}, "exactly one"), ({"regex": "a", "choice": ["b"]}, "exactly one"), ({"poem": "a"}, "exactly one"),
                                         ({"choice": []}, "list of texts"), ({"choice": "abc"}, "list of texts"), ({"regex": "(["}, "cannot be read")], ids=str)
def test_refused_by_name(wrong, says):
    pytest.importorskip("xgrammar", reason="needs xgrammar: make setup")
    from tokenizers import Tokenizer

    from impl.grammar_compiler import GrammarCompiler, InvalidGrammarError
    tokenizer = Tokenizer.from_file(str(prompts("llama").folder / "tokenizer.json"))
    with pytest.raises(InvalidGrammarError, match=says):
        GrammarCompiler(tokenizer, 1024).parse(wrong)
