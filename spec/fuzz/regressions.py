"""Counter-examples that were found and shrunk; each is played again by `make test`."""
import json
from pathlib import Path

from reference.workload import Workload

FOLDER = Path(__file__).parent / "regressions"


def keep(workload: Workload, wrong: str) -> Path:
    """Write down a workload that went wrong."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{workload.key}.json"
    path.write_text(json.dumps({"wrong": wrong, "workload": workload.to_json()}, indent=1) + "\n")
    return path


def kept() -> list[Path]:
    return sorted(FOLDER.glob("*.json"))


def load(path: Path) -> Workload:
    return Workload.from_json(json.loads(path.read_text())["workload"])
