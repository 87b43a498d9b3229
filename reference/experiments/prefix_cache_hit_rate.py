"""What decides how much of a prompt is found in the prefix cache: the pool, the order of requests, or the shared prefix?

Groups of requests share a system prompt each and go on differently. Two run at a time; what has finished stays in the
free blocks until somebody needs them, the least recently freed first. So the cache is as large as what is free.
"""
import random

from reference.experiments.both import runs
from reference.experiments.record import Record, arguments, engines_here, progress
from reference.trace import Run
from reference.workload import Workload, workload

BLOCK_SIZE, GROUPS, PER_GROUP = 16, 8, 8
PREFIX, OWN, OUTPUT = 256, 32, 16       # tokens
POOLS = [48, 64, 80, 96, 112, 128, 144, 152, 160, 168, 176, 192, 256, 384]
PREFIXES = [15, 16, 31, 32, 64, 128, 256, 512, 1024]
ORDERS = ("one group after the other", "the groups in turn", "at random")


def served(order: str, num_blocks: int, prefix: int = PREFIX, per_group: int = PER_GROUP) -> Workload:
    """`per_group` requests in each of `GROUPS`, with `prefix` tokens in common and `OWN` of their own, in this order."""
    asked = workload(num_blocks=num_blocks, block_size=BLOCK_SIZE, max_num_batched_tokens=4096, max_num_seqs=2, max_model_len=2048, max_steps=20_000)
    for group, number in arranged(order, per_group):
        asked = asked.request(f"g{group}r{number}", prompt=f"system{group}:{prefix} g{group}r{number}:{OWN}", max_tokens=OUTPUT, ignore_eos=True)
    return asked


def arranged(order: str, per_group: int) -> list[tuple[int, int]]:
    """(group, number) of all requests, in an order of `ORDERS`."""
    grouped = [(group, number) for group in range(GROUPS) for number in range(per_group)]
    if order == ORDERS[0]:
        return grouped
    if order == ORDERS[1]:
        return sorted(grouped, key=lambda each: each[1])
    random.Random(0).shuffle(grouped)
    return grouped


def hit_rate(run: Run) -> float:
    """Of the prompts' tokens that were looked up, the share that was found; as vLLM counts it."""
    return run.prefix_cache["hits"] / run.prefix_cache["queries"]


def best_hit_rate(prefix: int, per_group: int = PER_GROUP) -> float:
    """If nothing were ever evicted: all but the first of each group find the whole blocks of the prefix."""
    return (per_group - 1) / per_group * (prefix // BLOCK_SIZE * BLOCK_SIZE) / (prefix + OWN)


def blocks_until_its_turn(prefix: int = PREFIX) -> int:
    """Blocks, with the null block, that hold one request of each group: what the groups in turn need, so that each finds its prefix."""
    return GROUPS * -(-(prefix + OWN + OUTPUT) // BLOCK_SIZE) + 1


def main() -> None:
    out = arguments("prefix_cache_hit_rate", __doc__.splitlines()[0]).parse_args().out
    record, engines = Record("prefix_cache_hit_rate", __doc__.splitlines()[0]), engines_here()
    print(f"nothing evicted: a hit rate of {best_hit_rate(PREFIX):.4f}; the groups in turn need about {blocks_until_its_turn()} blocks for it")
    tell(record, "Against the pool", "pool [blocks]", POOLS, engines, lambda order, pool: served(order, pool), lambda pool: best_hit_rate(PREFIX))
    tell(record, "Against the shared prefix, in a large pool", "shared prefix [tokens]", PREFIXES, engines,
         lambda order, prefix: served(order, 2048, prefix), best_hit_rate)
    tell(record, "Against the shared prefix, in 160 blocks", "shared prefix [tokens]", PREFIXES, engines,
         lambda order, prefix: served(order, 160, prefix), best_hit_rate)
    record.write(out)


def tell(record: Record, title: str, knob: str, places: list[int], engines: list[str], asked, best) -> None:
    """One table and one plot: the hit rate by order and engine at each place of a knob. `asked(order, place)` is a workload."""
    seen: dict[tuple, list[float]] = {}
    for order in ORDERS:
        for place in places:
            progress(f"{title}: {order}, {place}")
            for engine, run in runs(asked(order, place), engines).items():
                seen.setdefault((order, engine), []).append(hit_rate(run))
    record.table(title, [knob, *ORDERS, "nothing evicted", "the engines agree"], [
        [place, *(seen[order, engines[-1]][at] for order in ORDERS), best(place),
         "yes" if all(seen[order, engine][at] == seen[order, "impl"][at] for order in ORDERS for engine in engines) else "NO"]
        for at, place in enumerate(places)])
    record.plot(title, knob, "hit rate", places, [{"label": order, "engine": engine, "values": seen[order, engine]}
                                                   for order in ORDERS for engine in engines], log=True)


if __name__ == "__main__":
    main()
