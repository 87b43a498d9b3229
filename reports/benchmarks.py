"""`python -m reports.benchmarks [JSON …]`: the benchmarks as one page, from what pytest-benchmark wrote.

Without files: all of `reports/runs/bench*.json`, and the committed results of GPUs in `reports/results`. Losses stand where they are, and are called so.
"""
import argparse
import base64
import hashlib
import json
import os
import sys
from pathlib import Path
from string import Template

from reports.benchmark_plots import EARLIER, label, plots_of
from reports.benchmark_runs import RATIOS, Measurement, NotABenchmarkFile, Series, Session, machine_facts, read_session, series_of
from reports.markup import text

HERE = Path(__file__).parent


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m reports.benchmarks", description="Write the page of the benchmarks.")
    parser.add_argument("files", nargs="*", type=Path, metavar="JSON",
                        help="what `pytest --benchmark-json` wrote; reports/runs/bench*.json and reports/results/*.json if none is given")
    parser.add_argument("-o", "--output", type=Path, default=HERE / "runs" / "benchmarks.html", help="reports/runs/benchmarks.html if not given")
    asked = parser.parse_args(argv)
    files = asked.files or [*sorted((HERE / "runs").glob("bench*.json")), *sorted((HERE / "results").glob("*.json"))]
    if not files:
        print("No benchmark is written down yet. This makes one: make bench", file=sys.stderr)
        return 1
    try:
        asked.output.parent.mkdir(exist_ok=True)
        asked.output.write_text(page(_each_once([read_session(path) for path in files])), encoding="utf-8", errors="replace")
    except (OSError, NotABenchmarkFile) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(f"benchmarks: {os.path.relpath(asked.output)}")
    return 0


def _each_once(sessions: list[Session]) -> list[Session]:
    """Without the records of runs that are here themselves: they are of the same moment, and hold nothing else."""
    def held_by(each: Session, other: Session) -> bool:
        names, others = ({measured["name"] for measured in of.benchmarks} for of in (each, other))
        return (each.when or each.name) == (other.when or other.name) and names <= others

    return [each for number, each in enumerate(sessions) if not any(held_by(each, other) for other in sessions[:number])]


def page(sessions: list[Session]) -> str:
    """The whole page. Every text of a file passes through `markup.text`, or is data that the script shows as text."""
    read = {name: (HERE / name).read_text(encoding="utf-8")
            for name in ("benchmarks.html", "benchmarks.css", "benchmarks.js", "vendor/uPlot.iife.min.js", "vendor/uPlot.min.css")}
    scripts = [read["vendor/uPlot.iife.min.js"], read["benchmarks.js"]]
    series = series_of(sessions)
    plots = [plots_of(each) for each in series]
    sections = "".join(_section(each, drawn, number, _machine_of(each, series)) for number, (each, drawn) in enumerate(zip(series, plots)))
    newest = max(sessions, key=lambda each: each.when)
    return Template(read["benchmarks.html"]).substitute(
        hashes=" ".join(f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts),
        style=read["vendor/uPlot.min.css"] + read["benchmarks.css"], uplot=scripts[0], script=scripts[1], verdict=text(_verdict(series)),
        facts=_facts(newest), sections=sections, runs=_runs(sessions, newest), data=_data(plots))


def _data(plots: list[list[dict]]) -> str:
    """JSON that cannot end the element it stands in."""
    return json.dumps(plots).replace("<", "\\u003c")


def _verdict(series: list[Series]) -> str:
    """The one sentence on top: wins and losses."""
    ratios = [measured.ratio for each in series for measured in each.newest.values() if measured.ratio is not None]
    if not ratios:
        return f"{sum(len(each.newest) for each in series)} measurements, none beside vLLM." if series else "Nothing was measured."
    slower = sum(ratio < 1 for ratio in ratios)
    said = f"At least as fast as vLLM in {len(ratios) - slower} of {len(ratios)} measurements"
    return said + (f", slower in {slower}." if slower else ".")


def _facts(session: Session) -> str:
    facts = machine_facts(session.machine) | {"Measured": session.when[:16].replace("T", " "), "Commit": session.commit}
    return "".join(f"<div><dt>{name}</dt><dd>{text(value)}</dd></div>" for name, value in facts.items() if value)


def _machine_of(series: Series, all_series: list[Series]) -> str:
    """Named where there are several kinds."""
    return " · ".join(filter(None, series.kind)) if len({each.kind for each in all_series}) > 1 else ""


def _section(series: Series, plots: list[dict], number: int, machine: str) -> str:
    variant = f" <small>{text(series.variant)}</small>" if series.variant else ""
    figures = "".join(f'<figure class="plot" data-plot="{number}.{index}"><figcaption>{text(plot["title"])}{_legend(plot)}</figcaption>'
                      f'<div class="canvas" role="img" aria-label="{text(_spoken(plot))}"></div><p class="readout" aria-hidden="true"></p></figure>'
                      for index, plot in enumerate(plots))
    where = f'<p class="machine">{text(machine)}</p>' if machine else ""
    return (f'<section class="series"><h2>{text(series.title)}{variant}</h2>{where}'
            f'{f"""<div class="plots">{figures}</div>""" if figures else ""}{_table(series)}</section>')


