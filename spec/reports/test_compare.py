"""Run against run: which run is compared with, and what is said to have changed. The runs are real: a sound engine, then a broken one."""
import json
from dataclasses import replace

import pytest

from reports.compare import compare, previous
from reports.page import write_page
from reports.run_file import read
from spec.reports import real_runs
from spec.reports.real_runs import VICTIM
from spec.reports.test_page import Page


@pytest.fixture
def written(tmp_path):
    """Write runs into one folder, the oldest first. The paths."""
    def go(*runs):
        paths = []
        for number, run in enumerate(runs):
            path = tmp_path / f"20261123-0{number}1100-1.jsonl"
            lines = [run.header, *run.events, *([run.footer] if run.footer else [])]
            path.write_text("\n".join(json.dumps({"type": "footer"} | line if line is run.footer else line) for line in lines) + "\n")
            paths.append(path)
        return paths
    return go


def names(entries):
    return {entry[0] for entry in entries}


def test_what_broke_and_what_was_mended():
    sound, broken = real_runs.run(broken=False), real_runs.run()
    failed = {claim["nodeid"] for claim in broken.claims if claim["outcome"] == "failed"}
    change = compare(sound, broken)
    assert names(change.broken) == failed and VICTIM in failed
    assert next(entry for entry in change.broken if entry[0] == VICTIM)[2:] == ("CONFIRMED", "DIVERGED")
    assert not change.mended + change.other + change.new + change.gone
    assert change.sentence == f"Since the run of 02:11: {len(failed)} no longer hold."
    assert names(compare(broken, sound).mended) == failed
    assert compare(sound, sound).sentence == "Since the run of 02:11: no claim has changed."


def test_claims_come_and_go_only_if_the_same_was_asked():
    whole = real_runs.run()
    fewer = replace(whole, events=[event for event in whole.events if event.get("nodeid") != VICTIM])
    assert names(compare(whole, fewer).gone) == names(compare(fewer, whole).new) == {VICTIM}
    assert compare(whole, fewer).sentence == "Since the run of 02:11: 1 is gone."
    selected = replace(fewer, header=fewer.header | {"command": ["pytest", "-k", "chunk"]})
    assert compare(whole, selected).gone == compare(selected, whole).new == []


def test_a_claim_that_could_not_be_tested_neither_held_nor_broke():
    whole = real_runs.run(broken=False)
    events = [event | {"verdict": "UNTESTED", "outcome": "skipped"} if event.get("nodeid") == VICTIM else event for event in whole.events]
    untested = replace(whole, events=events)
    assert names(compare(whole, untested).other) == names(compare(untested, whole).other) == {VICTIM}
    assert compare(untested, real_runs.run()).broken, "the others are still compared"
    assert VICTIM in names(compare(untested, real_runs.run()).broken)


def test_the_day_is_said_where_it_was_another():
    assert compare(real_runs.run(started="2026-11-21T23:00:00+00:00"), real_runs.run()).since == "2026-11-21 23:00"


def test_the_newest_run_of_the_same_kind_is_found(written):
    sound, broken = real_runs.run(broken=False), real_runs.run()
    other_engine = replace(sound, header=sound.header | {"lab": {"impl": "mine"}})
    other_claims = replace(sound, events=[event | {"nodeid": "elsewhere"} for event in sound.claims])
    killed = replace(sound, footer=None)
    paths = written(sound, other_engine, other_claims, killed, broken)
    assert previous(read(paths[-1])).path == paths[0]
    assert previous(read(paths[0])) is None


def test_a_damaged_neighbour_stops_nothing(written):
    paths = written(real_runs.run(broken=False), real_runs.run(), real_runs.run())
    paths[1].write_text(json.dumps({"type": "header", "format": 999}) + "\n")
    assert previous(read(paths[2])).path == paths[0]


def test_the_page_is_compared_without_being_asked(written):
    paths = written(real_runs.run(broken=False), real_runs.run())
    write_page(read(paths[1]), paths[1].with_suffix(".html"))
    write_page(read(paths[0]), paths[0].with_suffix(".html"))
    said = [Page(path.with_suffix(".html").read_text()).run["since"] for path in paths]
    assert said[0] is None and said[1]["sentence"] == "Since the run of 02:11: 17 no longer hold."
