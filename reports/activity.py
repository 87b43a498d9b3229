"""The last 26 weeks, a square a day: how many claims were run. As text, and as a picture."""
from dataclasses import dataclass
from datetime import date, timedelta

WEEKS = 26
SHADES = "·░▒▓█"        # nothing, then ever more
ENOUGH = (1, 10, 100)   # from here on the next shade; a run without a claim has the first
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
CELL, GAP, LEFT, TOP = 13, 3, 30, 18


@dataclass(frozen=True)
class Day:
    day: date
    claims: int | None      # None: there was no run

    @property
    def shade(self) -> int:
        return 0 if self.claims is None else 1 + sum(self.claims >= enough for enough in ENOUGH)

    @property
    def words(self) -> str:
        return f"{self.day}: " + ("no run" if self.claims is None else f"{self.claims} claim{'' if self.claims == 1 else 's'}")


def weeks(days: dict[date, set[str]], today: date) -> list[list[Day]]:
    """26 weeks from Monday to Sunday, the last one up to today."""
    monday = today - timedelta(days=today.weekday(), weeks=WEEKS - 1)
    every = [monday + timedelta(days=number) for number in range((today - monday).days + 1)]
    told = [Day(day, len(days[day]) if day in days else None) for day in every]
    return [told[start:start + 7] for start in range(0, len(told), 7)]


def as_text(grid: list[list[Day]]) -> list[str]:
    """A line for each day of the week."""
    return [f"{name}  " + " ".join(SHADES[week[index].shade] for week in grid if index < len(week)) for index, name in enumerate(DAYS)]


def as_svg(grid: list[list[Day]]) -> str:
    """The same as a picture: one colour, ever denser; each square says its day."""
    squares, months = [], []
    for column, week in enumerate(grid):
        if column == 0 or week[0].day.month != grid[column - 1][0].day.month:
            months.append((column, f"{week[0].day:%b}"))
        for row, day in enumerate(week):
            squares.append(f'<rect class="shade{day.shade}" x="{LEFT + column * (CELL + GAP)}" y="{TOP + row * (CELL + GAP)}" '
                           f'width="{CELL}" height="{CELL}" rx="3"><title>{day.words}</title></rect>')
    if len(months) > 1 and months[1][0] < 3:    # too close to write both
        months.pop(0)
    names = [f'<text x="{LEFT + column * (CELL + GAP)}" y="11">{name}</text>' for column, name in months]
    names += [f'<text x="0" y="{TOP + row * (CELL + GAP) + 11}">{DAYS[row]}</text>' for row in (0, 2, 4)]
    width, height = LEFT + len(grid) * (CELL + GAP), TOP + 7 * (CELL + GAP)
    active = [day for week in grid for day in week if day.claims is not None]
    return (f'<svg class="activity" viewBox="0 0 {width} {height}" role="img" '
            f'aria-label="{len(active)} of the last {sum(map(len, grid))} days had runs">{"".join(names + squares)}</svg>')
