"""`python -m reports.drift`: claim by release as one page, from `reports/drift.json`; and the README's table.

`python -m spec.drift` asks the releases and writes the record; nothing here needs any of them.
"""
import argparse
import base64
import hashlib
import json
import os
import sys
from pathlib import Path
from string import Template

from reports.drift_table import NOT_ASKED, VERDICTS, NoRecord, changed, minor, summary, truth, versions
from reports.markup import text

HERE = Path(__file__).parent
RECORD, PAGE, README = HERE / "drift.json", HERE / "runs" / "drift.html", HERE.parent / "README.md"
BEGIN, END = "<!-- drift:begin -->", "<!-- drift:end -->"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m reports.drift", description="Write the page of vLLM's releases.")
    parser.add_argument("-o", "--output", type=Path, default=PAGE, help="reports/runs/drift.html if not given")
    asked = parser.parse_args(argv)
    try:
        write(read(RECORD), asked.output)
    except (OSError, NoRecord) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


def read(path: Path) -> dict:
    """Raises `NoRecord`."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NoRecord(f"{path.name} is not there: 'make drift' asks the releases and writes it") from None
    except ValueError as error:
        raise NoRecord(f"{path.name} is no JSON ({error}): 'make drift' writes it anew") from None
    if record.get("format") != 1:
        raise NoRecord(f"{path.name} has format {record.get('format')}; this InferLab reads 1")
    return record


def write(record: dict, path: Path = PAGE) -> None:
    """The page, and the table between the README's markers."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(page(record), encoding="utf-8", errors="replace")
    told = README.read_text(encoding="utf-8")
    if BEGIN in told:
        README.write_text(with_summary(told, record), encoding="utf-8")
    print(f"drift: {os.path.relpath(path)}")


def with_summary(readme: str, record: dict) -> str:
    """A README with the summary between the markers."""
    before, _, rest = readme.partition(BEGIN)
    return f"{before}{BEGIN}\n{summary(record)}\n{END}{rest.partition(END)[2]}"


def page(record: dict) -> str:
    """The whole page: what is data, the script shows as text."""
    read = {name: (HERE / name).read_text(encoding="utf-8") for name in ("drift.html", "drift.css", "drift.js")}
    script = read["drift.js"]
    return Template(read["drift.html"]).substitute(
        style=read["drift.css"], script=script, hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        verdict=text(verdict(record)), facts=_facts(record), data=json.dumps(_data(record), ensure_ascii=True).replace("<", "\\u003c"))


def verdict(record: dict) -> str:
    """The one sentence on top."""
    asked, rows = versions(record), record["claims"]
    if not asked:
        return "No release of vLLM has answered yet."
    return (f"Of {len(rows)} sentences about vLLM, {sum(map(changed, rows))} changed their answer "
            f"between {minor(asked[0])} and {minor(asked[-1])}.")


def _facts(record: dict) -> str:
    asked, rows = versions(record), record["claims"]
    facts = {"Releases": len(asked), "Always true": sum(truth(row, asked) == "always" for row in rows),
             "Never true": sum(truth(row, asked) == "never" and not changed(row) for row in rows),
             "Changed": sum(map(changed, rows)), "Not asked yet": sum(not row["answers"] for row in rows) or ""}
    return "".join(f"<div><dt>{name}</dt><dd>{text(value)}</dd></div>" for name, value in facts.items() if value != "")


def _data(record: dict) -> dict:
    """What the script draws: the record, with what is to be said of each claim in words."""
    asked = versions(record)
    rows = [row | {"truth": truth(row, asked), "changed": changed(row)} for row in record["claims"]]
    return {"releases": record["releases"], "claims": rows, "changes": record["changes"], "diffs": record["diffs"],
            "verdicts": VERDICTS | {NOT_ASKED: "it was added or reworded after this release was asked"}}


if __name__ == "__main__":
    raise SystemExit(main())
