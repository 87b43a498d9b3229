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
}
