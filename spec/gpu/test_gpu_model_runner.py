"""Steps that are handed out and not waited for, and CUDA graphs, say what the plain loop says, kernel by kernel.

Without a GPU the interpreter stands in for the device, without graphs: then there is little of each.
"""
import random
from functools import partial

import pytest

torch = pytest.importorskip("torch", reason="needs torch: make setup")

import impl
from impl.cuda_graphs import CudaGraphs, sizes, token_sizes
from impl.errors import InvalidConfigError
from impl.gpu_memory import kv_cache_memory
from impl.gpu_model_runner import GPUModelRunner
from impl.sampling_params import SamplingParams
from impl.upload import upload
from reference.prompts import CHECKPOINTS, MODELS
from spec.kernels.exactness import DEVICE, needs_gpu

FEW = DEVICE == "cpu"
LIMITS = ({"block_size": 16, "max_model_len": 48, "num_gpu_blocks_override": 7, "max_num_seqs": 4, "max_num_batched_tokens": 20} if FEW else
          {"block_size": 16, "max_model_len": 512, "num_gpu_blocks_override": 200, "max_num_seqs": 24, "max_num_batched_tokens": 256})


@pytest.fixture(autouse=True)
def few_programs(monkeypatch):
    """The interpreter runs them one after the other."""
    from impl import triton_ops
    if FEW:
        monkeypatch.setattr(triton_ops, "make_plan", partial(triton_ops.make_plan, programs_per_sm=1))


def llm(model="qwen3", **more) -> impl.LLM:
    return impl.LLM(str(CHECKPOINTS / model), dtype="float32", device=DEVICE, kernels=True, **LIMITS | more)


