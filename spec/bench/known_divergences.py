"""Where our engine knowingly decides otherwise than vLLM, why, and where to read on.

By the name of the claim that shows it. The list is strict: an entry whose claim does
not diverge any more fails.
"""
from typing import NamedTuple


class KnownDivergence(NamedTuple):
    reason: str
    link: str


KNOWN_DIVERGENCES: dict[str, KnownDivergence] = {}
