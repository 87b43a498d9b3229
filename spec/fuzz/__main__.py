"""A campaign: `python -m spec.fuzz --workloads 20000 [--seed S] [--jobs J] [--kind K] [--coverage]`.

Every workload is made from one number, so that a campaign is split over the cores by
its seeds and any part of it can be repeated.
"""
import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter

from spec.fuzz.duel import Tally, median
from spec.fuzz.generator import KINDS, PLAIN, WINDOWS, must_happen
from spec.fuzz.shard import REPORT_EVERY

# Not async_scheduler.py: its two refusals are for who takes steps out of their turn, as the player never does.
COVERED = "impl/scheduler.py,impl/admission.py,impl/step.py,impl/block_manager.py,impl/block_pool.py,impl/block_hash.py,impl/request.py,impl/request_queue.py,impl/structured_output.py,impl/speculation.py"
COVERED_WITH_WINDOWS = "impl/hybrid_block_manager.py,impl/kv_cache_group.py,impl/sliding_window.py,impl/block_pool.py"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m spec.fuzz", description=__doc__)
    parser.add_argument("--workloads", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1, help="the first seed (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--kind", choices=KINDS, default=PLAIN, help="of workloads (default: %(default)s)")
    parser.add_argument("--coverage", action="store_true", help="measure the branches of impl's scheduler and KV cache: "
                        "by workloads with windows, or by those of all other kinds, one after the other")
    options = parser.parse_args()
    started = time.monotonic()
    kinds = [kind for kind in KINDS if kind != WINDOWS] if options.coverage and options.kind != WINDOWS else [options.kind]
    tally = Tally()
    for kind in kinds:
        tally.merge(campaign(options.seed, options.workloads, options.jobs, options.coverage, kind))
    print(report(tally, options.seed, time.monotonic() - started))
    covered = report_coverage(COVERED_WITH_WINDOWS if kinds == [WINDOWS] else COVERED) if options.coverage else True
    wanted = must_happen(kinds[0]) if len(kinds) == 1 else {}
    rare = [event for event, share in wanted.items() if tally.events[event] < share * tally.workloads]
    for event in rare:
        print(f"too rare to trust this campaign: {event}, wanted in {wanted[event]:.0%} of the workloads")
    return 0 if covered and not rare and not tally.wrong and tally.workloads == len(kinds) * options.workloads else 1


def campaign(first: int, workloads: int, jobs: int, coverage: bool = False, kind: str = PLAIN) -> Tally:
    """Play the seeds `first` and on in `jobs` processes, showing progress."""
    tally, lock, started = Tally(), threading.Lock(), time.monotonic()
    measured = ["-m", "coverage", "run", "--branch", "--source=impl", "--parallel-mode"] if coverage else []

    def follow(job: int) -> None:
        command = [sys.executable, *measured, "-m", "spec.fuzz.shard", str(first + job), str(first + workloads), str(jobs), kind]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as shard:
            for line in shard.stdout:
                if not line.startswith("{"):    # vLLM greets on stdout
                    continue
                with lock:
                    tally.merge(read_tally(line))
                    show_progress(tally, workloads, time.monotonic() - started)

    followers = [threading.Thread(target=follow, args=(job,)) for job in range(min(jobs, workloads))]
    for follower in followers:
        follower.start()
    for follower in followers:
        follower.join()
    print(file=sys.stderr)
    return tally


def read_tally(line: str) -> Tally:
    data = json.loads(line)
    by_number = {name: Counter({int(value): count for value, count in data.pop(name).items()}) for name in ("steps", "requests")}
    return Tally(events=Counter(data.pop("events")), endings=Counter(data.pop("endings")), **by_number, **data)


def show_progress(tally: Tally, workloads: int, seconds: float) -> None:
    """A line that is written over on a terminal, a line for every thousand in a log."""
    end = "\r" if sys.stderr.isatty() else "\n"
    if end == "\r" or tally.workloads % 1000 < REPORT_EVERY:
        print(f"{tally.workloads:>8} of {workloads} workloads, {len(tally.wrong)} wrong, "
              f"{tally.workloads / seconds:.0f} a second", end=end, file=sys.stderr, flush=True)


def report(tally: Tally, first: int, seconds: float) -> str:
    lines = [f"{tally.workloads} random workloads (seeds from {first}) in {seconds / 60:.1f} minutes, every step compared: "
             f"{len(tally.wrong)} wrong",
             f"median {median(tally.requests)} requests and {median(tally.steps)} steps; "
             + ", ".join(f"{count} {ending}" for ending, count in tally.endings.most_common()),
             "it happened in this share of the workloads:"]
    lines += [f"  {count / tally.workloads:>6.1%}  {event}" for event, count in tally.events.most_common()]
    for wrong, path in tally.wrong:
        lines += ["", wrong, f"  kept in {path}: make test plays it from now on"]
    return "\n".join(lines)


def report_coverage(files: str) -> bool:
    """Print the branches that no workload took; False if there are any."""
    subprocess.run([sys.executable, "-m", "coverage", "combine", "--quiet"], check=True)
    return subprocess.run([sys.executable, "-m", "coverage", "report", f"--include={files}", "--fail-under=100"]).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
