"""From what a user asks of the output to a compiled grammar that says which tokens may come next. By xgrammar, the library that vLLM uses.

Mirrors `v1/structured_output/backend_xgrammar.py::XgrammarBackend` and `v1/structured_output/__init__.py::StructuredOutputManager`.
"""
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property

import torch
from tokenizers import Tokenizer

from impl.errors import InferLabError
from impl.structured_output import Grammar

KINDS = ("json", "regex", "choice", "grammar")


class InvalidGrammarError(InferLabError):
    """Structured output that cannot be had: an unknown kind, a schema or an expression that cannot be read, or no xgrammar."""


class GrammarCompiler:
    """`vocab_size`: of the model, which may be larger than the tokenizer's."""

    def __init__(self, tokenizer: Tokenizer | None, vocab_size: int):
        self.tokenizer, self.vocab_size = tokenizer, vocab_size
        self.executor = ThreadPoolExecutor(max_workers=1)       # beside the steps; made here, started by the first request

    def parse(self, asked: Mapping[str, object]):
        """What is asked, {kind: rule}, as xgrammar's `Grammar`. Raises `InvalidGrammarError`."""
        if not isinstance(asked, Mapping) or len(asked) != 1 or not asked.keys() <= set(KINDS):
            raise InvalidGrammarError(f"structured_outputs={asked!r}: give it exactly one of {', '.join(KINDS)}")
        if self.tokenizer is None:
            raise InvalidGrammarError("structured_outputs is about the text, and the checkpoint has no tokenizer.json; leave it out")
        (kind, rule), = asked.items()
        try:
            return READ[kind](_xgrammar().Grammar, rule)
        except InvalidGrammarError:
            raise
        except Exception as error:      # xgrammar has no errors of its own
            raise InvalidGrammarError(f"structured_outputs: {kind}={rule!r} cannot be read: {' '.join(str(error).split())}") from error

    def compile(self, parsed, grammar: Grammar, stop_token_ids: Sequence[int]) -> Future:
        """Compile for one request, beside the steps. `stop_token_ids`: what may come where the grammar allows an end."""
        def done(future: Future) -> None:
            if future.exception():
                grammar.failed(str(future.exception()))
            else:
                grammar.compiled(XgrammarMatcher(future.result(), self.vocab_size, stop_token_ids))

        future = self.executor.submit(self._compile, parsed)
        future.add_done_callback(done)
        return future

    def finish(self) -> None:
        """Wait until all that was asked for is compiled."""
        self.executor.submit(int).result()

    def _compile(self, parsed):
        return self._compiler.compile_grammar(parsed)

    @cached_property
    def _compiler(self):
        """Made of the vocabulary when first needed: in the thread that compiles."""
        info = _xgrammar().TokenizerInfo
        vocabulary = self.tokenizer.get_vocab(with_added_tokens=True)
        encoded = [""] * self.vocab_size
        for token, token_id in vocabulary.items():
            encoded[token_id] = token
        metadata = info._detect_metadata_from_hf(self.tokenizer.to_str())
        return _xgrammar().GrammarCompiler(info(encoded, vocab_type=metadata["vocab_type"], vocab_size=self.vocab_size,
                                                add_prefix_space=metadata["add_prefix_space"]))


class XgrammarMatcher:
    """How far one request has come in its grammar."""

    def __init__(self, compiled, vocab_size: int, stop_token_ids: Sequence[int]):
        self.matcher = _xgrammar().GrammarMatcher(compiled, override_stop_tokens=list(stop_token_ids) or None)
        self.bitmask = _xgrammar().allocate_token_bitmask(1, vocab_size)

    def accept(self, token_ids: Sequence[int]) -> bool:
        """What comes after the grammar's end is not its business."""
        return all(self.matcher.is_terminated() or self.matcher.accept_token(token_id) for token_id in token_ids)

    def validate(self, token_ids: Sequence[int]) -> tuple[int, ...]:
        """The first of these tokens, as many as may come one after the other; nothing has come of it."""
        number = next((index for index, token_id in enumerate(token_ids) if self.matcher.is_terminated() or not self.matcher.accept_token(token_id)),
                      len(token_ids))
        self.matcher.rollback(number)
        return tuple(token_ids[:number])

    def mask_ahead(self, logits: torch.Tensor, token_ids: Sequence[int]) -> None:
        """`mask` each row by what may come behind the tokens before it. `logits`: [tokens + 1, vocabulary]; `token_ids`: valid ones."""
        for row, token_id in zip(logits.split(1), (*token_ids, None)):
            self.mask(row)
            if token_id is not None:
                self.matcher.accept_token(token_id)
        self.matcher.rollback(len(token_ids))

    def mask(self, logits: torch.Tensor) -> None:
        """Set to -inf, in place, what may not come next. `logits`: [1, vocabulary]."""
        if not self.matcher.is_terminated():
            self.matcher.fill_next_token_bitmask(self.bitmask)
            _xgrammar().apply_token_bitmask_inplace(logits, self.bitmask.to(logits.device))


def _json(grammar, schema: str | Mapping):
    return grammar.from_json_schema(schema if isinstance(schema, str) else json.dumps(schema))


def _choice(grammar, choices: Sequence[str]):
    """Each choice as a literal. JSON writes control characters as EBNF does."""
    if isinstance(choices, str) or not choices or not all(isinstance(choice, str) for choice in choices):
        raise InvalidGrammarError(f"structured_outputs: choice={choices!r}: give it a list of texts")
    return grammar.from_ebnf("root ::= " + " | ".join(json.dumps(choice, ensure_ascii=False) for choice in choices))


READ: dict[str, Callable] = {"json": _json, "choice": _choice, "regex": lambda grammar, rule: grammar.from_regex(rule),
                             "grammar": lambda grammar, rule: grammar.from_ebnf(rule)}


def _xgrammar():
    try:
        import xgrammar
    except ImportError as error:
        raise InvalidGrammarError("structured_outputs needs xgrammar, and it is not installed: 'make setup', or pip install xgrammar") from error
    return xgrammar
