"""Eviction: how cached blocks are forgotten, one by one or all at once."""
from spec.bench import claim, workload

NEW_BLOCKS = "v1/core/block_pool.py::BlockPool.get_new_blocks"
EVICT = "v1/core/block_pool.py::BlockPool._maybe_evict_cached_block"
FREE = "v1/core/block_pool.py::BlockPool.free_blocks"
FREE_REQUEST = "v1/core/single_type_kv_cache_manager.py::SingleTypeKVCacheManager.free"
LONGEST = "v1/core/single_type_kv_cache_manager.py::FullAttentionManager.find_longest_cache_hit"
TOUCH = "v1/core/block_pool.py::BlockPool.touch"
RESET_POOL = "v1/core/block_pool.py::BlockPool.reset_prefix_cache"
RESET = "v1/core/sched/scheduler.py::Scheduler.reset_prefix_cache"
UPDATE = "v1/core/sched/scheduler.py::Scheduler.update_from_output"

# Four blocks: a leaves 1 and 2, b leaves 3 and 4, and c takes two.
first_freed = (workload(num_blocks=5, block_size=4)
               .request("a", prompt=8, max_tokens=1)
               .request("b", prompt=8, max_tokens=1, arrives=1)
               .request("c", prompt=8, max_tokens=1, arrives=2)
               .request("b again", prompt="b:8 more:1", max_tokens=1, arrives=3)
               .request("a again", prompt="a:8 more:1", max_tokens=1, arrives=4))

# The same, but a's blocks are hit once more after b has ended.
refreshed = (workload(num_blocks=5, block_size=4)
             .request("a", prompt=8, max_tokens=1)
             .request("b", prompt=8, max_tokens=1, arrives=1)
             .request("a's friend", prompt="a:8", max_tokens=1, arrives=2)
             .request("c", prompt=4, max_tokens=1, arrives=3))

# Four blocks: a ends last, though its blocks were cached and hit before b came.
long_held = (workload(num_blocks=5, block_size=4)
             .request("a", prompt=7, max_tokens=5)
             .request("b", prompt=8, max_tokens=1, arrives=1)
             .request("c", prompt=12, max_tokens=1, arrives=5))

# Three blocks in all: a leaves all of them in the cache, and x takes one.
shrinking = (workload(num_blocks=4, block_size=4, max_model_len=16)
             .request("a", prompt=12, max_tokens=1)
             .request("x", prompt=4, max_tokens=1, arrives=1)
             .request("after x", prompt="a:12", max_tokens=1, arrives=2))

# b's partly filled block stands ahead of a's cached ones, and x gets it.
partly_filled_first = (workload(num_blocks=5, block_size=4)
                       .request("a", prompt=8, max_tokens=1)
                       .request("b", prompt=6, max_tokens=1)
                       .request("x", prompt=3, max_tokens=1, arrives=1)
                       .request("y", prompt=7, max_tokens=1, arrives=2))

much_later = (workload(num_blocks=10, block_size=4)
              .request("a", prompt="system:8 a:1", max_tokens=1)
              .request("x", prompt=5, max_tokens=6, arrives=1)
              .request("b", prompt="system:8 b:1", max_tokens=1, arrives=7))

reset_busy = (workload(num_blocks=10, block_size=4)
              .request("a", prompt="system:8 a:1", max_tokens=3)
              .reset_prefix_cache(at=1)
              .request("b", prompt="system:8 b:1", max_tokens=1, arrives=2))
reset_idle = (workload(num_blocks=8, block_size=4)
              .request("a", prompt="system:8 a:1", max_tokens=1)
              .request("b", prompt="system:8 b:1", max_tokens=1, arrives=1)
              .reset_prefix_cache(at=1))
reset_waiting = (workload(num_blocks=8, block_size=4)
                 .request("a", prompt="system:8 a:1", max_tokens=1)
                 .pause(at=1)
                 .request("b", prompt="system:8 b:1", max_tokens=1, arrives=1)
                 .reset_prefix_cache(at=2)
                 .unpause(at=3))

# c waits for a seat.
reset_running = (workload(num_blocks=12, block_size=4, max_num_seqs=2)
                 .request("a", prompt="system:8 a:1", max_tokens=4)
                 .request("b", prompt="system:8 b:1", max_tokens=4)
                 .request("c", prompt=5, max_tokens=1)
                 .reset_prefix_cache(at=2, running=True))
reset_in_flight = (workload(num_blocks=12, block_size=4, max_num_seqs=2)
                   .request("a", prompt="system:8 a:1", max_tokens=4)
                   .request("b", prompt="system:8 b:1", max_tokens=4)
                   .request("c", prompt=5, max_tokens=1)
                   .reset_prefix_cache(at=2, running=True, between=True))
reset_priority = (workload(num_blocks=12, block_size=4, max_num_seqs=2, policy="priority")
                  .request("a", prompt=5, priority=1, max_tokens=4)
                  .request("b", prompt=5, priority=1, max_tokens=4)
                  .request("urgent", prompt=5, priority=0, max_tokens=2, arrives=2)
                  .reset_prefix_cache(at=2, running=True))


