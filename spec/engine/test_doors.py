"""The engine's door: what is refused leaves no trace, and what is built by default."""
import subprocess
import sys
from pathlib import Path

import pytest

from impl.errors import DuplicateRequestError, InferLabError, InvalidSamplingParamsError
from impl.sampling_params import SamplingParams
from spec.engine.side_by_side import DEVICE, GREEDY, LIMITS, TEXTS, folder, needs_torch, needs_vllm, our_llm, state, told

NGRAM = {"method": "ngram", "num_speculative_tokens": 3}


@needs_vllm
@pytest.mark.parametrize("prompt, params, error", [
    ([5, 1024], {}, "UnknownTokenError"), ([-1], {}, "UnknownTokenError"), ([], {}, "EmptyPromptError"), ("", {}, "EmptyPromptError"),
    ([5] * 512, {}, "PromptTooLongError"), ([5], {"logit_bias": {1024: 1.0}}, "UnknownTokenError"), ([5], {"allowed_token_ids": [7, -1]}, "UnknownTokenError"),
    ([5], {"stop_token_ids": [1024]}, "UnknownTokenError"), ([5], {"allowed_token_ids": []}, "InvalidSamplingParamsError"),
    ([5], {"logprobs": 21}, "InvalidSamplingParamsError"), ([5], {"logprobs": -1}, "InvalidSamplingParamsError"),
    ([5], {"prompt_logprobs": 21}, "InvalidSamplingParamsError"), ([5] * 500, {"max_tokens": None, "min_tokens": 13}, "InvalidSamplingParamsError"),
    ([5], {"logprobs": 21, "n": 3}, "InvalidSamplingParamsError"),
], ids=lambda value: str(value)[:40])
def test_what_vllms_engine_refuses_is_refused_and_leaves_no_trace(prompt, params, error):
    from reference.vllm_surface import sampling_params
    from reference.vllm_llm import vllm_llm
    llm = our_llm("qwen3")
    real_prompt = prompt if isinstance(prompt, str) else {"prompt_token_ids": prompt}
    with pytest.raises(Exception):
        vllm_llm(folder("qwen3"), **LIMITS).llm.generate([real_prompt], sampling_params(**params), use_tqdm=False)
    before = state(llm)
    with pytest.raises(InferLabError) as raised:
        llm.engine.add_request("refused", prompt, SamplingParams(**params))
    assert type(raised.value).__name__ == error and "refused" in str(raised.value)
    assert state(llm) == before


@needs_torch
@pytest.mark.parametrize("wrong", [{"request_id": 7}, {"params": None}, {"params": {"max_tokens": 3}}, {"priority": "high"}, {"priority": None}, {"priority": 0.5},
                                   {"cache_salt": 5}], ids=str)
def test_a_request_that_is_not_made_of_the_right_types_is_refused_and_leaves_no_trace(wrong):
    """A priority that cannot be compared would stop all who come later, and a salt that cannot be hashed fail the step in which it is looked up."""
    llm, told_of = our_llm("qwen3"), {"request_id": "refused", "params": GREEDY} | wrong
    before = state(llm)
    with pytest.raises(InferLabError, match=f"{next(iter(wrong)).replace('params', 'sampling_params')}=.*must be") as raised:
        llm.engine.add_request(told_of.pop("request_id"), [5] * 40, told_of.pop("params"), **told_of)
    assert type(raised.value).__name__ == "InvalidRequestError" and state(llm) == before


@needs_torch
def test_a_family_is_taken_or_refused_as_one():
    engine = our_llm("qwen3").engine
    sampling = SamplingParams(n=3, max_tokens=4)
    engine.add_request("1_family", [5, 6], GREEDY)
    before = state(our_llm("qwen3"))
    with pytest.raises(DuplicateRequestError, match="1_family"):
        engine.add_request("family", [5, 6], sampling)
    assert state(our_llm("qwen3")) == before
    engine.abort("1_family")
    engine.add_request("family", [5, 6], sampling)
    with pytest.raises(DuplicateRequestError, match="'family'"):
        engine.add_request("family", [5, 6], GREEDY)
    engine.step()
    assert [output.outputs[0].finish_reason for output in engine.abort("family")] == ["abort"] * 3 and not engine.has_unfinished_requests()
    assert engine.abort("family") == engine.abort("never came") == []


@needs_torch
def test_a_bad_prompt_among_good_ones_leaves_none_behind():
    llm = our_llm("qwen3")
    before = state(llm)[:6]
    for bad, error in (([5000], "UnknownTokenError"), (3.5, "InvalidPromptError"), ({"text": "x"}, "InvalidPromptError"), ([5] * 600, "PromptTooLongError")):
        with pytest.raises(InferLabError) as raised:
            llm.generate(["good", "good, too", bad, "never seen"], GREEDY)
        assert type(raised.value).__name__ == error and state(llm)[:6] == before
    with pytest.raises(InvalidSamplingParamsError, match="2 prompts, but 3"):
        llm.generate(["a", "b"], [GREEDY] * 3)


