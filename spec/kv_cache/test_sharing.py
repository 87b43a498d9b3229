"""Sharing: several requests on one block, and several blocks with one content."""
from spec.bench import claim, workload

ALLOCATE = "v1/core/kv_cache_manager.py::KVCacheManager.allocate_slots"
COUNT = "v1/core/single_type_kv_cache_manager.py::SingleTypeKVCacheManager.get_num_blocks_to_allocate"
TOUCH = "v1/core/block_pool.py::BlockPool.touch"
FREE = "v1/core/block_pool.py::BlockPool.free_blocks"
MAP = "v1/core/block_pool.py::BlockHashToBlockMap"
SERVED = "v1/core/block_pool.py::BlockHashToBlockMap.get_one_block"
CHILDREN = "v1/engine/parallel_sampling.py::ParentRequest.get_child_info"
SCHEDULE = "v1/core/sched/scheduler.py::Scheduler.schedule"

batch_mates = (workload(num_blocks=10, block_size=4)
               .request("a", prompt="system:8 a:1", max_tokens=3)
               .request("b", prompt="system:8 b:6", max_tokens=1))

# b comes when a has ended: blocks 1 and 2 are free, and cached.
hit_on_free = (workload(num_blocks=8, block_size=4)
               .request("a", prompt="system:8", max_tokens=1)
               .request("b", prompt="system:8 b:1", max_tokens=2, arrives=1))

# Four blocks. b begins with blocks 1 and 2 and needs one more; one is free.
hit_in_use = (workload(num_blocks=5, block_size=4)
              .request("a", prompt="system:8 a:1", max_tokens=4)
              .request("b", prompt="system:8 b:1", max_tokens=1, arrives=1))

# Four blocks. b begins with blocks 1 and 2 and needs one more; these two are the free ones, x has the others.
hit_on_the_last_free = (workload(num_blocks=5, block_size=4)
                        .request("a", prompt="system:8", max_tokens=1)
                        .request("x", prompt=5, max_tokens=3)
                        .request("b", prompt="system:8 b:1", max_tokens=1, arrives=1))

# Four blocks, two of them shared; a needs a fifth at step 1.
victim_shares = (workload(num_blocks=5, block_size=4)
                 .request("a", prompt="system:8 a:4", max_tokens=3)
                 .request("b", prompt="system:8 b:2", max_tokens=3))

# Their prompts end with block 2, which each computes for itself: a on block 2, b on block 3.
twins = (workload(num_blocks=10, block_size=4)
         .request("a", prompt="system:8", max_tokens=1)
         .request("b", prompt="system:8", max_tokens=5)
         .request("c", prompt="system:8 c:1", max_tokens=1, arrives=1))

# d takes the two unused blocks and one of the twins, the one that was freed first.
twin_evicted = (workload(num_blocks=6, block_size=4)
                .request("a", prompt="system:8", max_tokens=1)
                .request("b", prompt="system:8", max_tokens=1)
                .request("d", prompt=12, max_tokens=1, arrives=1)
                .request("c", prompt="system:8 c:1", max_tokens=1, arrives=2))

unread = (workload(num_blocks=10, block_size=4)
          .request("a", prompt="system:9", max_tokens=4)
          .request("b", prompt="system:9", prompt_logprobs=1, max_tokens=4, arrives=1))

# Both prompts in chunks of four, in step.
side_by_side = (workload(num_blocks=12, block_size=4, long_prefill_token_threshold=4)
                .request("a", prompt="system:13", max_tokens=1)
                .request("b", prompt="system:13", max_tokens=1))

family = (workload(num_blocks=12, block_size=4)
          .request("p", prompt=9, n=3, max_tokens=2)
          .request("q", prompt=8, n=2, max_tokens=2))

with_a_partial_block = workload(num_blocks=8, block_size=4).request("p", prompt=6, n=2, max_tokens=2)


