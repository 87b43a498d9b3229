"""What does a pool that is too small cost, and what do prefix caching and the watermark change about it?

64 requests with short prompts and long outputs arrive at once: all are admitted for their prompts, and then grow. The
scheduler alone decides, without weights, so every number is exact: a step is a step, and a token computed twice is seen.
"""
import random

from reference.experiments.both import computed_tokens, generated_tokens, recomputed_tokens, runs
from reference.experiments.record import Record, arguments, engines_here, progress
from reference.trace import Run
from reference.workload import Workload, workload

BLOCK_SIZE = 16
ROOMY = 1200
POOLS = [17, 24, 32, 48, 64, 96, 128, 192, 256, 320, 384, 448, 512]    # blocks; and around the peak of the demand
VARIANTS = {"as it comes": {}, "no prefix caching": {"enable_prefix_caching": False}, "watermark 5 %": {"watermark": 0.05},
            "watermark 20 %": {"watermark": 0.2}}


def storm(num_blocks: int, num_requests: int = 64, **limits) -> Workload:
    """Prompts of 16 to 48 tokens, outputs of 96 to 192, all there at step 0."""
    rng = random.Random(0)
    asked = workload(num_blocks=num_blocks, block_size=BLOCK_SIZE, max_num_batched_tokens=128, max_num_seqs=64, max_model_len=256,
                     max_steps=20_000, **limits)
    for number in range(num_requests):
        asked = asked.request(f"r{number}", prompt=rng.randint(16, 48), max_tokens=rng.randint(96, 192), ignore_eos=True)
    return asked


def peak_demand(run: Run) -> int:
    """Blocks held at once in a run that was never short of them."""
    return run.workload.config["num_blocks"] - 1 - min(len(step.scheduled_state.free_blocks) for step in run.steps)


def measured(run: Run) -> dict[str, float]:
    """What a run cost."""
    again, computed = recomputed_tokens(run), computed_tokens(run)
    return {"steps": len(run.steps), "tokens per step": generated_tokens(run) / len(run.steps), "preemptions": len(run.preemptions),
            "recomputed tokens": again, "share recomputed": again / computed}


def main() -> None:
    out = arguments("preemption_storm", __doc__.splitlines()[0]).parse_args().out
    record, engines = Record("preemption_storm", __doc__.splitlines()[0]), engines_here()
    peak = peak_demand(runs(storm(ROOMY), ["impl"])["impl"])
    pools = [*POOLS, peak, peak + 1, 640]
    print(f"the peak of the demand is {peak} blocks, so that a pool of {peak + 1}, with the null block, should be the first without preemption")
    found: dict[tuple, dict] = {}
    for variant, limits in VARIANTS.items():
        for pool in pools:
            progress(f"{variant}, {pool} blocks")
            found |= {(engine, variant, pool): measured(run) for engine, run in runs(storm(pool, **limits), engines).items()}
    tell(record, found, pools, engines)
    record.write(out)


def tell(record: Record, found: dict[tuple, dict], pools: list[int], engines: list[str]) -> None:
    """The tables and plots of all that was `found`, by engine, variant and pool."""
    differ = [place[1:] for place, costs in found.items() if costs != found["impl", *place[1:]]]
    record.table("Where the engines differ", ["variant", "pool"], [list(place) for place in differ] or [["nowhere", None]])
    for variant in VARIANTS:
        columns = list(found["impl", variant, pools[0]])
        record.table(variant, ["pool [blocks]", *columns], [[pool, *found[engines[-1], variant, pool].values()] for pool in pools])
    for name, title in (("tokens per step", "Throughput against the pool"), ("recomputed tokens", "Recomputed tokens against the pool")):
        record.plot(title, "pool [blocks]", name, pools, [
            {"label": variant, "engine": engine, "values": [found[engine, variant, pool][name] for pool in pools]}
            for variant in VARIANTS for engine in engines], log=True)


if __name__ == "__main__":
    main()
