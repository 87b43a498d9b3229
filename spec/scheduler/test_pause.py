"""Pause: the scheduler is told to hold everything, or to admit nobody."""
from spec.bench import claim, workload

SCHEDULE = "v1/core/sched/scheduler.py::Scheduler.schedule"
STATES = "v1/core/sched/interface.py::PauseState"

all_held = (workload(num_blocks=8, max_num_seqs=3)
            .request("a", prompt=6, max_tokens=4)
            .request("b", prompt=6, max_tokens=3)
            .pause(at=2)
            .request("c", prompt=4, max_tokens=2, arrives=3)
            .unpause(at=5))

held_mid_prompt = (workload(num_blocks=8, max_num_batched_tokens=8)
                   .request("a", prompt=20, max_tokens=2)
                   .pause(at=1)
                   .unpause(at=3))

admission_held = (workload(num_blocks=8, max_num_seqs=3)
                  .request("a", prompt=6, max_tokens=5)
                  .request("b", prompt=6, max_tokens=3)
                  .pause(at=1, admission_only=True)
                  .request("c", prompt=4, max_tokens=2, arrives=1)
                  .request("d", prompt=4, max_tokens=2, arrives=2)
                  .unpause(at=6))

preempted_meanwhile = (workload(num_blocks=6)
                       .request("a", prompt=8, max_tokens=4)
                       .request("b", prompt=7, max_tokens=4)
                       .pause(at=1, admission_only=True)
                       .unpause(at=6))

held_for_ever = (workload(num_blocks=6)
                 .request("a", prompt=4, max_tokens=2)
                 .pause(at=1, admission_only=True)
                 .request("b", prompt=4, max_tokens=2, arrives=1))

aborted_meanwhile = (workload(num_blocks=8)
                     .request("a", prompt=6, max_tokens=5)
                     .request("b", prompt=6, max_tokens=3)
                     .pause(at=1)
                     .abort("a", at=2)
                     .unpause(at=4))


def given(step):
    return [(share.request_id, share.kind, share.num_tokens) for share in step.scheduled]


@claim("While everything is paused nothing is scheduled, and the running requests keep their seats and their blocks.",
       on=all_held, about="pause", vllm=SCHEDULE)
def test_a_pause_holds_everything(run):
    for step in run.steps[2:5]:
        assert step.scheduled == () and step.scheduled_state.running == ("a", "b")
        assert step.scheduled_state.free_blocks == (5, 6, 7)


@claim("After a pause the running requests go on, and then those who came meanwhile are admitted.",
       on=all_held, about=("pause", "waiting"), vllm=SCHEDULE)
def test_after_a_pause_everybody_goes_on(run):
    assert run.steps[3].scheduled_state.waiting == run.steps[4].scheduled_state.waiting == ("c",)
    assert given(run.steps[5]) == [("a", "running", 1), ("b", "running", 1), ("c", "new", 4)]


# Engines that update weights (SGLang's retract mode) take the requests back; vLLM's pause only stands still.
@claim("A pause preempts the running requests, so that their blocks are free.",
       on=all_held, about="pause", vllm=SCHEDULE, misconception=True)
def test_a_pause_preempts_the_running_requests(run):
    state = run.steps[2].scheduled_state
    assert not state.running, f"{state.running} are still running"


@claim("A prompt paused halfway goes on with its next chunk, and nothing is computed twice.",
       on=held_mid_prompt, about=("pause", "chunk"), vllm=SCHEDULE)
def test_a_prompt_paused_halfway_goes_on(run):
    assert [(step.index, share.num_computed_tokens, share.num_tokens) for step in run.steps for share in step.scheduled] == [
        (0, 0, 8), (3, 8, 8), (4, 16, 4), (5, 20, 1)]


@claim("While admission is paused the running requests go on to their ends, and nobody is admitted.",
       on=admission_held, about=("pause", "waiting", "decode"), vllm=SCHEDULE)
def test_a_pause_of_admission_lets_the_running_go_on(run):
    assert [[share.request_id for share in step.scheduled] for step in run.steps[1:6]] == [["a", "b"], ["a", "b"], ["a"], ["a"], []]
    assert run.finish_reasons["a"] == run.finish_reasons["b"] == "length"


@claim("When admission goes on, the queue is as it was: first come, first served.",
       on=admission_held, about=("pause", "waiting"), vllm=SCHEDULE)
def test_after_a_pause_the_queue_is_as_it_was(run):
    assert run.steps[5].scheduled_state.waiting == ("c", "d")
    assert given(run.steps[6]) == [("c", "new", 4), ("d", "new", 4)]


@claim("A pause of admission does not stop preemption: a running request may still lose its blocks to another.",
       on=preempted_meanwhile, about=("pause", "preemption"), vllm=SCHEDULE)
def test_a_pause_of_admission_does_not_stop_preemption(run):
    assert run.steps[2].preempted == ("b",)
    assert [share.request_id for share in run.steps[2].scheduled] == ["a"]


# The state is called PAUSED_NEW, but a preempted request comes back through the same queue as a new one.
@claim("A pause of admission holds back new requests only: a preempted one is resumed as soon as there is room.",
       on=preempted_meanwhile, about=("pause", "resumption"), vllm=STATES, misconception=True)
def test_a_preempted_request_is_resumed_during_the_pause(run):
    step = next(step for step in run.steps if step.resumed)
    assert step.index == 4, f"there is room from step 4 on, and b is resumed at step {step.index}"


@claim("A pause of admission that nobody ends leaves the waiting requests where they are.",
       on=held_for_ever, about="stall", vllm=SCHEDULE)
def test_a_pause_without_end(run):
    assert run.ended == "stalled" and run.steps[-1].updated_state.waiting == ("b",)
    assert run.finish_reasons == {"a": "length"}


@claim("A request can be aborted during a pause, and its blocks are free at once.",
       on=aborted_meanwhile, about=("pause", "abort"), vllm=SCHEDULE)
def test_an_abort_during_a_pause(run):
    step = run.steps[2]
    assert step.scheduled == () and step.finished == ("a",)
    assert step.scheduled_state.running == ("b",) and step.scheduled_state.free_blocks == (2, 5, 6, 7, 1)
