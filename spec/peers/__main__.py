"""`python -m spec.peers`: how much of vLLM each engine does, by theme, and what each idea buys. From recordings, in seconds."""
import argparse
import importlib
import os
from types import ModuleType

from reference.choose import Reference
from reports import peers_page
from spec.peers.conformance import Finding, Outcome, claims, conformance, recorded
from spec.peers.tables import by_outcome, by_theme, in_short, markdown, plain, what_ideas_buy
from spec.peers.workloads import SITUATIONS

OURS = ["impl", "impl.naive", "impl.static_batching"]
LEGEND = ("Same: every decision is vLLM's, block ids included. True: the sentence says of it what it says of vLLM, and what it is\n"
          "about happens; a misconception has to be false of it. Waits and gaps are counted in tokens computed meanwhile, for anybody.")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m spec.peers", description="Set engines beside vLLM, claim by claim, and see what each idea buys.")
    parser.add_argument("engines", nargs="*", default=OURS, metavar="PACKAGE", help=f"engines with the doors of impl (default: {' '.join(OURS)})")
    parser.add_argument("--why", action="store_true", help="list the claims which an engine does not keep, with the reason")
    parser.add_argument("--markdown", action="store_true", help="print the tables as Markdown, the README's first")
    parser.add_argument("--page", action="store_true", help="write the tables as a page, too")
    chosen = parser.parse_args(argv)
    try:
        packages = [_engine(name) for name in chosen.engines]
    except ImportError as error:
        parser.error(f"{error}: name packages with a Scheduler, such as {', '.join(OURS)}")
    reference, every = Reference("recorded"), claims()
    asked = list(recorded(every, reference))
    found = {package.__name__: conformance(package, asked) for package in packages}
    lead = (f"{len(asked)} claims about the scheduler and the KV cache, against vLLM {reference.version} as recorded until {reference.date}"
            + (f"; {len(every) - len(asked)} more are not recorded: 'make record'" if len(every) > len(asked) else "") + f".\n{LEGEND}")
    tables = {"Claims by theme": by_theme(found), "What became of the sentences": by_outcome(found),
              **{name.capitalize(): what_ideas_buy(situation, reference) for name, situation in SITUATIONS.items()}}
    print(lead)
    for name, rows in ({"In short": in_short(reference)} | tables if chosen.markdown else tables).items():
        print(f"\n**{name}**\n\n{markdown(rows)}" if chosen.markdown else f"\n{name}\n\n{plain(rows)}")
    if chosen.why:
        _tell(found)
    if chosen.page:
        peers_page.PAGE.write_text(peers_page.page(lead, tables), encoding="utf-8")
        print(f"\nthe same as a page: {os.path.relpath(peers_page.PAGE)}")
    return 0


def _engine(name: str) -> ModuleType:
    package = importlib.import_module(name)
    if not hasattr(package, "Scheduler"):
        raise ImportError(f"{name} has no Scheduler")
    return package


def _tell(found: dict[str, list[Finding]]) -> None:
    for engine, findings in found.items():
        print(f"\n{engine}")
        for finding in findings:
            if finding.outcome is not Outcome.TRUE:
                kind = "(a misconception) " if finding.claim.misconception else ""
                print(f"  {finding.claim.theme:26} {kind}{finding.claim.sentence}\n{'':29}{finding.outcome}: {finding.why}")


if __name__ == "__main__":
    raise SystemExit(main())
