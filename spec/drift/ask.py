"""What the vLLM on this process's path says to the claims. `python -m spec.drift.ask OUT` writes it down as JSON.

Started by `python -m spec.drift`, once for each release. The predicate is asked of vLLM's run alone; whether `impl`,
which mirrors one release, made the same decisions is noted beside it. Recordings have no part in this.
"""
import importlib
import json
import linecache
import pkgutil
import sys
from collections import Counter
from functools import partial

import impl
import spec.kv_cache
import spec.scheduler
from reference.play import OurEngine, play
from reference.trace import Run
from reference.vllm_scheduler import VllmEngine, imported_vllm, unknown_limits
from reference.workload import Workload
from spec.bench.claim import ALL_CLAIMS, Claim, Objection
from spec.bench.divergence import first_divergence
from spec.bench.events import events

HOLDS, FAILS, VACUOUS, ABSENT, ERROR = "holds", "fails", "vacuous", "absent", "error"
LONGEST = 160       # characters of a reason


def scheduler_claims() -> list[Claim]:
    """The claims that need no model: all about the scheduler and the KV cache."""
    modules = [f"{package.__name__}.{module.name}" for package in (spec.scheduler, spec.kv_cache)
               for module in pkgutil.iter_modules(package.__path__)]
    for module in modules:
        importlib.import_module(module)
    return [claim for claim in ALL_CLAIMS if claim.holds.__module__ in modules]


def answer(claim: Claim, theirs: list[Run]) -> tuple[str, str]:
    """The sentence's verdict on these runs alone, and why."""
    happened = sum((events(run) for run in theirs), Counter())
    missing = [event for event in claim.about if not happened[event]]
    verdict, why = _predicate(claim, theirs)
    if missing:
        errors = "".join(f"; the run {run.ended}: {run.error}" for run in theirs if run.error)
        return VACUOUS, f"there was no {', no '.join(missing)}{errors}; by itself the sentence {_would(verdict)}"
    return verdict, why


def parting(claim: Claim, ours: list[Run], theirs: list[Run]) -> str:
    """Where our engine first decides otherwise; nothing if it does not."""
    for our_run, their_run in zip(ours, theirs):
        found = first_divergence(our_run, their_run, renamed=claim.renamed)
        if found:
            return found.what if found.step is None else f"step {found.step}, {found.what}"
    return ""


def ask(claim: Claim, engines: "Engines") -> list[str]:
    """[verdict, why, where impl parts], without what is empty at the end."""
    unknown = sorted({name for workload in claim.on for name in unknown_limits(workload)})
    if unknown:
        return [ABSENT, f"there is no {', no '.join(unknown)}"]
    runs = [engines.runs(workload) for workload in claim.on]
    ours, theirs = [run for run, _ in runs], [run for _, run in runs]
    told = [*(each[:LONGEST] for each in answer(claim, theirs)), parting(claim, ours, theirs)]
    while not told[-1]:
        told.pop()
    return told


class Engines:
    """Both engines, asked once per workload."""

    def __init__(self):
        self.played: dict[str, tuple[Run, Run]] = {}

    def runs(self, workload: Workload) -> tuple[Run, Run]:
        """Ours and vLLM's."""
        if workload.key not in self.played:
            self.played[workload.key] = play(workload, partial(OurEngine, impl), "impl"), play(workload, VllmEngine, "vllm")
        return self.played[workload.key]


def _predicate(claim: Claim, theirs: list[Run]) -> tuple[str, str]:
    try:
        objection = claim.objection(theirs)
    except Exception as error:      # the predicate was written for a run in which more happens
        return ERROR, f"{type(error).__name__}: {error}".rstrip(": ")
    return (FAILS, _said(claim, objection)) if objection else (HOLDS, "")


def _said(claim: Claim, objection: Objection) -> str:
    """Its first line; of an assertion that says nothing, the assertion."""
    silent = objection.text == "the predicate is false"
    return linecache.getline(claim.holds.__code__.co_filename, objection.line).strip() if silent else objection.text.splitlines()[0]


def _would(verdict: str) -> str:
    return {HOLDS: "would hold", FAILS: "would fail", ERROR: "has no answer"}[verdict]


def main(out: str) -> None:
    engines = Engines()
    told = {claim.name: ask(claim, engines) for claim in scheduler_claims()}
    version, folder = imported_vllm()
    with open(out, "w") as file:
        json.dump({"version": version, "folder": folder, "answers": told}, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
