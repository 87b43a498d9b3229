"""One row of the engines' table: what both took, and what was asked for."""
import statistics
from dataclasses import dataclass, field

PER_SECOND, TIMES = "tokens/s", ("ms", "s")     # more of the first is better, less of the others; any other unit is no speed


@dataclass
class Row:
    """`measured`: by engine, "ours" or "vLLM", a number per round or request, in `unit`. `shares`: of the limit, by engine.

    `bars`: how many times as fast as vLLM, under "vLLM", and how near to the limit, under "of ceiling", ours shall be.
    """

    what: str
    unit: str
    measured: dict[str, list[float]]
    bars: dict[str, float] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)
    verdicts: dict[str, str] = field(default_factory=dict)  # on other bars
    tail: bool = False      # whether the 99th percentile is told as well
    notes: dict = field(default_factory=dict)

    def median(self, engine: str) -> float:
        return statistics.median(self.measured[engine])

    @property
    def ratio(self) -> float | None:
        """How many times as fast as vLLM ours is, by the medians."""
        if "vLLM" not in self.measured or self.unit not in (PER_SECOND, *TIMES):
            return None
        ours, theirs = self.median("ours"), self.median("vLLM")
        return ours / theirs if self.unit == PER_SECOND else theirs / ours

    def judged(self) -> dict[str, str]:
        """By bar in words: "met", "missed", or "not measured"."""
        reached = {"vLLM": self.ratio, "of ceiling": self.shares.get("ours")}
        return {f"{wanted:.2f}x vLLM" if what == "vLLM" else f"{wanted:.0%} of ceiling":
                "not measured" if reached[what] is None else "met" if reached[what] >= wanted else "missed" for what, wanted in self.bars.items()} | self.verdicts

    def figures(self) -> dict:
        """For `extra_info` of pytest-benchmark, and from there for the page and the README."""
        figures = {"engine row": self.what, "unit": self.unit, "bars": self.judged()} | self.notes
        if self.ratio is not None:
            figures["ratio to vLLM"] = self.ratio
        for engine, values in self.measured.items():
            figures[f"{engine} {self.unit}"] = self.median(engine)
            if self.tail:
                figures[f"{engine} p99 {self.unit}"] = percentile(values, 99)
            elif len(values) > 1:
                figures[f"{engine} spread"] = (max(values) - min(values)) / self.median(engine)
        return figures | {f"{engine} of ceiling": share for engine, share in self.shares.items()}

    def shown(self) -> dict[str, str]:
        """For the terminal's table."""
        row = {"what": self.what}
        for engine, values in self.measured.items():
            row[engine] = f"{self.median(engine):,.4g} {self.unit}" if self.median(engine) < 1000 else f"{self.median(engine):,.0f} {self.unit}"
            row[f"{engine} p99"] = f"{percentile(values, 99):,.4g}" if self.tail else ""
        return row | {"ratio": "" if self.ratio is None else f"{self.ratio:.2f}", "of the limit": f"{self.shares['ours']:.0%}" if self.shares else "",
                      "bars": ", ".join(f"{bar}: {verdict}" for bar, verdict in self.judged().items())}


def percentile(values: list[float], percent: int) -> float:
    """With few values, the largest."""
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]
