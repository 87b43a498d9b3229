"""What somebody has done here so far, gathered from what earlier runs have left behind."""
from collections import Counter
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from reports import activity, drilled, log_book, tally
from reports.explored import existing, explored
from reports.predictions import Prediction, read, scored


@dataclass(frozen=True)
class Theme:
    name: str
    exist: int
    claims: list[dict]      # those that were ever run, as their last run told them


@dataclass(frozen=True)
class Progress:
    themes: list[Theme]
    weeks: list[list[activity.Day]]
    predictions: list[Prediction]   # those that count
    waiting: int                    # predictions whose truth is not known
    drills: list[drilled.Track]
    entries: list[log_book.Entry]
    unreadable: list[str]

    @property
    def explored(self) -> int:
        return sum(len(theme.claims) for theme in self.themes)

    @property
    def exist(self) -> int:
        return sum(theme.exist for theme in self.themes)

    @property
    def active_days(self) -> int:
        return sum(day.claims is not None for week in self.weeks for day in week)


def gather(root: Path, today: date) -> Progress:
    """All of it, from the checkout at `root`."""
    there, found = existing(root / "spec"), explored(root / "reports/runs")
    counts = Counter(there.values())
    themes = [Theme(name, counts[name], [found.verdicts[claim] for claim, theme in there.items() if theme == name and claim in found.verdicts])
              for name in sorted(counts)]
    predicted = read(root / "reports/predictions.jsonl")
    return Progress(themes, activity.weeks(found.days, today), scored(predicted), sum(one.truth is None for one in predicted),
                    drilled.tracks(root / "drills"), log_book.entries(root / "reports/log"), found.unreadable)


def verdicts(claims: list[dict]) -> str:
    """`11 CONFIRMED, 2 misconceptions REFUTED`."""
    return ", ".join(tally.phrase(kind, number) for kind, number in tally.count(claims) if number)


def hits(predictions: list[Prediction]) -> str:
    """`6 of 8 (75 %)`."""
    right = sum(prediction.right for prediction in predictions)
    return f"{right} of {len(predictions)} ({percent(right / len(predictions))})"


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"
