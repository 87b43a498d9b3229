"""The priority policy: who is admitted, who is preempted, and what it does not do."""
from spec.bench import claim, workload

SCHEDULE = "v1/core/sched/scheduler.py::Scheduler.schedule"
ORDER = "v1/request.py::Request.__lt__"
QUEUE = "v1/core/sched/request_queue.py::PriorityRequestQueue"

# One seat, and four that come at once: in the order of service they would be b, c, d, e.
one_seat = (workload(num_blocks=5, policy="priority", max_num_seqs=1)
            .request("e", prompt=2, max_tokens=1, priority=1, arrival_time=5.0)
            .request("d", prompt=2, max_tokens=1, priority=1, arrival_time=5.0)
            .request("c", prompt=2, max_tokens=1, priority=1, arrival_time=4.0)
            .request("b", prompt=2, max_tokens=1, priority=-3, arrival_time=9.0))
one_seat_fcfs = one_seat.with_config(policy="fcfs")

# At step 2 low takes the last free block, and urgent, behind it, needs one too.
overtaken = (workload(num_blocks=5, policy="priority")
             .request("low", prompt=3, max_tokens=6, priority=5)
             .request("urgent", prompt=8, max_tokens=4, arrives=1))

# The same with a third that could use every token of the budget.
given_back = (workload(num_blocks=5, policy="priority", max_num_batched_tokens=6)
              .request("low", prompt=3, max_tokens=3, priority=5)
              .request("urgent", prompt=4, max_tokens=2, arrives=1)
              .request("late", prompt=7, max_tokens=1, priority=1, arrives=1))

# At step 2 low, the first of the running, finds no block.
cornered = (workload(num_blocks=4, policy="priority")
            .request("low", prompt=3, max_tokens=6, priority=5)
            .request("urgent", prompt=5, max_tokens=4, arrives=1)
            .request("mid", prompt=3, max_tokens=1, priority=3, arrives=2))

# As urgent as low, and older: it arrives late, with an early arrival time.
cornered_by_an_equal = cornered.request("older", prompt=3, max_tokens=1, priority=5, arrives=2, arrival_time=0.5)

# Equally urgent. The last to be admitted is neither the first nor the last that arrived.
equals = (workload(num_blocks=4, policy="priority")
          .request("late", prompt=3, max_tokens=4, arrival_time=9.0)
          .request("early", prompt=3, max_tokens=4, arrives=1, arrival_time=1.0)
          .request("between", prompt=1, max_tokens=4, arrives=1, arrival_time=5.0))

# Two children of one prompt: the same priority and the same arrival.
twins = workload(num_blocks=3, policy="priority").request("x", prompt=4, n=2, max_tokens=3)
twins_fcfs = twins.with_config(policy="fcfs")

# The urgent one needs four blocks, the small one a single one; two are free.
blocked = (workload(num_blocks=6, policy="priority")
           .request("low", prompt=8, max_tokens=4, priority=5)
           .request("urgent", prompt=16, max_tokens=2, arrives=1)
           .request("small", prompt=2, max_tokens=1, priority=9, arrives=1))

# A long prompt that is not urgent, four tokens a step.
greedy = (workload(num_blocks=9, policy="priority", max_num_batched_tokens=4)
          .request("low", prompt=10, max_tokens=2, priority=5)
          .request("urgent", prompt=4, max_tokens=1, arrives=1))


def order_of_admission(run):
    return [share.request_id for step in run.steps for share in step.admitted]


@claim("Under the priority policy the smallest priority number is admitted first, and it may be negative.",
       on=one_seat, about=("admission", "waiting"), vllm=ORDER)
def test_the_smallest_number_comes_first(run):
    assert order_of_admission(run)[0] == "b"
    assert run.steps[0].scheduled_state.waiting == ("c", "d", "e")


@claim("Of two equally urgent requests the one with the earlier arrival time is admitted first, whoever was queued first.",
       on=one_seat, about=("admission", "waiting"), vllm=ORDER)
def test_the_earlier_arrival_comes_first(run):
    order = order_of_admission(run)
    assert order.index("c") < order.index("d") and order.index("c") < order.index("e")


@claim("Equally urgent requests with the same arrival time are admitted in the order of their ids.",
       on=one_seat, about=("admission", "waiting"), vllm=ORDER)
def test_the_smaller_id_comes_first(run):
    order = order_of_admission(run)
    assert order.index("d") < order.index("e"), "though e was queued first"


@claim("Under FCFS neither the priority nor the arrival time of a request matters, only the order in which they were queued.",
       on=one_seat_fcfs, about=("admission", "waiting"), vllm="v1/core/sched/request_queue.py::FCFSRequestQueue.add_request")
def test_fcfs_ignores_priorities(run):
    assert order_of_admission(run) == ["e", "d", "c", "b"]


@claim("Under the priority policy the victim is the least urgent running request, even if it was admitted first.",
       on=overtaken, about="preemption", vllm=SCHEDULE)
def test_the_least_urgent_is_the_victim(run):
    assert run.steps[1].updated_state.running == ("low", "urgent")
    assert run.steps[2].preempted == ("low",) and run.steps[2].scheduled_state.running == ("urgent",)


@claim("Of equally urgent running requests the one with the latest arrival time is the victim, not the last admitted.",
       on=equals, about="preemption", vllm=SCHEDULE)
def test_the_latest_arrival_is_the_victim(run):
    assert run.steps[1].updated_state.running == ("late", "early", "between")
    assert run.preemptions == ["late"]


@claim("Of children of one prompt, equal in priority and arrival, the one admitted first is preempted first; under FCFS it is the last.",
       on=(twins, twins_fcfs), about="preemption", vllm=SCHEDULE)
