"""Predictions: what somebody believed before vLLM was asked, and how often it held.

A prediction is two lines of `predictions.jsonl`, which is only ever appended to:

    {"type": "prediction", "claim": "3f2a…", "nodeid": …, "theme": …, "sentence": …, "vllm": …, "holds": true,
     "confidence": 80, "time": …}
    {"type": "truth", "claim": "3f2a…", "vllm": …, "verdict": "REFUTED", "holds": false, "time": …}

The first is on the disk before vLLM is asked. If the run is killed between the two, the prediction stays open until the
claim is next asked with `--predict`.
"""
import hashlib
import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).parent / "predictions.jsonl"
BINS = (50, 60, 70, 80, 90)     # the lowest confidence of each; the last one holds 100 as well
GUESSING = 0.25                 # the Brier score of who always says 50 %


@dataclass
class Prediction:
    claim: str              # the hash of what was asked
    nodeid: str
    theme: str
    sentence: str
    vllm: str
    time: str
    holds: bool             # the answer: vLLM does as the sentence says
    confidence: float       # 50 to 100, in the answer
    verdict: str | None = None
    truth: bool | None = None   # whether vLLM does as the sentence says; None: not found out

    @property
    def right(self) -> bool:
        return self.holds == self.truth

    @property
    def penalty(self) -> float:
        """The squared distance of the confidence from what happened: 0 is sure and right, 1 is sure and wrong."""
        return (self.confidence / 100 - self.right) ** 2

    def __str__(self) -> str:
        return f"{'yes' if self.holds else 'no'}, {self.confidence:g} % sure"


class Bin(NamedTuple):
    """The predictions of about the same confidence."""

    low: int
    high: int
    number: int
    confidence: float       # their mean, 0 to 1
    frequency: float        # how many of them were right, 0 to 1


def claim_hash(sentence: str, workload: str, version: str) -> str:
    """What was asked. Another sentence, workload or vLLM is another question."""
    return hashlib.sha256("\0".join((sentence, workload, version)).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def append(path: Path, kind: str, **record) -> None:
    """Put one line on the disk: when this returns, it survives whatever becomes of the process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps({"type": kind, **record, "time": datetime.now().astimezone().isoformat(timespec="seconds")}) + "\n"
    with path.open("ab+") as file:
        if file.tell() and _last_byte(file) != b"\n":   # a line that was cut in two stays alone with its damage
            line = "\n" + line
        file.write(line.encode("ascii"))
        file.flush()
        os.fsync(file.fileno())


def read(path: Path) -> list[Prediction]:
    """All predictions in the order they were made, each with its truth. Lines that cannot be read are left out."""
    found: list[Prediction] = []
    for line in path.read_bytes().splitlines() if path.exists() else ():
        try:
            record = json.loads(line)
            if record["type"] == "prediction":
                found.append(_prediction(record))
            elif record["type"] == "truth" and isinstance(record["holds"], bool):
                for open_one in (one for one in found if one.claim == record["claim"] and one.truth is None):
                    open_one.truth, open_one.verdict = record["holds"], str(record.get("verdict"))
        except (ValueError, TypeError, KeyError):
            continue
    return found


def scored(predictions: list[Prediction]) -> list[Prediction]:
    """The first prediction on each question, where the truth is known: whoever is asked again has seen it."""
    first: dict[str, Prediction] = {}
    for prediction in predictions:
        first.setdefault(prediction.claim, prediction)
    return [prediction for prediction in first.values() if prediction.truth is not None]


def brier(predictions: list[Prediction]) -> float:
    """The mean penalty: 0 is perfect, 0.25 is guessing, 1 is sure and always wrong."""
    return sum(prediction.penalty for prediction in predictions) / len(predictions)


def calibration(predictions: list[Prediction]) -> list[Bin]:
    """By confidence: how often who was so sure was right. Bins without predictions are left out."""
    bins = []
    for low, next_low in zip(BINS, (*BINS[1:], 101)):
        inside = [prediction for prediction in predictions if low <= prediction.confidence < next_low]
        if inside:
            bins.append(Bin(low, next_low - 1, len(inside), sum(one.confidence for one in inside) / len(inside) / 100,
                            sum(one.right for one in inside) / len(inside)))
    return bins


def by_theme(predictions: list[Prediction]) -> dict[str, list[Prediction]]:
    themes: dict[str, list[Prediction]] = {}
    for prediction in sorted(predictions, key=lambda one: one.theme):
        themes.setdefault(prediction.theme, []).append(prediction)
    return themes


def _prediction(record: dict) -> Prediction:
    holds, confidence = record["holds"], record["confidence"]
    if not isinstance(holds, bool) or not 50 <= confidence <= 100:
        raise ValueError(f"no prediction: {holds}, {confidence}")
    words = [str(record[name]) for name in ("claim", "nodeid", "theme", "sentence", "vllm", "time")]
    return Prediction(*words, holds, confidence)


def _last_byte(file) -> bytes:
    file.seek(-1, os.SEEK_END)
    return file.read(1)
