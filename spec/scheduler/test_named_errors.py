"""Our own doors: bad input gets a named error that says what to do, and nothing has changed."""
import pytest

from impl import Request, SamplingParams, Scheduler, SchedulerConfig
from impl.errors import (DuplicateRequestError, EmptyPromptError, InvalidConfigError, InvalidSamplingParamsError, PoolTooSmallError,
                         PromptTooLongError, UnknownRequestError)

SMALL = dict(num_blocks=6, block_size=4, max_model_len=20, max_num_batched_tokens=32, max_num_seqs=4)


def busy_scheduler() -> Scheduler:
    """One request runs, one waits for a seat."""
    scheduler = Scheduler(SchedulerConfig(**SMALL | {"max_num_seqs": 1}))
    scheduler.add_request(Request("runs", range(5)))
    scheduler.add_request(Request("waits", range(5)))
    scheduler.schedule()
    return scheduler


def state(scheduler: Scheduler) -> tuple:
    return (list(scheduler.requests), [request.request_id for request in scheduler.running],
            [request.request_id for request in scheduler.waiting], scheduler.block_manager.free_blocks,
            scheduler.finished_req_ids, scheduler.preempted_req_ids)


@pytest.mark.parametrize("request_, error, advice", [
    (Request("runs", range(3)), DuplicateRequestError, "choose another id"),
    (Request("waits", range(3)), DuplicateRequestError, "choose another id"),
    (Request("empty", ()), EmptyPromptError, "at least one token"),
    (Request("long", range(20)), PromptTooLongError, "shorten it to 19 tokens"),
    (Request("greedy", range(5), SamplingParams(max_tokens=None, min_tokens=16)), InvalidSamplingParamsError, "15 tokens that fit"),
], ids=lambda value: value.request_id if isinstance(value, Request) else "")
def test_a_request_refused_at_the_door(request_, error, advice):
    scheduler = busy_scheduler()
    before = state(scheduler)
    with pytest.raises(error, match=advice) as caught:
        scheduler.add_request(request_)
    assert repr(request_.request_id) in str(caught.value)
    assert state(scheduler) == before
    scheduler.abort("runs")     # and the others go on
    assert [share.request_id for share in scheduler.schedule().scheduled] == ["waits"]


def test_aborting_an_unknown_id_changes_nothing():
    scheduler = busy_scheduler()
    before = state(scheduler)
    with pytest.raises(UnknownRequestError, match="'nobody'"):
        scheduler.abort("nobody")
    assert state(scheduler) == before


def test_a_request_refused_can_come_again():
    scheduler = busy_scheduler()
    again = Request("runs", range(3))
    with pytest.raises(DuplicateRequestError):
        scheduler.add_request(again)
    scheduler.abort("runs")
    scheduler.add_request(again)
    assert [request.request_id for request in scheduler.waiting] == ["waits", "runs"]


@pytest.mark.parametrize("limit, advice", [
    ({"num_blocks": 0}, "num_blocks=0: must be at least 1"),
    ({"block_size": -4}, "block_size=-4"),
    ({"max_num_batched_tokens": 3}, "raise the first or lower the second"),
    ({"enable_chunked_prefill": False, "max_num_batched_tokens": 8}, "without chunked prefill"),
    ({"max_num_active_seqs": 9}, "between 1 and max_num_seqs=4"),
    ({"long_prefill_token_threshold": -1}, "between 0"),
    ({"watermark": 1.0}, r"in \[0, 1\)"),
    ({"policy": "random"}, "fcfs, priority"),
    ({"sliding_window": 0}, "at least 1, as a token sees itself"),
    ({"sliding_window": 8, "kv_cache_groups": ("full",)}, "choose each of full_attention, sliding_window"),
    ({"kv_cache_groups": ("full_attention", "sliding_window")}, "give a sliding_window"),
    ({"sliding_window": 8, "kv_cache_groups": ("full_attention",)}, "at least one group of that kind"),
], ids=lambda value: "-".join(value) if isinstance(value, dict) else "")
def test_a_limit_that_cannot_be(limit, advice):
    with pytest.raises(InvalidConfigError, match=advice):
        SchedulerConfig(**SMALL | limit)


@pytest.mark.parametrize("params, advice", [
    ({"n": 0}, "n=0"), ({"max_tokens": 0}, "max_tokens=0"), ({"min_tokens": -1}, "must not be negative"),
    ({"min_tokens": 5, "max_tokens": 4}, "must not exceed max_tokens=4"), ({"prompt_logprobs": -2}, "prompt_logprobs=-2"),
], ids=lambda value: "-".join(value) if isinstance(value, dict) else "")
def test_sampling_parameters_that_cannot_be(params, advice):
    with pytest.raises(InvalidSamplingParamsError, match=advice):
        SamplingParams(**params)


def test_a_pool_too_small_says_what_would_do():
    config = SchedulerConfig(**SMALL | {"max_model_len": 21})
    with pytest.raises(PoolTooSmallError, match="raise num_blocks to 7 or lower max_model_len to 20"):
        config.require_pool_for_one_sequence()
    SchedulerConfig(**SMALL).require_pool_for_one_sequence()


def test_a_pool_too_small_for_windows():
    """A window of 5 tokens and a step of 8 are 12 tokens: three blocks of 4, and one more where it begins within a block."""
    windowed = SMALL | {"max_num_batched_tokens": 8, "max_model_len": 400, "sliding_window": 5}
    SchedulerConfig(**windowed | {"num_blocks": 5}).require_pool_for_one_sequence()
    with pytest.raises(PoolTooSmallError, match="needs 4 blocks of 4, the pool has 3 beside the null block; raise num_blocks to 5$"):
        SchedulerConfig(**windowed | {"num_blocks": 4}).require_pool_for_one_sequence()
    with pytest.raises(PoolTooSmallError, match="needs 104 blocks"):
        SchedulerConfig(**windowed | {"num_blocks": 5, "kv_cache_groups": ("full_attention", "sliding_window")}).require_pool_for_one_sequence()
