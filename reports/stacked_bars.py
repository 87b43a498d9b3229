"""Stacked bars as HTML, without a script: of what parts several wholes are made, on one scale."""
from reports.markup import text

COLOURS = 10    # in experiments.css; the last part, what remains, has one of its own


def figure(stack: dict) -> str:
    """`stack`: title, unit, parts, and rows of a label and one number per part. Each segment tells its number under the pointer, and to who cannot see."""
    parts, rows = stack["parts"], stack["rows"]
    shown = [index for index in range(len(parts)) if any(values[index] for _, values in rows)]
    longest = max((sum(values) for _, values in rows), default=0) or 1
    legend = "".join(f'<span class="{_colour(index, parts)}">{text(parts[index])}</span>' for index in shown)
    bars = "".join(_bar(label, values, parts, shown, longest, stack["unit"]) for label, values in rows)
    return (f'<figure class="plot stack"><figcaption>{text(stack["title"])}<small>{text(stack["unit"])}</small>'
            f'<span class="legend parts">{legend}</span></figcaption>{bars}</figure>')


def _bar(label: str, values: list[float], parts: list[str], shown: list[int], longest: float, unit: str) -> str:
    told = {index: f"{parts[index]} {values[index]:.3g}" for index in shown if values[index]}
    segments = "".join(f'<span class="{_colour(index, parts)}" style="width:{values[index] / longest:.4%}" title="{text(words)}"></span>'
                       for index, words in told.items())
    spoken = f"{label}: {sum(values):.3g} {unit}, of which {', '.join(told.values())}"
    return (f'<div class="whole"><span>{text(label)}</span><div class="bar" role="img" aria-label="{text(spoken)}">{segments}</div>'
            f"<span>{sum(values):.3g}</span></div>")


def _colour(index: int, parts: list[str]) -> str:
    return "remains" if index == len(parts) - 1 else f"part{index % COLOURS}"
