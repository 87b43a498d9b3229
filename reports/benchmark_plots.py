"""Which plots a series of measurements gets, as plain data for `benchmarks.js`."""
import re

from reports.benchmark_runs import Series

EARLIER = 3     # runs before the newest that are drawn
RATE = re.compile(r"(?:(ours|vLLM) )?(\S+/s)")
TIME = re.compile(r"(ours|vLLM) (p99 )?(ms|s)")
CEILING = re.compile(r"(?:(ours|vLLM) )?of ceiling")
STEEP = 20      # from this ratio of the largest to the smallest on, the axis is logarithmic


def plots_of(series: Series) -> list[dict]:
    """The ratio to the reference, the throughput against the ceiling, what each engine does in a second, and how long it takes."""
    sizes = list(series.newest)
    if len(sizes) < 2:
        return []
    numeric = all(isinstance(size, (int, float)) and size > 0 for size in sizes)
    sizes = sorted(sizes) if numeric else sizes
    x = {"name": series.size_name.replace("_", " "), "labels": [label(size) for size in sizes], "log": numeric,
         "values": sizes if numeric else list(range(len(sizes)))}
    names = dict.fromkeys(name for measured in series.newest.values() for name in measured.numbers)
    rates: dict[str, list] = {}
    for name in names:
        if found := RATE.fullmatch(name):
            rates.setdefault(found[2], []).append((name, found[1] or "ours"))
    ceilings = [(name, found[1] or "ours") for name in names if (found := CEILING.fullmatch(name))]
    plots = [_ratio(series, sizes), _plot("Against the ceiling", "of ceiling", _lines(series, sizes, ceilings), share=True, line=1)]
    for unit, named in rates.items():
        if not ceilings or unit not in ("TB/s", "TFLOP/s"):     # the limit's plot shows these already
            plots.append(_plot(f"{unit[0].upper()}{unit[1:].replace('/s', '')} a second", unit, _lines(series, sizes, named)))
    plots += [_times(series, sizes, unit, [name for name in names if (found := TIME.fullmatch(name)) and found[3] == unit]) for unit in ("ms", "s")]
    return [plot | {"x": x} for plot in plots if plot["series"]]


def label(size) -> str:
    return "" if size is None else f"{size:,}" if isinstance(size, (int, float)) else str(size)


def _ratio(series: Series, sizes: list) -> dict:
    """The newest run, and those before it on the same kind of machine."""
    lines = []
    for number, (session, measured) in enumerate(series.runs[:EARLIER + 1]):
        values = [measured[size].ratio if size in measured else None for size in sizes]
        lines.append({"label": session.label() if number else "this run", "side": "before" if number else "ours", "values": values})
    return _plot("Times as fast as vLLM", "ratio", [line for line in lines if any(value is not None for value in line["values"])], line=1)


def _lines(series: Series, sizes: list, named: list[tuple[str, str]]) -> list[dict]:
    return [{"label": side, "side": side, "values": [series.newest[size].numbers.get(name) for size in sizes]}
            for name, side in sorted(named, key=lambda each: each[1])]


def _times(series: Series, sizes: list, unit: str, names: list[str]) -> dict:
    """The medians, and where they were noted what the slowest in a hundred takes."""
    lines = [{"label": f"{found[1]}{', 99th percentile' if found[2] else ''}", "side": found[1], "tail": bool(found[2]),
              "values": [series.newest[size].numbers.get(found[0]) for size in sizes]} for found in map(TIME.fullmatch, sorted(names))]
    return _plot(f"How long it takes, {unit}", unit, lines)


def _plot(title: str, unit: str, lines: list[dict], share: bool = False, line: float | None = None) -> dict:
    values = [value for each in lines for value in each["values"] if value is not None]
    steep = line is None and bool(values) and min(values) > 0 and max(values) / min(values) > STEEP
    return {"title": title, "unit": unit, "share": share, "line": line, "log": steep, "series": lines}