@claim("A request shares the full blocks of one that is admitted earlier in the same step.",
       on=batch_mates, about="sharing within a step", vllm=ALLOCATE)
def test_batch_mates_share(run):
    share = run.steps[0].of("b")
    assert (share.num_computed_tokens, share.num_tokens) == (8, 6)
    assert run.steps[0].of("a").new_block_ids == (1, 2, 3) and share.new_block_ids == (1, 2, 4, 5)


# In the V0 engine a block could be hit only after the step that computed it.
@claim("A block can be hit only after the step that computes it.",
       on=batch_mates, about="admission", vllm=ALLOCATE, misconception=True)
def test_batch_mates_do_not_share(run):
    assert run.steps[0].of("b").num_computed_tokens == 0, "b hits what a computes in the same step"


@claim("A hit on a free block takes it out of the free queue, from any place in it, and leaves the order of the others.",
       on=hit_on_free, about="cache hit", vllm=TOUCH)
def test_a_hit_takes_a_block_out_of_the_free_queue(run):
    assert run.steps[0].updated_state.free_blocks == (3, 4, 5, 6, 7, 2, 1)
    assert run.steps[1].of("b").new_block_ids == (1, 2, 3)
    assert run.steps[1].scheduled_state.free_blocks == (4, 5, 6, 7)


@claim("A hit on a block in use costs nothing: with one block free, a prompt of three blocks is admitted.",
       on=hit_in_use, about="cache hit", vllm=COUNT)
def test_a_hit_on_a_block_in_use_costs_nothing(run):
    assert run.steps[0].updated_state.free_blocks == (4,)
    assert [share.new_block_ids for share in run.steps[1].admitted] == [(1, 2, 4)]


@claim("A hit on a free block costs that block: with two blocks free, both of them hit, a prompt of three blocks waits.",
       on=hit_on_the_last_free, about=("waiting", "cache hit"), vllm=COUNT)
def test_a_hit_on_a_free_block_costs_a_block(run):
    assert run.steps[0].updated_state.free_blocks == (2, 1)
    assert run.steps[1].scheduled_state.waiting == ("b",)
    assert run.first_step("b").index == 3 and run.steps[3].of("b").num_computed_tokens == 8


@claim("A request needs free blocks only for that part of its prompt which is not cached.",
       on=hit_on_the_last_free, about=("waiting", "cache hit"), vllm=COUNT, misconception=True)
def test_only_what_is_not_cached_needs_blocks(run):
    # b needs one block beside the two it hits; two are free.
    assert run.first_step("b").index == 1, f"b waits until step {run.first_step('b').index}"


@claim("A request that hits and is not admitted leaves the free queue as it was.",
       on=hit_on_the_last_free, about="waiting", vllm=ALLOCATE)
def test_a_refused_hit_touches_nothing(run):
    for step in run.steps[1:3]:
        assert step.scheduled_state.waiting == ("b",) and step.scheduled_state.free_blocks == (2, 1)


@claim("A preemption frees only those of the victim's blocks that nobody else holds.",
       on=victim_shares, about="preemption", vllm=FREE)
def test_a_victim_leaves_shared_blocks_to_the_others(run):
    assert [share.new_block_ids for share in run.steps[0].scheduled] == [(1, 2, 3), (1, 2, 4)]
    assert run.steps[1].preempted == ("b",) and run.steps[1].of("a").new_block_ids == (4,)
    assert run.steps[1].scheduled_state.free_blocks == ()


@claim("Two prompts that are equal and end with a full block each compute that block, and both copies stay in the cache.",
       on=twins, about="sharing within a step", vllm=MAP)
def test_equal_prompts_leave_two_copies(run):
    assert run.steps[0].of("a").new_block_ids == (1, 2) and run.steps[0].of("b").new_block_ids == (1, 3)
    assert run.steps[0].updated_state.cached_blocks == (1, 2, 3)


