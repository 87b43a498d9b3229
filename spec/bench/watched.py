"""What watched expressions came to, as a table for the terminal: a row for each stretch of steps in which nothing changed."""
from itertools import groupby

WIDEST = 48     # characters of a column


def watched_table(runs: list[dict], expressions: tuple[str, ...]) -> str:
    """`runs`: as a claim has them in the run file. Several runs stand under each other."""
    tables = [_table([step.get("watched", {}) for step in run["theirs"]["steps"]], expressions) for run in runs]
    if len(tables) == 1:
        return tables[0]
    return "\n".join(f"run {number}\n{table}" for number, table in enumerate(tables, 1))


def _table(steps: list[dict[str, str]], expressions: tuple[str, ...]) -> str:
    rows = [("step", *map(_cut, expressions))]
    for values, stretch in groupby(enumerate(steps), key=lambda numbered: numbered[1]):
        numbers = [number for number, _ in stretch]
        label = str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]}-{numbers[-1]}"
        rows.append((label, *(_cut(values.get(expression, "")) for expression in expressions)))
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def _cut(text: str) -> str:
    return text if len(text) <= WIDEST else f"{text[:WIDEST - 1]}…"
