"""What somebody has done in drills/: read from its folders and from what the gym has noted."""
import json
from dataclasses import dataclass
from pathlib import Path

MEDALS = (("gold", 0.8), ("silver", 0.5), ("bronze", 0.2))     # as drills/__main__.py gives them


@dataclass(frozen=True)
class Track:
    name: str
    exist: list[str]
    passed: list[str]           # once passed is passed
    begun: list[str]            # and not passed
    badges: dict[str, float]    # the best share of the machine's ceiling, by drill


def tracks(folder: Path) -> list[Track]:
    """The tracks of `folder` (drills/), each with what the learner has done of it."""
    passed, badges = _judged(folder / "mine/judged.jsonl")
    found: dict[str, list[str]] = {}
    for judge in sorted(folder.glob("*/*/test_*.py")):
        track, name = judge.parent.parent.name, judge.parent.name
        if judge.stem == f"test_{name}" and track != "mine":
            found.setdefault(track, []).append(name)
    return [Track(track, names, [name for name in names if name in passed],
                  [name for name in names if name not in passed and (folder / "mine" / track / f"{name}.py").exists()],
                  {name: badges[name] for name in names if name in badges}) for track, names in found.items()]


def _judged(path: Path) -> tuple[set[str], dict[str, float]]:
    """The drills that were passed, and the best badges. What nobody can read is left out."""
    passed: set[str] = set()
    badges: dict[str, float] = {}
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return passed, badges
    for line in lines:
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if not isinstance(said, dict) or said.get("passed") is not True or not isinstance(said.get("drill"), str):
            continue
        passed.add(said["drill"])
        if isinstance(said.get("badge"), int | float):
            badges[said["drill"]] = max(said["badge"], badges.get(said["drill"], 0.0))
    return passed, badges


def medal(share: float) -> str | None:
    return next((name for name, bar in MEDALS if share >= bar), None)


def medals(track: Track) -> str:
    """`gold: vector_add; silver: softmax, rope`."""
    won = {name: [drill for drill, share in track.badges.items() if medal(share) == name] for name, _ in MEDALS}
    return "; ".join(f"{name}: {', '.join(drills)}" for name, drills in won.items() if drills)


def summary(all_tracks: list[Track]) -> str:
    """`3 of 66 passed, 1 more begun`."""
    exist, passed, begun = (sum(len(getattr(track, part)) for track in all_tracks) for part in ("exist", "passed", "begun"))
    return f"{passed} of {exist} passed" + (f", {begun} more begun" if begun else "")
