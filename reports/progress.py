"""`python -m reports.progress`: how far somebody has come. On the terminal, as a page, and as PROGRESS.md.

Claims explored, the days of the last 26 weeks, how often predictions were right, drills, the log-book: all of it read
from what earlier runs have left behind.
"""
import os
from datetime import date
from pathlib import Path

from reports import activity, drilled, log_book
from reports.learner import Progress, gather, hits, percent, verdicts
from reports.plain_text import for_markdown, for_terminal
from reports.predictions import GUESSING, brier, by_theme, calibration
from reports.progress_page import page

ROOT = Path(__file__).parents[1]


def as_text(progress: Progress) -> str:
    """For the terminal."""
    width = max((len(theme.name) for theme in progress.themes), default=0)
    lines = [f"claims explored: {progress.explored} of {progress.exist}", ""]
    lines += [f"  {theme.name:<{width}}  {len(theme.claims):>3} of {theme.exist:<3}  {verdicts(theme.claims)}".rstrip() for theme in progress.themes]
    lines += ["", f"the last {activity.WEEKS} weeks: runs on {progress.active_days} day{'s' * (progress.active_days != 1)}", ""]
    lines += [f"  {line}" for line in activity.as_text(progress.weeks)]
    lines += ["", f"predictions: {_predictions(progress)}"]
    if progress.predictions:
        lines += [""] + [f"  {theme:<{width}}  {hits(some)} right, Brier score {brier(some):.2f}"
                         for theme, some in by_theme(progress.predictions).items()]
        lines += [""] + [f"  {one.low:>2} to {one.high:<3} % sure: {percent(one.frequency):>5} right ({one.number})"
                         for one in calibration(progress.predictions)]
    lines += ["", f"drills: {_drills(progress)}"]
    lines += ["", *(f"  {track.name:<{width}}  {_track(track)}" for track in progress.drills), ""] if progress.drills else []
    lines += [f"log-book: {_log(progress)}"]
    if progress.unreadable:
        lines.append(f"not readable, and left out: {', '.join(sorted(progress.unreadable))}")
    return for_terminal("\n".join(lines))


def as_markdown(progress: Progress) -> str:
    """PROGRESS.md."""
    lines = ["# Progress", "", "Written by `make progress`.", "", f"**{progress.explored} of {progress.exist} claims explored.**", "",
             "| theme | explored | exist | the last verdicts |", "|---|---:|---:|---|"]
    lines += [f"| {for_markdown(theme.name)} | {len(theme.claims)} | {theme.exist} | {verdicts(theme.claims)} |" for theme in progress.themes]
    lines += ["", f"## The last {activity.WEEKS} weeks", "", f"Runs on {progress.active_days} day{'s' * (progress.active_days != 1)}.", "", "```",
              *activity.as_text(progress.weeks), "```", "", "## Predictions", "", _predictions(progress)]
    if progress.predictions:
        lines += ["", "| theme | right | Brier score |", "|---|---:|---:|"]
        lines += [f"| {for_markdown(theme)} | {hits(some)} | {brier(some):.2f} |" for theme, some in by_theme(progress.predictions).items()]
        lines += ["", "| how sure | predictions | right |", "|---|---:|---:|"]
        lines += [f"| {one.low} to {one.high} % | {one.number} | {percent(one.frequency)} |" for one in calibration(progress.predictions)]
    lines += ["", "## Drills", "", _drills(progress)]
    if progress.drills:
        lines += ["", "| track | passed | exist | begun | badges |", "|---|---:|---:|---|---|"]
        lines += [f"| {for_markdown(track.name)} | {len(track.passed)} | {len(track.exist)} | {for_markdown(', '.join(track.begun))} "
                  f"| {for_markdown(drilled.medals(track))} |" for track in progress.drills]
    lines += ["", "## Log-book", ""]
    lines += [f"- {for_markdown(entry.date)}: [{for_markdown(entry.title)}](reports/log/{entry.path.name})" for entry in progress.entries]
    return "\n".join(lines + ([] if progress.entries else [_log(progress)])) + "\n"


def _predictions(progress: Progress) -> str:
    waiting = f" {progress.waiting} more wait for their truth." if progress.waiting else ""
    if not progress.predictions:
        return f"none yet: pytest spec/scheduler --predict asks for them.{waiting}"
    return (f"{hits(progress.predictions)} right, Brier score {brier(progress.predictions):.2f} "
            f"(0 is perfect, {GUESSING} is guessing).{waiting}")


def _drills(progress: Progress) -> str:
    if not progress.drills:
        return "none yet"
    more = "" if any(track.passed for track in progress.drills) else "; python -m drills next begins one"
    return drilled.summary(progress.drills) + more


def _track(track: drilled.Track) -> str:
    """`2 of 14  begun: lru_cache  gold: ring_buffer`."""
    parts = [f"{len(track.passed):>3} of {len(track.exist):<3}", f"begun: {', '.join(track.begun)}" if track.begun else "", drilled.medals(track)]
    return "  ".join(filter(None, parts)).rstrip()


def _log(progress: Progress) -> str:
    entries = progress.entries
    if not entries:
        return "empty: make log CLAIM=… starts an entry"
    return f"{len(entries)} {'entry' if len(entries) == 1 else 'entries'}, the last of {entries[0].date}"


def main() -> int:
    progress = gather(ROOT, date.today())
    print(as_text(progress))
    written = {ROOT / "PROGRESS.md": as_markdown(progress), ROOT / "reports/progress.html": page(progress),
               log_book.PAGE: log_book.page(log_book.LOG)}
    for path, content in written.items():
        path.write_text(content, encoding="utf-8", errors="replace")
    print("\nwritten: " + ", ".join(os.path.relpath(path) for path in written))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
