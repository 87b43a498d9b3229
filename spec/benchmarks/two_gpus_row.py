"""One row of the two GPUs' table: what the three took, what the second GPU brought, and how vLLM compares."""
import statistics
from dataclasses import dataclass, field

from spec.benchmarks.engine_row import PER_SECOND, TIMES
from spec.benchmarks.two_gpus_scale import ONE, TWO, VLLM


@dataclass
class Row:
    """`measured`: by contestant, a number per round or request, in `unit`. `shares`: of the limit of the GPUs that each has."""

    what: str
    unit: str
    measured: dict[str, list[float]]
    shares: dict[str, float] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    notes: dict = field(default_factory=dict)

    def median(self, name: str) -> float:
        return statistics.median(self.measured[name])

    def times_as_fast(self, one: str, other: str) -> float | None:
        """By the medians; None where one of them is absent, or the unit no speed."""
        if not {one, other} <= self.measured.keys() or self.unit not in (PER_SECOND, *TIMES):
            return None
        quotient = self.median(one) / self.median(other)
        return quotient if self.unit == PER_SECOND else 1 / quotient

    def ratios(self) -> dict[str, float]:
        found = {"two over one": self.times_as_fast(TWO, ONE), "ratio to vLLM": self.times_as_fast(TWO, VLLM)}
        return {name: ratio for name, ratio in found.items() if ratio is not None}

    def figures(self) -> dict:
        """For `extra_info` of pytest-benchmark, and from there for the README."""
        figures = {"two gpus row": self.what, "unit": self.unit, "absent": self.absent} | self.notes | self.ratios()
        for name, values in self.measured.items():
            figures[f"{name} {self.unit}"] = self.median(name)
            if len(values) > 1:
                figures[f"{name} spread"] = (max(values) - min(values)) / self.median(name)
        return figures | {f"{name} of limit": share for name, share in self.shares.items()}

    def shown(self) -> dict[str, str]:
        """For the terminal's table."""
        row = {"what": self.what} | {name: f"{self.median(name):,.4g} {self.unit}" for name in self.measured}
        row |= {name: f"{ratio:.2f}" for name, ratio in self.ratios().items()}
        row |= {"predicted": f"{self.notes[name]:.2f}" for name in ["predicted two over one"] if name in self.notes}
        return row | {"of the limit": ", ".join(f"{name} {share:.0%}" for name, share in self.shares.items())}
