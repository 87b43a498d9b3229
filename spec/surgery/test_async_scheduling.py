"""Asynchronous scheduling: the next step is decided while the one before is in flight, without its tokens.

A step of these runs is `schedule()` of this step and `update_from_output()` of the one before, as the engine
does it: what a step computes is told with the next.
"""
from spec.bench import EOS, claim, workload

ASYNC = "v1/core/sched/async_scheduler.py::AsyncScheduler._update_after_schedule"
APPEND = "v1/core/sched/async_scheduler.py::AsyncScheduler._update_request_with_output"
SCHEDULE = "v1/core/sched/scheduler.py::Scheduler.schedule"
UPDATE = "v1/core/sched/scheduler.py::Scheduler.update_from_output"
PREEMPT = "v1/core/sched/scheduler.py::Scheduler._preempt_request"
ALLOCATE = "v1/core/kv_cache_manager.py::KVCacheManager.allocate_slots"
FREE = "v1/core/sched/scheduler.py::Scheduler._free_request"
ENGINE = "v1/engine/core.py::EngineCore.step_with_batch_queue"


def overlapped(plain):
    return plain.with_config(async_scheduling=True)


one_by_one = workload(num_blocks=12, max_num_batched_tokens=8).request("a", prompt=20, max_tokens=4)
chunked = overlapped(one_by_one)

# One ends by a token, one by its length, both with their third token.
two_ends = overlapped(workload(num_blocks=12)
                      .request("eos", prompt=4, max_tokens=8, says={3: EOS})
                      .request("cut", prompt=4, max_tokens=3))

lengths = overlapped(workload(num_blocks=12, max_model_len=8)
                     .request("one", prompt=4, max_tokens=1)
                     .request("three", prompt=4, max_tokens=3)
                     .request("full", prompt=6, max_tokens=9)
                     .request("stop", prompt=4, max_tokens=3, stop_token_ids=(77,), says={3: 77}))

# At step 5 the first needs a fourth block and takes the second's, whose fifth token is in flight.
crowded = overlapped(workload(num_blocks=7).request("a", prompt=8, max_tokens=8).request("b", prompt=8, max_tokens=8))
ends_meanwhile = overlapped(workload(num_blocks=7).request("a", prompt=8, max_tokens=8).request("b", prompt=8, max_tokens=8, says={5: EOS}))
# The same shortage, but it is the first that has just said its last.
for_nothing = workload(num_blocks=7).request("a", prompt=8, max_tokens=8, says={5: EOS}).request("b", prompt=8, max_tokens=8)
for_nothing_overlapped = overlapped(for_nothing)

aborted = overlapped(workload(num_blocks=8).request("a", prompt=6, max_tokens=9).request("b", prompt=6, max_tokens=4).abort("a", at=2))
aborted_between = overlapped(workload(num_blocks=8).request("a", prompt=6, max_tokens=9).request("b", prompt=6, max_tokens=4)
                             .abort("a", at=2, between=True))
reset = overlapped(workload(num_blocks=8).request("a", prompt=9, max_tokens=5).request("b", prompt=5, max_tokens=5)
                   .reset_prefix_cache(at=2, running=True))
paused = overlapped(workload(num_blocks=12).request("a", prompt=4, max_tokens=6).pause(at=2).unpause(at=5))

# Step 4 computes the eighth token, with which the second block is full.
fills_a_block = workload(num_blocks=12).request("a", prompt=4, max_tokens=8)
fills_a_block_overlapped = overlapped(fills_a_block)
# ... here it is the token of the end: only the step in vain computes it.
filled_in_vain = overlapped(workload(num_blocks=12).request("a", prompt=4, max_tokens=8, says={4: EOS})
                            .request("b", prompt="a:4 a.out:3 b:5", arrives=7, max_tokens=1))

one_seat = workload(num_blocks=8, max_num_seqs=1).request("a", prompt=4, max_tokens=3).request("b", prompt=4, max_tokens=1)
one_seat_overlapped = overlapped(one_seat)

# A budget of two: "a" ends with its second token, which is not known when the third step is decided.
narrow = overlapped(workload(num_blocks=12, max_num_batched_tokens=2, max_num_seqs=2)
                    .request("a", prompt=1, max_tokens=8, says={2: EOS})
                    .request("b", prompt=8, max_tokens=1))


def told(run, request_id):
    """The steps that told a token of it."""
    return [step.index for step in run.steps for done in step.outputs if done.request_id == request_id]


def computed(run, request_id):
    """The steps that computed something for it."""
    return [step.index for step in run.steps if step.of(request_id)]


def end_of(run, request_id):
    """The step that told its end."""
    return next(step for step in run.steps for done in step.outputs if done.request_id == request_id and done.finish_reason)


