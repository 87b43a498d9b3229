"""Freeing: when a request gives its blocks back, and where in the free queue they go."""
from spec.bench import claim, workload

FREE = "v1/core/block_pool.py::BlockPool.free_blocks"
FREE_REQUEST = "v1/core/single_type_kv_cache_manager.py::SingleTypeKVCacheManager.free"
PREEMPT = "v1/core/sched/scheduler.py::Scheduler._preempt_request"
ABORT = "v1/core/sched/scheduler.py::Scheduler.finish_requests"
UPDATE = "v1/core/sched/scheduler.py::Scheduler.update_from_output"

# a fills blocks 1 and 2 and a part of 3, and ends in its first step.
one_ends = (workload(num_blocks=10, block_size=4)
            .request("a", prompt=10, max_tokens=1)
            .request("b", prompt=9, max_tokens=1, arrives=1))
one_ends_without_cache = one_ends.with_config(enable_prefix_caching=False)

two_end_at_once = (workload(num_blocks=10, block_size=4)
                   .request("a", prompt=6, max_tokens=1)
                   .request("b", prompt=6, max_tokens=1))

shared = (workload(num_blocks=10, block_size=4)
          .request("a", prompt="system:8 a:2", max_tokens=1)
          .request("b", prompt="system:8 b:2", max_tokens=3))

# Five blocks are taken at step 0; a needs a sixth at step 1.
crowded = (workload(num_blocks=6, block_size=4)
           .request("a", prompt=8, max_tokens=3)
           .request("b", prompt=10, max_tokens=3))

# Four blocks: c fits only when a has gone.
waiting_for_room = (workload(num_blocks=5, block_size=4)
                    .request("a", prompt=10, max_tokens=3)
                    .request("c", prompt=6, max_tokens=1, arrives=1))

aborted_before_a_step = (workload(num_blocks=5, block_size=4)
                         .request("a", prompt=10, max_tokens=9)
                         .request("c", prompt=6, max_tokens=1, arrives=1)
                         .abort("a", at=2))
aborted_within_a_step = (workload(num_blocks=5, block_size=4)
                         .request("a", prompt=10, max_tokens=9)
                         .request("c", prompt=6, max_tokens=1, arrives=1)
                         .abort("a", at=2, between=True))
aborted_while_waiting = (workload(num_blocks=5, block_size=4)
                         .request("a", prompt=10, max_tokens=3)
                         .request("c", prompt=6, arrives=1)
                         .abort("c", at=2))


@claim("The full blocks of a request that ends go to the end of the free queue, its last one first.",
       on=one_ends, about="finish", vllm=FREE)
def test_full_blocks_go_to_the_end_tail_first(run):
    assert run.steps[0].updated_state.free_blocks[-2:] == (2, 1)


@claim("The partly filled last block of a request that ends goes to the front of the free queue.",
       on=one_ends, about="finish", vllm=FREE)
def test_a_partly_filled_block_goes_to_the_front(run):
    assert run.steps[0].of("a").new_block_ids == (1, 2, 3)
    assert run.steps[0].updated_state.free_blocks[:2] == (3, 4)


@claim("A partly filled block that was freed is the next one given out.",
       on=one_ends, about=("finish", "admission"), vllm=FREE)
def test_a_partly_filled_block_is_reused_next(run):
    assert run.steps[1].of("b").new_block_ids == (3, 4, 5)


@claim("With prefix caching off, all blocks of a request that ends go to the front of the free queue, its last one first.",
       on=one_ends_without_cache, about="finish", vllm=FREE)
def test_without_cache_all_blocks_go_to_the_front(run):
    assert run.steps[0].updated_state.free_blocks == (3, 2, 1, 4, 5, 6, 7, 8, 9)


@claim("With prefix caching off, the next request gets the same blocks in the reverse order.",
       on=one_ends_without_cache, about=("finish", "admission"), vllm=FREE)
def test_without_cache_the_same_blocks_are_reused(run):
    assert run.steps[0].of("a").new_block_ids == (1, 2, 3)
    assert run.steps[1].of("b").new_block_ids == (3, 2, 1)


# Earlier V1 releases appended every freed block, and mini-engines still do.
@claim("Freed blocks queue up behind the blocks that are free already.",
       on=one_ends_without_cache, about="finish", vllm=FREE, misconception=True)
