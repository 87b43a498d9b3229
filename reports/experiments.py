"""`python -m reports.experiments [JSON …]`: the records of the experiments as one page.

Without files: the newest of each, from `reports/runs/experiment-*.json`, or else the committed one from `reports/results/experiments`.
"""
import argparse
import base64
import hashlib
import json
import os
import sys
from pathlib import Path
from string import Template

from reports import stacked_bars
from reports.markup import text

HERE = Path(__file__).parent
FORMAT = 1


class NotARecord(ValueError):
    """The file is no record of an experiment that this InferLab can read."""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m reports.experiments", description="Write the page of the experiments.")
    parser.add_argument("files", nargs="*", type=Path, metavar="JSON", help="what experiments left; the newest of each if none is given")
    parser.add_argument("-o", "--output", type=Path, default=HERE / "runs" / "experiments.html", help="reports/runs/experiments.html if not given")
    asked = parser.parse_args(argv)
    try:
        records = [read_record(path) for path in asked.files or newest()]
        if not records:
            print("No experiment is written down yet. 'python -m reference.experiments' lists them.", file=sys.stderr)
            return 1
        asked.output.parent.mkdir(exist_ok=True, parents=True)
        asked.output.write_text(page(records), encoding="utf-8", errors="replace")
    except (OSError, NotARecord) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(f"experiments: {os.path.relpath(asked.output)}")
    return 0


def newest() -> list[Path]:
    """The record of each experiment that was made here, or else the committed one."""
    found = {path.name: path for folder in (HERE / "results" / "experiments", HERE / "runs") for path in sorted(folder.glob("experiment-*.json"))}
    return [found[name] for name in sorted(found)]


def read_record(path: Path) -> dict:
    """A record, checked as far as the page relies on it. Raises `NotARecord`."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["format"] != FORMAT:
            raise NotARecord(f"{path}: format {record['format']}; this InferLab reads {FORMAT}")
        wrong = [table["title"] for table in record["tables"] if any(len(row) != len(table["columns"]) for row in table["rows"])]
        wrong += [plot["title"] for plot in record["plots"] if any(len(line["values"]) != len(plot["values"]) for line in plot["series"])]
        wrong += [stack["title"] for stack in record.get("bars", ()) if any(len(values) != len(stack["parts"]) for _, values in stack["rows"])]
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, NotARecord):
            raise
        raise NotARecord(f"{path}: an experiment of 'python -m reference.experiments' writes other files ({type(error).__name__}: {error})") from error
    if wrong:
        raise NotARecord(f"{path}: rows or values are missing in {wrong}; run the experiment again")
    return record


def page(records: list[dict]) -> str:
    """The whole page. Every text of a record passes through `markup.text`, or is data that the script shows as text."""
    read = {name: (HERE / name).read_text(encoding="utf-8") for name in
            ("experiments.html", "benchmarks.css", "experiments.css", "experiments.js", "vendor/uPlot.iife.min.js", "vendor/uPlot.min.css")}
    scripts = [read["vendor/uPlot.iife.min.js"], read["experiments.js"]]
    plots = json.dumps([record["plots"] for record in records]).replace("<", "\\u003c")     # cannot end the element it stands in
    return Template(read["experiments.html"]).substitute(
        hashes=" ".join(f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts),
        style=read["vendor/uPlot.min.css"] + read["benchmarks.css"] + read["experiments.css"], uplot=scripts[0], script=scripts[1],
        contents="".join(f'<li><a href="#{number}">{text(_name(record))}</a></li>' for number, record in enumerate(records)),
        sections="".join(_section(record, number) for number, record in enumerate(records)), data=plots)


def _section(record: dict, number: int) -> str:
    figures = "".join(_figure(plot, f"{number}.{index}") for index, plot in enumerate(record["plots"]))
    figures += "".join(map(stacked_bars.figure, record.get("bars", ())))
    tables = "".join(f'<h3>{text(table["title"])}</h3>{_table(table)}' for table in record["tables"])
    return (f'<section class="experiment" id="{number}"><h2>{text(record["question"])}</h2><p class="machine">{text(_made(record))}</p>'
            f'<div class="plots">{figures}</div>{tables}</section>')


def _name(record: dict) -> str:
    return " on ".join(filter(None, (record["experiment"], record.get("device"))))


def _made(record: dict) -> str:
    """Which experiment, on what, when, and where to read on."""
    versions = [f"{name} {version}" for name, version in record.get("versions", {}).items() if version]
    machine = [str(value) for value in record.get("machine", {}).values() if value]
    name = record["experiment"]
    told = [str(record.get("started", ""))[:16].replace("T", " "), *versions, *machine, record.get("device") or "", f"what it means: reference/experiments/{name}.md"]
    return " · ".join(filter(None, told))


def _figure(plot: dict, place: str) -> str:
    labels = list(dict.fromkeys(line["label"] for line in plot["series"]))
    engines = list(dict.fromkeys(line["engine"] for line in plot["series"]))
    legend = "".join(f'<span class="colour{index}">{text(label)}</span>' for index, label in enumerate(labels))
    legend += "".join(f'<span class="engine {text(engine)}">{text(engine)}</span>' for engine in engines)
    spoken = f'{plot["title"]}: {plot["y"]} over {plot["x"]}, for {", ".join(labels)}, in {" and ".join(engines)}. The tables below have the numbers.'
    return (f'<figure class="plot" data-plot="{place}"><figcaption>{text(plot["title"])}<small>{text(plot["y"])} over {text(plot["x"])}</small>'
            f'<span class="legend">{legend}</span></figcaption>'
            f'<div class="canvas" role="img" aria-label="{text(spoken)}"></div><p class="readout" aria-hidden="true"></p></figure>')


def _table(table: dict) -> str:
    head = "".join(f'<th scope="col">{text(name)}</th>' for name in table["columns"])
    rows = "".join(f'<tr><th scope="row">{text(shown(row[0]))}</th>{"".join(_cell(value) for value in row[1:])}</tr>' for row in table["rows"])
    return f'<div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _cell(value) -> str:
    wide = ' class="words"' if isinstance(value, str) and len(value) > 40 else ""
    return f"<td{wide}>{text(shown(value))}</td>"


def shown(value) -> str:
    """A cell as a person reads it: four digits or more."""
    if value is None:
        return "—"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"


if __name__ == "__main__":
    raise SystemExit(main())
