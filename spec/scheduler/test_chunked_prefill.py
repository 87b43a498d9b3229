"""Chunked prefill: how a prompt is spread over several steps, and when it is not."""
from spec.bench import claim, workload

SCHEDULE = "v1/core/sched/scheduler.py::Scheduler.schedule"
UPDATE = "v1/core/sched/scheduler.py::Scheduler.update_from_output"
ALLOCATE = "v1/core/kv_cache_manager.py::KVCacheManager.allocate_slots"

chunks = (workload(num_blocks=12, max_num_batched_tokens=8, max_num_seqs=4)
          .request("a", prompt=4, max_tokens=6)
          .request("b", prompt=18, max_tokens=2, arrives=1))

# `b` is preempted with 9 tokens, which do not fit the budget of 6.
resumed_in_chunks = (workload(num_blocks=6, max_num_batched_tokens=6, max_num_seqs=2, enable_prefix_caching=False)
                     .request("a", prompt=8, max_tokens=9)
                     .request("b", prompt=5, max_tokens=6))

whole = (workload(num_blocks=10, max_model_len=16, max_num_batched_tokens=16, enable_chunked_prefill=False)
         .request("a", prompt=10, max_tokens=3)
         .request("b", prompt=8, max_tokens=2)
         .request("c", prompt=2, max_tokens=2))

whole_with_prefix = (workload(num_blocks=10, max_model_len=16, max_num_batched_tokens=16, enable_chunked_prefill=False)
                     .request("a", prompt="system:8 a:4", max_tokens=2)
                     .request("b", prompt="system:8 b:4", max_tokens=2))

whole_with_cap = (workload(num_blocks=12, max_model_len=16, max_num_batched_tokens=16, enable_chunked_prefill=False,
                           long_prefill_token_threshold=6)
                  .request("a", prompt=14, max_tokens=2)
                  .request("b", prompt=14, max_tokens=2)
                  .request("c", prompt=5, max_tokens=2))

# In step 5 `b` comes back with 15 tokens: four blocks are free for them, and 14 tokens of the budget.
whole_again = (workload(num_blocks=11, max_model_len=16, max_num_batched_tokens=16, enable_chunked_prefill=False,
                        enable_prefix_caching=False)
               .request("a", prompt=6, max_tokens=6)
               .request("c", prompt=5, max_tokens=8)
               .request("d", prompt=5, max_tokens=5)
               .request("b", prompt=13, max_tokens=3))

cap = (workload(num_blocks=16, max_num_batched_tokens=12, max_num_seqs=4, long_prefill_token_threshold=4)
       .request("a", prompt=28, max_tokens=2)
       .request("b", prompt=10, max_tokens=2, arrives=1)
       .request("c", prompt=3, max_tokens=2, arrives=1))

capped_by_a_waiting_one = (workload(num_blocks=10, max_num_batched_tokens=12, max_num_seqs=1, long_prefill_token_threshold=4)
                           .request("a", prompt=20, max_tokens=1)
                           .request("b", prompt=2, max_tokens=1, arrives=1))

adaptive = (workload(num_blocks=20, max_num_batched_tokens=24, max_num_seqs=2, long_prefill_token_threshold=4,
                     long_prefill_token_threshold_adaptive=True)
            .request("a", prompt=40, max_tokens=1)
            .request("b", prompt=20, max_tokens=1)
            .request("c", prompt=8, max_tokens=1, arrives=1)
            .request("d", prompt=8, max_tokens=1, arrives=1))

adaptive_with_a_high_threshold = adaptive.with_config(long_prefill_token_threshold=8)


def given(step):
    return [(share.request_id, share.num_tokens) for share in step.scheduled]


def outputs_of(run, request_id):
    """How many tokens each step it was scheduled in gave the request."""
    return [sum(len(done.new_token_ids) for done in step.outputs if done.request_id == request_id)
            for step in run.steps if step.of(request_id)]


