"""The record of all releases: what is kept, what is dropped, and what today's claims find in it."""
import pytest

from reports.drift_table import NOT_ASKED, changed, truth, versions
from spec.bench import workload
from spec.bench.claim import Claim
from spec.drift.ask import scheduler_claims
from spec.drift.record import EMPTY, PATH, flipped, neighbours, of_today, read, with_changes, with_release, write
from spec.drift.releases import RELEASES

some = workload(num_blocks=9, block_size=4).request("a", prompt=4)
other = some.request("b", prompt=4)


def always(run):
    assert run.steps


def never(run):
    assert not run.steps


def made(holds=always, on=some, sentence="It does."):
    return Claim(sentence, (on,), ("admission",), "v1/core/sched/scheduler.py::Scheduler.schedule", holds)


def release(version):
    return {"version": version, "asked": "2026-11-26", "built": "2026-10-20"}


def recorded(answers, claims=(made(),)):
    """A record in which `always` got these answers, by version."""
    record = of_today(EMPTY, list(claims))
    for version, told in answers.items():
        record = with_release(record, release(version), {"always": told})
    return record


def test_releases_stand_in_their_order_whenever_they_were_asked():
    record = recorded({"0.31.0": ["holds"], "0.9.0": ["fails", "why"], "0.30.0": ["holds"]})
    assert versions(record) == ["0.9.0", "0.30.0", "0.31.0"]
    assert neighbours(record) == [("0.9.0", "0.30.0"), ("0.30.0", "0.31.0")]
    assert flipped(record, "0.9.0", "0.30.0") == ["always"] and flipped(record, "0.30.0", "0.31.0") == []


def test_asking_again_replaces_the_answer():
    record = with_release(recorded({"0.30.0": ["fails", "why"], "0.31.0": ["holds"]}), release("0.30.0"), {"always": ["holds"]})
    assert list(record["claims"][0]["answers"].items()) == [("0.30.0", ["holds"]), ("0.31.0", ["holds"])] and len(record["releases"]) == 2


def test_a_release_that_could_not_be_asked_has_no_answers_any_more():
    record = with_release(recorded({"0.30.0": ["holds"], "0.31.0": ["holds"]}), {"version": "0.30.0", "asked": "2026-11-26", "error": "no such version"}, {})
    assert versions(record) == ["0.31.0"] and record["claims"][0]["answers"] == {"0.31.0": ["holds"]}


def test_a_claim_that_was_added_later_was_not_asked_yet():
    record = of_today(recorded({"0.30.0": ["holds"]}), [made(), made(never, other)])
    assert [row["name"] for row in record["claims"]] == ["always", "never"]
    assert truth(record["claims"][1], versions(record)) == NOT_ASKED and truth(record["claims"][0], versions(record)) == "always"


@pytest.mark.parametrize("today", [made(on=other), made(never)], ids=["another workload", "another predicate"])
def test_a_claim_that_asks_something_else_today_was_not_asked_yet(today):
    record = recorded({"0.30.0": ["holds"]})
    record["claims"][0]["name"] = today.name
    assert of_today(record, [today])["claims"][0]["answers"] == {}


def test_a_sentence_may_be_put_better():
    [row] = of_today(recorded({"0.30.0": ["holds"]}), [made(sentence="So it does.")])["claims"]
    assert row["sentence"] == "So it does." and row["answers"] == {"0.30.0": ["holds"]}


def test_a_claim_that_is_gone_takes_its_changes_with_it():
    record = with_changes(recorded({"0.30.0": ["fails"], "0.31.0": ["holds"]}), "0.30.0", "0.31.0", {"always": "-old\n+new"})
    assert record["changes"] == [{"claim": "always", "from": "0.30.0", "to": "0.31.0", "diff": 0}] and record["diffs"] == ["-old\n+new"]
    assert of_today(record, [made(never)])["changes"] == of_today(record, [made(never)])["diffs"] == []


def test_a_text_that_two_changes_share_is_kept_once_and_one_that_nobody_needs_is_not():
    record = recorded({"0.29.0": ["holds"], "0.30.0": ["fails"], "0.31.0": ["holds"]})
    record = with_changes(record, "0.29.0", "0.30.0", {"always": "first"})
    record = with_changes(record, "0.30.0", "0.31.0", {"always": "second"})
    record = with_changes(record, "0.29.0", "0.30.0", {"always": "second"})
    assert record["diffs"] == ["second"] and [each["diff"] for each in record["changes"]] == [0, 0]


def test_a_release_that_comes_in_between_ends_a_pair():
    record = with_changes(recorded({"0.29.0": ["fails"], "0.31.0": ["holds"]}), "0.29.0", "0.31.0", {"always": "text"})
    between = with_changes(with_release(record, release("0.30.0"), {"always": ["holds"]}), "0.29.0", "0.30.0", {"always": "nearer"})
    assert [(each["from"], each["to"]) for each in between["changes"]] == [("0.29.0", "0.30.0")] and between["diffs"] == ["nearer"]


def test_what_is_written_is_read(tmp_path):
    record = with_changes(recorded({"0.30.0": ["fails", "it said “no”"], "0.31.0": ["holds"]}), "0.30.0", "0.31.0", {"always": "@@\n-a\n+b"})
    write(record, tmp_path / "drift.json")
    assert read(tmp_path / "drift.json") == record
    assert read(tmp_path / "none.json") == EMPTY


def test_the_committed_record_answers_for_the_claims_of_today():
    """One that was added or changed since is in the list, as not asked yet; all others are answered by each release."""
    claims = scheduler_claims()
    record = of_today(read(), claims)
    rows = {row["name"]: row for row in record["claims"]}
    assert list(rows) == [claim.name for claim in claims]
    assert versions(record) and set(RELEASES) <= set(versions(record)), "'make drift' asks the releases that are missing"
    answered = [row for row in rows.values() if row["answers"]]
    assert all(set(RELEASES) <= row["answers"].keys() for row in answered)
    assert all((truth(row, versions(record)) == NOT_ASKED) == (not row["answers"]) for row in rows.values())
    assert len(answered) > len(claims) / 2, "most claims were not asked yet: 'make drift' asks them"


def test_every_change_of_an_answer_has_its_source():
    record = read()
    explained = {(each["claim"], each["from"], each["to"]) for each in record["changes"]}
    assert explained == {(name, old, new) for old, new in neighbours(record) for name in flipped(record, old, new)}
    assert any(changed(row) for row in record["claims"]) and any("@@" in text for text in record["diffs"])


def test_the_record_stays_small():
    assert PATH.stat().st_size < 300_000
