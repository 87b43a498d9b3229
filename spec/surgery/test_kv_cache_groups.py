"""KV cache groups: full attention beside sliding windows, in one pool, with a block table each."""
from spec.bench import claim, workload

COORDINATOR = "v1/core/kv_cache_coordinator.py::KVCacheCoordinator"
HIT = "v1/core/kv_cache_coordinator.py::HybridKVCacheCoordinator.find_longest_cache_hit"
REMOVE = "v1/core/single_type_kv_cache_manager.py::SingleTypeKVCacheManager.remove_skipped_blocks"
CACHE = "v1/core/block_pool.py::BlockPool.cache_full_blocks"

FULL, WINDOW = "full_attention", "sliding_window"
both = workload(num_blocks=20, block_size=4, max_num_batched_tokens=8, max_model_len=60, sliding_window=8, kv_cache_groups=(FULL, WINDOW))

alone = both.request("a", prompt=20, max_tokens=6)
window_first = alone.with_config(kv_cache_groups=(WINDOW, FULL))
one_and_two = both.with_config(num_blocks=30, kv_cache_groups=(FULL, WINDOW, WINDOW)).request("a", prompt=8, max_tokens=2)
joins = (both.with_config(num_blocks=30)
         .request("a", prompt="system:20 a:1", max_tokens=9)
         .request("c", prompt="system:20 c:2", max_tokens=1, arrives=4))

# b takes the blocks that a's window has left. Full attention keeps those of the same tokens, as a is still running.
window_lost_it = (both.with_config(num_blocks=19)
                  .request("a", prompt="system:20 a:1", max_tokens=12)
                  .request("b", prompt=16, max_tokens=2, arrives=4)
                  .request("c", prompt="system:8 c:2", max_tokens=1, arrives=9))
without_windows = window_lost_it.with_config(sliding_window=None, kv_cache_groups=())

# 40 tokens are ten blocks; in the window five at a time are enough.
just_enough = both.with_config(num_blocks=16).request("a", prompt=40, max_tokens=1)
one_too_few = both.with_config(num_blocks=15).request("a", prompt=40, max_tokens=1)

# When a needs its fifth block in each group, one block is free.
crowded = both.with_config(num_blocks=15).request("a", prompt=10, max_tokens=8).request("b", prompt=9, max_tokens=8, arrives=2)


def tables(step, request_id):
    return step.scheduled_state.block_tables[request_id]


@claim("A step takes the new blocks of one group after those of another, all from the same free queue.",
       on=(alone, one_and_two), about="several groups", vllm=COORDINATOR + ".allocate_new_blocks")
def test_group_after_group(two, three):
    assert two.steps[0].of("a").new_block_ids == ((1, 2), (3, 4))
    assert three.steps[0].of("a").new_block_ids == ((1, 2), (3, 4), (5, 6))


@claim("Blocks leave the window of one group while the other group keeps the blocks of the same tokens.",
       on=alone, about=("several groups", "out of window"), vllm=REMOVE)
def test_full_attention_keeps_its_blocks(run):
    full, window = tables(run.steps[3], "a")
    assert full == (1, 2, 5, 6, 9, 11) and window == (0, 0, 0, 8, 10, 12)


@claim("Equal tokens are cached once in each group.",
       on=alone, about="several groups", vllm=CACHE)
def test_each_group_caches_for_itself(run):
    assert run.steps[0].scheduled_state.cached_blocks == (1, 2, 3, 4)


@claim("A request that ends frees the first group's blocks, its last one first, then the second group's.",
       on=alone, about=("several groups", "finish"), vllm=COORDINATOR + ".free")
def test_groups_are_freed_in_order(run):
    full, window = tables(run.steps[-1], "a")
    assert run.steps[-1].updated_state.free_blocks[-8:] == (*full[-2::-1], *[block_id for block_id in window[-2::-1] if block_id])
    assert run.steps[-1].updated_state.free_blocks[:2] == (window[-1], full[-1]), "of the partly filled ones the second group's is in front"


@claim("A prompt that hits gets in one group all its blocks, in the other null blocks and those of its window.",
       on=joins, about=("several groups", "hit behind a gap"), vllm=HIT)
def test_a_hit_in_both_groups(run):
    full, window = run.first_step("c").of("c").new_block_ids
    assert run.first_step("c").of("c").num_computed_tokens == 20
    assert full[:5] == tables(run.steps[3], "a")[0][:5] and window[:5] == (0, 0, 0, 8, 11)


@claim("A prefix that full attention has in the cache is no hit if the window's blocks are lost.",
       on=(window_lost_it, without_windows), about=("eviction", "admission"), vllm=HIT)
def test_the_shortest_hit_counts(both_groups, full_attention):
    table = tables(both_groups.steps[9], "a")[0]
    assert set(table[:2]) <= set(both_groups.steps[8].updated_state.cached_blocks)
    assert both_groups.first_step("c").of("c").num_computed_tokens == 0
    assert full_attention.first_step("c").of("c").num_computed_tokens == 8


@claim("The group that has a longer prefix uses it, and only the others are computed again.",
       on=window_lost_it, about=("several groups", "eviction"), vllm=HIT, misconception=True)
def test_each_group_uses_what_it_has(run):
    shared = tables(run.steps[9], "a")[0][:2]
    got = run.first_step("c").of("c").new_block_ids[0]
    assert got[:2] == shared, f"full attention has blocks {shared} for these tokens, and gets {got[:2]}"


@claim("Admission adds up what a prompt needs in each group: ten blocks of full attention and five of a window are just enough, and one less is not.",
       on=(just_enough, one_too_few), about=("several groups", "stall"), vllm=COORDINATOR + ".get_num_blocks_to_allocate")
def test_admission_adds_up_the_groups(enough, too_few):
    assert enough.finish_reasons == {"a": "length"}
    assert too_few.ended == "stalled"


@claim("The order of the groups changes which ids a request gets, and nothing else.",
       on=(alone, window_first), about="several groups", vllm=COORDINATOR + ".free")
def test_the_order_of_groups(full_first, window_first):
    def told(run):
        return [(share[:4], len(step.scheduled_state.free_blocks)) for step in run.steps for share in step.scheduled]

    assert told(full_first) == told(window_first)
    assert tables(full_first.steps[2], "a") == ((1, 2, 5, 6, 9), (0, 0, 7, 8, 10))
    assert tables(window_first.steps[2], "a") == ((0, 0, 5, 6, 9), (3, 4, 7, 8, 10))


@claim("One free block is not enough to go on: a request needs one in each group, and somebody is preempted.",
       on=crowded, about=("several groups", "preemption"), vllm=COORDINATOR + ".get_num_blocks_to_allocate")
def test_a_step_needs_a_block_in_each_group(run):
    step = next(step for step in run.steps if step.preempted)
    assert step.preempted == ("b",)
    assert len(run.steps[step.index - 1].updated_state.free_blocks) == 1
    assert [len(ids) for ids in step.of("a").new_block_ids] == [1, 1]
