"""Does anything get lost, or grow, in an engine that is asked for everything at once, and whose requests are taken away in the middle?

Random requests of every kind, aborts in flight and bad inputs (`soak_traffic.py`), on an engine whose pool is too small, for as long as is
asked. What is seen is written down line by line as it happens; `soak_verdict.py` says what is called growing. With `--tiny`, a rehearsal.
"""
import sys
from datetime import datetime
from time import perf_counter

from kernels import has_gpu     # before torch
from reference.experiments.record import Record, arguments
from reference.experiments.soak_log import Log
from reference.experiments.soak_verdict import GROWS, HOLDS, UNJUDGED, growths
from reference.prompts import CHECKPOINTS

# The pool holds a fifth of what the seats could fill (tiny: a third), so that somebody is preempted all the time. The model is the tiny checkpoint,
# which has a tokenizer, and whose short steps leave the more of them to the bookkeeping.
SIZES = {"full": {"max_num_seqs": 64, "max_num_batched_tokens": 1024, "max_model_len": 512, "num_gpu_blocks_override": 400},
         "tiny": {"max_num_seqs": 8, "max_num_batched_tokens": 64, "max_model_len": 128, "num_gpu_blocks_override": 20}}
COUNTED = ("asked", "done", "aborted", "ended with an error", "refused", "sentinels", "tokens", "resumed")
PLOTS = {"Memory of the process": ("MB", ("process MB",)), "Memory of the device": ("MB", ("device MB", "device reserved MB")),
         "Blocks": ("blocks", ("free blocks", "held blocks", "cached blocks")), "Requests": ("requests", ("running", "waiting")),
         "Time of a step": ("ms", ("step p50 ms", "step p99 ms")), "Time to the first token": ("ms", ("first token p50 ms", "first token p99 ms"))}


def build(size: str, device: str, overlapped: bool = True):
    """The engine, in float32, so that a request's tokens are the same in any company."""
    from impl.llm import LLM
    return LLM(str(CHECKPOINTS / "qwen3"), dtype="float32", device=device, scheduling_policy="priority", async_scheduling=overlapped, **SIZES[size]).engine


def tell(record: Record, log: Log) -> bool:
    """The tables and pictures of what was written down; whether all is well."""
    samples, drained, wrong = (log.read(kind) for kind in ("sample", "drained", "wrong"))
    ended = [line["why"] for line in log.read("ended")]
    rows = growths(samples, drained)
    last = max(samples + drained, key=lambda each: each["steps"], default={})
    verdicts = [["nothing lost, nothing said twice or otherwise", "holds" if not wrong else f"FAILS: {len(wrong)} things are wrong"],
                ["nothing growing", _whole(rows)],
                ["it came to its end, drained", "holds" if drained and not ended else f"FAILS: {'; '.join(ended) or 'it was never drained'}"]]
    record.table("The verdict", ["sentence", "verdict"], verdicts)
    record.table("What was done", ["what", "how often"], [["steps", last.get("steps", 0)], ["rounds, each drained to the end", len(drained)],
                                                        *([name, last[name]] for name in COUNTED if name in last)])
    record.table("Growth: two halves, after a quarter of warm-up, by their medians", ["what", "first half", "second half", "may be more by", "verdict"], rows)
    if wrong:
        record.table("What is wrong", ["step", "what"], [[each["step"], each["what"]] for each in wrong])
    for title, (unit, names) in PLOTS.items():
        shown = [name for name in names if any(each.get(name) is not None for each in samples)]
        if shown:
            record.plot(title, "seconds", unit, [each["seconds"] for each in samples],
                        [{"label": name, "engine": "impl", "values": [each.get(name) for each in samples]} for name in shown])
    if drained:
        record.plot("Python's memory whenever the engine was empty", "seconds", "pieces", [each["seconds"] for each in drained],
                    [{"label": "pieces of memory", "engine": "impl", "values": [each["objects"] for each in drained]}])
        record.plot("Time of a step of a request alone, round by round", "seconds", "ms", [each["seconds"] for each in drained],
                    [{"label": name, "engine": "impl", "values": [each.get(name) for each in drained]} for name in ("step alone p50 ms", "yardstick ms")])
    return not any("FAILS" in verdict for _, verdict in verdicts)


def _whole(rows: list[list]) -> str:
    """Of all that could grow. What has no verdict of its own, as there were too few rounds, leaves the whole without one."""
    growing = [row[0] for row in rows if row[-1] == GROWS]
    return f"FAILS: {', '.join(growing)}" if growing else "holds" if rows and all(row[-1] in (HOLDS, UNJUDGED) for row in rows) else "too few rounds to say"


def main() -> int:
    parser = arguments("soak", __doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3600, help="how long requests come; an hour if not given")
    parser.add_argument("--seed", type=int, default=0, help="of all that is asked")
    parser.add_argument("--tiny", action="store_true", help="few seats and blocks: a rehearsal")
    parser.add_argument("--one-by-one", action="store_true", help="without asynchronous scheduling")
    asked = parser.parse_args()
    from reference.experiments.soak_run import Soak     # imports torch
    device, size = "cuda" if has_gpu() else "cpu", "tiny" if asked.tiny else "full"
    log = Log(asked.out / f"soak-{datetime.now():%Y%m%d-%H%M%S}.jsonl")
    log.write("began", seed=asked.seed, size=size, device=device, overlapped=not asked.one_by_one, **SIZES[size])
    record = Record("soak", __doc__.splitlines()[0], device)
    soak = Soak(build(size, device, not asked.one_by_one), asked.seed, log, max(1.0, asked.seconds / 200),
                lambda line: print(line, file=sys.stderr, flush=True))
    until = perf_counter() + asked.seconds
    soak.run(lambda: perf_counter() < until)
    print(f"\nseed {asked.seed}; what happened: {log.path}")
    well = tell(record, log)
    record.write(asked.out)
    return 0 if well else 1


if __name__ == "__main__":
    raise SystemExit(main())
