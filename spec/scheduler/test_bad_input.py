"""Bad input: what is refused, by whom, and what happens if nobody refuses it.

Most is checked above vLLM's scheduler: by its configuration, by SamplingParams and by
the InputProcessor. The bare scheduler trusts its caller.
"""
from spec.bench import claim, workload

ADD = "v1/core/sched/scheduler.py::Scheduler.add_request"
SCHEDULE = "v1/core/sched/scheduler.py::Scheduler.schedule"
LIMITS = "config/scheduler.py::SchedulerConfig"
VERIFY = "config/scheduler.py::SchedulerConfig.verify_max_model_len"
PROMPT = "v1/engine/input_processor.py::InputProcessor._validate_prompt_len"
PARAMS = "sampling_params.py::SamplingParams._verify_args"
MEMORY = "v1/core/kv_cache_utils.py::_check_enough_kv_cache_memory"
POOL = "v1/core/block_pool.py::BlockPool"
ALLOCATE = "v1/core/kv_cache_manager.py::KVCacheManager.allocate_slots"

same_id = (workload(num_blocks=8)
           .request("a", prompt=4, max_tokens=4)
           .request("a", prompt=6, max_tokens=2, arrives=1)
           .request("b", prompt=4, max_tokens=2, arrives=1))

same_id_later = (workload(num_blocks=8)
                 .request("a", prompt=6, max_tokens=2)
                 .request("a", prompt="b:6", max_tokens=1, arrives=2))

empty = (workload(num_blocks=8)
         .request("a", prompt=4, max_tokens=3)
         .request("b", prompt=0, arrives=1)
         .request("c", prompt=4, max_tokens=2, arrives=1))

at_the_door = (workload(num_blocks=8, max_model_len=8, engine=True)
               .request("empty", prompt=0)
               .request("equal", prompt=8)
               .request("longer", prompt=9)
               .request("fits", prompt=7, max_tokens=4))

equal = (workload(num_blocks=8, max_model_len=8)
         .request("a", prompt=8, max_tokens=4)
         .request("b", prompt=4, max_tokens=2))

longer = (workload(num_blocks=8, max_model_len=8)
          .request("a", prompt=11, max_tokens=4)
          .request("b", prompt=4, max_tokens=2))

longer_in_chunks = (workload(num_blocks=8, max_model_len=8, max_num_batched_tokens=6)
                    .request("a", prompt=11, max_tokens=4)
                    .request("b", prompt=4, max_tokens=2))

unfit_params = (workload(num_blocks=8)
                .request("no_tokens", prompt=4, max_tokens=0)
                .request("too_many", prompt=4, max_tokens=2, min_tokens=3)
                .request("negative", prompt=4, max_tokens=2, min_tokens=-1)
                .request("childless", prompt=4, max_tokens=2, n=0)
                .request("fits", prompt=4, max_tokens=2, min_tokens=2))

too_small = workload(num_blocks=5, max_model_len=20, engine=True).request("a", prompt=4, max_tokens=2)
just_enough = workload(num_blocks=6, max_model_len=20, engine=True).request("a", prompt=19, max_tokens=5)
too_small_unchecked = (workload(num_blocks=5, max_model_len=20)
                       .request("a", prompt=4, max_tokens=2)
                       .request("b", prompt=18, max_tokens=2))
null_block_only = workload(num_blocks=1, max_model_len=4).request("a", prompt=1, max_tokens=1)
no_block = workload(num_blocks=0, max_model_len=4).request("a", prompt=1, max_tokens=1)


def limited(**limits):
    return workload(num_blocks=8, max_model_len=20, **limits).request("a", prompt=4, max_tokens=2)


