"""Resumption: how a preempted request comes back."""
from spec.bench import claim, workload

SCHEDULE = "v1/core/sched/scheduler.py::Scheduler.schedule"
ALLOCATE = "v1/core/kv_cache_manager.py::KVCacheManager.allocate_slots"

# b is preempted at step 5 with 13 tokens, and a ends at step 7. The newcomer c needs a single block.
crowded = (workload(num_blocks=7)
           .request("a", prompt=8, max_tokens=8)
           .request("b", prompt=8, max_tokens=8)
           .request("c", prompt=2, max_tokens=2, arrives=5))
without_cache = crowded.with_config(enable_prefix_caching=False)

# The same pair with 8 tokens a step: b comes back with 11 tokens, more than a step can take.
narrow = (workload(num_blocks=7, max_num_batched_tokens=8, enable_prefix_caching=False)
          .request("a", prompt=8, max_tokens=8)
          .request("b", prompt=8, max_tokens=8))
narrow_unreserved = narrow.with_config(scheduler_reserve_full_isl=False)

# b is preempted in the middle of its prompt.
interrupted = (workload(num_blocks=5, max_num_batched_tokens=14)
               .request("a", prompt=8, max_tokens=3)
               .request("b", prompt=8, max_tokens=2))

# c comes back beside a running request, with one token beyond its cached block.
almost_cached = (workload(num_blocks=6)
                 .request("a", prompt=4, max_tokens=6)
                 .request("b", prompt=4, max_tokens=4)
                 .request("c", prompt=3, max_tokens=4))


def resumptions(run):
    return [(step, share) for step in run.steps for share in step.resumed]


def table_when_preempted(run, request_id):
    step = next(step for step in run.steps if request_id in step.preempted)
    return run.block_tables[step.index - 1][request_id]


@claim("Under FCFS a preempted request is resumed before any newcomer is admitted, even if the newcomer would fit at once.",
       on=crowded, about=("resumption", "waiting"), vllm=SCHEDULE)
def test_the_resumed_come_before_newcomers(run):
    for step in run.steps[6:8]:     # c needs one block, and two are free
        assert len(step.scheduled_state.free_blocks) == 2 and step.scheduled_state.waiting == ("b", "c")
    assert [(share.request_id, share.kind) for share in run.steps[8].scheduled] == [("b", "resumed"), ("c", "new")]


@claim("Under FCFS no preemption changes the order of service: the running and then the waiting are always in the order of arrival.",
       on=(crowded, narrow_unreserved), about=("preemption", "resumption"), vllm=SCHEDULE)
def test_the_order_of_arrival_survives(*runs):
    for run in runs:
        for step in run.steps:
            in_line = step.scheduled_state.running + step.scheduled_state.waiting
            assert list(in_line) == sorted(in_line), f"step {step.index}: {in_line}"


@claim("A resumed request is told with its whole block table, a running one only with the blocks that were added.",
       on=crowded, about=("resumption", "decode"), vllm="v1/core/sched/scheduler.py::Scheduler._make_cached_request_data")
def test_a_resumed_request_has_a_new_block_table(run):
    [(step, share)] = resumptions(run)
    assert len(share.new_block_ids) == 4        # for 13 tokens
    assert set(share.new_block_ids).isdisjoint(step.scheduled_state.free_blocks)
    assert [len(later.new_block_ids) for later in run.shares("b") if later.kind == "running"][-2:] == [0, 0]


@claim("A resumed request finds its own first blocks in the prefix cache, as far as nobody has taken them.",
       on=crowded, about=("resumption", "cache hit"), vllm=SCHEDULE)
def test_a_resumed_request_hits_its_own_blocks(run):
    old_table = table_when_preempted(run, "b")
    [(_, share)] = resumptions(run)
    # It had three full blocks; the last one was taken by a.
    assert run.steps[5].of("a").new_block_ids == old_table[2:]
    assert share.num_computed_tokens == 8 and share.new_block_ids[:2] == old_table[:2]


@claim("Without prefix caching a resumed request computes its prompt and all it has generated again, in one prefill.",
       on=without_cache, about="resumption", vllm=SCHEDULE)
def test_prompt_and_output_are_recomputed_together(run):
    [(_, share)] = resumptions(run)
    assert (share.num_computed_tokens, share.num_tokens) == (0, 8 + 5)


@claim("The step that computes a resumed request to its end samples its next token.",
       on=without_cache, about="resumption", vllm="v1/core/sched/scheduler.py::Scheduler.update_from_output")