def asked(count: int, longest: int, tokens: int) -> tuple[list[dict], list[SamplingParams]]:
    """Prompts of all lengths, of which some share a beginning; parameters of all kinds: what stays on the device, and what the processor must look at."""
    chance = random.Random(3)
    shared = [chance.randrange(3, 900) for _ in range(longest)]
    prompts = [{"prompt_token_ids": shared[:chance.randrange(longest)] + [chance.randrange(3, 900) for _ in range(chance.randint(1, longest // 2))]} for _ in range(count)]
    kinds = [{"temperature": 0}, {"seed": 5}, {"temperature": 0, "repetition_penalty": 1.3, "logprobs": 1}, {"temperature": 0, "min_tokens": 3, "stop_token_ids": (14,)},
             *(() if FEW else ({"seed": 6, "top_k": 20, "temperature": 0.7}, {"seed": 7, "top_p": 0.8}))]       # the interpreter takes a second for each
    return prompts, [SamplingParams(max_tokens=tokens, ignore_eos=bool(number % 3), **kinds[number % len(kinds)]) for number in range(count)]


def said(engine: impl.LLM, prompts, params) -> list[tuple]:
    outputs = engine.generate(prompts, params, use_tqdm=False)
    manager = engine.engine.scheduler.block_manager
    assert len(manager.free_blocks) == manager.pool.num_blocks - 1, "blocks are lost"
    return [(output.outputs[0].token_ids, output.outputs[0].text, output.outputs[0].finish_reason) for output in outputs]


@pytest.mark.parametrize("model", MODELS[:1] if FEW else MODELS)
def test_whatever_the_loop_and_the_graphs_the_same_is_said(model, monkeypatch):
    prompts, params = asked(4, 12, 4) if FEW else asked(60, 200, 50)
    plain = said(llm(model, enforce_eager=True), prompts, params)
    for most_prefills, more in ((1, {"async_scheduling": True}), *(() if FEW else (
            (16, {}), (16, {"async_scheduling": True, "num_gpu_blocks_override": 40}), (16, {"async_scheduling": True, "max_num_seqs": 5, "max_num_batched_tokens": 32})))):
        engine = llm(model, **more)
        assert isinstance(engine.engine.model_runner, GPUModelRunner) and bool(engine.engine.model_runner.graphs.graphs) == (not FEW)
        runner, ways = engine.engine.model_runner, []
        for way in ("_replay", "_replay_mixed", "_compute"):
            monkeypatch.setattr(runner, way, lambda *step, way=way, compute=getattr(runner, way): (ways.append(way), compute(*step))[1])
        runner.mixed.max_prefills = most_prefills       # with more, a step is launched kernel by kernel
        if FEW:     # as a graph would have it, with all padding, but launched kernel by kernel
            runner.mixed_graphs.graphs = {None: None}
        assert said(engine, prompts, params) == plain, more
        assert {"_replay", "_replay_mixed"} <= set(ways) and ("_compute" in ways or most_prefills > 1), more


@needs_gpu
def test_preemption_in_flight_happened_above():
    """Or the small pool would say nothing."""
    engine, preempted = llm(async_scheduling=True, num_gpu_blocks_override=40), []
    preempt = engine.engine.scheduler._preempt
    engine.engine.scheduler._preempt = lambda request: (preempted.append(request.num_output_placeholders), preempt(request))
    said(engine, *asked(60, 200, 50))
    assert any(preempted)


def test_an_abort_in_flight_leaves_the_others_alone():
    params = SamplingParams(temperature=0, max_tokens=5, ignore_eos=True)
    alone = llm().generate({"prompt_token_ids": [9, 10, 11]}, params, use_tqdm=False)[0].outputs[0].token_ids
    engine = llm(async_scheduling=True).engine
    for request_id, prompt in (("a", [5, 6, 7]), ("b", [9, 10, 11])):
        engine.add_request(request_id, {"prompt_token_ids": prompt}, params)
    engine.step(), engine.step()
    engine.abort("a")
    engine.add_request("a", {"prompt_token_ids": [9, 10, 11]}, params)      # its name and its row are free at once
    last = {}
    while engine.has_unfinished_requests():
        last |= {output.request_id: output.outputs[0].token_ids for output in engine.step()}
    assert last == {"a": alone, "b": alone}


def test_numbers_that_are_none_end_their_request_and_no_other():
    params = SamplingParams(temperature=0, max_tokens=4, ignore_eos=True)
    engine = llm("llama", async_scheduling=True, enable_prefix_caching=False)   # which does not use the same weights for its logits
    expected = said(engine, [{"prompt_token_ids": [5, 6, 7]}], params)
    with torch.no_grad():
        engine.engine.model_runner.model.model.embed_tokens.weight[1000] = float("nan")
    fine, broken = engine.generate([{"prompt_token_ids": [5, 6, 7]}, {"prompt_token_ids": [1000, 1000]}], params, use_tqdm=False)
    assert [(fine.outputs[0].token_ids, fine.outputs[0].text, "length")] == expected
    assert broken.outputs[0].finish_reason == "error" and "NonFiniteLogitsError" in broken.outputs[0].stop_reason and not broken.outputs[0].token_ids


def test_an_error_of_a_step_is_told_with_its_result_and_the_next_prompts_are_answered(monkeypatch):
    engine, params = llm(async_scheduling=True), SamplingParams(temperature=0, max_tokens=3)
    expected = said(engine, [{"prompt_token_ids": [5, 6, 7]}], params)
    with monkeypatch.context() as patched:
        patched.setattr(engine.engine.model_runner, "_launch", lambda output, requests: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            engine.generate([{"prompt_token_ids": [8, 9]}], params, use_tqdm=False)
    assert said(engine, [{"prompt_token_ids": [5, 6, 7]}], params) == expected


@needs_gpu
def test_a_step_is_one_graph_launch_and_waits_for_nothing():
    """One whose requests decode, and one in which another prompt has come."""
    engine = llm(async_scheduling=True, max_num_seqs=3).engine
    replayed = []
    for graphs in (engine.model_runner.graphs, engine.model_runner.mixed_graphs):
        graphs.run = lambda size, compute, run=graphs.run: (replayed.append(size), run(size, compute))[1]
    for number in range(2):
        engine.add_request(str(number), {"prompt_token_ids": [5 + number, 6]}, SamplingParams(seed=number, max_tokens=20, ignore_eos=True))
    engine.step()
    handed, hand_out = [], engine.model_runner.hand_out

    def unsynchronised(output, requests):
        torch.cuda.set_sync_debug_mode("error")
        try:
            handed.append(hand_out(output, requests))
        finally:
            torch.cuda.set_sync_debug_mode("default")
        return handed[-1]

    engine.worker = type("Worker", (), {"hand_out": staticmethod(unsynchronised)})
    for number in range(10):
        if number == 5:
            engine.add_request("late", {"prompt_token_ids": list(range(5, 75))}, SamplingParams(seed=3, max_tokens=20, ignore_eos=True))
        engine.step()
    assert replayed == [64, *[2] * 5, 128, *[3] * 4] and all(type(each).__name__ == "Handed" for each in handed)


def test_sizes_are_vllms():
    assert sizes(40) == [1, 2, 4, 8, 16, 24, 32, 40] and sizes(1) == [1] and sizes(300)[-4:] == [256, 272, 288, 300]
    graphs = CudaGraphs(sizes(40))
    assert [graphs.size_for(number) for number in (1, 3, 9, 33, 40, 41)] == [1, 4, 16, 40, 40, None] and graphs.run(4, lambda size: (size,)) == (4,)


def test_sizes_of_steps_with_prompts_waste_little():
    assert token_sizes(20) == [20] and token_sizes(300) == [64, 128, 192, 256, 300] and token_sizes(10**6)[-1] == 8192
    every = token_sizes(8192)
    assert all(larger <= smaller + 64 or (larger - 1 - smaller) / larger <= 0.2 for smaller, larger in zip(every, every[1:]))


def test_small_arrays_arrive_as_they_are():
    import numpy
    arrays = [numpy.array([1, -2, 3], dtype=numpy.int32), numpy.zeros((0, 4), dtype=numpy.int64), numpy.array([[0.5, 1e-9]], dtype=numpy.float32), numpy.array([2**62])]
    for there, array in zip(upload(arrays, DEVICE), arrays, strict=True):
        assert there.device.type == DEVICE and str(there.dtype) == f"torch.{array.dtype}" and (there.cpu().numpy() == array).all() and there.shape == array.shape


@pytest.fixture
def gpu_of_80_gib(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (79 << 30, 80 << 30))


CONFIG = {"head_dim": 128, "num_attention_heads": 16, "num_key_value_heads": 8, "hidden_size": 1024, "intermediate_size": 3072, "vocab_size": 151_936, "dtype": "bfloat16"}


def test_the_cache_gets_what_the_rest_leaves(gpu_of_80_gib, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"0" * 1000)
    left = kv_cache_memory(tmp_path, CONFIG, 2, 8192, 256, 0.9)
    step, logits = 8192 * 2 * (4 * 1024 + 128 * 64 + 3 * 3072), 256 * 151_936 * 14
    graphs = step + (1 + 2 + 4 + 8 * sum(range(1, 33))) * 151_936 * 2      # up to 8192 tokens, and decode steps of 1, 2, 4, 8, 16, ..., 256
    assert left == int(0.9 * (80 << 30)) - (1 << 30) - 1000 - step - logits - graphs - (1 << 30)
    assert kv_cache_memory(tmp_path, CONFIG | {"dtype": "float32"}, 2, 8192, 256, 0.9) == left + 500     # stored in float32, loaded in half of it


def test_each_of_two_ranks_has_half_the_weights_and_buffers_to_send_through(gpu_of_80_gib, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"0" * 1000)
    alone, rank = (kv_cache_memory(tmp_path, CONFIG, 2, 8192, 256, 0.9, num_ranks) for num_ranks in (1, 2))
    assert rank == alone + 500 - (1 << 30)


@pytest.mark.parametrize(("share", "complaint"), [(0.01, "leaves nothing for the KV cache"), (0, r"in \(0, 1\]"), (1.5, r"in \(0, 1\]")])
def test_a_share_that_leaves_nothing_is_refused(gpu_of_80_gib, tmp_path, share, complaint):
    with pytest.raises(InvalidConfigError, match=complaint):
        kv_cache_memory(tmp_path, CONFIG, 2, 8192, 256, share)
