"""Where our engine knowingly decides otherwise than vLLM, why, and where to read on.

By the name of the claim that shows it. The list is strict: an entry whose claim does
not diverge any more fails.
"""
from typing import NamedTuple


class KnownDivergence(NamedTuple):
    reason: str
    link: str


SCHEDULER = "https://github.com/vllm-project/vllm/blob/v0.32.0/vllm/v1/core/sched/scheduler.py"
INPUT_PROCESSOR = "https://github.com/vllm-project/vllm/blob/v0.32.0/vllm/v1/engine/input_processor.py"
SAMPLER = "https://github.com/vllm-project/vllm/blob/v0.32.0/vllm/v1/sample/sampler.py"
TOP_P = "https://github.com/vllm-project/vllm/blob/v0.32.0/vllm/v1/sample/ops/topk_topp_sampler.py"
MODEL_RUNNER = "https://github.com/vllm-project/vllm/blob/v0.32.0/vllm/v1/worker/gpu_model_runner.py"
LOGITS_PROCESSORS = "https://github.com/vllm-project/vllm/blob/v0.32.0/vllm/v1/sample/logits_processor/builtin.py"
NOTHING_LEFT = "where a request's own rules forbid every token, vLLM takes token 0, forbidden as it is; ours ends the request with an error"

KNOWN_DIVERGENCES = {
    "test_an_unknown_id_is_ignored": KnownDivergence(
        "vLLM passes over an id that is not here; ours raises UnknownRequestError, so that a typing error is noticed", SCHEDULER),
    "test_an_empty_prompt_crashes_the_bare_scheduler": KnownDivergence(
        "ours refuses an empty prompt at the scheduler's door; vLLM does so above it, in its InputProcessor", INPUT_PROCESSOR),
    "test_the_bare_scheduler_takes_a_prompt_of_max_model_len": KnownDivergence(
        "ours refuses a prompt that leaves no room for a token at the scheduler's door; vLLM does so above it", INPUT_PROCESSOR),
    "test_the_bare_scheduler_gives_too_few_blocks_to_a_prompt_too_long": KnownDivergence(
        "ours refuses a prompt that is too long at the scheduler's door; vLLM does so above it", INPUT_PROCESSOR),
    "test_a_prompt_too_long_hangs_in_the_bare_scheduler": KnownDivergence(
        "ours refuses a prompt that is too long at the scheduler's door; vLLM does so above it", INPUT_PROCESSOR),
    "test_a_small_prefill_cap_crashes": KnownDivergence(
        "vLLM pads a request to one token and all drafts, cuts it to the cap, and then asserts that it was not cut; ours gives no placeholders "
        "that the cap would cut", SCHEDULER),
    "test_token_zero_comes_when_none_is_left": KnownDivergence(NOTHING_LEFT, SAMPLER),
    "test_contradicting_rules_are_refused": KnownDivergence(NOTHING_LEFT, SAMPLER),
    "test_allowed_tokens_are_a_promise": KnownDivergence(NOTHING_LEFT, SAMPLER),
    "test_a_mate_with_top_p_drops_what_cannot_come": KnownDivergence(
        "with a batch mate that asks for top-p, vLLM also filters rows that do not; no token is chosen otherwise, and ours filters who asks", TOP_P),
    "test_a_seed_and_a_chunk_crash_on_a_cpu": KnownDivergence(
        "on a CPU, vLLM crashes when it takes back what it drew for a prompt that is not computed to its end; ours draws for nobody else", MODEL_RUNNER),
    "test_min_tokens_lasts_to_the_end_of_a_step": KnownDivergence(
        "vLLM forbids an end to the token behind the drafts by what was said before the step, so that it may come later with drafts than without; "
        "ours counts the drafts, and says the same with and without", LOGITS_PROCESSORS),
    "test_a_seed_too_large_crashes": KnownDivergence(
        "vLLM accepts a seed of more than 64 bits and crashes in a later step, with all batch mates; ours refuses it at the door", MODEL_RUNNER),
}
