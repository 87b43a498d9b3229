"""One concept, taken apart: our source and vLLM's side by side, and the claims about it.

    python -m spec explain preemption               a concept of the map, see reference/concepts.py
    python -m spec explain Scheduler.schedule       a name in our code or in vLLM's
    python -m spec explain test_a_preempting_step_admits_nobody
    python -m spec explain preemption --claims      nothing but the claims, for pytest $(…)

On a terminal of 150 columns the sources stand beside each other, on a narrower one under each other.
"""
import argparse
import shlex
import shutil
from difflib import get_close_matches
from itertools import zip_longest
from textwrap import dedent
from typing import NamedTuple

from reference.choose import PINNED_VERSION
from reference.concepts import CONCEPTS, THEMES, Concept, concepts_of
from reference.source import OURS, locate, numbered, vllm_folder
from reference.vllm_scheduler import installed_version
from spec.bench.claim import Claim
from spec.bench.collect import all_claims, node_id

TWO_COLUMNS = 150


class Subject(NamedTuple):
    """What is to be shown."""

    title: str
    ours: str       # file::name
    vllm: str       # file::name
    also: tuple[str, ...]
    claims: list[Claim]
    see: list[str]  # other names to ask for


class Unknown(Exception):
    """Nothing, or more than one thing, goes by this name. The message says what does."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m spec explain", description="Our source and vLLM's for one concept, and the claims about it.")
    parser.add_argument("name", nargs="+", help="a concept, a claim's name, or a name in the code such as Scheduler.schedule")
    parser.add_argument("--claims", action="store_true", help="print the node ids of the claims about it, and nothing else")
    asked = parser.parse_args(arguments)
    name = " ".join(asked.name)
    try:
        subject = find(name)
    except Unknown as why:
        print(why)
        return 1
    if asked.claims:
        print("\n".join(map(node_id, subject.claims)))
    else:
        print(explain(subject, name, shutil.get_terminal_size((100, 24)).columns))
    return 0


def find(name: str) -> Subject:
    """What goes by a name: a claim, a concept, or something in the code. Raises `Unknown`."""
    claims = list({claim.holds: claim for claim in all_claims()}.values())      # one for both models
    by_claim = [claim for claim in claims if name.partition("[")[0] in (claim.name, node_id(claim))]
    if by_claim:
        return _of_claim(by_claim[0])
    concepts = _called(name)
    if len(concepts) == 1:
        return _of_concept(concepts[0], claims)
    if not concepts:
        if subject := _part_of_a_class(name, claims):
            return subject
        raise Unknown("\n    ".join([f"there is no concept, claim or code called {name!r}; the nearest:", *_nearest(name, claims)]))
    raise Unknown("\n    ".join([f"{len(concepts)} concepts go by {name!r}; choose one:", *(concept.name for concept in concepts)]))


def explain(subject: Subject, name: str, width: int) -> str:
    """The whole answer as text. `name`: as it was asked for."""
    ours = _lines(subject.ours, numbered(subject.ours, OURS), "")
    theirs = _lines(subject.vllm, numbered(subject.vllm, folder), "vllm/") if (folder := vllm_folder()) else [
        f"vllm/{subject.vllm}", f"(vLLM {PINNED_VERSION} has it there; none is installed: 'make setup' installs it, and this shows its source)"]
    parts = [subject.title, _beside(ours, theirs, width) if width >= TWO_COLUMNS else "\n".join([*ours, "", *theirs])]
    if subject.also:
        parts.append("\n    ".join([f"vLLM {installed_version() or PINNED_VERSION} does part of it in", *map(_place, subject.also)]))
    parts.append(_told(subject.claims, name))
    if subject.see:
        parts.append("\n    ".join(["see also:", *(f"python -m spec explain {_typed(other)}" for other in subject.see)]))
    return "\n\n".join(parts)


def _called(name: str) -> list[Concept]:
    """The concepts of this name; else those whose code has it; else those in which such an event is seen."""
    wanted = name.casefold()
    for names in (lambda concept: [concept.name], _whole_names, _last_names, lambda concept: concept.about):
        if found := [concept for concept in CONCEPTS if wanted in map(str.casefold, names(concept))]:
            return found
    return []


def _whole_names(concept: Concept) -> list[str]:
    """`impl/scheduler.py::Scheduler.schedule` and `Scheduler.schedule`, of both sides."""
    return [concept.ours, concept.vllm, *(source.partition("::")[2] for source in (concept.ours, concept.vllm))]


def _last_names(concept: Concept) -> list[str]:
    return [source.rpartition(".")[2] for source in (concept.ours, concept.vllm)]


def _of_concept(concept: Concept, claims: list[Claim]) -> Subject:
    theme = next(theme for theme, concepts in THEMES.items() if concept in concepts)
    return Subject(f"{concept.name} ({theme})", concept.ours, concept.vllm, concept.also,
                   [claim for claim in claims if concept in concepts_of(claim.vllm, claim.about)], [])


def _of_claim(claim: Claim) -> Subject:
    concepts = concepts_of(claim.vllm, claim.about)
    closest = concepts[0]
    ours = closest.ours + claim.vllm.removeprefix(closest.vllm) if claim.vllm.startswith(closest.vllm) else closest.ours
    return Subject(f'"{claim.sentence}"', ours if locate(ours, OURS) else closest.ours, claim.vllm, (), [claim], [concept.name for concept in concepts])


def _part_of_a_class(name: str, claims: list[Claim]) -> Subject | None:
    """`Scheduler._choose_victim`, which is not on the map, though its class is: there it is shown, and on the other side the class."""
    outer, _, inner = name.rpartition(".")
    for concept in _called(outer) if outer else ():
        ours, vllm = f"{concept.ours}.{inner}", f"{concept.vllm}.{inner}"
        in_ours, in_vllm = locate(ours, OURS), (folder := vllm_folder()) and locate(vllm, folder)
        if in_ours or in_vllm:
            return Subject(f"{name}, a part of: {concept.name}", ours if in_ours else concept.ours, vllm if in_vllm else concept.vllm, (),
                           [claim for claim in claims if claim.vllm == vllm], [concept.name])
    return None


def _nearest(name: str, claims: list[Claim]) -> list[str]:
    known = {known.casefold(): known for concept in CONCEPTS
             for known in (*concept.about, *_last_names(concept), *(place.partition("::")[2] for place in (concept.ours, concept.vllm)), concept.name)}
    known |= {claim.name: claim.name for claim in claims}
    inside = [key for key in known if name.casefold() in key]
    near = get_close_matches(name.casefold(), known, n=6, cutoff=0.4)
    return [known[key] for key in dict.fromkeys([*near[:3], *inside, *near])][:8] or ["(none; python -m reference.concepts prints all)"]


def _lines(source: str, lines: list[tuple[int, str]] | None, prefix: str) -> list[str]:
    file, _, name = source.partition("::")
    if not lines:
        return [f"{prefix}{source}", f"(it is not there: {'this is another vLLM than ' + PINNED_VERSION if prefix else 'reference/concepts.py is wrong'})"]
    gutter, texts = len(str(lines[-1][0])), dedent("\n".join(text for _, text in lines)).split("\n")
    return [f"{prefix}{file}:{lines[0][0]}  {name}", *(f"{number:>{gutter}}  {text}".rstrip() for (number, _), text in zip(lines, texts))]


def _beside(left: list[str], right: list[str], width: int) -> str:
    """Two columns. What is too long goes on in the next line."""
    column = (width - 3) // 2
    left, right = ([piece for line in side for piece in _wrapped(line, column)] for side in (left, right))
    return "\n".join(f"{one:<{column}} │ {two}".rstrip() for one, two in zip_longest(left, right, fillvalue=""))


def _wrapped(line: str, column: int) -> list[str]:
    pieces = []
    while len(line) > column:
        cut = line.rfind(" ", column // 2, column)
        cut = column if cut < 0 else cut
        pieces.append(line[:cut])
        line = " " * 8 + line[cut:].lstrip()
    return [*pieces, line]


def _place(source: str) -> str:
    """file:line and name of something in vLLM; without the line if vLLM is not installed."""
    found = locate(source, folder) if (folder := vllm_folder()) else None
    file, _, name = source.partition("::")
    return f"vllm/{file}{f':{found[1]}' if found else ''}  {name}"


def _told(claims: list[Claim], name: str) -> str:
    if not claims:
        return "No claim is about it: write the first, see 'Your first claim, in five minutes' in README.md."
    lines = ["the claim about it:" if len(claims) == 1 else f"{len(claims)} claims about it:"]
    for claim in claims:
        lines += [f'    "{claim.sentence}"{" (a misconception)" if claim.misconception else ""}', f"        {node_id(claim)}"]
    command = f"pytest {node_id(claims[0])}" if len(claims) == 1 else f"pytest $(python -m spec explain {_typed(name)} --claims)"
    return "\n".join([*lines, f"ask vLLM about {'it' if len(claims) == 1 else 'them'}:", f"    {command}"])


def _typed(name: str) -> str:
    """A name as it is typed into a shell."""
    return f'"{name}"' if "'" in name else shlex.quote(name)