@claim("A token is told one step after the step that computes it was decided; by then the next step is decided.",
       on=(one_by_one, chunked), about=("step in flight", "chunk"), vllm=ENGINE)
def test_a_token_comes_one_step_later(plain, run):
    assert computed(plain, "a") == computed(run, "a") == [0, 1, 2, 3, 4, 5]
    assert told(plain, "a") == [2, 3, 4, 5] and told(run, "a") == [3, 4, 5, 6]


@claim("A request decodes in every step, though the token it decodes is not known when the step is decided.",
       on=chunked, about=("step in flight", "decode"), vllm=ASYNC)
def test_nobody_waits_for_a_token(run):
    assert [(share.num_computed_tokens, share.num_tokens) for share in run.shares("a")] == [(0, 8), (8, 8), (16, 4), (20, 1), (21, 1), (22, 1)]
    for step in run.steps[3:6]:
        known_before = sum(len(done.new_token_ids) for earlier in run.steps[:step.index] for done in earlier.outputs)
        assert step.of("a").num_computed_tokens == 20 + known_before


# So it would be if the end were always found out by looking at the token.
@claim("Every request is given one step in vain at its end.",
       on=two_ends, about=("end known in advance", "wasted share"), vllm=SCHEDULE, misconception=True)
def test_every_end_costs_a_step(run):
    for request_id in ("eos", "cut"):
        assert end_of(run, request_id).of(request_id), f"{request_id} is not served in the step that tells its end"


@claim("A request that ends by a token was given one more step in vain, and just one: it was decided before the token was known.",
       on=two_ends, about=("stop", "wasted share"), vllm=UPDATE)
def test_an_end_by_a_token_costs_one_step(run):
    assert len(run.outputs["eos"]) == len(run.outputs["cut"]) == 3
    assert computed(run, "eos") == [0, 1, 2, 3] and end_of(run, "eos").index == 3
    assert computed(run, "cut") == [0, 1, 2]


@claim("No step is wasted on max_tokens or max_model_len, also where a stop token happens to be the last that is allowed.",
       on=lengths, about=("end known in advance", "stop"), vllm=SCHEDULE)
def test_an_end_by_length_is_known_in_advance(run):
    assert run.finish_reasons == {"one": "length", "full": "length", "three": "length", "stop": "stop"}
    for request_id, tokens in run.outputs.items():
        assert len(run.shares(request_id)) == len(tokens)
        assert end_of(run, request_id).of(request_id) is None


@claim("What the step in vain has sampled is never told.",
       on=(two_ends, aborted), about=("wasted share", "abort"), vllm=UPDATE)
def test_what_was_computed_in_vain_is_dropped(ends, aborts):
    assert ends.outputs["eos"][-1] == EOS and len(ends.shares("eos")) == len(ends.outputs["eos"]) + 1
    assert len(aborts.shares("a")) == 2 and len(aborts.outputs["a"]) == 1
    assert not any(done.request_id == "a" for step in aborts.steps[2:] for done in step.outputs)


@claim("A step in vain uses up budget: a prompt that waits for tokens gets fewer in that step.",
       on=narrow, about=("wasted share", "chunk"), vllm=SCHEDULE)
def test_a_step_in_vain_uses_up_budget(run):
    assert computed(run, "a") == [0, 1, 2] and end_of(run, "a").index == 2
    assert [share.num_tokens for share in run.shares("b")] == [1, 1, 1, 2, 2, 1]


@claim("A step in vain may preempt another request, which would have kept its blocks without asynchronous scheduling.",
       on=(for_nothing, for_nothing_overlapped), about=("preemption", "wasted share"), vllm=SCHEDULE)
def test_a_step_in_vain_may_preempt(plain, run):
    assert plain.preemptions == [] and run.preemptions == ["b"]
    assert run.steps[5].preempted == ("b",) and end_of(run, "a").index == 5
    assert run.outputs == plain.outputs


# Its keys and values are gone, so one would think that its work of this step is too.
@claim("A request that is preempted while a step is in flight loses the token which that step samples for it.",
       on=crowded, about=("preemption", "token for a preempted request"), vllm=PREEMPT, misconception=True)
def test_a_preempted_request_loses_its_token(run):
    step = next(step for step in run.steps if step.preempted)
    assert not any(done.request_id == "b" for done in step.outputs), "b is told its token while it waits"


@claim("A preempted request is resumed with the token that was in flight: it computes that position and samples it no second time.",
       on=crowded, about=("resumption", "token for a preempted request"), vllm=PREEMPT)
def test_a_preempted_request_goes_on_behind_its_token(run):
    resumed = next(step for step in run.steps if step.resumed).of("b")
    known = sum(len(done.new_token_ids) for step in run.steps[:6] for done in step.outputs if done.request_id == "b")
    assert known == 5 and resumed.num_computed_tokens + resumed.num_tokens == 8 + known
    assert len(run.outputs["b"]) == 8


