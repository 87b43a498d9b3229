"""What an engine refuses to be built with."""
from spec.bench import claim, prompts

MODEL_LEN, CHECK = "config/model.py::_get_and_verify_max_len", "v1/core/kv_cache_utils.py::_check_enough_kv_cache_memory"
SCHEDULER = "config/scheduler.py::SchedulerConfig"


def build(**limits):
    return prompts(**limits).ask("a", "The", max_tokens=2)


@claim("An engine is built for no more tokens than the checkpoint knows positions.", on=build(max_model_len=2048, num_gpu_blocks_override=80),
       about="refusal", vllm=MODEL_LEN)
def test_positions_end(run):
    assert run.ended == "refused" and "max_model_len" in run.error, run.error


@claim("All of the checkpoint's positions can be used.", on=build(max_model_len=1024), about="greedy", vllm=MODEL_LEN)
def test_all_positions_can_be_used(run):
    assert run.requests["a"].finished


@claim("An engine whose pool cannot hold one sequence of max_model_len tokens is not built.", on=build(num_gpu_blocks_override=16),
       about="refusal", vllm=CHECK)
def test_a_pool_too_small_for_one(run):
    assert run.ended == "refused", "512 tokens are 16 blocks of 32, and one block is the null block"


@claim("A pool for one sequence and the null block is enough.", on=build(num_gpu_blocks_override=17), about="greedy", vllm=CHECK)
def test_a_pool_for_one_is_enough(run):
    assert run.requests["a"].finished


@claim("A dtype that no model is computed in is refused.", on=build(dtype="int8"), about="refusal", vllm="config/model.py::ModelConfig")
def test_an_unknown_dtype(run):
    assert run.ended == "refused" and "float32" in run.error, f"the error names those there are: {run.error}"


@claim("A token budget below the number of seats is refused.", on=build(max_num_batched_tokens=4, max_num_seqs=8), about="refusal", vllm=SCHEDULER)
def test_a_budget_below_the_seats(run):
    assert run.ended == "refused" and "max_num_seqs" in run.error, run.error


@claim("A policy other than fcfs and priority is refused.", on=build(scheduling_policy="lifo"), about="refusal", vllm=SCHEDULER)
def test_an_unknown_policy(run):
    assert run.ended == "refused" and "priority" in run.error, run.error


@claim("An engine without a seat is refused.", on=build(max_num_seqs=0), about="refusal", vllm=SCHEDULER)
def test_no_seat(run):
    assert run.ended == "refused", run.error


@claim("max_logprobs below -1 is refused.", on=build(max_logprobs=-2), about="refusal", vllm="config/model.py::ModelConfig")
def test_max_logprobs_has_a_bound(run):
    assert run.ended == "refused", run.error


@claim("A logprobs_mode that does not exist is refused.", on=build(logprobs_mode="cooked"), about="refusal", vllm="config/model.py::ModelConfig")
def test_an_unknown_logprobs_mode(run):
    assert run.ended == "refused" and "raw_logprobs" in run.error, run.error
