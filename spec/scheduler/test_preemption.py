"""Preemption: what happens when a running request finds no free block, under FCFS."""
from spec.bench import claim, workload

SCHEDULE = "v1/core/sched/scheduler.py::Scheduler.schedule"
PREEMPT = "v1/core/sched/scheduler.py::Scheduler._preempt_request"
FREE = "v1/core/single_type_kv_cache_manager.py::SingleTypeKVCacheManager.free"

# Two equal requests fill the pool; at step 5 the first needs a fourth block. The third would fit at once.
crowded = (workload(num_blocks=7)
           .request("a", prompt=8, max_tokens=8)
           .request("b", prompt=8, max_tokens=8)
           .request("c", prompt=2, max_tokens=2, arrives=5))
crowded_without_cache = crowded.with_config(enable_prefix_caching=False)
roomy = crowded.with_config(num_blocks=20, max_model_len=24)

# At step 2 the last of three finds no block for itself, while a fourth is waiting.
cornered = (workload(num_blocks=6)
            .request("a", prompt=4, max_tokens=6)
            .request("b", prompt=4, max_tokens=4)
            .request("c", prompt=3, max_tokens=4)
            .request("d", prompt=1, max_tokens=1, arrives=1))

# At step 1 the second half of a long prompt needs two blocks, and none is free.
long_against_short = (workload(num_blocks=6, long_prefill_token_threshold=8)
                      .request("long", prompt=15, max_tokens=2)
                      .request("b", prompt=2, max_tokens=3)
                      .request("c", prompt=2, max_tokens=3)
                      .request("d", prompt=2, max_tokens=2))

# At step 1 the first needs a block while the second has computed 6 of its 8 tokens.
interrupted = (workload(num_blocks=5, max_num_batched_tokens=14)
               .request("a", prompt=8, max_tokens=3)
               .request("b", prompt=8, max_tokens=2))


def preempting_steps(run):
    return [(run.steps[step.index - 1], step) for step in run.steps if step.preempted]


@claim("Under FCFS the victim of a preemption is the request that was admitted last.",
       on=(crowded, long_against_short), about="preemption", vllm=SCHEDULE)
def test_the_last_admitted_is_the_victim(equals, long_first):
    for run in (equals, long_first):
        for before, step in preempting_steps(run):
            running = before.updated_state.running
            assert step.preempted == running[len(running) - len(step.preempted):]
    assert equals.preemptions == ["b"] and long_first.preemptions == ["c", "d"]


@claim("A request is preempted only when a running one needs more blocks than are free.",
       on=crowded, about="preemption", vllm=SCHEDULE)
def test_a_preemption_needs_a_shortage(run):
    assert [step.index for step in run.steps if step.preempted] == [5]
    # From step 1 on no block is free, and for four steps nobody needs one.
    assert all(step.scheduled_state.free_blocks == () for step in run.steps[1:5])


@claim("One running request may preempt several others in one step, but no more than it needs.",
       on=long_against_short, about="several preemptions", vllm=SCHEDULE)
def test_as_many_are_preempted_as_needed(run):
    step = run.steps[1]
    assert step.preempted == ("c", "d")
    assert len(step.of("long").new_block_ids) == 2 and step.of("b"), "two blocks were needed, two requests held one each"


@claim("The requests between the one that needed a block and the victim get their tokens in the same step.",
       on=long_against_short, about="preemption", vllm=SCHEDULE)
def test_the_step_goes_on_after_a_preemption(run):
    assert [(share.request_id, share.num_tokens) for share in run.steps[1].scheduled] == [("long", 7), ("b", 1)]


@claim("A preempted request goes to the front of the waiting queue, before those that have waited longer.",
       on=cornered, about=("preemption", "waiting"), vllm=PREEMPT)
def test_a_victim_waits_at_the_front(run):
    before, step = preempting_steps(run)[0]
    assert before.updated_state.waiting == ("d",)
    assert step.scheduled_state.waiting == ("c", "d")


@claim("The victims of one step wait in the order in which they had been admitted.",
       on=long_against_short, about="several preemptions", vllm=PREEMPT)
def test_several_victims_keep_their_order(run):
    before, step = preempting_steps(run)[0]
    assert before.updated_state.running == ("long", "b", "c", "d")
    assert step.scheduled_state.waiting == ("c", "d")


