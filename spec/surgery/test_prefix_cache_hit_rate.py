"""What is found in the prefix cache. The whole experiment: `python -m reference.experiments.prefix_cache_hit_rate`."""
from reference.experiments.prefix_cache_hit_rate import ORDERS, PREFIX, best_hit_rate, blocks_until_its_turn, hit_rate, served
from spec.bench import claim

EVICT = "v1/core/block_pool.py::BlockPool.get_new_blocks"
GROUPED, IN_TURN, _ = ORDERS
PER_GROUP = 3
ENOUGH = blocks_until_its_turn()
TWO_THIRDS = 2 * ENOUGH // 3

grouped_in_little, in_turn_in_little = (served(order, TWO_THIRDS, per_group=PER_GROUP) for order in (GROUPED, IN_TURN))
in_turn_in_enough = served(IN_TURN, ENOUGH, per_group=PER_GROUP)


@claim("The order of requests decides: in the same pool, one group after the other finds all that is shared, and the groups in turn find nothing.",
       on=(grouped_in_little, in_turn_in_little), about=("eviction", "decode"), vllm=EVICT)
def test_the_order_decides(grouped, in_turn):
    assert hit_rate(grouped) == best_hit_rate(PREFIX, PER_GROUP) and hit_rate(in_turn) == 0


@claim("The groups in turn find all that is shared once the pool holds one request of each group.",
       on=in_turn_in_enough, about="cache hit", vllm=EVICT)
def test_the_working_set_tells_the_pool(run):
    assert hit_rate(run) == best_hit_rate(PREFIX, PER_GROUP)


# Whatever is needed next was freed first: the least recently used block is always the wrong one to evict.
@claim("A pool that holds two thirds of what comes back finds something of it.",
       on=in_turn_in_little, about="eviction", vllm=EVICT, misconception=True)
def test_some_is_found_in_a_pool_that_is_nearly_large_enough(run):
    assert hit_rate(run) > 0, f"a pool of {TWO_THIRDS} blocks found nothing, and one of {ENOUGH} finds all"