def test_a_resumption_samples_the_next_token(run):
    [(step, _)] = resumptions(run)
    earlier = [token for before in run.steps[:step.index] for done in before.outputs
               if done.request_id == "b" for token in done.new_token_ids]
    [sampled] = [done.new_token_ids for done in step.outputs if done.request_id == "b"]
    assert run.outputs["b"][:6] == earlier + list(sampled)


@claim("A resumed request is computed in chunks if it has more tokens than the step has left, and is running from the second chunk on.",
       on=narrow, about=("resumption", "chunk"), vllm=SCHEDULE)
def test_a_resumption_is_chunked(run):
    [(step, share)] = resumptions(run)
    rest = run.steps[step.index + 1].of("b")
    assert (share.num_tokens, rest.kind, rest.num_computed_tokens, rest.num_tokens) == (8, "running", 8, 3)
    assert not step.outputs, "a chunk samples nothing"


@claim("A resumed request gets the tokens that the running ones leave of the budget.",
       on=narrow_unreserved, about="resumption", vllm=SCHEDULE)
def test_a_resumption_respects_the_budget(run):
    step, share = resumptions(run)[0]
    assert [(other.request_id, other.num_tokens) for other in step.scheduled] == [("a", 1), ("b", 7)]
    assert share.num_computed_tokens + share.num_tokens < 8 + 3     # of its 11 tokens


@claim("To be resumed, a request must find room for its prompt and all it has generated, not for its prompt alone.",
       on=(narrow, narrow_unreserved), about="resumption", vllm=ALLOCATE)
def test_the_reservation_counts_generated_tokens(reserved, unreserved):
    # At step 6 two blocks are free: enough for its prompt of 8 tokens and for a first chunk, too few for 11 tokens.
    assert reserved.steps[5].updated_state.free_blocks == unreserved.steps[5].updated_state.free_blocks == (5, 4)
    assert [step.index for step, _ in resumptions(reserved)] == [8], "when a has ended"
    assert resumptions(unreserved)[0][0].index == 6


@claim("A request may be preempted again right after it was resumed, if its whole length is not looked at.",
       on=narrow_unreserved, about=("resumption", "preemption"), vllm=SCHEDULE)
def test_a_request_is_resumed_more_than_once(run):
    assert run.preemptions == ["b", "b"]
    assert [(step.index, share.num_computed_tokens, share.num_tokens) for step, share in resumptions(run)] == [(6, 0, 7), (8, 0, 8)]
    assert run.steps[7].preempted == ("b",) and len(run.outputs["b"]) == 8


@claim("A request preempted in the middle of its prompt comes back as resumed, not as new.",
       on=interrupted, about="resumption", vllm=SCHEDULE)
def test_an_interrupted_prefill_is_resumed(run):
    # Of the 6 tokens it had computed, one full block is still cached.
    assert [(share.kind, share.num_computed_tokens, share.num_tokens) for share in run.shares("b")] == [
        ("new", 0, 6), ("resumed", 4, 4), ("running", 8, 1)]


@claim("A resumption can cost a single token, if all full blocks of the request are still cached.",
       on=almost_cached, about=("resumption", "cache hit"), vllm=SCHEDULE)
def test_a_resumption_can_be_cheap(run):
    [(step, share)] = resumptions(run)
    assert (share.request_id, share.kind, share.num_computed_tokens, share.num_tokens) == ("c", "resumed", 4, 1)
    assert share.new_block_ids[0] == table_when_preempted(run, "c")[0]


# A half-true reading of "recomputation": the output is part of the prefill.
@claim("A resumed request computes its prompt again in one prefill and then its generated tokens one by one.",
       on=without_cache, about="resumption", vllm=SCHEDULE, misconception=True)
def test_generated_tokens_are_replayed_one_by_one(run):
    for _, share in resumptions(run):
        assert share.num_tokens == 8, f"it computes {share.num_tokens} tokens at once"


# A block belongs to nobody once it is free; only through the prefix cache can the same one come back.
@claim("A resumed request gets the same blocks again that it had before.",
       on=without_cache, about="resumption", vllm=ALLOCATE, misconception=True)
def test_a_resumed_request_gets_its_old_blocks(run):
    old_table = table_when_preempted(run, "b")
    for _, share in resumptions(run):
        assert share.new_block_ids[:len(old_table)] == old_table, f"it had {old_table} and gets {share.new_block_ids}"