@claim("A chunk is as large as what the running requests leave of the budget.",
       on=chunks, about=("chunk", "decode"), vllm=SCHEDULE)
def test_a_chunk_is_what_is_left_of_the_budget(run):
    assert [given(step) for step in run.steps[1:4]] == [[("a", 1), ("b", 7)], [("a", 1), ("b", 7)], [("a", 1), ("b", 4)]]


@claim("A chunk samples nothing, except the last one, which samples the first token.", on=chunks, about="chunk", vllm=UPDATE)
def test_only_the_last_chunk_samples(run):
    assert [share.num_tokens for share in run.shares("b")] == [7, 7, 4, 1]
    assert outputs_of(run, "b") == [0, 0, 1, 1]


@claim("A chunk may end in the middle of a block, and the next one fills that block up.", on=chunks, about="chunk", vllm=ALLOCATE)
def test_a_chunk_may_end_within_a_block(run):
    assert [(share.num_computed_tokens, share.new_block_ids) for share in run.shares("b")][:3] == [(0, (3, 4)), (7, (5, 6)), (14, (7,))]


# V0 allocated the whole prompt at once. V1 looks whether the whole prompt would fit
# (scheduler_reserve_full_isl), but takes the blocks of one chunk at a time.
@claim("A request gets the blocks of its whole prompt when it is admitted.",
       on=chunks, about="chunk", vllm=ALLOCATE, misconception=True)
def test_a_request_gets_the_blocks_of_its_whole_prompt(run):
    first = run.shares("b")[0]
    assert len(first.new_block_ids) == 5, f"b got {len(first.new_block_ids)} blocks for its first {first.num_tokens} of 18 tokens"


# It was so in V0 without chunked prefill, where such a prompt was ignored with a warning.
@claim("A prompt longer than max_num_batched_tokens is never computed.",
       on=chunks, about="chunk", vllm=SCHEDULE, misconception=True)
def test_a_prompt_longer_than_the_budget_is_never_computed(run):
    computed = sum(share.num_tokens for share in run.shares("b"))
    assert computed < 18, f"b computed {computed} tokens"


@claim("A resumed request computes its prompt and its output again in chunks, and samples only after the last of them.",
       on=resumed_in_chunks, about=("resumption", "chunk"), vllm=SCHEDULE)
def test_a_resumed_request_is_chunked_too(run):
    again = next(index for index, share in enumerate(run.shares("b")) if share.kind == "resumed")
    assert [(share.num_computed_tokens, share.num_tokens) for share in run.shares("b")[again:again + 2]] == [(0, 6), (6, 3)]
    assert outputs_of(run, "b")[again:again + 2] == [0, 1]


@claim("Without chunked prefill, a prompt that does not fit the rest of the budget waits, and the rest is left unused.",
       on=whole, about="waiting", vllm=SCHEDULE)
def test_without_chunks_a_prompt_waits_for_a_step_with_room(run):
    assert [given(step) for step in run.steps[:2]] == [[("a", 10)], [("a", 1), ("b", 8), ("c", 2)]]


@claim("Without chunked prefill, a prompt that has to wait blocks those behind it, though they would fit.",
       on=whole, about="waiting", vllm=SCHEDULE)
def test_without_chunks_nobody_overtakes(run):
    first = run.steps[0]
    assert first.num_tokens + 2 <= 16 and first.scheduled_state.waiting == ("b", "c")


@claim("Without chunked prefill, only the tokens that are not cached have to fit the rest of the budget.",
       on=whole_with_prefix, about="cache hit", vllm=SCHEDULE)
def test_without_chunks_cached_tokens_need_no_room(run):
    assert given(run.steps[0]) == [("a", 12), ("b", 4)]


@claim("Without chunked prefill, a resumed request waits until its prompt and its output together fit the rest of the budget.",
       on=whole_again, about=("preemption", "resumption"), vllm=SCHEDULE)