# Limits at the edge, and one step beyond it.
one_of_each = limited(max_num_batched_tokens=1, max_num_seqs=1)
no_budget = limited(max_num_batched_tokens=0, max_num_seqs=1)
no_seats = limited(max_num_seqs=0)
negative_seats = limited(max_num_seqs=-2)
a_token_per_seat = limited(max_num_batched_tokens=4, max_num_seqs=4)
more_seats_than_tokens = limited(max_num_batched_tokens=4, max_num_seqs=5)
longest_fits = limited(max_num_batched_tokens=20, enable_chunked_prefill=False)
longest_does_not_fit = limited(max_num_batched_tokens=19, enable_chunked_prefill=False)
longest_in_chunks = limited(max_num_batched_tokens=19)
all_seats_active = limited(max_num_seqs=4, max_num_active_seqs=4)
more_active_than_seats = limited(max_num_seqs=4, max_num_active_seqs=5)
none_active = limited(max_num_active_seqs=0)
highest_threshold = limited(long_prefill_token_threshold=20)
threshold_too_high = limited(long_prefill_token_threshold=21)
negative_threshold = limited(long_prefill_token_threshold=-1)
high_watermark = limited(watermark=0.99)
whole_pool_as_watermark = limited(watermark=1.0)
negative_watermark = limited(watermark=-0.1)
unknown_policy = limited(policy="lifo")


def ended(*runs):
    return [run.ended for run in runs]


# Requests

@claim("A request whose id is in use is refused.", on=same_id, about="refusal", vllm=ADD)
def test_an_id_in_use_is_refused(run):
    assert [step.refused for step in run.steps] == [(), ("request a",), (), ()]


@claim("A refused request leaves the one whose id it wanted unharmed, and all others.", on=same_id, about="refusal", vllm=ADD)
def test_a_refused_request_harms_nobody(run):
    assert run.finish_reasons == {"a": "length", "b": "length"}
    assert [(share.num_computed_tokens, share.num_tokens) for share in run.shares("a")] == [(0, 4), (4, 1), (5, 1), (6, 1)]
    assert run.steps[1].of("b").new_block_ids == (3,)


@claim("The id of a finished request can be used again, even in the step that tells of its end.",
       on=same_id_later, about="finish", vllm=ADD)
def test_the_id_of_a_finished_request_is_free(run):
    step = run.steps[2]
    assert step.refused == () and step.finished == ("a",)
    assert [(share.request_id, share.kind, share.num_tokens) for share in step.scheduled] == [("a", "new", 6)]


@claim("The engine refuses an empty prompt, and one that leaves no room for a token within max_model_len.",
       on=at_the_door, about="refusal", vllm=PROMPT)
def test_the_engine_refuses_prompts_that_do_not_fit(run):
    assert run.steps[0].refused == ("request empty", "request equal", "request longer")


@claim("A prompt one token short of max_model_len is taken, and yields one token.", on=at_the_door, about="length", vllm=PROMPT)
def test_the_longest_prompt_yields_one_token(run):
    assert len(run.outputs["fits"]) == 1 and run.finish_reasons == {"fits": "length"}


@claim("An empty prompt crashes the bare scheduler in the step that tries to admit it.", on=empty, about="crash", vllm=SCHEDULE)
def test_an_empty_prompt_crashes_the_bare_scheduler(run):
    assert run.ended == "crashed" and len(run.steps) == 1


@claim("The bare scheduler takes a prompt of exactly max_model_len tokens, and ends it after one token.",
       on=equal, about="length", vllm=SCHEDULE)
def test_the_bare_scheduler_takes_a_prompt_of_max_model_len(run):
    assert [(share.num_tokens, share.new_block_ids) for share in run.shares("a")] == [(8, (1, 2))]
    assert len(run.outputs["a"]) == 1 and run.finish_reasons["a"] == "length"


@claim("The bare scheduler computes a prompt longer than max_model_len on blocks for max_model_len tokens only.",
       on=longer, about="admission", vllm=ALLOCATE)
def test_the_bare_scheduler_gives_too_few_blocks_to_a_prompt_too_long(run):
    assert [(share.num_tokens, share.new_block_ids) for share in run.shares("a")] == [(11, (1, 2))]


@claim("A prompt longer than max_model_len that needs a second chunk hangs in the bare scheduler, holding its blocks for ever.",
       on=longer_in_chunks, about=("stall", "chunk"), vllm=SCHEDULE)
def test_a_prompt_too_long_hangs_in_the_bare_scheduler(run):
    assert run.ended == "stalled" and "a" not in run.finish_reasons
    assert [(share.num_computed_tokens, share.num_tokens) for share in run.shares("a")] == [(0, 6), (6, 1)]
    assert run.steps[-1].updated_state.running == ("a",) and len(run.steps[-1].updated_state.free_blocks) == 5


