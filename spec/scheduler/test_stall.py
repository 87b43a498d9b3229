"""Stalls: what can never fit, who refuses it, and who waits for ever."""
from spec.bench import claim, workload

SCHEDULE = "v1/core/sched/scheduler.py::Scheduler.schedule"
ALLOCATE = "v1/core/kv_cache_manager.py::KVCacheManager.allocate_slots"
CHECK_POOL = "v1/core/kv_cache_utils.py::_check_enough_kv_cache_memory"

# Three blocks for a request that would need five, and another behind it. Nothing stops the bare scheduler.
outgrowing = (workload(num_blocks=4, max_model_len=64)
              .request("a", prompt=6, max_tokens=14)
              .request("b", prompt=1, max_tokens=2, arrives=7))

# A prompt of four blocks.
never_fits = (workload(num_blocks=4, max_model_len=64)
              .request("long", prompt=14, max_tokens=1)
              .request("b", prompt=2, max_tokens=2))
gives_up = never_fits.abort("long", at=2)

# Without reservation its first chunk fits.
begun = (workload(num_blocks=4, max_model_len=64, max_num_batched_tokens=8, scheduler_reserve_full_isl=False, max_steps=12)
         .request("long", prompt=20, max_tokens=1))
begun_without_cache = begun.with_config(enable_prefix_caching=False)

# max_model_len takes eight blocks. One block of a pool is the null block.
short_pool = workload(num_blocks=8, max_model_len=32, engine=True).request("a", prompt=4, max_tokens=1)
enough = short_pool.with_config(num_blocks=9)
short_pool_bare = workload(num_blocks=8, max_model_len=32).request("a", prompt=4, max_tokens=1)

# Both grow to max_model_len, which is all the pool can hold.
two_long = (workload(num_blocks=5, engine=True)
            .request("a", prompt=4, max_tokens=100)
            .request("b", prompt=4, max_tokens=100))


@claim("On the bare scheduler a request that outgrows the pool preempts itself and never comes back: the run stalls.",
       on=outgrowing, about=("stall", "preemption"), vllm=SCHEDULE)
def test_a_request_that_outgrows_the_pool_stalls(run):
    assert run.ended == "stalled" and len(run.steps) == 9
    assert run.steps[7].preempted == ("a",) and run.steps[7].scheduled == ()
    # 6 tokens of prompt and 7 generated ones need four blocks; all three are free.
    assert len(run.outputs["a"]) == 7 and "a" not in run.finish_reasons
    assert len(run.steps[8].scheduled_state.free_blocks) == 3


@claim("A request that can never be admitted blocks all behind it for ever, though the whole pool is free.",
       on=(outgrowing, never_fits), about="stall", vllm=SCHEDULE)
def test_a_stalled_request_blocks_all_behind_it(outgrowing, never_fits):
    for run in (outgrowing, never_fits):
        last = run.steps[-1].updated_state
        assert len(last.waiting) == 2 and last.waiting[1] == "b" and last.running == ()
        assert len(last.free_blocks) == 3 and "b" not in run.outputs


@claim("The bare scheduler takes a prompt that can never fit into the pool, and says nothing.",
       on=never_fits, about="stall", vllm="v1/core/sched/scheduler.py::Scheduler.add_request")
def test_a_prompt_that_never_fits_is_taken(run):
    assert not any(step.refused or step.errors or step.outputs or step.scheduled for step in run.steps)
    assert run.ended == "stalled" and run.error is None
    assert run.steps[-1].updated_state.waiting == ("long", "b")


@claim("Aborting the request that can never fit lets those behind it go on in the same step.",
       on=gives_up, about=("abort", "admission"), vllm="v1/core/sched/scheduler.py::Scheduler.finish_requests")
def test_an_abort_ends_the_stall(run):
    assert [len(step.scheduled) for step in run.steps[:2]] == [0, 0]
    assert [share.request_id for share in run.steps[2].new] == ["b"]
    assert run.ended == "finished" and run.finish_reasons == {"b": "length"}


@claim("Without reservation and without prefix caching, a prompt that can never fit is begun, preempted and begun again for ever.",
       on=begun_without_cache, about=("preemption", "resumption"), vllm=SCHEDULE)
def test_without_reservation_it_tries_for_ever(run):
    assert run.ended == "cut" and run.preemptions == ["long"] * 6
    for even, odd in zip(run.steps[::2], run.steps[1::2]):
        assert [(share.num_computed_tokens, share.num_tokens) for share in even.admitted] == [(0, 8)]
        assert odd.scheduled == () and odd.preempted == ("long",)


@claim("Without reservation but with prefix caching it is begun once: then its cached beginning and the next chunk do not fit together.",
       on=begun, about=("stall", "preemption"), vllm=ALLOCATE)
def test_with_the_cache_it_tries_once(run):
    assert run.ended == "stalled" and run.preemptions == ["long"] and len(run.steps) == 3
    assert run.steps[2].scheduled == () and len(run.steps[2].scheduled_state.cached_blocks) == 2


@claim("The engine is not built on a pool that one request of max_model_len tokens could outgrow; the bare scheduler works on it.",
       on=(short_pool, short_pool_bare, enough), about=("refusal", "admission"), vllm=CHECK_POOL)
def test_the_engine_refuses_a_pool_that_can_stall(short_pool, bare, enough):
    # Eight blocks of four are 32 tokens, max_model_len is 32, and one block is the null block.
    assert short_pool.ended == "refused" and "32" in short_pool.error and not short_pool.steps
    assert bare.ended == enough.ended == "finished" and bare.outputs == enough.outputs
    assert [len(run.steps[0].scheduled_state.free_blocks) for run in (bare, enough)] == [6, 7]


@claim("In a pool that the engine accepts nobody stalls: whoever is alone can grow to max_model_len.",
       on=two_long, about=("preemption", "resumption", "length"), vllm=CHECK_POOL)
def test_an_accepted_pool_does_not_stall(run):
    assert run.ended == "finished" and run.preemptions == ["b"]
    assert {request_id: len(tokens) for request_id, tokens in run.outputs.items()} == {"a": 12, "b": 12}
    assert run.finish_reasons == {"a": "length", "b": "length"}


# In V0 the block manager answered NEVER, and the request ended as FINISHED_IGNORED. In V1 it waits.
@claim("A prompt that can never fit into the pool is finished with an error.",
       on=never_fits, about="stall", vllm=SCHEDULE, misconception=True)
def test_a_prompt_that_never_fits_is_finished(run):
    assert "long" not in run.steps[-1].updated_state.waiting, "it is still waiting"