@needs_torch
@pytest.mark.parametrize("arguments, advice", [
    ({"max_model_len": 1025}, "knows 1024 positions"), ({"max_model_len": 512, "num_gpu_blocks_override": 3}, "raise num_blocks"), ({"dtype": "int3"}, "float32, bfloat16"),
    ({"logprobs_mode": "cooked"}, "raw_logprobs"), ({"max_logprobs": -2}, "max_logprobs"), ({"num_blocks": 30}, "num_blocks"), ({"max_seqs": 3}, "max_num_seqs"),
    ({"num_speculative_tokens": 3}, "speculative_config"), ({"num_lookahead_tokens": 3}, "num_lookahead_tokens"),
    ({"speculative_config": {"method": "eagle", "num_speculative_tokens": 3}}, "only 'ngram' is built"), ({"speculative_config": {"method": "ngram"}}, "num_speculative_tokens is missing"),
    ({"speculative_config": {"num_speculative_tokens": 0}}, "num_speculative_tokens=0"), ({"speculative_config": NGRAM | {"prompt_lookup_min": 0}}, "prompt_lookup_min=0"),
    ({"speculative_config": NGRAM | {"prompt_lookup_min": 4, "prompt_lookup_max": 3}}, "prompt_lookup_min=4 > prompt_lookup_max=3"),
    ({"speculative_config": NGRAM | {"model": "small"}}, "model: there are"), ({"speculative_config": NGRAM, "async_scheduling": True}, "beside async_scheduling or a sliding_window"),
], ids=str)
def test_an_engine_that_cannot_be_is_not_built(arguments, advice):
    from impl.llm import LLM
    with pytest.raises(InferLabError, match=advice):
        LLM(folder("qwen3"), **arguments)


@needs_torch
def test_the_scheduler_and_the_proposer_mean_the_same_number_of_drafts():
    from impl.config import SchedulerConfig
    from impl.engine import Engine
    from impl.speculative_config import SpeculativeConfig
    limits = {"num_blocks": 65, "max_model_len": 512}
    for number, proposed in ((3, None), (0, SpeculativeConfig(num_speculative_tokens=2)), (3, SpeculativeConfig(num_speculative_tokens=2))):
        with pytest.raises(InferLabError, match=f"num_speculative_tokens={number}: the speculative_config proposes"):
            Engine(folder("qwen3"), SchedulerConfig(num_speculative_tokens=number, **limits), speculative_config=proposed)


@needs_vllm
@pytest.mark.parametrize("given", [{}, {"prompt_lookup_min": 2}, {"prompt_lookup_max": 4}, {"prompt_lookup_min": 2, "prompt_lookup_max": 4}], ids=str)
def test_the_n_grams_are_as_long_as_vllms(given):
    from impl.speculative_config import SpeculativeConfig
    from reference.vllm_surface import speculative_config
    mine, real = SpeculativeConfig(num_speculative_tokens=3, **given), speculative_config(method="ngram", num_speculative_tokens=3, **given)
    assert (mine.prompt_lookup_min, mine.prompt_lookup_max) == (real.prompt_lookup_min, real.prompt_lookup_max)


@needs_torch
def test_defaults_of_an_engine_come_from_the_checkpoint():
    from impl.llm import LLM
    import torch
    llm = LLM(folder("qwen3"), max_num_seqs=2)
    config = llm.engine.scheduler.config
    assert (config.max_model_len, config.num_blocks) == (1024, 1 + 2 * 64), "two sequences of all the positions it knows"
    assert next(llm.engine.model_runner.model.parameters()).dtype is torch.float32
    small = LLM(folder("qwen3"), max_num_seqs=2, kv_cache_memory_bytes=10 * 16 * 2048).engine.scheduler.config
    assert (small.max_model_len, small.num_blocks) == (160, 11), "2,048 bytes a token: what fits"
    wanted = LLM(folder("qwen3"), max_num_seqs=2, kv_cache_memory_bytes=10 * 16 * 2048, max_model_len=320).engine.scheduler.config
    assert wanted.num_blocks == 21, "one sequence at least"


@needs_vllm
def test_the_same_program_says_the_same_again():
    """As vLLM's, whose engine has a seed too; which tokens an engine's chance brings is its own affair."""
    from impl.llm import LLM
    asked = SamplingParams(max_tokens=12)
    said = [told(LLM(folder("qwen3"), seed=seed, device=DEVICE, **LIMITS).generate(TEXTS, asked)) for seed in (0, 0, 1)]
    assert said[0] == said[1] != said[2]


@needs_torch
def test_the_command_line_streams_and_says_how_fast():
    done = subprocess.run([sys.executable, "-m", "impl", "--model", folder("llama"), "--max-tokens", "12", "--device", DEVICE, "Elizabeth was"], capture_output=True, text=True,
                          cwd=Path(__file__).parents[2])
    expected = our_llm("llama").generate("Elizabeth was", SamplingParams(temperature=0, max_tokens=12))[0].outputs[0].text
    assert done.stdout == expected + "\n" and "a second" in done.stderr and "first token" in done.stderr, done.stderr
    refused = subprocess.run([sys.executable, "-m", "impl", "--model", "/nowhere", "x"], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert refused.returncode == 2 and refused.stderr.startswith("CheckpointError: ")