# The V0 engine did: a block that became full was exchanged for the cached one and given back.
@claim("A block that turns out to equal a cached one is given back, and the block table points to the cached one.",
       on=twins, about="sharing within a step", vllm=MAP, misconception=True)
def test_copies_are_merged(run):
    assert 3 in run.steps[0].updated_state.free_blocks, "block 3, a copy of block 2, stays with b"


@claim("Of two copies, the one that was cached first is hit, even if it is free and the other in use.",
       on=twins, about="cache hit", vllm=SERVED)
def test_the_first_copy_is_hit(run):
    free = run.steps[0].updated_state.free_blocks
    assert 2 in free and 3 not in free
    assert run.steps[1].of("c").new_block_ids[:2] == (1, 2)
    assert 2 not in run.steps[1].scheduled_state.free_blocks


@claim("When one of two copies is evicted, the other is hit.",
       on=twin_evicted, about=("eviction", "cache hit"), vllm=SERVED)
def test_the_second_copy_outlives_the_first(run):
    assert run.steps[0].updated_state.free_blocks == (4, 5, 2, 3, 1)
    assert run.steps[1].of("d").new_block_ids == (4, 5, 2)
    assert run.steps[2].of("c").num_computed_tokens == 8 and run.steps[2].of("c").new_block_ids[:2] == (1, 3)


@claim("A request that does not read the cache computes copies of cached blocks, on blocks of its own.",
       on=unread, about="admission", vllm=MAP)
def test_not_reading_makes_copies(run):
    assert run.steps[0].of("a").new_block_ids == (1, 2, 3) and run.steps[1].of("b").new_block_ids == (4, 5, 6)
    assert run.steps[1].updated_state.cached_blocks == (1, 2, 4, 5)


@claim("The cache is asked at admission only: two equal prompts computed side by side in chunks share their first chunk and nothing more.",
       on=side_by_side, about=("sharing within a step", "chunk"), vllm=SCHEDULE)
def test_a_running_request_hits_nothing_more(run):
    assert [share.num_computed_tokens for share in run.shares("a")] == [0, 4, 8, 12]
    assert [share.num_computed_tokens for share in run.shares("b")] == [4, 8, 12]
    assert [share.new_block_ids for share in run.shares("a")] == [(1,), (3,), (5,), (6,)]
    assert [share.new_block_ids for share in run.shares("b")] == [(1, 2), (4,), (6,)]


@claim("Of two equal prompts computed side by side in chunks, the second is done first: it starts from the first one's chunk.",
       on=side_by_side, about=("sharing within a step", "chunk"), vllm=SCHEDULE)
def test_the_second_of_two_equal_prompts_is_done_first(run):
    assert run.steps[0].scheduled_state.running == ("a", "b")
    assert [done.request_id for step in run.steps for done in step.outputs] == ["b", "a"]


@claim("The sequences of one prompt share its full blocks.",
       on=family, about="sharing within a step", vllm=CHILDREN)
def test_the_children_of_a_prompt_share(run):
    assert [run.steps[0].of(f"{child}_p").new_block_ids for child in range(3)] == [(1, 2, 3), (1, 2, 4), (1, 2, 5)]


@claim("Of a prompt that ends with a full block, each sequence computes that block for itself.",
       on=family, about="sharing within a step", vllm=CHILDREN)
def test_the_children_compute_the_last_block_each(run):
    assert [run.steps[0].of(f"{child}_q").new_block_ids for child in range(2)] == [(6, 7), (6, 8)]
    assert run.steps[0].of("1_q").num_tokens == 4


# The PagedAttention paper and the V0 engine did so. Now only full blocks are shared, and nobody writes into these.
@claim("The sequences of one prompt share its partly filled last block, and copy it when they write to it.",
       on=with_a_partial_block, about="sharing within a step", vllm=CHILDREN, misconception=True)
def test_a_partly_filled_block_is_shared(run):
    first, second = (run.steps[0].of(f"{child}_p").new_block_ids for child in range(2))
    assert first == second, f"their blocks are {first} and {second}"
