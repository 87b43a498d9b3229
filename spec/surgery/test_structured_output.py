"""Structured output in the scheduler: a request waits for its grammar, is passed over meanwhile, and ends if the grammar says no."""
from spec.bench import claim, workload

BLOCKED = "v1/core/sched/scheduler.py::Scheduler._handle_blocked_waiting_request"
SCHEDULE = "v1/core/sched/scheduler.py::Scheduler.schedule"
UPDATE = "v1/core/sched/scheduler.py::Scheduler.update_from_output"

late = (workload(num_blocks=12)
        .request("a", prompt=8, max_tokens=6, grammar=True)
        .request("b", prompt=8, max_tokens=6)
        .request("c", prompt=4, max_tokens=6, arrives=1)
        .compiled("a", at=3))

too_long_behind = (workload(num_blocks=8)
                   .request("a", prompt=4, max_tokens=3, grammar=True)
                   .request("b", prompt=12, max_tokens=8)
                   .request("c", prompt=20, max_tokens=2, arrives=1)
                   .compiled("a", at=3))

at_once = (workload(num_blocks=12)
           .request("a", prompt=8, max_tokens=3, grammar=True)
           .compiled("a", at=0))

alone = (workload(num_blocks=12)
         .request("a", prompt=8, max_tokens=3, grammar=True)
         .compiled("a", at=2))

between_the_halves = (workload(num_blocks=12)
                      .request("a", prompt=8, max_tokens=3, grammar=True)
                      .compiled("a", at=1, between=True)
                      .request("b", prompt=4, max_tokens=2, arrives=4))

broken = (workload(num_blocks=12)
          .request("a", prompt=8, max_tokens=4)
          .request("b", prompt=8, max_tokens=4, grammar=True)
          .request("c", prompt=4, max_tokens=4)
          .compiled("b", at=1, error=True))

seen_twice = (workload(num_blocks=12, async_scheduling=True)
              .request("a", prompt=8, max_tokens=4)
              .request("b", prompt=8, max_tokens=4, grammar=True)
              .compiled("b", at=0, error=True))

broken_without_a_seat = (workload(num_blocks=12, max_num_seqs=1)
                         .request("a", prompt=4, max_tokens=5)
                         .request("b", prompt=4, max_tokens=4, grammar=True)
                         .compiled("b", at=1, error=True))

rejected = (workload(num_blocks=12)
            .request("a", prompt=8, max_tokens=6, grammar=True, grammar_rejects=3)
            .request("b", prompt=8, max_tokens=6)
            .compiled("a", at=0))

crowded = (workload(num_blocks=7)
           .request("a", prompt=8, max_tokens=10)
           .request("b", prompt=8, max_tokens=10, grammar=True)
           .compiled("b", at=0))

urgent = (workload(num_blocks=12, policy="priority", max_num_seqs=2)
          .request("a", prompt=4, max_tokens=5, priority=5)
          .request("b", prompt=4, max_tokens=2, priority=0, grammar=True)
          .request("c", prompt=4, max_tokens=2, priority=3, arrives=1)
          .compiled("b", at=2))

shared = (workload(num_blocks=12)
          .request("a", prompt="system:8 a:2", max_tokens=4, grammar=True)
          .request("b", prompt="system:8 b:2", max_tokens=3)
          .compiled("a", at=2))

paused = (workload(num_blocks=12)
          .request("a", prompt=8, max_tokens=3, grammar=True)
          .pause(at=1, admission_only=True)
          .compiled("a", at=1)
          .unpause(at=3))

aborted = (workload(num_blocks=12)
           .request("a", prompt=8, max_tokens=3, grammar=True)
           .request("b", prompt=8, max_tokens=5)
           .abort("a", at=2)
           .compiled("a", at=3))


def admitted(run):
    """Step by step, who was admitted."""
    return [[share.request_id for share in step.admitted] for step in run.steps]


def ends(run):
    return {done.request_id: (step.index, done.finish_reason) for step in run.steps for done in step.outputs if done.finish_reason}


@claim("A request waits for its grammar, and those behind it are admitted before it.",
       on=late, about="grammar wait", vllm=SCHEDULE)
def test_others_pass_who_waits_for_a_grammar(run):
    assert admitted(run)[:4] == [["b"], ["c"], [], ["a"]]


@claim("The waiting queue is strictly first come, first served: nobody passes a request that cannot start.",
       on=late, about="grammar wait", vllm=SCHEDULE, misconception=True)
def test_nobody_passes(run):
    assert sum(admitted(run), []) == ["a", "b", "c"]


@claim("While a request waits for its grammar it holds no block.",
       on=alone, about="grammar wait", vllm=BLOCKED)