def test_without_chunks_a_resumed_request_comes_back_whole(run):
    assert run.preemptions == ["b"]
    assert given(run.steps[5]) == [("a", 1), ("c", 1)] and len(run.steps[5].scheduled_state.free_blocks) == 4
    assert given(run.steps[6]) == [("c", 1), ("b", 15)]


# The flag forbids one reason for cutting a prompt, the budget; the long-prefill cap is another.
@claim("Without chunked prefill, a prompt is computed in one step.",
       on=whole_with_cap, about="chunk", vllm=SCHEDULE, misconception=True)
def test_without_chunks_a_prompt_is_computed_in_one_step(run):
    for spec in run.workload.requests:
        first = run.shares(spec.request_id)[0]
        assert first.num_tokens == spec.num_prompt_tokens, f"{first.request_id} starts with {first.num_tokens} of {spec.num_prompt_tokens}"


@claim("Without chunked prefill, what has to fit the rest of the budget is the share that the long-prefill cap leaves.",
       on=whole_with_cap, about=("chunk", "waiting"), vllm=SCHEDULE)
def test_without_chunks_the_capped_share_has_to_fit(run):
    assert [given(step) for step in run.steps[:3]] == [
        [("a", 6), ("b", 6)], [("a", 6), ("b", 6)], [("a", 2), ("b", 2), ("c", 5)]]


@claim("The long-prefill cap cuts a prompt as soon as another request is there, and not before.",
       on=cap, about="chunk", vllm=SCHEDULE)
def test_the_cap_spares_a_request_that_is_alone(run):
    assert [share.num_tokens for share in run.shares("a")] == [12, 4, 4, 4, 4, 1]


@claim("The long-prefill cap holds for every request by itself, so several prompts advance in one step.",
       on=cap, about="chunk", vllm=SCHEDULE)
def test_the_cap_holds_for_each_request(run):
    assert [given(step) for step in run.steps[1:4]] == [[("a", 4), ("b", 4), ("c", 3)], [("a", 4), ("b", 4), ("c", 1)], [("a", 4), ("b", 2)]]


# So it was while max_num_partial_prefills existed, with 1 as its default; 0.32.0 has no such limit.
@claim("At most one prompt at a time is computed in part.", on=cap, about="chunk", vllm=SCHEDULE, misconception=True)
def test_at_most_one_prompt_is_computed_in_part(run):
    prompts = {spec.request_id: spec.num_prompt_tokens for spec in run.workload.requests}
    for step in run.steps:
        partial = [share.request_id for share in step.scheduled
                   if share.num_computed_tokens + share.num_tokens < prompts[share.request_id]]
        assert len(partial) <= 1, f"in step {step.index} it is {partial}"


@claim("A request that only waits is company enough for the long-prefill cap.",
       on=capped_by_a_waiting_one, about=("chunk", "waiting"), vllm=SCHEDULE)
def test_a_waiting_request_brings_the_cap(run):
    assert [given(step) for step in run.steps] == [[("a", 12)], [("a", 4)], [("a", 4)], [("b", 2)]]


@claim("The adaptive cap is the budget divided by the number of requests, running and waiting.",
       on=adaptive, about=("chunk", "waiting"), vllm=SCHEDULE)
def test_the_adaptive_cap_is_a_fair_share(run):
    assert [given(step) for step in run.steps] == [
        [("a", 12), ("b", 12)], [("a", 6), ("b", 6)], [("a", 6), ("b", 2)], [("a", 8), ("c", 8)], [("a", 8), ("d", 8)]]


@claim("The adaptive cap never falls below the threshold.", on=adaptive_with_a_high_threshold, about="chunk", vllm=SCHEDULE)
def test_the_adaptive_cap_never_falls_below_the_threshold(run):
    assert [given(step) for step in run.steps[:2]] == [[("a", 12), ("b", 12)], [("a", 8), ("b", 8)]]
