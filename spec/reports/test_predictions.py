"""Predictions: what was written is read, whatever happened in between, and the scores are what they are said to be."""
import json

import pytest

from reports.predictions import append, brier, calibration, claim_hash, read, scored


def predicted(path, claim, holds, confidence, truth=None, theme="scheduler/preemption"):
    append(path, "prediction", claim=claim, nodeid=f"spec/test_a.py::test_{claim}", theme=theme, sentence="It is so.", vllm="0.32.0",
           holds=holds, confidence=confidence)
    if truth is not None:
        append(path, "truth", claim=claim, vllm="0.32.0", verdict="CONFIRMED" if truth else "REFUTED", holds=truth)


def test_a_truth_belongs_to_its_prediction(tmp_path):
    path = tmp_path / "reports/predictions.jsonl"
    predicted(path, "a", True, 80)
    predicted(path, "b", False, 60, truth=False)
    assert [(one.claim, one.truth, one.verdict) for one in read(path)] == [("a", None, None), ("b", False, "REFUTED")]
    append(path, "truth", claim="a", vllm="0.32.0", verdict="REFUTED", holds=False)
    assert [(one.truth, one.right) for one in read(path)] == [(False, False), (False, True)]
    assert read(tmp_path / "nowhere.jsonl") == []


def test_a_line_cut_in_two_costs_only_itself(tmp_path):
    """Killed in the middle of a line; the next line begins on its own."""
    path = tmp_path / "predictions.jsonl"
    predicted(path, "a", True, 80, truth=True)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        predicted(path, "b", True, 70, truth=False)
        found = {one.claim: one.truth for one in read(path)}
        assert found["b"] is False, f"cut after {length} bytes, the next prediction is lost: {found}"
        assert found.get("a", True) in (True, None)


@pytest.mark.parametrize("line", [
    b"\xff{", b"12", b"{}", b'{"type": "truth", "claim": "a", "holds": "yes"}', b'{"type": "prediction", "claim": "a", "holds": true}',
    json.dumps({"type": "prediction", **dict.fromkeys(("claim", "nodeid", "theme", "sentence", "vllm", "time"), "a"),
                "holds": True, "confidence": 3000}).encode()])
def test_what_is_no_prediction_is_left_out(tmp_path, line):
    path = tmp_path / "predictions.jsonl"
    predicted(path, "a", True, 80)
    path.write_bytes(path.read_bytes() + line + b"\n")
    predicted(path, "b", True, 70)
    assert [(one.claim, one.truth) for one in read(path)] == [("a", None), ("b", None)]


def test_a_hash_is_of_sentence_workload_and_version():
    asked = ("It is so.", "workload(9)", "0.32.0")
    others = [("It is not so.", *asked[1:]), (asked[0], "workload(8)", asked[2]), (*asked[:2], "0.33.0"), ("It is so.workload(9)", "", "0.32.0")]
    assert claim_hash(*asked) == claim_hash(*asked)
    assert len({claim_hash(*asked), *(claim_hash(*other) for other in others)}) == 5
    assert claim_hash("half a character: \ud83e", "", "")


def test_brier(tmp_path):
    path = tmp_path / "predictions.jsonl"
    for number, (holds, confidence, truth) in enumerate([(True, 100, True), (False, 100, True), (True, 50, False), (False, 80, False)]):
        predicted(path, str(number), holds, confidence, truth)
    assert [round(one.penalty, 4) for one in read(path)] == [0, 1, 0.25, 0.04]
    assert brier(read(path)) == pytest.approx((0 + 1 + 0.25 + 0.04) / 4)


def test_the_first_answer_counts(tmp_path):
    path = tmp_path / "predictions.jsonl"
    predicted(path, "a", False, 90, truth=True)
    predicted(path, "a", True, 100, truth=False)
    predicted(path, "waits", True, 70)
    assert [(one.claim, one.holds, one.truth) for one in scored(read(path))] == [("a", False, True)], "nor does a later truth change it"


def test_calibration_by_hand(tmp_path):
    path = tmp_path / "predictions.jsonl"
    answers = [(50, True), (59, False), (60, True), (80, True), (85, True), (89, True), (84, False), (100, True), (90, False)]
    for number, (confidence, right) in enumerate(answers):
        predicted(path, str(number), True, confidence, truth=right)
    assert [(one.low, one.high, one.number, round(one.confidence, 3), one.frequency) for one in calibration(read(path))] == [
        (50, 59, 2, 0.545, 0.5), (60, 69, 1, 0.6, 1.0), (80, 89, 4, 0.845, 0.75), (90, 100, 2, 0.95, 0.5)]
