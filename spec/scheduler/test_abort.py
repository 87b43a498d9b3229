"""Abort: a request is ended from outside, at any time."""
from spec.bench import claim, workload

FINISH = "v1/core/sched/scheduler.py::Scheduler.finish_requests"
UPDATE = "v1/core/sched/scheduler.py::Scheduler.update_from_output"

one_waits = (workload(num_blocks=6, max_num_seqs=1)
             .request("a", prompt=6, max_tokens=4)
             .request("b", prompt=4, max_tokens=2)
             .request("c", prompt=4, max_tokens=2)
             .abort("b", at=1))

# Three blocks are in use and one is free until `a` goes; `c` needs two.
one_runs = (workload(num_blocks=5, max_num_seqs=2)
            .request("a", prompt=8, max_tokens=8)
            .request("b", prompt=3, max_tokens=3)
            .request("c", prompt=8, max_tokens=1, arrives=1)
            .abort("a", at=2))

mid_prompt = (workload(num_blocks=6, max_num_batched_tokens=8)
              .request("a", prompt=18, max_tokens=3)
              .request("b", prompt=6, max_tokens=2)
              .abort("a", at=1))

mid_prompt_in_flight = (workload(num_blocks=6, max_num_batched_tokens=8)
                        .request("a", prompt=18, max_tokens=3)
                        .request("b", prompt=6, max_tokens=2)
                        .abort("a", at=1, between=True))

in_flight = (workload(num_blocks=6)
             .request("a", prompt=7, max_tokens=6)
             .request("b", prompt=4, max_tokens=5)
             .request("c", prompt=10, max_tokens=2, arrives=1)
             .abort("a", at=2, between=True))

one_preempted = (workload(num_blocks=6)
                 .request("a", prompt=8, max_tokens=4)
                 .request("b", prompt=7, max_tokens=8)
                 .request("c", prompt=4, max_tokens=1, arrives=1)
                 .abort("b", at=3))

everyone = (workload(num_blocks=8, max_num_seqs=2)
            .request("a", prompt=6, max_tokens=8)
            .request("b", prompt=6, max_tokens=8)
            .request("c", prompt=6, max_tokens=8)
            .request("d", prompt=20, max_tokens=2, arrives=2)
            .abort(None, at=1, between=True))

strangers = (workload(num_blocks=6)
             .request("a", prompt=4, max_tokens=2)
             .request("b", prompt=4, max_tokens=4)
             .abort("nobody", at=1)
             .abort("a", at=2)
             .abort("a", at=3))

on_arrival = (workload(num_blocks=6)
              .request("a", prompt=4, max_tokens=2)
              .request("b", prompt=4, max_tokens=2)
              .abort("a", at=0))

same_id_again = (workload(num_blocks=6)
                 .request("a", prompt=6, max_tokens=6)
                 .abort("a", at=2)
                 .request("a", prompt="b:6", max_tokens=2, arrives=3))


@claim("A waiting request that is aborted leaves the queue, and those behind it move up.",
       on=one_waits, about=("abort", "waiting"), vllm=FINISH)
def test_a_waiting_request_leaves_the_queue(run):
    assert [step.scheduled_state.waiting for step in run.steps[:2]] == [("b", "c"), ("c",)]
    assert not run.shares("b") and run.first_step("c").index == 4


# The workers are sent every id that has finished, and take an unknown one in their stride.
@claim("The workers are told only of the end of requests they have been given.",
       on=one_waits, about="abort", vllm=FINISH, misconception=True)
def test_workers_hear_only_of_requests_they_know(run):
    known = set()
    for step in run.steps:
        assert known.issuperset(step.finished), f"step {step.index} tells of the end of {step.finished}, and they know {sorted(known)}"
        known.update(share.request_id for share in step.scheduled)


@claim("The blocks of an aborted request are free at once: the very next schedule hands them out.",
       on=one_runs, about=("abort", "waiting"), vllm=FINISH)
def test_blocks_of_an_aborted_request_are_free_at_once(run):
    before, step = run.steps[1], run.steps[2]
    assert before.updated_state.free_blocks == () and before.updated_state.waiting == ("c",)
    assert step.of("b").new_block_ids == (4,) and step.of("c").new_block_ids == (2, 1)


@claim("A running request that is aborted is told to the workers in the next step, and to nobody else.",
       on=one_runs, about="abort", vllm=FINISH)
def test_an_abort_is_told_to_the_workers(run):
    assert [step.index for step in run.steps if "a" in step.finished] == [2]
    assert "a" not in run.finish_reasons and len(run.outputs["a"]) == 2


# What the caller gets with the reason abort is made by the front end, not by the scheduler.
@claim("The scheduler gives an aborted request a last output with the reason abort.",
       on=in_flight, about="abort", vllm=UPDATE, misconception=True)
def test_an_aborted_request_gets_a_last_output(run):
    assert run.finish_reasons.get("a") == "abort", f"all the scheduler said of its end: {run.finish_reasons.get('a')}"


