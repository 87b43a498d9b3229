"""Sliding windows: what a window lets a request do without, while it runs and in the prefix cache."""
from spec.bench import claim, workload

MANAGER = "v1/core/single_type_kv_cache_manager.py::SlidingWindowManager"
SKIPPED = MANAGER + ".get_num_skipped_tokens"
HIT = MANAGER + ".find_longest_cache_hit"
REACHABLE = MANAGER + ".reachable_block_mask"
REMOVE = "v1/core/single_type_kv_cache_manager.py::SingleTypeKVCacheManager.remove_skipped_blocks"
TO_ALLOCATE = "v1/core/single_type_kv_cache_manager.py::SingleTypeKVCacheManager.get_num_blocks_to_allocate"
ADOPT = "v1/core/single_type_kv_cache_manager.py::SingleTypeKVCacheManager.add_local_computed_blocks"
SLOTS = "v1/core/kv_cache_manager.py::KVCacheManager.allocate_slots"
ADMISSION = "v1/kv_cache_interface.py::SlidingWindowSpec.max_admission_blocks_per_request"

# A token sees itself and the seven before it; blocks of four tokens, eight tokens a step.
window = workload(num_blocks=10, block_size=4, max_num_batched_tokens=8, max_model_len=60, sliding_window=8)

alone = window.request("a", prompt=20, max_tokens=12)
alone_without_cache = alone.with_config(enable_prefix_caching=False)
one_in_flight = alone.with_config(async_scheduling=True)
two_chunks = window.with_config(max_num_batched_tokens=16, num_blocks=12).request("a", prompt=32, max_tokens=2)

# Five blocks beside the null block, and 52 tokens to hold.
longer_than_the_pool = window.with_config(num_blocks=6).request("a", prompt=40, max_tokens=12)
# Nothing but the token budget differs: in one step 16 tokens and the window need seven blocks.
larger_steps = longer_than_the_pool.with_config(max_num_batched_tokens=16)
two_steps = longer_than_the_pool.with_config(async_scheduling=True)

# a leaves five cached blocks. b takes the two that were freed first: those of a's first eight tokens.
head_is_evicted = (window.with_config(num_blocks=7)
                   .request("a", prompt="system:20 a:1", max_tokens=1)
                   .request("b", prompt=12, max_tokens=1, arrives=3)
                   .request("c", prompt="system:20 c:2", max_tokens=1, arrives=5))
without_a_window = head_is_evicted.with_config(sliding_window=None)

# c finds blocks 4 and 5 of the text in use by a, which is still there.
joins = (window.request("a", prompt="system:20 a:1", max_tokens=9)
         .request("c", prompt="system:20 c:2", max_tokens=1, arrives=4))
short_prefix = (window.request("a", prompt="system:4 a:4", max_tokens=1)
                .request("c", prompt="system:4 c:4", max_tokens=1, arrives=1))


def hit_of_three_blocks(sliding_window):
    """c asks for the twelve tokens that a has computed."""
    return (window.with_config(sliding_window=sliding_window)
            .request("a", prompt="system:12", max_tokens=1)
            .request("c", prompt="system:13", max_tokens=1, arrives=2))


one_token = window.with_config(sliding_window=1).request("a", prompt="system:16", max_tokens=3).request("c", prompt="system:16", max_tokens=1, arrives=3)
# Five blocks, of which a holds three while it decodes. c has 29 tokens: eight blocks, of which it may hold five at a time.
two_are_free = window.with_config(num_blocks=6).request("a", prompt="system:20 a:1", max_tokens=6)
joins_with_two_free = two_are_free.request("c", prompt="system:20 c:9", max_tokens=1, arrives=4)
shares_nothing = two_are_free.request("c", prompt=29, max_tokens=1, arrives=4)


def table(step, request_id, group=0):
    return step.scheduled_state.block_tables[request_id][group]


@claim("A block of the table is the null block from the step on whose first token sees none of its tokens, and not before.",
       on=(alone, two_chunks), about="out of window", vllm=SKIPPED)
def test_a_block_stays_as_long_as_it_is_seen(*runs):
    for run in runs:
        for step in run.steps[1:]:
            first_seen = step.of("a").num_computed_tokens - 8 + 1
            for index, block_id in enumerate(table(step, "a")):
                assert (block_id == 0) == ((index + 1) * 4 <= first_seen), f"step {step.index} holds {table(step, 'a')}"


