"""The README's table of the engines on a GPU, from a record in `reports/results`. Losses stand where they are, and are called so."""
ARGUMENTS = ("dtype", "max_model_len", "kv_cache_memory_bytes")     # what both engines get alike


def table(kept: dict) -> str:
    """Markdown: where and how it was measured, and the rows."""
    facts = kept["benchmarks"][0]["extra_info"]
    alike = ", ".join(f"{name}={facts['arguments']['impl'][name]!r}" for name in ARGUMENTS)
    where = (f"{facts['gpu']}, driver {facts['driver']}, torch {facts['torch']}, triton {facts['triton']}, vLLM {facts['vllm']}; commit {facts['commit']}, "
             f"{kept['datetime'][:10]}. In the same run a copy moved {facts['ceilings']['copy TB/s']:.2f} TB/s. Both engines: {alike}; vLLM with VLLM_USE_FLASHINFER_SAMPLER=0, "
             f"otherwise as it comes. Commands: {', '.join(f'`{command}`' for command in _commands(kept))}")
    head = ["", "ours", "vLLM", "times as fast as vLLM", "of the limit: ours, vLLM", "asked for"]
    lines = [head, ["---", "---:", "---:", "---:", "---:", "---"], *(_line(each["extra_info"]) for each in kept["benchmarks"])]
    absent = sorted({each["extra_info"]["absent"] for each in kept["benchmarks"] if each["extra_info"].get("absent")})
    return "\n".join([where, "", *("| " + " | ".join(line) + " |" for line in lines), *(f"\n{why}" for why in absent)])


def _commands(kept: dict) -> list[str]:
    return list(dict.fromkeys(each["extra_info"]["command"] for each in kept["benchmarks"]))


def _line(row: dict) -> list[str]:
    shares = [f"{row[f'{engine} of ceiling']:.0%}".replace("%", " %") for engine in ("ours", "vLLM") if f"{engine} of ceiling" in row]
    ratio = f"{row['ratio to vLLM']:.2f}" if "ratio to vLLM" in row else ""
    return [row["engine row"], _measured(row, "ours"), _measured(row, "vLLM"), ratio, ", ".join(shares), ", ".join(map(_bar, row["bars"].items()))]


def _measured(row: dict, engine: str) -> str:
    """The median, and how far its rounds are apart or how long the last in a hundred waits."""
    unit = row["unit"]
    if f"{engine} {unit}" not in row:
        return "not measured"
    more = [f"p99 {_number(row[name])}" for name in [f"{engine} p99 {unit}"] if name in row]
    more += [f"± {row[name] / 2:.1%}".replace("%", " %") for name in [f"{engine} spread"] if name in row]
    more += [f"worst {row[name]:.2f}" for name in [f"{engine} largest gap"] if name in row]
    of = f" of {row['tokens']:,}" if "tokens" in row else ""
    return f"{_number(row[f'{engine} {unit}'])}{of} {unit}{f' ({more[0]})' if more else ''}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def _bar(bar: tuple[str, str]) -> str:
    wanted, verdict = bar
    wanted = wanted.replace("x vLLM", " × vLLM").replace("% of ceiling", " % of the limit")
    return f"{wanted}: {'**missed**' if verdict == 'missed' else verdict}"
