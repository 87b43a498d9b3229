"""`python -m spec.museum`: which claims notice which bug; `--mutant NAME`: one of them in detail."""
import argparse
import difflib
import sys
import textwrap
from collections import Counter

from spec.museum.engine_matrix import notices
from spec.museum.engine_mutants import ENGINE_MUTANTS, EngineMutant
from spec.museum.load import StaleMutantError, mutate
from spec.museum.matrix import Museum
from spec.museum.mutant import Mutant
from spec.museum.mutants import MUTANTS

WIDTH = 72  # of the sentences
ENGINES = {exhibit.mutant: exhibit for exhibit in ENGINE_MUTANTS}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m spec.museum",
                                     description="Put real bugs into impl and see which claims notice them.")
    parser.add_argument("--mutant", metavar="NAME", choices=[mutant.name for mutant in (*MUTANTS, *ENGINES)],
                        help="show one mutant: its story, its change, and all claims that notice it")
    chosen = parser.parse_args(argv).mutant
    mutants = [mutant for mutant in (*MUTANTS, *ENGINES) if chosen in (None, mutant.name)]
    stale = [complaint for mutant in mutants if (complaint := _stale(mutant))]
    if stale:
        print(*stale, sep="\n\n", file=sys.stderr)
        return 1
    if chosen:
        return show_engine(ENGINES[mutants[0]]) if mutants[0] in ENGINES else show(mutants[0], Museum())
    return show_matrix(Museum()) | show_engines()


def show_matrix(museum: Museum) -> int:
    matrix = {}
    for number, mutant in enumerate(MUTANTS, 1):
        _progress(f"{number}/{len(MUTANTS)} {mutant.name}")
        matrix[mutant] = list(museum.kills(mutant))
    _progress("")
    deadly = Counter(kill.claim.sentence for kills in matrix.values() for kill in kills)
    for mutant, kills in matrix.items():
        # Of the claims that it makes false outright, those that notice little else say most about it.
        telling = sorted(kills, key=lambda kill: (not kill.outright, kill.claim.misconception, deadly[kill.claim.sentence]))[:2]
        for number, sentence in enumerate([kill.claim.sentence for kill in telling] or ["LIVES: no claim notices it"]):
            head = f"{mutant.name:32} {len(kills):3} claims" if number == 0 else ""
            print(f"{head:43}  {textwrap.shorten(sentence, WIDTH, placeholder=' …')}")

    harmless = [claim for claim in museum.claims if not deadly[claim.sentence]]
    print(f"\n{len(harmless)} of {len(museum.claims)} claims notice no mutant:")
    for claim in harmless:
        print(f"  {claim.theme:32} {'(a misconception) ' if claim.misconception else ''}{claim.sentence}")
    if museum.left_out:
        print(f"\n{len(museum.left_out)} claims were not asked, because they are not true of impl itself:")
        for claim in museum.left_out:
            print(f"  {claim.theme:32} {claim.sentence}")

    survivors = [mutant.name for mutant, kills in matrix.items() if not kills]
    print(f"\n{len(MUTANTS)} mutants, " + (f"{len(survivors)} alive: {', '.join(survivors)}" if survivors else "all killed"))
    return 1 if survivors else 0


def show_engines() -> int:
    """The bugs of whole engines, each with the claim that notices it."""
    print()
    survivors = []
    for number, exhibit in enumerate(ENGINES.values(), 1):
        _progress(f"{number}/{len(ENGINES)} {exhibit.mutant.name}")
        found_out = notices(exhibit)
        _progress("")
        survivors += [] if found_out else [exhibit.mutant.name]
        said = f"{found_out.verdict}: {found_out.claim.sentence}" if found_out else "LIVES"
        print(f"{exhibit.mutant.name:43}  {textwrap.shorten(said, WIDTH, placeholder=' …')}")
    print(f"\n{len(ENGINES)} mutants of a whole engine, " + (f"{len(survivors)} alive: {', '.join(survivors)}" if survivors else "all killed"))
    return 1 if survivors else 0


def show_engine(exhibit: EngineMutant) -> int:
    _show_change(exhibit.mutant)
    found_out = notices(exhibit)
    if found_out:
        print(f"\n{found_out.claim.theme}: {found_out.claim.sentence}\n{found_out.verdict}: {found_out.divergence or found_out.objection}")
    return 0 if found_out else 1


def _show_change(mutant: Mutant) -> None:
    before, after = mutate(mutant)
    diff = difflib.unified_diff(before.splitlines(), after.splitlines(), f"impl/{mutant.file}", f"impl/{mutant.file}", lineterm="")
    print(f"{mutant.name}\n\n{textwrap.fill(mutant.story, 100)}\n", *diff, sep="\n")


def show(mutant: Mutant, museum: Museum) -> int:
    _show_change(mutant)
    kills = sorted(museum.kills(mutant), key=lambda kill: not kill.outright)
    print(f"\n{len(kills)} of {len(museum.claims)} claims notice it{':' if kills else '.'}")
    for kill in kills:
        print(f"  {kill.claim.theme:32} {kill.claim.sentence}\n{'':36}{textwrap.shorten(kill.why, 100, placeholder=' …')}")
    return 0 if kills else 1


def _stale(mutant: Mutant) -> str | None:
    try:
        mutate(mutant)
    except StaleMutantError as error:
        return str(error)


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
