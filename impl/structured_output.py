"""Structured output: what a request says has to follow a grammar, which is compiled while the request waits.

Compiling takes from milliseconds to seconds, and goes on beside the steps. Until it is done the request waits, and others
may pass it. From then on the sampler offers only tokens that the grammar allows, and the scheduler tells the grammar what was said.

Mirrors `v1/structured_output/request.py::StructuredOutputRequest`.
"""
from collections.abc import Sequence
from typing import Protocol


class Matcher(Protocol):
    """A compiled grammar, and how far a request has come in it."""

    def accept(self, token_ids: Sequence[int]) -> bool:
        """Go on by these tokens; False if they break the rules."""


class Grammar:
    """A request's grammar, from the request for it to its end. Compiled by somebody else, who calls `compiled` or `failed`."""

    __slots__ = ("matcher", "error")

    def __init__(self):
        self.matcher: Matcher | None = None
        self.error: str | None = None

    @property
    def is_ready(self) -> bool:
        return self.matcher is not None

    def compiled(self, matcher: Matcher) -> None:
        self.matcher = matcher

    def failed(self, error: str) -> None:
        """It cannot be compiled: the request ends with an error, at the end of a step that would have admitted it."""
        self.error = error