def test_freed_blocks_queue_up_behind(run):
    free = run.steps[0].updated_state.free_blocks
    assert free == (4, 5, 6, 7, 8, 9, 3, 2, 1), f"the free queue is {free}"


@claim("Of two requests that end in one step, the first served is freed first: "
       "its full block comes first at the end of the free queue, its partly filled one second at the front.",
       on=two_end_at_once, about="finish", vllm=FREE)
def test_two_ends_in_one_step(run):
    assert run.steps[0].updated_state.free_blocks == (4, 2, 5, 6, 7, 8, 9, 1, 3)


@claim("The blocks of a request come free when its last token is taken in, not when that token's step is scheduled.",
       on=waiting_for_room, about=("finish", "waiting"), vllm=UPDATE)
def test_blocks_come_free_at_the_update(run):
    last = next(step for step in run.steps for done in step.outputs if done.request_id == "a" and done.finish_reason)
    assert last.index == 2
    assert last.scheduled_state.free_blocks == (4,) and last.scheduled_state.waiting == ("c",)
    assert last.updated_state.free_blocks == (4, 3, 2, 1)


@claim("Who waits for the blocks of a request that ends is admitted one step later.",
       on=waiting_for_room, about=("finish", "waiting"), vllm=UPDATE)
def test_freed_blocks_serve_the_next_step(run):
    assert run.first_step("c").index == 3
    assert run.steps[3].of("c").new_block_ids == (4, 3)


@claim("A block that two requests share comes free when the second lets go of it.",
       on=shared, about=("sharing within a step", "finish"), vllm=FREE)
def test_a_shared_block_is_freed_by_its_last_holder(run):
    assert run.block_tables[0] == {"a": (1, 2, 3), "b": (1, 2, 4)}
    assert run.steps[0].updated_state.free_blocks == (3, 5, 6, 7, 8, 9)
    assert run.steps[2].updated_state.free_blocks == (3, 5, 6, 7, 8, 9, 4, 2, 1)


@claim("A preemption frees blocks as an end does: "
       "the victim's partly filled block is the next one given out, its full blocks go to the end, the last first.",
       on=crowded, about="preemption", vllm=PREEMPT)
def test_a_preemption_frees_as_an_end_does(run):
    step = run.steps[1]
    assert run.block_tables[0]["b"] == (3, 4, 5)
    assert step.preempted == ("b",) and step.of("a").new_block_ids == (5,)
    assert step.scheduled_state.free_blocks == (4, 3)


@claim("A preemption takes all blocks from its victim, however few are needed.",
       on=(crowded, crowded.with_config(enable_prefix_caching=False)), about="preemption", vllm=PREEMPT)
def test_a_preemption_takes_all_blocks(*runs):
    for run in runs:
        for step in run.steps:
            for victim in step.preempted:
                held = set(run.block_tables[step.index - 1][victim])
                needed = set(step.of("a").new_block_ids)
                assert len(needed) == 1 and held - needed <= set(step.scheduled_state.free_blocks)


@claim("The blocks of an aborted request can be given out in the very next schedule.",
       on=aborted_before_a_step, about="abort", vllm=ABORT)
def test_an_abort_frees_at_once(run):
    assert run.steps[1].scheduled_state.waiting == ("c",)
    assert run.steps[2].of("c").new_block_ids == (3, 4)
    assert run.steps[2].scheduled_state.free_blocks == (2, 1)


@claim("A request that is aborted while its step runs gives its blocks back without waiting for the end of the step.",
       on=aborted_within_a_step, about="abort", vllm=ABORT)
def test_an_abort_within_a_step_frees_at_once(run):
    assert run.steps[2].of("a") and not run.steps[2].outputs
    assert run.steps[2].scheduled_state.free_blocks == (4,)
    assert run.steps[2].updated_state.free_blocks == (4, 3, 2, 1)


@claim("An abort of a waiting request frees nothing: it holds no block.",
       on=aborted_while_waiting, about=("abort", "waiting"), vllm=ABORT)
def test_an_abort_of_a_waiting_request_frees_nothing(run):
    assert run.steps[1].scheduled_state.waiting == ("c",) and run.steps[2].scheduled_state.waiting == ()
    assert run.steps[2].finished == ("c",)
    assert run.steps[1].updated_state.free_blocks == run.steps[2].scheduled_state.free_blocks == (4,)