@claim("No tokens at most, more tokens at least than at most, a negative minimum and no children are refused with the request.",
       on=unfit_params, about="refusal", vllm=PARAMS)
def test_sampling_params_that_cannot_be_are_refused(run):
    assert run.steps[0].refused == ("request no_tokens", "request too_many", "request negative", "request childless")
    assert run.finish_reasons == {"fits": "length"} and len(run.outputs["fits"]) == 2


# Limits

@claim("A token budget or a number of seats below one is refused when the engine is built.",
       on=(one_of_each, no_budget, no_seats, negative_seats), about="refusal", vllm=LIMITS)
def test_limits_below_one_are_refused(*runs):
    assert ended(*runs) == ["finished", "refused", "refused", "refused"]


@claim("The token budget must have a token for each seat.",
       on=(a_token_per_seat, more_seats_than_tokens), about="refusal", vllm=VERIFY)
def test_the_budget_must_have_a_token_per_seat(*runs):
    assert ended(*runs) == ["finished", "refused"]


@claim("Without chunked prefill the token budget must cover max_model_len; with it, it need not.",
       on=(longest_fits, longest_does_not_fit, longest_in_chunks), about="refusal", vllm=VERIFY)
def test_without_chunks_the_budget_must_cover_the_longest_prompt(*runs):
    assert ended(*runs) == ["finished", "refused", "finished"]


@claim("There can be no more active seats than seats, and no fewer than one.",
       on=(all_seats_active, more_active_than_seats, none_active), about="refusal", vllm=VERIFY)
def test_active_seats_are_among_the_seats(*runs):
    assert ended(*runs) == ["finished", "refused", "refused"]


@claim("The long-prefill threshold lies between 0 and max_model_len.",
       on=(highest_threshold, threshold_too_high, negative_threshold), about="refusal", vllm=VERIFY)
def test_the_threshold_lies_within_max_model_len(*runs):
    assert ended(*runs) == ["finished", "refused", "refused"]


@claim("The watermark is a share of the pool, less than all of it.",
       on=(high_watermark, whole_pool_as_watermark, negative_watermark), about="refusal", vllm=LIMITS)
def test_the_watermark_is_less_than_the_pool(*runs):
    assert ended(*runs) == ["finished", "refused", "refused"]


@claim("A policy other than fcfs and priority is refused when the engine is built.",
       on=unknown_policy, about="refusal", vllm=LIMITS)
def test_an_unknown_policy_is_refused(run):
    assert run.ended == "refused" and run.steps == []


# The pool

# One block of the pool is the null block, which is never given out.
@claim("A pool of 5 blocks of 4 tokens is enough for a max_model_len of 20.",
       on=too_small, about="refusal", vllm=MEMORY, misconception=True)
def test_five_blocks_of_four_hold_twenty_tokens(run):
    assert run.ended != "refused", f"the engine refuses it: {run.error}"


@claim("The engine refuses a pool that cannot hold one sequence of max_model_len beside the null block, and takes one block more.",
       on=(too_small, just_enough), about="refusal", vllm=MEMORY)
def test_the_engine_refuses_a_pool_that_is_too_small(*runs):
    assert ended(*runs) == ["refused", "finished"]
    assert runs[1].shares("a")[0].new_block_ids == (1, 2, 3, 4, 5)


@claim("The bare scheduler takes a pool that is too small, and then never admits a prompt that cannot fit.",
       on=too_small_unchecked, about="stall", vllm=ALLOCATE)
def test_the_bare_scheduler_takes_a_pool_that_is_too_small(run):
    assert run.ended == "stalled" and run.finish_reasons == {"a": "length"}
    assert run.steps[-1].updated_state.waiting == ("b",) and run.steps[-1].updated_state.free_blocks == (2, 3, 4, 1)


@claim("A pool of one block serves nobody: it is the null block.", on=null_block_only, about="stall", vllm=POOL)
def test_a_pool_of_one_block_serves_nobody(run):
    assert run.ended == "stalled" and not run.shares("a")
    assert run.steps[0].scheduled_state.free_blocks == ()


@claim("A pool without a block is refused, even by the bare scheduler.", on=no_block, about="refusal", vllm=POOL)
def test_a_pool_without_a_block_is_refused(run):
    assert run.ended == "refused"