@claim("A request aborted in the middle of its prompt returns the blocks of its chunks, the last first.",
       on=mid_prompt, about=("abort", "chunk"), vllm=FINISH)
def test_an_abort_in_the_middle_of_a_prompt(run):
    assert run.steps[0].updated_state.free_blocks == (3, 4, 5)
    assert run.steps[1].of("b").new_block_ids == (3, 4)
    assert run.steps[1].scheduled_state.free_blocks == (5, 2, 1)


@claim("A request aborted while a chunk of its prompt is in flight returns that chunk's blocks too.",
       on=mid_prompt_in_flight, about=("abort", "chunk"), vllm=FINISH)
def test_an_abort_with_a_chunk_in_flight(run):
    step = run.steps[1]
    assert step.of("a").new_block_ids == (3, 4) and step.scheduled_state.free_blocks == (5,)
    assert step.updated_state.free_blocks == (5, 4, 3, 2, 1)


# Their keys and values are not computed yet: the blocks were put in the cache when they were scheduled.
@claim("The blocks of a chunk that is in flight when its request is aborted stay in the prefix cache.",
       on=mid_prompt_in_flight, about=("abort", "chunk"), vllm=FINISH)
def test_the_blocks_of_an_aborted_chunk_stay_cached(run):
    assert run.steps[1].updated_state.cached_blocks == (1, 2, 3, 4)


@claim("What a step sampled for a request that was aborted meanwhile is dropped, and the others keep theirs.",
       on=in_flight, about="abort", vllm=UPDATE)
def test_the_output_in_flight_is_dropped(run):
    assert run.ended == "finished", run.error
    step = run.steps[2]
    assert [share.request_id for share in step.scheduled] == ["a", "b"]
    assert [done.request_id for done in step.outputs] == ["b"]
    assert len(run.outputs["a"]) == 2


@claim("The blocks of a request aborted in flight go to another in the next step.",
       on=in_flight, about=("abort", "waiting"), vllm=FINISH)
def test_blocks_in_flight_are_handed_out_in_the_next_step(run):
    assert run.steps[2].updated_state.free_blocks == (5, 2, 1)
    assert run.steps[3].finished == ("a",)
    assert run.steps[3].of("c").new_block_ids == (5, 2, 1)


@claim("A preempted request can be aborted: it holds no blocks, and the one behind it is admitted in its stead.",
       on=one_preempted, about=("abort", "preemption"), vllm=FINISH)
def test_a_preempted_request_can_be_aborted(run):
    assert run.steps[2].preempted == ("b",) and run.steps[2].scheduled_state.waiting == ("b", "c")
    assert run.steps[3].finished == ("b",)
    assert [share.request_id for share in run.steps[3].admitted] == ["c"]
    assert run.steps[2].updated_state.free_blocks == (4, 3) and run.steps[3].of("c").new_block_ids == (4,)


@claim("Aborting without an id ends every request, running and waiting.", on=everyone, about=("abort", "waiting"), vllm=FINISH)
def test_everyone_can_be_aborted(run):
    step = run.steps[1]
    assert step.updated_state.running == step.updated_state.waiting == () and step.outputs == ()
    assert run.steps[2].finished == ("a", "b", "c")


@claim("When all requests are aborted, their blocks return in the order of their arrival, each tail first.",
       on=everyone, about="abort", vllm=FINISH)
def test_the_order_of_blocks_when_everyone_is_aborted(run):
    assert run.steps[1].scheduled_state.free_blocks == (5, 6, 7)
    assert run.steps[1].updated_state.free_blocks == (4, 2, 5, 6, 7, 1, 3)


@claim("The scheduler says nothing when it is told to abort a request it does not know or that has finished.",
       on=strangers, about="abort call", vllm=FINISH)
def test_an_unknown_id_is_ignored(run):
    assert not any(step.errors for step in run.steps)


@claim("Aborting an unknown or a finished request changes nothing.", on=strangers, about=("abort call", "finish"), vllm=FINISH)
def test_aborting_a_stranger_changes_nothing(run):
    assert run.finish_reasons == {"a": "length", "b": "length"} and len(run.outputs["b"]) == 4
    assert [step.finished for step in run.steps] == [(), (), ("a",), ()]
    assert run.steps[-1].updated_state.free_blocks == (4, 3, 5, 1, 2)


@claim("A request aborted in the step of its arrival never holds a block, and yet is told as finished.",
       on=on_arrival, about="abort", vllm=FINISH)
def test_an_abort_on_arrival(run):
    assert not run.shares("a") and run.steps[0].finished == ("a",)
    assert run.steps[0].of("b").new_block_ids == (1,)


@claim("The id of an aborted request can be used again.", on=same_id_again, about="abort", vllm=FINISH)
def test_the_id_of_an_aborted_request_is_free(run):
    assert not any(step.refused for step in run.steps)
    assert [(share.kind, share.num_computed_tokens, share.num_tokens) for share in run.shares("a")] == [
        ("new", 0, 6), ("running", 6, 1), ("new", 0, 6), ("running", 6, 1)]
