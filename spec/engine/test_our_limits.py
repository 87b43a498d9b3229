"""Our engine under limits that vLLM's CPU build does not take: still vLLM's tokens, and no block is lost."""
import pytest

from impl.sampling_params import SamplingParams
from spec.engine.side_by_side import MODELS, needs_vllm, our_llm, ours, theirs, token_prompts

pytestmark = [needs_vllm, pytest.mark.parametrize("model", MODELS)]
GREEDY = SamplingParams(temperature=0, max_tokens=40)


def told(outputs):
    return [(done.token_ids, done.text, done.finish_reason, done.stop_reason) for output in outputs for done in output.outputs]


@pytest.mark.parametrize("limits", [
    {"block_size": 1, "num_gpu_blocks_override": 1100}, {"block_size": 3, "num_gpu_blocks_override": 175},
    {"block_size": 16, "max_num_batched_tokens": 17}, {"block_size": 512, "num_gpu_blocks_override": 4},
], ids=["blocks of one token", "odd blocks, crowded", "odd chunks", "a block for each"])
def test_the_same_tokens_on_blocks_of_any_size(model, limits):
    prompts = token_prompts(model)
    assert told(ours(model, prompts, GREEDY, **limits)) == told(theirs(model, prompts, GREEDY))
    manager = our_llm(model, **limits).engine.scheduler.block_manager
    assert len(manager.free_blocks) == manager.pool.num_blocks - 1
