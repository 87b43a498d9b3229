"""Ends: what finishes a request, what it leaves behind, and when."""
from spec.bench import EOS, claim, workload

CHECK_STOP = "v1/core/sched/utils.py::check_stop"
UPDATE = "v1/core/sched/scheduler.py::Scheduler.update_from_output"
SCHEDULE = "v1/core/sched/scheduler.py::Scheduler.schedule"
FREE = "v1/core/sched/scheduler.py::Scheduler._free_request"
PARAMS = "sampling_params.py::SamplingParams.update_from_generation_config"

ends = (workload(num_blocks=16)
        .request("eos", prompt=4, max_tokens=8, says={3: EOS})
        .request("ignores", prompt=4, max_tokens=5, ignore_eos=True, says={3: EOS})
        .request("stop", prompt=4, max_tokens=8, stop_token_ids=(77, 78), says={2: 78})
        .request("both", prompt=4, max_tokens=8, ignore_eos=True, stop_token_ids=(77,), says={2: EOS, 4: 77}))

at_once = (workload(num_blocks=16, max_model_len=8)
           .request("eos", prompt=4, max_tokens=3, says={3: EOS})
           .request("stop", prompt=4, max_tokens=3, stop_token_ids=(77,), says={3: 77})
           .request("full", prompt=6, max_tokens=9, says={2: EOS})
           .request("listed", prompt=4, stop_token_ids=(EOS,), says={2: EOS})
           .request("ignored", prompt=4, ignore_eos=True, stop_token_ids=(EOS,), says={2: EOS}))

too_early = (workload(num_blocks=8)
             .request("eos", prompt=4, min_tokens=4, max_tokens=6, says={2: EOS})
             .request("stop", prompt=4, min_tokens=4, max_tokens=6, stop_token_ids=(77,), says={1: 77}))

full = (workload(num_blocks=9, max_model_len=8, max_num_seqs=2)
        .request("a", prompt=5, max_tokens=10)
        .request("b", prompt=6, max_tokens=2)
        .request("c", prompt=7, max_tokens=2, arrives=1)
        .request("d", prompt=5, max_tokens=1, arrives=1))

no_room_for_min_tokens = workload(num_blocks=9, max_model_len=8).request("a", prompt=5, max_tokens=10, min_tokens=6)

unlimited = workload(num_blocks=7, max_model_len=22).request("a", prompt=4, max_tokens=None)

one_seat = (workload(num_blocks=4, max_num_seqs=1)
            .request("a", prompt=6, max_tokens=3)
            .request("b", prompt=9, max_tokens=2))

gap = (workload(num_blocks=4)
       .request("a", prompt=4, max_tokens=2)
       .request("b", prompt=4, max_tokens=1, arrives=4))


def last_output(run, request_id):
    return next(done for step in run.steps for done in step.outputs if done.request_id == request_id and done.finish_reason)


def end_of(run, request_id):
    """How many tokens it generated, its finish reason and its stop reason."""
    done = last_output(run, request_id)
    return len(run.outputs[request_id]), done.finish_reason, done.stop_reason


@claim("The EOS token ends a request with the reason stop, names no stop token, and is part of the output.",
       on=ends, about="stop", vllm=CHECK_STOP)
def test_eos_ends_a_request(run):
    assert end_of(run, "eos") == (3, "stop", None)
    assert run.outputs["eos"][-1] == EOS


@claim("With ignore_eos a request goes on after the EOS token.", on=ends, about="length", vllm=PARAMS)
def test_ignore_eos_goes_on(run):
    assert run.outputs["ignores"][2] == EOS
    assert end_of(run, "ignores") == (5, "length", None)


@claim("Any of its stop tokens ends a request, is part of the output, and is named as the stop reason.",
       on=ends, about="stop", vllm=CHECK_STOP)
def test_a_stop_token_ends_a_request(run):
    assert end_of(run, "stop") == (2, "stop", 78)
    assert run.outputs["stop"][-1] == 78


# Benchmarks set ignore_eos to get outputs of a fixed length. It turns off the one EOS token, nothing else.
@claim("With ignore_eos a request always runs to its max_tokens.", on=ends, about="stop", vllm=CHECK_STOP, misconception=True)
def test_ignore_eos_runs_to_max_tokens(run):
    assert len(run.outputs["both"]) == 8, f"it ended after {len(run.outputs['both'])} tokens: {run.finish_reasons['both']}"


@claim("An EOS token that is listed as a stop token ends even a request that ignores EOS.",
       on=at_once, about="stop", vllm=CHECK_STOP)
def test_a_listed_eos_ends_a_request_that_ignores_eos(run):
    assert end_of(run, "ignored") == (2, "stop", EOS)


@claim("EOS is looked for before the stop tokens: listed among them, it still names no stop token.",
       on=at_once, about="stop", vllm=CHECK_STOP)
def test_eos_is_looked_for_before_stop_tokens(run):
    assert end_of(run, "listed") == (2, "stop", None)