@claim("With a step in flight, a block leaves the window one step later: the tokens in flight may still see it.",
       on=one_in_flight, about=("out of window", "step in flight"), vllm=SLOTS)
def test_the_step_in_flight_keeps_its_window(run):
    for in_flight, step in zip(run.steps, run.steps[1:]):
        if step.of("a"):
            first_seen = step.of("a").num_computed_tokens - in_flight.of("a").num_tokens - 8 + 1
            for index, block_id in enumerate(table(step, "a")):
                assert (block_id == 0) == ((index + 1) * 4 <= first_seen), f"step {step.index} holds {table(step, 'a')}"


@claim("What has left the window keeps its place in the block table.",
       on=alone, about="out of window", vllm=REMOVE)
def test_a_table_does_not_move_up(run):
    assert table(run.steps[3], "a") == (0, 0, 0, 4, 5, 6)
    assert all(len(table(step, "a")) == -(-(step.of("a").num_computed_tokens + step.of("a").num_tokens) // 4) for step in run.steps)


@claim("A window of 8 tokens on blocks of 4 never takes more than two blocks to decode.",
       on=alone, about=("out of window", "decode"), vllm=ADMISSION, misconception=True)
def test_a_window_takes_its_size_in_blocks(run):
    for step in run.steps[3:]:
        held = [block_id for block_id in table(step, "a") if block_id]
        assert len(held) <= 2, f"step {step.index} holds blocks {held}: a window need not begin where a block does"


@claim("The block that a token is the last to see is freed as soon as that token is computed.",
       on=alone, about="out of window", vllm=SLOTS, misconception=True)
def test_blocks_leave_with_the_last_token_that_sees_them(run):
    for step, following in zip(run.steps[:-1], run.steps[1:]):
        gone = set(following.scheduled_state.free_blocks) - set(step.updated_state.free_blocks)
        assert not gone, f"block {gone} is free after step {following.index} is scheduled, not when step {step.index} is taken in"


@claim("Of several blocks that leave the window in one step, the last one is freed first.",
       on=two_chunks, about="out of window", vllm=REMOVE)
def test_the_last_to_leave_is_freed_first(run):
    assert table(run.steps[1], "a")[2:6] == (3, 4, 5, 6)
    assert run.steps[2].scheduled_state.free_blocks[-4:] == (6, 5, 4, 3)


@claim("With prefix caching off, a request gets the block back that it has just lost, in the same step.",
       on=alone_without_cache, about="out of window", vllm=SLOTS)
def test_freed_before_new_blocks_are_taken(run):
    assert table(run.steps[1], "a") == (1, 2, 3, 4)
    assert table(run.steps[2], "a") == (0, 0, 3, 4, 2) and table(run.steps[3], "a") == (0, 0, 0, 4, 2, 3)


@claim("What has left the window stays in the prefix cache, at the end of the free queue.",
       on=alone, about="out of window", vllm=REMOVE)
def test_a_block_out_of_the_window_is_still_cached(run):
    state = run.steps[2].scheduled_state
    assert state.free_blocks[-2:] == (2, 1) and set(state.cached_blocks) >= {1, 2}


@claim("A prompt that is longer than the whole pool is admitted, and computed to its end.",
       on=longer_than_the_pool, about=("admission", "out of window", "length"), vllm=ADMISSION)
def test_a_prompt_longer_than_the_pool(run):
    assert run.workload.requests[0].num_prompt_tokens > 5 * 4
    assert run.first_step("a").index == 0 and run.finish_reasons == {"a": "length"} and not run.preemptions


@claim("Admission asks whether the pool could ever hold the whole prompt.",
       on=longer_than_the_pool, about="admission", vllm=ADMISSION, misconception=True)
def test_admission_wants_the_whole_prompt(run):
    for step in run.steps:
        for share in step.admitted:
            assert run.workload.requests[0].num_prompt_tokens <= 5 * 4, f"step {step.index} admits 40 tokens to five blocks of 4"


@claim("A larger token budget can shut out a prompt: admission wants room for the window and a whole step's tokens.",
       on=(longer_than_the_pool, larger_steps), about=("admission", "stall"), vllm=ADMISSION)
def test_admission_counts_a_step_of_tokens(smaller, larger):
    assert smaller.first_step("a").index == 0
    assert larger.ended == "stalled" and not any(step.scheduled for step in larger.steps)


@claim("With one step in flight, admission wants room for the tokens of two steps.",
       on=(longer_than_the_pool, two_steps), about=("admission", "stall"), vllm=ADMISSION)
def test_admission_counts_the_step_in_flight(plain, overlapped):
    assert plain.first_step("a").index == 0
    assert overlapped.ended == "stalled" and not any(step.scheduled for step in overlapped.steps)


@claim("A prefix whose first blocks are evicted is still a hit, with the null block in their places.",
       on=head_is_evicted, about=("eviction", "hit behind a gap"), vllm=HIT)
def test_a_hit_needs_no_beginning(run):
    share = run.first_step("c").of("c")
    assert share.num_computed_tokens == 20 and share.new_block_ids[:3] == (0, 0, 0)
    held = table(run.steps[2], "a")[3:5]
    assert share.new_block_ids[3:5] == held, f"a held {held} for the same tokens"


@claim("A prefix cache hit is a run of cached blocks that begins with the first.",
       on=head_is_evicted, about=("eviction", "cache hit"), vllm=HIT, misconception=True)
def test_a_hit_begins_with_the_first_block(run):
    for share in (share for step in run.steps for share in step.admitted):
        hit = share.new_block_ids[:share.num_computed_tokens // 4]
        assert 0 not in hit, f"{share.request_id} hits {hit}"


@claim("With a window the beginning of a prefix is evicted first, with full attention its end; a window finds what is left, up to the last block.",
       on=(head_is_evicted, without_a_window), about=("eviction", "cache hit"), vllm=HIT)
def test_the_beginning_is_evicted_first(windowed, full):
    assert windowed.first_step("c").of("c").num_computed_tokens == 20
    assert full.first_step("c").of("c").num_computed_tokens == 12


@claim("A hit holds the blocks in its window and no others, even if the others are cached.",
       on=joins, about="hit behind a gap", vllm=ADOPT)
def test_a_hit_holds_only_its_window(run):
    step = run.first_step("c")
    assert step.of("c").num_computed_tokens == 20
    assert step.of("c").new_block_ids[:5] == (0, 0, 0, 4, 5) and set(step.scheduled_state.free_blocks) >= {1, 2, 3}


@claim("A prefix shorter than a window is a hit if it begins with the first block.",
       on=short_prefix, about="cache hit", vllm=HIT)
def test_a_short_prefix_is_a_hit(run):
    assert run.first_step("c").of("c").num_computed_tokens == 4
    assert run.first_step("c").of("c").new_block_ids[0] == run.steps[0].of("a").new_block_ids[0]


@claim("A hit takes one block of 4 with a window of 5 tokens, and two with a window of 6: the token that comes next sees itself as well.",
       on=(hit_of_three_blocks(5), hit_of_three_blocks(6)), about=("hit behind a gap", "cache hit"), vllm=HIT)
def test_blocks_that_a_hit_needs(five, six):
    for run, held in ((five, (0, 0, 3)), (six, (0, 2, 3))):
        share = run.first_step("c").of("c")
        assert share.num_computed_tokens == 12 and share.new_block_ids[:3] == held


@claim("With a window of one token nothing is ever cached.",
       on=one_token, about=("out of window", "admission"), vllm=REACHABLE)
def test_a_window_of_one_token_caches_nothing(run):
    assert run.workload.config.get("enable_prefix_caching", True)
    assert all(step.scheduled_state.cached_blocks == () for step in run.steps)
    assert all(share.num_computed_tokens == 0 for step in run.steps for share in step.admitted)


@claim("A hit lets a prompt in where there is no room for a window and a step: the blocks it does without are taken off that need too.",
       on=(joins_with_two_free, shares_nothing), about="admission", vllm=TO_ALLOCATE)
def test_a_gap_is_taken_off_what_is_needed(joining, alone):
    for run in (joining, alone):
        assert len(run.steps[3].updated_state.free_blocks) == 2
    share = joining.steps[4].of("c")
    assert share, "two blocks are free, and c is not admitted to them"
    assert share.new_block_ids == (0, 0, 0, 4, 5, 1, 3) and joining.steps[4].scheduled_state.free_blocks == ()
    assert not alone.steps[4].admitted and alone.steps[4].scheduled_state.waiting == ("c",)