def test_it_holds_no_block(run):
    free = [len(step.scheduled_state.free_blocks) for step in run.steps]
    assert free[:2] == [11, 11] and free[2] < 11


@claim("Nothing is scheduled in a step in which all wait for their grammars, and the step is no end.",
       on=alone, about="grammar wait", vllm=SCHEDULE)
def test_a_step_may_be_empty(run):
    assert [bool(step.scheduled) for step in run.steps[:3]] == [False, False, True]


@claim("A grammar that is compiled when its request is first looked at costs no step.",
       on=at_once, about="admission", vllm=BLOCKED)
def test_ready_at_once(run):
    assert admitted(run)[0] == ["a"]


@claim("A grammar that is compiled while the model runs counts from the next step on.",
       on=between_the_halves, about="grammar wait", vllm=BLOCKED)
def test_compiled_between_the_halves(run):
    assert admitted(run)[:3] == [[], [], ["a"]]


@claim("Who is passed over keeps its place, also before one that does not fit: as soon as its grammar is there, it is admitted.",
       on=too_long_behind, about=("grammar wait", "waiting"), vllm=SCHEDULE)
def test_it_keeps_its_place(run):
    assert run.steps[1].updated_state.waiting == ("a", "c") and admitted(run)[3] == ["a"]


@claim("Under the priority policy a less urgent request is admitted while a more urgent one waits for its grammar.",
       on=urgent, about="grammar wait", vllm=SCHEDULE)
def test_the_less_urgent_pass_too(run):
    order = sum(admitted(run), [])
    assert order.index("a") < order.index("b") and order.index("c") < order.index("b")


@claim("What others have cached while a request waited for its grammar is a hit for it.",
       on=shared, about=("grammar wait", "cache hit"), vllm=BLOCKED)
def test_it_profits_from_those_who_passed(run):
    assert next(share for step in run.steps for share in step.admitted if share.request_id == "a").num_computed_tokens == 8


@claim("A grammar that cannot be compiled ends its request with an error, at the end of the step that saw it, and nobody else notices.",
       on=broken, about="error end", vllm=UPDATE)
def test_an_error_ends_one_request(run):
    assert ends(run).get("b") == (1, "error") and {ends(run)[name][1] for name in "ac"} == {"length"}
    assert len(run.steps[-1].updated_state.free_blocks) == 11


@claim("With one step in flight, two steps see that a grammar cannot be compiled, and its request ends once.",
       on=seen_twice, about=("error end", "step in flight"), vllm=UPDATE)
def test_an_error_seen_twice_ends_one_request(run):
    ends = [(step.index, output.finish_reason) for step in run.steps for output in step.outputs if output.request_id == "b"]
    assert ends == [(1, "error")], f"b ended {ends}"


@claim("A grammar that cannot be compiled ends its request in the very next step.",
       on=broken_without_a_seat, about="error end", vllm=BLOCKED, misconception=True)
def test_an_error_is_seen_at_once(run):
    assert ends(run)["b"][0] == 1


@claim("Nobody looks at a request's grammar before there is a seat for it, so that its error is told only then.",
       on=broken_without_a_seat, about="error end", vllm=SCHEDULE)
def test_an_error_needs_a_seat_to_be_seen(run):
    assert ends(run)["b"][0] == ends(run)["a"][0] + 1


@claim("A token that the grammar rejects ends the request with an error, and is delivered all the same.",
       on=rejected, about="error end", vllm=UPDATE)
def test_a_rejected_token_is_the_last(run):
    told = [token for step in run.steps for done in step.outputs if done.request_id == "a" for token in done.new_token_ids]
    assert len(told) == 3 and ends(run)["a"][1] == "error"


@claim("A preempted request does not wait for its grammar again.",
       on=crowded, about=("preemption", "resumption"), vllm=SCHEDULE)
def test_a_grammar_outlives_a_preemption(run):
    preempted = next(step.index for step in run.steps if "b" in step.preempted)
    assert any(share.request_id == "b" for step in run.steps[preempted:] for share in step.resumed)


@claim("With admission paused, a grammar that becomes ready admits nobody.",
       on=paused, about=("pause", "grammar wait"), vllm=SCHEDULE)
def test_a_pause_holds_it_too(run):
    assert admitted(run)[:4] == [[], [], [], ["a"]]


@claim("A request that is aborted while it waits for its grammar is gone, and the grammar that comes late changes nothing.",
       on=aborted, about=("abort", "grammar wait"), vllm="v1/core/sched/scheduler.py::Scheduler.finish_requests")
def test_an_abort_does_not_wait_for_the_grammar(run):
    assert "a" not in run.steps[2].scheduled_state.waiting and "a" not in sum(admitted(run), [])
