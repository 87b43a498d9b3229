"""What pytest-benchmark wrote down, put in order: what was measured, at which sizes, on which machine, and before.

A series is one benchmark over its sizes, on one kind of machine: the same processor, architecture and GPU. Its newest
run stands for it, and those before are what it is compared with.
"""
import json
from dataclasses import dataclass, field
from pathlib import Path

RATIOS = ("ratio to vLLM", "ratio")     # how many times as fast ours is


class NotABenchmarkFile(ValueError):
    """pytest-benchmark did not write this file, or not to its end."""


@dataclass
class Measurement:
    """One benchmark at one size. `size` is None where there is no such thing, and text where it is no number."""

    size: float | str | None
    numbers: dict[str, float]
    median: float | None = None     # seconds of a round of ours
    rounds: int | None = None

    @property
    def ratio(self) -> float | None:
        return next((self.numbers[name] for name in RATIOS if name in self.numbers), None)


@dataclass
class Session:
    """One run of the benchmarks."""

    name: str
    when: str
    commit: str
    machine: dict
    benchmarks: list[dict]

    def label(self) -> str:
        return " · ".join(filter(None, [self.when[:16].replace("T", " "), self.commit])) or self.name


@dataclass
class Series:
    """`runs` are of one kind of machine, the newest first; each has its measurements, by size."""

    title: str
    variant: str
    size_name: str
    kind: tuple
    runs: list[tuple[Session, dict]] = field(default_factory=list)

    @property
    def newest(self) -> dict:
        return self.runs[0][1]


def read_session(path: Path) -> Session:
    """Raises `OSError` or `NotABenchmarkFile`."""
    text = path.read_text(encoding="utf-8", errors="replace")
    if not text.strip():
        raise NotABenchmarkFile(f"{path.name} is empty: the benchmarks did not come to their end; run `make bench` again")
    try:
        data = json.loads(text)
    except ValueError as error:
        raise NotABenchmarkFile(f"{path.name} is not JSON ({error}): name a file that `pytest --benchmark-json` wrote") from error
    if not isinstance(data, dict) or not isinstance(data.get("benchmarks"), list) or not isinstance(data.get("machine_info"), dict):
        raise NotABenchmarkFile(f"{path.name} has no `benchmarks` and `machine_info`: name a file that `pytest --benchmark-json` wrote")
    commit = _dict(data.get("commit_info"))
    commit = str(commit.get("id") or "")[:9] + (" and changes" if commit.get("dirty") else "")
    return Session(path.name, str(data.get("datetime") or ""), commit, data["machine_info"],
                   [each for each in data["benchmarks"] if isinstance(each, dict) and each.get("name")])


def series_of(sessions: list[Session]) -> list[Series]:
    """All series, those with sizes first."""
    found: dict[tuple, Series] = {}
    for session in sorted(sessions, key=lambda each: each.when, reverse=True):
        for family in _families(session):
            size_name = _size_name([_dict(each.get("params")) for each in family])
            for each in family:
                params = _dict(each.get("params"))
                title, variant, kind = _title(each), _variant(params, size_name), _kind(session, each)
                series = found.setdefault((_place(each), variant, kind), Series(title, variant, size_name, kind))
                if not series.runs or series.runs[-1][0] is not session:
                    series.runs.append((session, {}))
                measured = _measurement(each, params.get(size_name))
                series.runs[-1][1][measured.size] = measured
    _tell_apart(found)
    return sorted(found.values(), key=lambda each: len(each.newest) < 2)


def _tell_apart(found: dict[tuple, Series]) -> None:
    """Tests of one name, in several files, are told apart by the files'."""
    for (place, *_), series in found.items():
        files = {other.partition("::")[0] for (other, *_), each in found.items() if each.title == series.title}
        if len(files) > 1:
            file = Path(place.partition("::")[0]).stem.removeprefix("bench_").replace("_", " ")
            series.variant = " · ".join(filter(None, [file, series.variant]))


def machine_facts(machine: dict) -> dict[str, str]:
    """What matters of pytest-benchmark's `machine_info`."""
    cpu = _dict(machine.get("cpu"))
    cores = cpu.get("count")
    return {"Processor": " · ".join(str(part) for part in (cpu.get("brand_raw"), machine.get("machine"), cores and f"{cores} cores") if part),
            "GPU": str(machine.get("gpu") or ""), "System": " ".join(str(machine.get(part) or "") for part in ("system", "release")).strip(),
            "Python": str(machine.get("python_version") or ""), "vLLM": str(machine.get("vllm") or ""), "torch": str(machine.get("torch") or "")}


def _families(session: Session) -> list[list[dict]]:
    """The benchmarks of each test function."""
    families: dict[str, list[dict]] = {}
    for each in session.benchmarks:
        families.setdefault(_place(each), []).append(each)
    return list(families.values())


def _place(benchmark: dict) -> str:
    return str(benchmark.get("fullname") or benchmark["name"]).split("[")[0]


def _title(benchmark: dict) -> str:
    words = str(benchmark["name"]).split("[")[0].removeprefix("test_").replace("_", " ").replace("vllm", "vLLM")
    return words[:1].upper() + words[1:]


def _size_name(all_params: list[dict]) -> str:
    """The parameter called size; else the number that takes the most values; else whatever takes the most."""
    values = {name: {str(params.get(name)) for params in all_params} for params in all_params for name in params}
    numbers = [name for name in values if all(_is_number(params.get(name)) for params in all_params)]
    if "size" in values:
        return "size"
    return max(numbers or values, key=lambda name: len(values[name]), default="")


def _variant(params: dict, size_name: str) -> str:
    return " · ".join(f"{name} {value:,}" if _is_number(value) else str(value) for name, value in params.items() if name != size_name)


def _kind(session: Session, benchmark: dict) -> tuple:
    """Machines of one kind have the same processor, architecture and GPU."""
    cpu, info = _dict(session.machine.get("cpu")), _dict(benchmark.get("extra_info"))
    return tuple(str(part or "") for part in (cpu.get("brand_raw"), session.machine.get("machine"), info.get("gpu") or session.machine.get("gpu")))


def _measurement(benchmark: dict, size) -> Measurement:
    stats, info = _dict(benchmark.get("stats")), _dict(benchmark.get("extra_info"))
    median, rounds = stats.get("median"), stats.get("rounds")
    return Measurement(size if _is_number(size) or size is None else str(size), {str(name): value for name, value in info.items() if _is_number(value)},
                       median if _is_number(median) else None, rounds if _is_number(rounds) else None)


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300


def _dict(value) -> dict:
    return value if isinstance(value, dict) else {}
