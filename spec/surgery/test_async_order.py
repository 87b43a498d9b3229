"""The player keeps its steps in flight as vLLM's engine does, and nobody can get them out of order."""
import pytest

from impl import AsyncScheduler, Request, SamplingParams, SchedulerConfig
from impl.errors import StepsInFlightError
from reference.play import play
from reference.vllm_batch_queue import turned_by_the_engine
from reference.vllm_scheduler import VllmEngine, installed_version
from reference.workload import EOS, workload

WORKLOADS = {
    "chunks": workload(num_blocks=12, max_num_batched_tokens=8, async_scheduling=True).request("a", prompt=20, max_tokens=4),
    "ends": (workload(num_blocks=12, async_scheduling=True).request("eos", prompt=4, max_tokens=8, says={3: EOS})
             .request("cut", prompt=4, max_tokens=3).request("late", prompt=6, max_tokens=2, arrives=2)),
    "one seat": (workload(num_blocks=8, max_num_seqs=1, async_scheduling=True).request("a", prompt=4, max_tokens=3)
                 .request("b", prompt=4, max_tokens=9, says={2: EOS}).request("c", prompt=4, max_tokens=1)),
    "preemption": (workload(num_blocks=7, async_scheduling=True).request("a", prompt=8, max_tokens=8, says={7: EOS})
                   .request("b", prompt=8, max_tokens=8).request("c", prompt=2, max_tokens=2, arrives=5)),
    "abort": (workload(num_blocks=8, async_scheduling=True).request("a", prompt=6, max_tokens=9).request("b", prompt=6, max_tokens=4)
              .abort("a", at=2, between=True)),
}


@pytest.mark.skipif(installed_version() is None, reason="UNTESTED: vLLM's own loop is needed; 'make spec' installs it")
@pytest.mark.parametrize("name", WORKLOADS)
def test_the_player_takes_steps_in_the_order_of_the_engine(name):
    run = play(WORKLOADS[name], VllmEngine, "vllm")
    played = [happened for step in run.steps for happened in (("schedule", list(step.scheduled)), ("update", list(step.outputs)))]
    assert [(what, told) for what, told in played if told] == turned_by_the_engine(WORKLOADS[name])
    assert any(what == "update" for what, _ in played) and run.ended == "finished"


def scheduler_with_a_request():
    scheduler = AsyncScheduler(SchedulerConfig(num_blocks=8, block_size=4, async_scheduling=True))
    scheduler.add_request(Request("a", range(6), SamplingParams(max_tokens=9)))
    return scheduler


def test_a_third_step_in_flight_is_refused():
    scheduler = scheduler_with_a_request()
    first = scheduler.schedule()
    scheduler.schedule()
    free = scheduler.block_manager.free_blocks
    with pytest.raises(StepsInFlightError, match="update_from_output"):
        scheduler.schedule()
    assert scheduler.block_manager.free_blocks == free and scheduler.requests["a"].num_output_placeholders == 2
    assert [output.new_token_ids for output in scheduler.update_from_output(first, {"a": [77]})] == [(77,)]
    assert scheduler.schedule().scheduled[0].num_computed_tokens == 7


def test_a_step_that_was_not_scheduled_is_refused():
    scheduler = scheduler_with_a_request()
    output = scheduler.schedule()
    scheduler.update_from_output(output, {"a": [77]})
    with pytest.raises(StepsInFlightError, match="no step is in flight"):
        scheduler.update_from_output(output, {"a": [78]})
    assert scheduler.requests["a"].token_ids == [*range(6), 77]


def test_what_was_sampled_for_an_aborted_request_does_not_reach_the_next_of_its_name():
    """vLLM's scheduler without the engine, which makes its ids unique, hands it over and falls over its own count."""
    scheduler = scheduler_with_a_request()
    first = scheduler.schedule()
    scheduler.abort("a")
    scheduler.add_request(Request("a", range(50, 56), SamplingParams(max_tokens=9)))
    scheduler.schedule()
    assert scheduler.update_from_output(first, {"a": [77]}) == [] and scheduler.requests["a"].token_ids == [*range(50, 56)]


def test_what_is_in_flight_for_an_aborted_request_does_not_move_the_window_of_the_next_of_its_name():
    scheduler = AsyncScheduler(SchedulerConfig(num_blocks=12, block_size=4, max_num_batched_tokens=8, max_num_seqs=8, max_model_len=40,
                                               sliding_window=4, enable_prefix_caching=False, async_scheduling=True))
    scheduler.add_request(Request("a", range(20), SamplingParams(max_tokens=9)))
    first = scheduler.schedule()
    scheduler.abort("a")
    scheduler.add_request(Request("a", range(20), SamplingParams(max_tokens=9)))
    scheduler.schedule()
    scheduler.update_from_output(first, {})
    share = scheduler.schedule().scheduled[0]       # its first eight tokens are in flight, and see their first block
    assert share.num_computed_tokens == 8 and 0 not in scheduler.block_manager.group_tables("a")[0]
