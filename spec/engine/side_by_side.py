"""One set of prompts, through `impl` and through the real vLLM, with the same weights and the same limits."""
import functools
import os
from importlib.util import find_spec
from pathlib import Path

import pytest

import reference.checkpoint
from impl.request_output import RequestOutput
from impl.sampling_params import SamplingParams
from reference.vllm_llm import BLOCK_SIZE, vllm_llm
from reference.vllm_scheduler import installed_device

DEVICE = installed_device()     # ours computes where vLLM does
MODELS = ("qwen3", "llama")
LIMITS = {"num_gpu_blocks_override": 49, "max_model_len": 512, "max_num_batched_tokens": 256, "max_num_seqs": 16}
NOISE = 5e-5    # two ways to add up the same float32 logits differ by less
GREEDY = SamplingParams(temperature=0, max_tokens=12)

needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason="there is no torch here to run a model with; 'make spec' installs it")
needs_vllm = pytest.mark.skipif((find_spec("vllm") is None or find_spec("torch") is None) and not os.environ.get("CI"),
                                reason="UNTESTED: the engine claims ask the real vLLM; 'make spec' installs it")


def folder(model: str) -> str:
    return str(Path(reference.checkpoint.__file__).parent / model)


@functools.cache
def our_llm(model: str, **limits):
    from impl.llm import LLM    # imports torch
    return LLM(folder(model), **{"dtype": "float32", "device": DEVICE, "block_size": BLOCK_SIZE, **LIMITS, **limits})


def ours(model: str, prompts: list, params: SamplingParams | list[SamplingParams], **limits) -> list[RequestOutput]:
    return our_llm(model, **limits).generate(prompts, params)


def theirs(model: str, prompts: list, params: SamplingParams | list[SamplingParams]) -> list[RequestOutput]:
    return vllm_llm(folder(model), **LIMITS).generate(prompts, params)


def told(outputs: list[RequestOutput]) -> list[tuple]:
    """What users go by, sequence by sequence."""
    return [(done.index, done.token_ids, done.text, done.finish_reason, done.stop_reason) for output in outputs for done in output.outputs]


def state(llm) -> tuple:
    """All of our engine that a refused request could have changed."""
    scheduler = llm.engine.scheduler
    return (list(scheduler.requests), len(scheduler.waiting), len(scheduler.running), list(scheduler.block_manager.free_blocks),
            sorted(llm.engine.output_processor.children), sorted(llm.engine.output_processor.families), scheduler.finished_req_ids)


def token_prompts(model: str) -> list[dict]:
    """Token prompts of many lengths, some with a common beginning, cut from the model's own text."""
    llm = our_llm(model)
    said = llm.generate("The ", SamplingParams(temperature=0, max_tokens=300, ignore_eos=True))[0].outputs[0].token_ids
    lengths = (1, 2, 3, 5, 8, 13, 21, 31, 32, 33, 47, 63, 64, 65, 96, 127, 128, 150, 200, 256)
    apart = [said[start:start + length] for start, length in enumerate(lengths)]
    alike = [said[:64] + said[start:start + 9] for start in range(70, 120, 10)]
    return [{"prompt_token_ids": list(token_ids)} for token_ids in apart + alike]


TEXTS = ["Once upon a time", "The king said", "a", "  two spaces", "Überraschung: naïve façade", "日本語", "🙂 and so on", "line\nbreak\n\n",
         "1 2 3 4 5", "\"Well,\" she said, \"", "the the the the", "END."]
