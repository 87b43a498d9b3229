"""What changed in vLLM's source where a claim's run passes, between two releases: a few hunks of a unified diff."""
import difflib
import functools
import re
from pathlib import Path
from typing import NamedTuple

from reference.source import span
from spec.bench.claim import Claim

CONTEXT = 2         # lines around a hunk
MOST_LINES = 64     # of one change
LONG = 24           # lines of a hunk: what is beyond is cut, and the more there are, the less a word in them counts
WEIGHT = 3          # words: what it counts to be in the place that a claim names, or to be passed by nobody else
LIMITS = "config/scheduler.py"      # what is declared there runs at import, when no claim is walked through


class Hunk(NamedTuple):
    """Lines `old` of the one version of a file became lines `new` of the other: from, to, counted from 0, the end not included."""

    file: str
    old: tuple[int, int]
    new: tuple[int, int]


Walk = dict[str, list[int]]     # the lines that a claim's run executes in a release, by file


class Sides(NamedTuple):
    """Two releases: the package folder of vLLM, and what each claim's run executes there, by the claim's name."""

    old: Path
    new: Path
    old_walks: dict[str, Walk]
    new_walks: dict[str, Walk]


def change(claim: Claim, sides: Sides, unmoved: list[str]) -> str:
    """The hunks that the claim's run passes, and those that declare its limits, as text; those of the place that it names where there are none.

    First come those of the place that it names, those which the claims `unmoved`, whose answers are the same in both
    releases, pass seldom, and those whose code uses the claim's own words, such as the name of a limit. What is beyond
    `MOST_LINES` is counted only. No text at all if both releases are the same to the claim.
    """
    files = sorted({claim.vllm.partition("::")[0], LIMITS, *sides.old_walks[claim.name], *sides.new_walks[claim.name]})
    hunks = [hunk for file in files for hunk in _hunks(file, sides.old, sides.new)]
    words = _words(claim)
    telling = ([hunk for hunk in hunks if _passed(hunk, claim.name, sides) or _declares(hunk, words, sides)]
               or [hunk for hunk in hunks if _named(hunk, claim.vllm, sides)])

    def weight(hunk: Hunk) -> float:
        others = sum(_passed(hunk, name, sides) for name in unmoved) / max(len(unmoved), 1)
        size = 1 + _length(hunk) / LONG
        return len(words & _changed_words(hunk, sides)) / size - WEIGHT * others + WEIGHT * _named(hunk, claim.vllm, sides)

    telling.sort(key=weight, reverse=True)
    return _bounded([_text(hunk, sides) for hunk in telling])


def _length(hunk: Hunk) -> int:
    """Lines that went or came."""
    return hunk.old[1] - hunk.old[0] + hunk.new[1] - hunk.new[0]


def _passed(hunk: Hunk, claim: str, sides: Sides) -> bool:
    """Whether a line that differs was executed for a claim, in either release. No comment ever is."""
    return any(start < line <= end for (start, end), walks in ((hunk.old, sides.old_walks), (hunk.new, sides.new_walks))
               for line in walks[claim].get(hunk.file, ()))


def _declares(hunk: Hunk, words: set[str], sides: Sides) -> bool:
    """Whether it is about a limit that the claim's workload sets."""
    return hunk.file == LIMITS and any("_" in word for word in words & _changed_words(hunk, sides))


def _named(hunk: Hunk, source: str, sides: Sides) -> bool:
    """Whether it lies in the definition that the claim names."""
    if hunk.file != source.partition("::")[0]:
        return False
    for (start, end), folder in ((hunk.old, sides.old), (hunk.new, sides.new)):
        place = span(source, folder)
        if place and start < place[1] and place[0] <= end:
            return True
    return False


def _words(claim: Claim) -> set[str]:
    """What the claim speaks of: the words of its sentence, of the place that it names, and of its workloads."""
    return _long_words(" ".join([claim.sentence, claim.vllm.rpartition(".")[2], *(workload.source() for workload in claim.on)]))


def _changed_words(hunk: Hunk, sides: Sides) -> set[str]:
    lines = _lines(sides.old / hunk.file)[slice(*hunk.old)] + _lines(sides.new / hunk.file)[slice(*hunk.new)]
    return _long_words(" ".join(line.partition("#")[0] for line in lines))


def _long_words(text: str) -> set[str]:
    """Names as a whole, and the beginnings of the words in them: a preemption is of what preempts."""
    names = re.findall(r"[a-z_]{5,}", text.lower())
    return {name for name in names if "_" in name} | {word[:6] for name in names for word in name.split("_") if len(word) > 4}


def _text(hunk: Hunk, sides: Sides) -> list[str]:
    """The hunk as in a unified diff, with where it is in both releases."""
    old, new = _lines(sides.old / hunk.file), _lines(sides.new / hunk.file)
    (old_start, old_end), (start, end) = hunk.old, hunk.new
    return [f"@@ {hunk.file}:{old_start + 1} → {start + 1} @@",
            *(f" {line}" for line in new[max(start - CONTEXT, 0):start]),
            *(f"-{line}" for line in old[old_start:old_end]), *(f"+{line}" for line in new[start:end]),
            *(f" {line}" for line in new[end:end + CONTEXT])]


def _bounded(hunks: list[list[str]]) -> str:
    """The first hunks; one that is long is cut."""
    told: list[str] = []
    for number, hunk in enumerate(hunks):
        shown = hunk[:LONG] + ["…"] * (len(hunk) > LONG)
        if len(told) + len(shown) > MOST_LINES:
            return "\n".join([*told, f"… and {len(hunks) - number} more places that the run passes"])
        told += shown
    return "\n".join(told)


@functools.cache
def _hunks(file: str, old: Path, new: Path) -> list[Hunk]:
    matcher = difflib.SequenceMatcher(None, _lines(old / file), _lines(new / file), autojunk=False)
    return [Hunk(file, opcode[1:3], opcode[3:5]) for opcode in matcher.get_opcodes() if opcode[0] != "equal"]


@functools.cache
def _lines(path: Path) -> list[str]:
    """Of a file that is not in one of the releases: none."""
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