@claim("The cached blocks that were freed first are evicted first.",
       on=first_freed, about="eviction", vllm=NEW_BLOCKS)
def test_the_first_freed_are_evicted_first(run):
    assert run.steps[1].updated_state.free_blocks == (2, 1, 4, 3)
    assert run.steps[2].of("c").new_block_ids == (2, 1)
    assert run.steps[3].of("b again").num_computed_tokens == 8


@claim("An evicted block is hit no more.",
       on=first_freed, about="eviction", vllm=EVICT)
def test_an_evicted_block_is_not_hit(run):
    assert run.steps[4].of("a again").num_computed_tokens == 0


@claim("Of one request's blocks the last is evicted first, so that what is left can still be hit from the start.",
       on=shrinking, about=("eviction", "cache hit"), vllm=FREE_REQUEST)
def test_the_tail_is_evicted_first(run):
    assert run.steps[0].updated_state.free_blocks == (3, 2, 1)
    assert run.steps[1].of("x").new_block_ids == (3,)
    assert run.steps[2].of("after x").num_computed_tokens == 8


# A prefix outlives what continues it: whoever holds a later block holds the earlier ones, and frees them after it.
@claim("Eviction takes the beginning of a prompt first and leaves its end in the cache, out of reach.",
       on=shrinking, about="eviction", vllm=FREE_REQUEST, misconception=True)
def test_the_head_is_evicted_first(run):
    assert run.steps[1].of("x").new_block_ids == (1,), "x gets the last block of a, and the first two are still hit"


@claim("A hit refreshes a block: let go again, it is evicted after all that were free already.",
       on=refreshed, about=("eviction", "cache hit"), vllm=TOUCH)
def test_a_hit_refreshes(run):
    assert run.steps[1].updated_state.free_blocks == (2, 1, 4, 3)
    assert run.steps[2].of("a's friend").new_block_ids == (1, 2)
    assert run.steps[2].updated_state.free_blocks == (4, 3, 2, 1)
    assert run.steps[3].of("c").new_block_ids == (4,)


@claim("Blocks are evicted in the order in which they were cached.",
       on=long_held, about="eviction", vllm=FREE, misconception=True)
def test_first_cached_first_evicted(run):
    assert run.steps[0].updated_state.cached_blocks == (1,) and run.steps[5].of("c").new_block_ids[0] == 1


@claim("What counts for eviction is when a block was let go, not when it was cached or last hit.",
       on=long_held, about="eviction", vllm=FREE)
def test_the_order_is_that_of_letting_go(run):
    assert run.steps[0].of("a").new_block_ids == (1, 2) and run.steps[1].of("b").new_block_ids == (3, 4)
    assert run.steps[4].updated_state.free_blocks == (4, 3, 2, 1)
    assert run.steps[5].of("c").new_block_ids == (4, 3, 2)


@claim("A request that ends leaves its full blocks in the cache, and they can be hit as long as nobody else needs them.",
       on=much_later, about=("finish", "cache hit"), vllm=FREE)
def test_being_free_is_not_being_forgotten(run):
    assert set(run.steps[6].updated_state.free_blocks) == set(range(1, 10))
    assert {1, 2} <= set(run.steps[6].updated_state.cached_blocks)
    assert run.steps[7].of("b").num_computed_tokens == 8


@claim("Blocks leave the cache only when they are given out again: no step but one that gives out a cached block shrinks it.",
       on=(first_freed, shrinking, much_later), about=("eviction", "finish"), vllm=EVICT)