@claim("A preempted request may end while it waits, by the token that was in flight, and is never resumed.",
       on=ends_meanwhile, about="end while preempted", vllm=UPDATE)
def test_a_request_ends_while_it_waits(run):
    assert run.steps[5].preempted == ("b",) and run.steps[5].scheduled_state.waiting == ("b",)
    assert end_of(run, "b").index == 5 and run.steps[5].updated_state.waiting == ()
    assert run.steps[6].finished == ("b",) and not any(step.resumed for step in run.steps)


# A GPU may still write into them. The next owner's writes stand behind these in the same stream.
@claim("The blocks of a request that is aborted stay taken until the step in flight has ended.",
       on=(aborted, aborted_between), about=("abort", "step in flight"), vllm=FREE, misconception=True)
def test_an_abort_waits_for_the_step_in_flight(before, between):
    assert {1, 2}.isdisjoint(before.steps[2].scheduled_state.free_blocks), "they are free before the step in flight was taken in"


@claim("The blocks of an aborted request are given to others at once, though the step in flight still computes on them.",
       on=aborted, about=("abort", "step in flight"), vllm=FREE)
def test_blocks_in_flight_are_given_to_others(run):
    assert run.steps[1].of("a") and run.steps[2].scheduled_state.free_blocks[0] == 2
    assert run.steps[3].of("b").new_block_ids == (2,)


@claim("After an abort between schedule and update the other requests get their tokens of both steps in flight.",
       on=aborted_between, about=("abort", "wasted share"), vllm=UPDATE)
def test_an_abort_touches_nobody_else(run):
    assert told(run, "a") == [1] and told(run, "b") == [1, 2, 3, 4] and computed(run, "a") == [0, 1, 2]


@claim("A reset of running requests drops what is in flight for them: they are resumed at once and compute that token again.",
       on=reset, about=("reset in flight", "resumption"), vllm=PREEMPT)
def test_a_reset_drops_what_is_in_flight(run):
    assert run.steps[1].of("a") and run.steps[2].outputs == ()
    assert [share.kind for share in run.steps[2].scheduled] == ["resumed", "resumed"]
    assert [(share.num_computed_tokens, share.num_tokens) for share in run.steps[2].scheduled] == [(0, 10), (0, 6)]
    assert len(run.outputs["a"]) == len(run.outputs["b"]) == 5 and len(run.shares("a")) == 6


@claim("A pause of everything still tells the token of the step in flight, and then nothing.",
       on=paused, about=("pause", "step in flight"), vllm=ENGINE)
def test_a_pause_tells_what_is_in_flight(run):
    assert computed(run, "a")[:3] == [0, 1, 5] and told(run, "a")[:3] == [1, 2, 6]


# Without asynchronous scheduling a block is cached in the step that fills it, and a batch mate may share it.
@claim("A block that a generated token fills is cached when the step that fills it is decided.",
       on=fills_a_block_overlapped, about=("decode", "step in flight"), vllm=ALLOCATE, misconception=True)
def test_a_generated_block_is_cached_at_once(run):
    filling = next(step for step in run.steps if step.of("a").num_computed_tokens + 1 == 8)
    assert 2 in filling.scheduled_state.cached_blocks, f"block 2 is full with step {filling.index} and not yet in the cache"


@claim("A block that a generated token fills is cached one step later than without asynchronous scheduling: its last token has no hash before.",
       on=(fills_a_block, fills_a_block_overlapped), about=("decode", "step in flight"), vllm=ALLOCATE)
def test_a_generated_block_is_cached_one_step_later(plain, run):
    def cached(run):
        return next(step.index for step in run.steps if 2 in step.scheduled_state.cached_blocks)
    assert (cached(plain), cached(run)) == (4, 5) and plain.steps[4].of("a") == run.steps[4].of("a")


@claim("A block is not cached for the token that a step in vain has computed in it, and nobody finds it.",
       on=filled_in_vain, about=("wasted share", "admission"), vllm=APPEND)
def test_what_was_computed_in_vain_is_not_cached(run):
    assert [share.num_computed_tokens + share.num_tokens for share in run.shares("a")][-1] == 8
    assert all(2 not in step.updated_state.cached_blocks for step in run.steps[:7])
    assert run.first_step("b").of("b").num_computed_tokens == 4


@claim("A seat is free for the next request one step later than without asynchronous scheduling, even when the end was known.",
       on=(one_seat, one_seat_overlapped), about=("waiting", "end known in advance"), vllm=SCHEDULE)
def test_a_seat_is_free_one_step_later(plain, run):
    assert plain.first_step("b").index == 3 and run.first_step("b").index == 4
    assert run.steps[3].scheduled == () and run.steps[3].scheduled_state.running == ("a",)
