"""A campaign: `python -m spec.fuzz --workloads 20000 [--seed S] [--jobs J] [--coverage] [--speculative]`.

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
from spec.fuzz.shard import REPORT_EVERY

COVERED = "impl/scheduler.py,impl/block_manager.py,impl/block_pool.py,impl/block_hash.py,impl/request.py,impl/request_queue.py,impl/speculation.py"
MUST_HAPPEN = {"preemption": 0.30, "cache hit": 0.50, "abort": 0.20, "eviction": 0.30}    # share of workloads
DRAFTS_MUST_HAPPEN = {"accepted draft": 0.90, "rejected draft": 0.80, "truncated drafts": 0.50, "preempted drafts": 0.20,
                      "placeholders": 0.10, "end inside drafts": 0.50}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m spec.fuzz", description=__doc__)
    parser.add_argument("--workloads", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1, help="the first seed (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--coverage", action="store_true", help="measure the branches of impl's scheduler and KV cache")
    parser.add_argument("--speculative", action="store_true", help="requests with drafts")
    options = parser.parse_args()
    started = time.monotonic()
    tally = campaign(options.seed, options.workloads, options.jobs, options.coverage, options.speculative)
    print(report(tally, options.seed, time.monotonic() - started))
    covered = report_coverage() if options.coverage else True
    must_happen = MUST_HAPPEN | (DRAFTS_MUST_HAPPEN if options.speculative else {})
    rare = [event for event, share in must_happen.items() if tally.events[event] < share * tally.workloads]
    for event in rare:
        print(f"too rare to trust this campaign: {event}, wanted in {must_happen[event]:.0%} of the workloads")
    return 0 if covered and not rare and not tally.wrong and tally.workloads == options.workloads else 1


def campaign(first: int, workloads: int, jobs: int, coverage: bool, speculative: bool = False) -> Tally:
    """Play the seeds `first` and on in `jobs` processes, showing progress."""
    tally, lock, started = Tally(), threading.Lock(), time.monotonic()
    measured = ["-m", "coverage", "run", "--branch", "--source=impl", "--parallel-mode"] if coverage else []

    def follow(job: int) -> None:
        command = [sys.executable, *measured, "-m", "spec.fuzz.shard", str(first + job), str(first + workloads), str(jobs), *["speculative"] * speculative]
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


def report_coverage() -> bool:
    """Print the branches that no workload took; False if there are any."""
    subprocess.run([sys.executable, "-m", "coverage", "combine", "--quiet"], check=True)
    return subprocess.run([sys.executable, "-m", "coverage", "report", f"--include={COVERED}", "--fail-under=100"]).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