def _legend(plot: dict) -> str:
    return '<span class="legend">' + "".join(f'<span class="{line["side"]}{" tail" if line.get("tail") else ""}">{text(line["label"])}</span>' for line in plot["series"]) + "</span>"


def _spoken(plot: dict) -> str:
    return f'{plot["title"]}, over {plot["x"]["name"]}: {", ".join(line["label"] for line in plot["series"])}. The table below has the numbers.'


def _table(series: Series) -> str:
    """One row per size: the ratio and what it was before, then whatever else was noted."""
    names = _columns(series)
    earlier = series.runs[1:EARLIER + 1]
    heads = [series.size_name.replace("_", " "), *_with_before([name.replace("us/", "µs/") for name in names] + ["median of a round", "rounds"],
                                             [f"before: {session.label()}" for session, _ in earlier], names)]
    head = "".join(f'<th scope="col">{text(name)}</th>' for name in heads)
    rows = "".join(_row(measured, names, [run.get(size) for _, run in earlier]) for size, measured in series.newest.items())
    return f'<div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _columns(series: Series) -> list[str]:
    """What was noted: the ratio first, and the two engines' figures of one thing side by side."""
    names = list(dict.fromkeys(name for measured in series.newest.values() for name in measured.numbers))
    things = list(dict.fromkeys(_thing(name) for name in names))
    return sorted(names, key=lambda name: (name not in RATIOS, things.index(_thing(name)), name))


def _thing(name: str) -> str:
    return name.removeprefix("ours ").removeprefix("vLLM ")


def _with_before(cells: list[str], before: list[str], names: list[str]) -> list[str]:
    """What was before stands behind the ratio; at the end where there is none."""
    at = sum(name in RATIOS for name in names) or len(cells)
    return cells[:at] + before + cells[at:]


def _row(measured: Measurement, names: list[str], before: list[Measurement | None]) -> str:
    cells = [_cell(name, measured.numbers.get(name)) for name in names]
    cells += [_cell("seconds", measured.median), _cell("rounds", measured.rounds)]
    cells = _with_before(cells, [_before(measured, each) for each in before], names)
    lost = ' class="lost"' if measured.ratio is not None and measured.ratio < 1 else ""
    return f'<tr{lost}><th scope="row">{text(label(measured.size)) or "—"}</th>{"".join(cells)}</tr>'


def _cell(name: str, value: float | None) -> str:
    if value is None:
        return "<td>—</td>"
    said = f'<span class="verdict">{"▼ slower" if value < 1 else "▲"}</span>' if name in RATIOS else ""
    return f'<td>{said}<data value="{value!r}">{text(shown(name, value))}</data></td>'


def _before(now: Measurement, then: Measurement | None) -> str:
    """The ratio, or else the time, of an earlier run, and what has become of it. A ratio that grows is a gain, and a time that shrinks."""
    if then is None:
        return "<td>—</td>"
    by_ratio = now.ratio is not None and then.ratio is not None
    old, new, name = (then.ratio, now.ratio, "ratio") if by_ratio else (then.median, now.median, "seconds")
    if not old or new is None:
        return "<td>—</td>"
    gain = new / old - 1 if by_ratio else old / new - 1 if new else 0
    word = "as before" if abs(gain) < 0.005 else f"{'now better' if gain > 0 else 'now worse'} by {abs(gain):.0%}"
    return f'<td><data value="{old!r}">{text(shown(name, old))}</data> <small>{word}</small></td>'


def shown(name: str, value: float) -> str:
    """A number as a person reads it: shares in percent, seconds in their unit, three digits or more."""
    if name == "of ceiling" or name.endswith(" of ceiling") or name.endswith("spread") and not name.startswith("ratio"):
        return f"{value:.0%}"
    if name == "seconds":
        return f"{value:.2f} s" if value >= 1 else f"{value * 1e3:.3g} ms" if value >= 1e-3 else f"{value * 1e6:.3g} µs"
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) >= 0.1 or value == 0 else f"{value:.3g}"


def _machine_in_words(session: Session) -> str:
    facts = machine_facts(session.machine)
    return " · ".join(f"{name} {value}" if name in ("Python", "vLLM", "torch") else value for name, value in facts.items() if value)


def _runs(sessions: list[Session], newest: Session) -> str:
    """All files that this page is made from."""
    rows = "".join(f'<tr><th scope="row">{text(each.label())}{" (this run)" if each is newest else ""}</th><td>{text(each.name)}</td>'
                   f'<td>{text(_machine_in_words(each))}</td><td>{len(each.benchmarks)}</td></tr>'
                   for each in sorted(sessions, key=lambda each: each.when, reverse=True))
    return ('<div class="scroll" tabindex="0"><table><thead><tr><th scope="col">run</th><th scope="col">file</th><th scope="col">machine</th>'
            f'<th scope="col">benchmarks</th></tr></thead><tbody>{rows}</tbody></table></div>')


if __name__ == "__main__":
    raise SystemExit(main())