def test_eviction_happens_at_reallocation(*runs):
    for run in runs:
        cached = set()
        for step in run.steps:
            given = {block_id for share in step.scheduled
                     for block_id in share.new_block_ids[share.num_computed_tokens // 4 if share.kind != "running" else 0:]}
            assert cached - given <= set(step.scheduled_state.cached_blocks)
            assert step.updated_state.cached_blocks == step.scheduled_state.cached_blocks
            cached = set(step.updated_state.cached_blocks)


@claim("Nothing cached is evicted while a block that is not cached is free: in the free queue all of these come first.",
       on=(partly_filled_first, first_freed, much_later), about=("eviction", "finish"), vllm=FREE)
def test_uncached_blocks_go_first(*runs):
    for run in runs:
        for step in run.steps:
            for state in (step.scheduled_state, step.updated_state):
                order = [block_id in state.cached_blocks for block_id in state.free_blocks]
                assert order == sorted(order), f"step {step.index}: free {state.free_blocks}, cached {state.cached_blocks}"


# Textbook LRU, and V1 before it put blocks without a hash in front.
@claim("The block that has been free for longest is given out next.",
       on=partly_filled_first, about="eviction", vllm=FREE, misconception=True)
def test_the_longest_free_goes_first(run):
    assert run.steps[0].updated_state.free_blocks == (4, 2, 1, 3)
    assert run.steps[2].of("y").new_block_ids == (2, 1), "x let go of block 4 last, and y gets it first"


@claim("reset_prefix_cache is refused while a request holds blocks, and nothing is forgotten.",
       on=reset_busy, about=("reset", "cache hit"), vllm=RESET_POOL)
def test_a_reset_is_refused_while_blocks_are_held(run):
    assert run.steps[1].resets == (False,)
    assert run.steps[1].scheduled_state.cached_blocks == (1, 2)
    assert run.steps[2].of("b").num_computed_tokens == 8


@claim("reset_prefix_cache waits until the running requests have ended.",
       on=reset_busy, about=("reset", "cache hit"), vllm=RESET_POOL, misconception=True)
def test_a_reset_waits(run):
    assert run.steps[-1].updated_state.cached_blocks == (), "it gives up, and the cache is never emptied"


@claim("reset_prefix_cache forgets every block when none is held: the same prompt is computed anew.",
       on=reset_idle, about="reset", vllm=RESET_POOL)
def test_a_reset_forgets_everything(run):
    assert run.steps[0].updated_state.cached_blocks == (1, 2)
    assert run.steps[1].resets == (True,)
    assert (run.steps[1].of("b").num_computed_tokens, run.steps[1].of("b").num_tokens) == (0, 9)


@claim("reset_prefix_cache leaves the free queue in its order.",
       on=reset_idle, about="reset", vllm=RESET_POOL)
def test_a_reset_keeps_the_free_order(run):
    assert run.steps[0].updated_state.free_blocks == (3, 4, 5, 6, 7, 2, 1)
    assert run.steps[1].of("b").new_block_ids + run.steps[1].scheduled_state.free_blocks == (3, 4, 5, 6, 7, 2, 1)


@claim("Requests that wait do not stand in the way of reset_prefix_cache.",
       on=reset_waiting, about=("reset", "waiting"), vllm=RESET_POOL)
def test_a_reset_passes_waiting_requests(run):
    assert run.steps[1].scheduled_state.waiting == ("b",)
    assert run.steps[2].resets == (True,) and run.steps[3].of("b").num_computed_tokens == 0


@claim("reset_prefix_cache with reset_running_requests preempts every running request and succeeds.",
       on=reset_running, about=("reset", "preemption"), vllm=RESET)
def test_a_reset_may_preempt_everybody(run):
    assert run.steps[2].resets == (True,) and run.steps[2].preempted == ("a", "b")


@claim("Requests preempted by a reset resume in the very next schedule, in their old order, ahead of those that wait.",
       on=reset_running, about=("reset", "resumption", "waiting"), vllm=RESET)
def test_after_a_reset_all_resume_in_order(run):
    assert [share.request_id for share in run.steps[2].resumed] == ["a", "b"]
    assert run.steps[1].scheduled_state.waiting == run.steps[2].scheduled_state.waiting == ("c",)


@claim("After a reset the resumed requests compute everything again, and share it with one another again.",
       on=reset_running, about=("reset", "resumption", "sharing within a step"), vllm=RESET)
def test_after_a_reset_they_share_again(run):
    first, second = run.steps[2].resumed
    assert (first.num_computed_tokens, first.num_tokens) == (0, 11)
    assert (second.num_computed_tokens, second.num_tokens) == (8, 3)
    assert first.new_block_ids[:2] == second.new_block_ids[:2]


@claim("What a step has sampled is dropped if reset_prefix_cache preempts its requests before the step is taken in.",
       on=reset_in_flight, about=("reset", "preemption"), vllm=UPDATE)
def test_a_reset_drops_the_step_in_flight(run):
    assert [share.request_id for share in run.steps[2].scheduled] == ["a", "b"]
    assert run.steps[2].outputs == () and run.steps[2].updated_state.waiting == ("a", "b", "c")
    assert run.steps[3].of("a").num_tokens == 11


@claim("A token that was dropped by a reset is sampled again: the output is the same as without the reset.",
       on=(reset_in_flight, reset_running), about=("reset", "resumption"), vllm=UPDATE)
def test_a_reset_loses_no_token(in_flight, before_the_step):
    assert in_flight.outputs == before_the_step.outputs
    assert {request_id: len(tokens) for request_id, tokens in in_flight.outputs.items()} == {"a": 4, "b": 4, "c": 1}
    assert len(in_flight.steps) == len(before_the_step.steps) + 1


@claim("Under the priority policy requests preempted by a reset queue up by priority, and may lose their seat to a more urgent one.",
       on=reset_priority, about=("reset", "preemption"), vllm=RESET)
def test_after_a_reset_priority_decides(run):
    assert run.steps[1].updated_state.running == ("a", "b")
    assert [share.request_id for share in run.steps[2].scheduled] == ["urgent", "a"]
    assert run.steps[2].scheduled_state.waiting == ("b",)
