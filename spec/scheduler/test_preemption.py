"""Preemption: what happens when the blocks run out."""
from spec.bench import claim, workload

SCHEDULE = "v1/core/sched/scheduler.py::Scheduler.schedule"
PREEMPT = "v1/core/sched/scheduler.py::Scheduler._preempt_request"

crowded = (workload(num_blocks=9, block_size=4)
           .request("a", prompt=12, max_tokens=20)
           .request("b", prompt=12, max_tokens=20)
           .request("c", prompt=4, arrives=6))


@claim("A step that preempts admits nobody from the waiting queue.", on=crowded, about="preemption", vllm=SCHEDULE)
def test_a_preempting_step_admits_nobody(run):
    assert all(not step.admitted for step in run.steps if step.preempted)


@claim("A preempted request keeps what it has generated.", on=crowded, about="resumption", vllm=PREEMPT)
def test_a_preempted_request_keeps_its_output(run):
    for step in run.steps:
        for share in step.resumed:
            generated = sum(len(done.new_token_ids) for earlier in run.steps[:step.index]
                            for done in earlier.outputs if done.request_id == share.request_id)
            assert share.num_computed_tokens + share.num_tokens >= 4 + generated


@claim("The victim of a preemption is the longest request.", on=crowded, about="preemption", vllm=SCHEDULE, misconception=True)
def test_the_longest_is_preempted(run):
    for step in run.steps:
        for victim in step.preempted:
            assert victim == "a", f"step {step.index} preempts {victim}"
