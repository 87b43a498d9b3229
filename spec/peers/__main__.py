"""`python -m spec.peers`: how much of vLLM each engine does, by theme, and what each idea buys. From recordings, in seconds."""
import argparse
import importlib
from types import ModuleType

from reference.choose import Reference
from spec.peers.conformance import Finding, Outcome, claims, conformance, recorded
from spec.peers.tables import by_outcome, by_theme, in_short, markdown, plain, what_ideas_buy
from spec.peers.workloads import SITUATIONS

OURS = ["impl", "impl.naive", "impl.static_batching"]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m spec.peers", description="Set engines beside vLLM, claim by claim, and see what each idea buys.")
    parser.add_argument("engines", nargs="*", default=OURS, metavar="PACKAGE", help=f"engines with the doors of impl (default: {' '.join(OURS)})")
    parser.add_argument("--why", action="store_true", help="list the claims which an engine does not keep, with the reason")
    parser.add_argument("--markdown", action="store_true", help="print the tables as Markdown")
    chosen = parser.parse_args(argv)
    try:
        packages = [_engine(name) for name in chosen.engines]
    except ImportError as error:
        parser.error(f"{error}: name packages with a Scheduler, such as {', '.join(OURS)}")
    reference, form = Reference("recorded"), markdown if chosen.markdown else plain
    every = claims()
    asked = list(recorded(every, reference))
    found = {package.__name__: conformance(package, asked) for package in packages}
    print(f"{len(asked)} claims about the scheduler and the KV cache, against vLLM {reference.version} as recorded until {reference.date}"
          + (f"; {len(every) - len(asked)} more are not recorded: 'make record'" if len(every) > len(asked) else ""))
    print("same: every decision is vLLM's, block ids included. true: the sentence says of it what it says of vLLM,\n"
          "and what it is about happens; a misconception has to be false of it. --why tells of the others.\n")
    print(form(by_theme(found)), form(by_outcome(found)), sep="\n\n")
    if chosen.why:
        return _tell(found)
    if chosen.markdown:
        print(f"\nIn short:\n\n{markdown(in_short(reference))}")
    for name, situation in SITUATIONS.items():
        print(f"\n{_bold(name, chosen.markdown)}\n\n{form(what_ideas_buy(situation, reference))}")
    print("\nWaits and gaps are counted in tokens which the engine computes meanwhile, for anybody.")
    return 0


def _engine(name: str) -> ModuleType:
    package = importlib.import_module(name)
    if not hasattr(package, "Scheduler"):
        raise ImportError(f"{name} has no Scheduler")
    return package


def _bold(name: str, marked: bool) -> str:
    return f"**{name}**" if marked else name.capitalize()


def _tell(found: dict[str, list[Finding]]) -> int:
    for engine, findings in found.items():
        print(f"\n{engine}")
        for finding in findings:
            if finding.outcome is not Outcome.TRUE:
                kind = "(a misconception) " if finding.claim.misconception else ""
                print(f"  {finding.claim.theme:26} {kind}{finding.claim.sentence}\n{'':29}{finding.outcome}: {finding.why}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
