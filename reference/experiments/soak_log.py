"""What the soak writes down, line by line: whoever stops it still has what was seen."""
import json
from pathlib import Path


class Log:
    """Append-only; nothing of it stays in memory, where it would grow."""

    def __init__(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.file = path, path.open("a", encoding="utf-8")

    def write(self, kind: str, **told) -> None:
        self.file.write(json.dumps({"kind": kind} | told) + "\n")
        self.file.flush()

    def read(self, kind: str) -> list[dict]:
        return [line for line in map(json.loads, self.path.read_text(encoding="utf-8").splitlines()) if line["kind"] == kind]
