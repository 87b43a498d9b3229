"""A model whose layers all have a sliding window, whole: the same tokens as the real vLLM's, from blocks that are freed on the way."""
import json
import shutil
from pathlib import Path

import pytest

from impl.errors import InvalidConfigError
from impl.sampling_params import SamplingParams
from spec.engine.side_by_side import LIMITS, NOISE, folder, needs_torch, needs_vllm, our_llm

WINDOW = 48     # tokens: one block of 32 and a half
GREEDY = SamplingParams(temperature=0, max_tokens=60, ignore_eos=True, logprobs=2)


def checkpoint(path: Path, **more) -> str:
    """The small Llama, whose weights were trained to see everything, with other fields in its config.json."""
    shutil.copytree(folder("llama"), path)
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(config | more))
    return str(path)


@pytest.fixture(scope="module")
def windowed(tmp_path_factory) -> str:
    return checkpoint(tmp_path_factory.mktemp("window") / "llama", sliding_window=WINDOW, layer_types=["sliding_attention"] * 4)


def prompts() -> list[dict]:
    """From one token to several windows; the last two begin alike."""
    said = our_llm("llama").generate("The ", SamplingParams(temperature=0, max_tokens=300, ignore_eos=True))[0].outputs[0].token_ids
    apart = [list(said[start:start + length]) for start, length in enumerate((1, 20, 47, 48, 49, 96, 130, 256))]
    return [{"prompt_token_ids": token_ids} for token_ids in [*apart, list(said[:150]), list(said[:140] + said[200:220])]]


def ours(model: str, **limits):
    from impl.llm import LLM    # imports torch
    return LLM(model, dtype="float32", block_size=32, **LIMITS | limits)


def told(outputs) -> list[tuple[int, ...]]:
    return [tuple(output.outputs[0].token_ids) for output in outputs]


@needs_vllm
def test_the_same_tokens_as_vllm(windowed):
    from reference.vllm_llm import vllm_llm
    asked = prompts()
    outputs, expected = ours(windowed).generate(asked, GREEDY), vllm_llm(windowed, **LIMITS).generate(asked, GREEDY)
    assert told(outputs) == told(expected)
    for output, other in zip(outputs, expected):
        for position, theirs in zip(output.outputs[0].logprobs, other.outputs[0].logprobs):
            assert all(abs(position[token_id].logprob - theirs[token_id].logprob) < NOISE for token_id in position.keys() & theirs.keys())
    # A few tokens in, nobody sees what it would without a window.
    assert sum(one != other for one, other in zip(told(outputs), told(our_llm("llama").generate(asked, GREEDY)))) >= 8


@needs_torch
@pytest.mark.parametrize("limits", [{"num_gpu_blocks_override": 14, "max_num_batched_tokens": 64, "max_num_seqs": 4}, {"enable_prefix_caching": False},
                                    {"max_num_batched_tokens": 16}, {"max_num_batched_tokens": 64, "async_scheduling": True}],
                         ids=["small pool", "no prefix cache", "short chunks", "a step in flight"])
def test_limits_change_no_token(windowed, limits):
    asked = prompts()
    alone = [ours(windowed).generate([prompt], GREEDY)[0] for prompt in asked]
    assert told(ours(windowed, **limits).generate(asked, GREEDY)) == told(alone)


@needs_torch
def test_blocks_are_freed_while_a_request_runs(windowed):
    """256 tokens and 60 more are ten blocks of 32; the window and a step of 32 tokens are four at most."""
    llm = ours(windowed, num_gpu_blocks_override=6, max_num_batched_tokens=32)
    assert len(llm.generate([prompts()[7]], GREEDY)[0].outputs[0].token_ids) == 60
    with pytest.raises(InvalidConfigError, match="LLM has no argument 'sliding_window'"):
        ours(windowed, sliding_window=8)


@needs_torch
def test_what_is_not_computed_is_refused(windowed, tmp_path):
    from impl.checkpoint import CheckpointError
    mixed = checkpoint(tmp_path / "mixed", sliding_window=WINDOW, layer_types=["full_attention", "sliding_attention"] * 2)
    with pytest.raises(CheckpointError, match="only some layers have a sliding window"):
        ours(mixed)
    with pytest.raises(InvalidConfigError, match="beside async_scheduling or a sliding_window"):
        ours(windowed, speculative_config={"method": "ngram", "num_speculative_tokens": 3})
    with pytest.raises(InvalidConfigError, match="choose kernels=False"):
        ours(windowed, kernels=True)
