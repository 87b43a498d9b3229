"""Logits that are no numbers: an error for the request they belong to, and nothing for the others."""
from dataclasses import replace

import pytest

from impl.sampling_params import SamplingParams
from spec.engine.side_by_side import DEVICE, GREEDY, folder, needs_torch, our_llm, told


@needs_torch
@pytest.mark.parametrize("wrong", [float("nan"), float("-inf"), float("inf")])
def test_logits_that_are_no_numbers_end_their_request_and_no_other(wrong):
    import torch
    llm = our_llm("qwen3")
    sampler = llm.engine.model_runner.sampler
    expected = told(llm.generate(["one", "two", "three"], SamplingParams(temperature=1.0, seed=2, max_tokens=8)))

    class Breaking(type(sampler)):
        def __call__(self, logits, requests):
            logits = logits.clone()
            for row, request in zip(logits, requests):
                if request.request_id == "broken" and request.num_output_tokens == 3:
                    row[:] = torch.where(torch.arange(len(row), device=row.device) % 2 == 0, wrong, row) if wrong != float("-inf") else wrong
            return super().__call__(logits, requests)

    sampler.__class__ = Breaking
    try:
        told_more = {} if DEVICE == "cpu" else {"logprobs": 1}      # or a GPU draws without this sampler's call: spec/gpu/test_gpu_model_runner.py
        for params in (replace(GREEDY, **told_more), SamplingParams(seed=1, max_tokens=12, **told_more), SamplingParams(temperature=0.5, max_tokens=12, logprobs=2)):
            llm.engine.add_request("broken", "one", params)
            assert told(llm.generate(["one", "two", "three"], SamplingParams(temperature=1.0, seed=2, max_tokens=8))) == expected
            llm.engine.add_request("broken", "one", params)
            last = [output for _ in range(6) for output in llm.engine.step()][-1]
            assert last.finished and last.outputs[0].finish_reason == "error" and "NonFiniteLogitsError" in last.outputs[0].stop_reason
            assert len(last.outputs[0].token_ids) == 3 and not llm.engine.has_unfinished_requests()
    finally:
        sampler.__class__ = Breaking.__base__
    manager = llm.engine.scheduler.block_manager
    assert len(manager.free_blocks) == manager.pool.num_blocks - 1


@needs_torch
def test_a_poisoned_token_harms_only_the_requests_that_hold_it():
    """NaN in the model's memory of one request: neither its batch mates nor those who get its blocks later see it."""
    from impl.llm import LLM
    import torch
    arguments = {"dtype": "float32", "device": DEVICE, "block_size": 4, "max_model_len": 64, "num_gpu_blocks_override": 33, "enable_prefix_caching": False}
    llm = LLM(folder("llama"), **arguments)
    prompts = [{"prompt_token_ids": [5, 6, 7, 8]}, {"prompt_token_ids": [9, 10, 11]}]
    expected = told(llm.generate(prompts, GREEDY))
    with torch.no_grad():
        llm.engine.model_runner.model.model.embed_tokens.weight[1000] = float("nan")
    outputs = llm.generate([*prompts, {"prompt_token_ids": [1000] * 40}], GREEDY)
    assert told(outputs[:2]) == expected and outputs[2].outputs[0].finish_reason == "error" and not outputs[2].outputs[0].token_ids
    for _ in range(4):      # through all the blocks
        assert told(llm.generate(prompts, GREEDY)) == expected


@needs_torch
def test_what_forbids_everything_ends_with_an_error():
    output = our_llm("qwen3").generate("x", SamplingParams(allowed_token_ids=(5,), stop_token_ids=(5,), min_tokens=2))[0]
    assert output.outputs[0].finish_reason == "error" and "everything is forbidden" in output.outputs[0].stop_reason