def test_of_equals_the_first_admitted_is_the_victim(by_priority, fcfs):
    for run in (by_priority, fcfs):
        assert run.steps[0].updated_state.running == ("0_x", "1_x")
    assert by_priority.preemptions == ["0_x"] and fcfs.preemptions == ["1_x"]


@claim("A victim that has had its share of the step already loses it: it is not computed, and its new block goes to another.",
       on=overtaken, about="preemption", vllm=SCHEDULE)
def test_a_victim_loses_its_share_of_the_step(run):
    # low, served first, took block 4 for its fifth token; then urgent needed one.
    before, step = run.steps[1], run.steps[2]
    assert before.updated_state.free_blocks == (4,)
    assert [share.request_id for share in step.scheduled] == ["urgent"]
    assert step.of("urgent").new_block_ids == (4,)
    assert not any(done.request_id == "low" for done in step.outputs)


@claim("The tokens that a victim gives back are given to others in the same step.",
       on=given_back, about=("preemption", "chunk"), vllm=SCHEDULE)
def test_the_tokens_of_a_victim_are_given_to_others(run):
    step = run.steps[2]
    assert step.preempted == ("low",)
    # Of a budget of 6, low had one token and urgent one: four would be left for late, were low's not given back.
    assert [(share.request_id, share.num_tokens) for share in step.scheduled] == [("urgent", 1), ("late", 5)]


@claim("A running request that is itself the least urgent preempts itself when it finds no block, though others are behind it.",
       on=cornered, about="preemption", vllm=SCHEDULE)
def test_the_least_urgent_preempts_itself(run):
    assert run.steps[1].updated_state.running == ("low", "urgent")
    assert run.steps[1].updated_state.free_blocks == () and run.steps[2].preempted == ("low",)
    # Its block is left over: urgent has room in its own.
    assert run.steps[2].scheduled_state.free_blocks == run.block_tables[1]["low"]


@claim("When a request preempts itself the step ends there: the more urgent ones behind it get no tokens, though they need no block.",
       on=cornered, about="preemption", vllm=SCHEDULE)
def test_a_self_preemption_ends_the_step(run):
    assert run.steps[2].scheduled == () and run.steps[2].scheduled_state.running == ("urgent",)
    assert [share.request_id for share in run.steps[3].running] == ["urgent"] and run.steps[3].of("urgent").new_block_ids == ()


@claim("Under the priority policy a preempted request does not go to the front: it waits where its priority puts it.",
       on=cornered, about=("preemption", "resumption", "waiting"), vllm=QUEUE)
def test_a_victim_waits_by_its_priority(run):
    assert run.steps[2].preempted == ("low",) and run.steps[2].scheduled_state.waiting == ("mid", "low")
    assert order_of_admission(run) == ["low", "urgent", "mid", "low"]


@claim("Under the priority policy a preempted request waits behind an equally urgent one that arrived before it.",
       on=cornered_by_an_equal, about=("preemption", "resumption", "waiting"), vllm=ORDER)
def test_a_victim_waits_behind_older_equals(run):
    assert run.steps[2].preempted == ("low",) and run.steps[2].scheduled_state.waiting == ("mid", "older", "low")
    assert order_of_admission(run)[2:] == ["mid", "older", "low"]


@claim("Running requests are served in the order of their admission, so a prompt that is not urgent can take "
       "the whole budget while an urgent request waits.",
       on=greedy, about=("chunk", "waiting"), vllm=SCHEDULE)
def test_the_running_are_served_by_admission(run):
    assert [(share.request_id, share.num_tokens) for share in run.steps[1].scheduled] == [("low", 4)]
    assert run.steps[1].scheduled_state.waiting == ("urgent",)
    assert [(share.request_id, share.num_tokens) for share in run.steps[2].scheduled] == [("low", 2), ("urgent", 2)]


@claim("The most urgent waiting request blocks all others as long as it does not fit, even those that would.",
       on=blocked, about=("admission", "waiting"), vllm=SCHEDULE)
def test_the_most_urgent_blocks_the_queue(run):
    for step in run.steps[1:4]:
        assert step.scheduled_state.waiting == ("urgent", "small") and len(step.scheduled_state.free_blocks) == 2
    assert [share.request_id for share in run.steps[4].admitted] == ["urgent", "small"]


# As an operating system would. Preemption is asked for by a shortage of blocks alone.
@claim("A waiting request preempts a running one that is less urgent.",
       on=blocked, about=("admission", "waiting"), vllm=SCHEDULE, misconception=True)
def test_an_urgent_newcomer_preempts(run):
    for step in run.steps:
        if "urgent" in step.scheduled_state.waiting:
            assert "low" not in step.scheduled_state.running, f"at step {step.index} urgent waits and low runs"


# The name suggests it, and Linux's real-time priorities or Kubernetes do it so.
@claim("The request with the greatest priority number is served first.",
       on=one_seat, about=("admission", "waiting"), vllm=ORDER, misconception=True)
def test_the_greatest_number_comes_first(run):
    priority = {spec.request_id: spec.priority for spec in run.workload.requests}
    served = [priority[request_id] for request_id in order_of_admission(run)]
    assert served == sorted(served, reverse=True), f"served in the order {served}"


# The queue is sorted by priority, the list of running requests is not.
@claim("Under the priority policy each step serves the most urgent request first.",
       on=greedy, about="admission", vllm=SCHEDULE, misconception=True)
def test_each_step_serves_the_most_urgent_first(run):
    for step in run.steps:
        if step.of("urgent"):
            assert step.scheduled[0].request_id == "urgent", f"step {step.index} serves {step.scheduled[0].request_id} first"