@claim("A step that preempts admits nobody, not even a newcomer for whom a block and tokens are left.",
       on=crowded, about=("preemption", "waiting"), vllm=SCHEDULE)
def test_a_preempting_step_admits_nobody(run):
    assert all(not step.admitted for step in run.steps if step.preempted)
    step = run.steps[5]
    assert "c" in step.scheduled_state.waiting and len(step.scheduled_state.free_blocks) == 2 and step.num_tokens == 1


@claim("Under FCFS a request that finds no block and has nobody behind it preempts itself.",
       on=cornered, about="preemption", vllm=SCHEDULE)
def test_the_last_one_preempts_itself(run):
    before, step = preempting_steps(run)[0]
    assert before.updated_state.running == ("a", "b", "c") and step.preempted == ("c",)
    # Nobody else needed a block: those that c held are free now.
    assert [(share.request_id, share.new_block_ids) for share in step.scheduled] == [("a", ()), ("b", ())]
    assert step.scheduled_state.free_blocks == run.block_tables[before.index]["c"]


@claim("A victim loses its whole block table at once, and its last block is the next to be given out.",
       on=(crowded, crowded_without_cache), about="preemption", vllm=FREE)
def test_the_tail_of_a_victim_is_reused_first(*runs):
    for run in runs:
        before, step = preempting_steps(run)[0]
        table = run.block_tables[before.index]["b"]
        assert len(table) == 3
        assert step.of("a").new_block_ids + step.scheduled_state.free_blocks == table[::-1]


@claim("A request in the middle of its prompt can be preempted, though it has not generated a token.",
       on=interrupted, about=("preemption", "chunk"), vllm=SCHEDULE)
def test_a_prefill_can_be_preempted(run):
    before, step = preempting_steps(run)[0]
    assert [share.num_tokens for share in before.scheduled if share.request_id == "b"] == [6]
    assert step.preempted == ("b",) and not any(done.request_id == "b" for done in before.outputs)


@claim("A preempted request keeps what it has generated, and comes back with it.",
       on=crowded, about="resumption", vllm=PREEMPT)
def test_a_preempted_request_keeps_its_output(run):
    generated = [token for step in run.steps[:5] for done in step.outputs if done.request_id == "b" for token in done.new_token_ids]
    assert len(generated) == 5
    share = next(step.of("b") for step in run.steps if step.resumed)
    assert share.num_computed_tokens + share.num_tokens == 8 + len(generated)


@claim("A preemption delays a request and changes nothing of what it generates.",
       on=(crowded, roomy), about="preemption", vllm=PREEMPT)
def test_a_preemption_does_not_change_the_output(crowded, roomy):
    assert crowded.preemptions == ["b"] and not roomy.preemptions
    assert crowded.outputs == roomy.outputs and len(crowded.outputs["b"]) == 8
    assert len(crowded.steps) > len(roomy.steps)


# Taught by analogy with processes and with caches; the policy looks at no length at all.
@claim("The victim of a preemption is the request that holds the most blocks.",
       on=long_against_short, about="preemption", vllm=SCHEDULE, misconception=True)
def test_the_largest_is_preempted(run):
    for before, step in preempting_steps(run):
        held = run.block_tables[before.index]
        for victim in step.preempted:
            assert len(held[victim]) == max(map(len, held.values())), f"{victim} holds {len(held[victim])} of {held}"


# What the V0 engine could do (`preemption_mode="swap"`). V1 has no swap space: the victim starts from zero.
@claim("A preempted request's blocks are swapped out to CPU memory, and it goes on where it was.",
       on=crowded_without_cache, about="resumption", vllm=PREEMPT, misconception=True)
def test_a_preemption_swaps(run):
    before, _ = preempting_steps(run)[0]
    computed = before.of("b").num_computed_tokens + before.of("b").num_tokens
    share = next(step.of("b") for step in run.steps if step.resumed)
    assert share.num_computed_tokens == computed, f"it had computed {computed} tokens and comes back with {share.num_computed_tokens}"


# Mini-engines often do this. Waiting while holding blocks could lock all requests against each other.
@claim("A running request that finds no free block skips the step and keeps its blocks.",
       on=cornered, about="preemption", vllm=SCHEDULE, misconception=True)
def test_a_request_without_a_block_skips_a_step(run):
    for before, step in preempting_steps(run):
        assert step.scheduled_state.running == before.updated_state.running, f"running is {step.scheduled_state.running}"