@claim("A token that both stops a request and exhausts its max_tokens or max_model_len ends it with the reason stop.",
       on=at_once, about="stop", vllm=CHECK_STOP)
def test_stop_goes_before_length(run):
    assert end_of(run, "eos") == (3, "stop", None)
    assert end_of(run, "stop") == (3, "stop", 77)
    assert end_of(run, "full") == (2, "stop", None)


# The name says so, and the stop checkers of V0 and of earlier V1 did so. In 0.32.0 the sampler masks EOS and stop tokens until
# min_tokens is reached (v1/sample/logits_processor); the scheduler asks min_tokens of repetitions only.
@claim("The scheduler lets a request go on at an EOS or stop token that comes before its min_tokens.",
       on=too_early, about="stop", vllm=CHECK_STOP, misconception=True)
def test_min_tokens_guards_against_an_early_end(run):
    for request_id, tokens in run.outputs.items():
        assert len(tokens) >= 4, f"{request_id} ended after {len(tokens)} tokens: {run.finish_reasons[request_id]}"


@claim("An EOS or stop token that comes before min_tokens ends a request all the same: to keep it from coming is the sampler's work.",
       on=too_early, about="stop", vllm=CHECK_STOP)
def test_an_early_stop_token_is_obeyed(run):
    assert end_of(run, "eos") == (2, "stop", None)
    assert end_of(run, "stop") == (1, "stop", 77)


@claim("A request that reaches max_model_len before its min_tokens ends there, with the reason length.",
       on=no_room_for_min_tokens, about="length", vllm=CHECK_STOP)
def test_max_model_len_comes_before_min_tokens(run):
    assert end_of(run, "a") == (3, "length", None)


@claim("A request whose prompt and output reach max_model_len ends with the reason length, whatever its max_tokens.",
       on=full, about="length", vllm=CHECK_STOP)
def test_max_model_len_ends_a_request(run):
    assert end_of(run, "a") == (3, "length", None)
    assert end_of(run, "c") == (1, "length", None)


@claim("Without max_tokens a request may generate until max_model_len.", on=unlimited, about="length",
       vllm="v1/engine/input_processor.py::InputProcessor.process_inputs")
def test_without_max_tokens_a_request_runs_to_max_model_len(run):
    assert run.ended == "finished", run.error
    assert end_of(run, "a") == (18, "length", None)


@claim("A request of max_tokens 1 ends in the very step that computes its prompt.", on=full, about="length", vllm=CHECK_STOP)
def test_one_token_needs_one_step(run):
    assert [share.kind for share in run.shares("d")] == ["new"]
    assert end_of(run, "d") == (1, "length", None)


@claim("The last token of a request is sampled and never computed.", on=(ends, full), about="finish", vllm=UPDATE)
def test_the_last_token_is_never_computed(*runs):
    for run in runs:
        for spec in run.workload.requests:
            computed = sum(share.num_tokens for share in run.shares(spec.request_id))
            assert computed == spec.num_prompt_tokens + len(run.outputs[spec.request_id]) - 1


@claim("A finished request leaves the running ones at once, and the others keep their order.",
       on=ends, about="finish", vllm=UPDATE)
def test_a_finished_request_leaves_at_once(run):
    assert run.steps[1].scheduled_state.running == ("eos", "ignores", "stop", "both")
    assert [step.updated_state.running for step in run.steps[1:4]] == [("eos", "ignores", "both"), ("ignores", "both"), ("ignores",)]


@claim("The workers are told of an end one step later.", on=ends, about="finish", vllm=FREE)
def test_the_workers_are_told_one_step_later(run):
    ended = [tuple(sorted(done.request_id for done in step.outputs if done.finish_reason)) for step in run.steps]
    assert [step.finished for step in run.steps] == [()] + ended[:-1] == [(), (), ("stop",), ("eos",), ("both",)]


@claim("A step that schedules nothing still tells the workers who has finished.", on=gap, about="finish", vllm=SCHEDULE)
def test_an_empty_step_tells_of_an_end(run):
    assert [(len(step.scheduled), step.finished) for step in run.steps] == [(1, ()), (1, ()), (0, ("a",)), (0, ()), (1, ())]


@claim("The blocks of a finished request are free before the next step is decided.", on=one_seat, about="finish", vllm=FREE)
def test_blocks_are_freed_with_the_last_token(run):
    step = run.steps[2]
    assert step.scheduled_state.free_blocks == (3,)
    assert step.updated_state.free_blocks == (3, 2, 1)


@claim("The next step may give the seat and the blocks of a finished request to another.",
       on=one_seat, about=("finish", "waiting"), vllm=SCHEDULE)
def test_a_finished_request_makes_room(run):
    assert run.steps[2].scheduled_state.waiting == ("b",)
    assert run.first_step("b").index == 3
    assert run.shares("b")[0].new_block_ids == (3, 2, 1)
