"""The words for what became of a claim, and how they are counted. The order here is the order everywhere."""
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

PASS, FAIL, OPEN = "pass", "fail", "open"   # OPEN: nothing was found out


class Kind(NamedTuple):
    """A verdict, together with what was expected."""

    name: str
    many: str
    key: str            # in the page's HTML and CSS
    mark: str           # one character that says it without colour
    side: str           # PASS, FAIL or OPEN
    meaning: str
    rare: bool = False  # left out where it did not happen


KINDS = (
    Kind("CONFIRMED", "CONFIRMED", "confirmed", "✓", PASS, "true of vLLM, and our engine decided the same"),
    Kind("misconception REFUTED", "misconceptions REFUTED", "misconception", "¬", PASS,
         "a belief that vLLM does not share, as expected"),
    Kind("known divergence", "known divergences", "known", "≈", PASS,
         "our engine decides otherwise; registered, with a reason"),
    Kind("REFUTED", "REFUTED", "refuted", "✗", FAIL, "false of vLLM"),
    Kind("DIVERGED", "DIVERGED", "diverged", "≠", FAIL, "our engine decided otherwise than vLLM"),
    Kind("VACUOUS", "VACUOUS", "vacuous", "∅", FAIL, "what the claim is about never happened"),
    Kind("UNTESTED", "UNTESTED", "untested", "?", OPEN, "no vLLM was there to ask"),
    Kind("misconception UPHELD", "misconceptions UPHELD", "upheld", "!", FAIL,
         "marked as a misconception, yet not refuted", rare=True),
    Kind("STALE divergence", "STALE divergences", "stale", "!", FAIL,
         "registered as a known divergence, yet the engines agree", rare=True),
    Kind("ERROR", "ERRORS", "error", "!", FAIL, "the claim itself broke: no verdict", rare=True),
)
_BY_KEY = {kind.key: kind for kind in KINDS}


def kind_of(claim: dict) -> Kind:
    """What became of a claim."""
    key = str(claim.get("verdict", "")).lower()
    if key == "refuted" and claim.get("misconception"):
        key = "misconception"
    elif key == "diverged" and claim.get("known_divergence"):
        key = "known"
    elif key == "confirmed" and claim.get("misconception"):
        key = "upheld"
    elif key == "confirmed" and claim.get("known_divergence"):
        key = "stale"
    return _BY_KEY.get(key, _BY_KEY["error"])


def failed(event: dict) -> bool:
    """Whether pytest counts this claim or test as failed. (Whether a verdict passes is not decided here.)"""
    return event.get("outcome") in ("failed", "error")


def count(claims: Iterable[dict]) -> list[tuple[Kind, int]]:
    """How many there are of each kind; the rare ones only where there are some."""
    found = Counter(kind_of(claim).key for claim in claims)
    return [(kind, found[kind.key]) for kind in KINDS if found[kind.key] or not kind.rare]


def phrase(kind: Kind, number: int) -> str:
    return f"{number} {kind.name if number == 1 else kind.many}"


def remedy(claims: Iterable[dict]) -> str | None:
    """What to do about the claims that could not be tested: what most of them name."""
    named = Counter((claim.get("finding") or {}).get("remedy") for claim in claims if kind_of(claim).side == OPEN)
    del named[None]
    return named.most_common(1)[0][0] if named else None


def sequences(claims: Iterable[dict]) -> list[str]:
    """A line per dtype on what was generated: a three-way verdict on each sequence, and how far the logprobs are apart.

    Registered divergences are counted among the verdicts.
    """
    asked = {counts["key"]: counts for claim in claims for counts in claim.get("sequences", ()) if counts["positions"] and not claim.get("known_divergence")}
    lines = []
    for dtype in sorted({counts["dtype"] for counts in asked.values()}, reverse=True):
        of_dtype = [counts for counts in asked.values() if counts["dtype"] == dtype]
        identical, ties, diverged, positions = (sum(counts[name] for counts in of_dtype) for name in ("identical", "near_ties", "diverged", "positions"))
        share = 100 * ties / max(1, identical + ties + diverged)
        lines.append(f"{dtype} sequences: {identical} identical · {ties} near-ties, proved ({share:.2f} %) · {diverged} diverged; "
                     f"{positions} tokens; largest difference of a logprob {max(counts['largest'] for counts in of_dtype):.1e}")
    return lines
