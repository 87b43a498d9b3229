"""The README's table of what a second GPU brings, from a record in `reports/results`. Losses stand where they are."""
CONTESTANTS = ("ours on one", "ours on two", "vLLM on two")


def table(kept: dict) -> str:
    """Markdown: where and how it was measured, the rows, and who took no part."""
    facts = kept["benchmarks"][0]["extra_info"]
    copies = " and ".join(f"{speed:.2f}" for speed in facts["copy TB/s"].values())
    caches = ", ".join(f"{name} {facts['arguments'][name]['kv_cache_memory_bytes']}" for name in CONTESTANTS)
    reduces = " and ".join(f"{microseconds:.1f} µs with {rows} rows" for rows, microseconds in facts.get("all-reduce us", {}).items())
    reduces = f", and an all-reduce by NCCL in a graph took {reduces}" if reduces else ""
    environment = " ".join(["VLLM_USE_FLASHINFER_SAMPLER=0", *(f"{name}={value}" for name, value in facts["environment"].items())])
    versions = ", ".join(f"{name} {facts[key]}" for name, key in {"driver": "driver", "torch": "torch", "triton": "triton", "vLLM": "vllm"}.items())
    where = (f"2 × {facts['gpu']}, {versions}; commit {facts['commit']}, {kept['datetime'][:10]}. In the same run a copy moved {copies} TB/s{reduces}. "
             f"dtype={facts['arguments'][CONTESTANTS[0]]['dtype']!r}; kv_cache_memory_bytes of each GPU: {caches}; "
             f"vLLM with {environment}, otherwise as it comes. Command: `{facts['command']}`")
    head = ["", *CONTESTANTS, "times as fast: two over one (predicted)", "ours over vLLM", "of the limit"]
    lines = [head, ["---", *["---:"] * 6], *(_line(each["extra_info"]) for each in kept["benchmarks"])]
    absent = {f"{name} {why}": None for each in kept["benchmarks"] for name, why in each["extra_info"]["absent"].items()}
    return "\n".join([where, "", *("| " + " | ".join(line) + " |" for line in lines), *(f"\n{each}" for each in absent)])


def _line(row: dict) -> list[str]:
    shares = [f"{row[f'{name} of limit']:.0%}".replace("%", " %") if f"{name} of limit" in row else "" for name in CONTESTANTS]
    ratios = [f"{row[name]:.2f}" if name in row else "" for name in ("two over one", "ratio to vLLM")]
    if "predicted two over one" in row:
        ratios[0] += f" ({row['predicted two over one']:.2f})"
    return [row["two gpus row"], *(_measured(row, name) for name in CONTESTANTS), *ratios, ", ".join(filter(None, shares))]


def _measured(row: dict, name: str) -> str:
    """The median, and how far its rounds are apart or how near its worst tie is."""
    if f"{name} {row['unit']}" not in row:
        return "not measured"
    more = [f" (± {row[each] / 2:.1%})".replace("%", " %") for each in [f"{name} spread"] if each in row]
    more += [f" (worst {row[each]:.2f})" for each in [f"{name} largest gap"] if each in row]
    value, of = row[f"{name} {row['unit']}"], f" of {row['tokens']:,}" if "tokens" in row else ""
    return f"{f'{value:,.0f}' if value >= 100 or value == int(value) else f'{value:.3g}'}{of} {row['unit']}{''.join(more)}"
