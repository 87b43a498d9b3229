"""The whole engine on our kernels, through the interpreter where there is no GPU: still what the real vLLM decides and says."""
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs torch: make setup")

import impl
from impl.errors import InvalidConfigError
from reference.choose import NoReference
from reference.generate import OurGenerator, generate
from reference.prompts import MODELS, prompts
from spec.bench.agreement import first_difference, generate_beside
from spec.bench.events import events
from spec.engine.many_prompts import own_text
from spec.kernels.exactness import DEVICE

ROOT = Path(__file__).parents[2]
FOLDER = str(prompts("qwen3").folder)


@pytest.fixture(autouse=True)
def few_programs(monkeypatch):
    """The interpreter runs them one after the other."""
    from impl import triton_ops
    if DEVICE == "cpu":
        monkeypatch.setattr(triton_ops, "make_plan", partial(triton_ops.make_plan, programs_per_sm=1))


def crowded(model: str):
    """Two blocks to be had: the long prompt, computed in chunks beside the other's decodes, soon needs both and is preempted.
    Its first block stays in the cache, for itself and for who comes late."""
    said, greedy = own_text(model), {"logprobs": 2, "ignore_eos": True}
    some = prompts(model, num_gpu_blocks_override=3, max_model_len=64, max_num_batched_tokens=24, max_num_seqs=2)
    return (some.ask("short", said[200:206], max_tokens=4, **greedy).ask("long", said[:32], max_tokens=3, **greedy)
            .ask("late", said[:32] + [300], arrives=5, max_tokens=1, **greedy))


@pytest.mark.parametrize("model", MODELS)
def test_the_engine_on_kernels_says_what_vllm_says(bench, model):
    asked = crowded(model)
    try:
        theirs = bench.bench.reference.run(asked).run
    except NoReference as why:
        pytest.skip(f"UNTESTED: {why}")
    happened = events(theirs)
    assert all(happened[event] for event in ("chunk", "preemption", "resumption", "cache hit")), happened
    assert any({1} < {share.num_tokens for share in step.scheduled} for step in theirs.steps), "no step has a decode beside a prefill"
    build = partial(OurGenerator, impl, device=DEVICE, kernels=True)
    ours = generate_beside(theirs, lambda forced: generate(asked, partial(build, forced=forced), "impl"))
    assert first_difference(ours, theirs) is None and not ours.near_ties


def test_a_seed_gives_the_same_tokens_beside_others():
    """Which tokens, vLLM's GPU build says: spec/sampling asks it where there is one."""
    llm = impl.LLM(FOLDER, dtype="float32", device=DEVICE, kernels=True, max_model_len=64, max_num_seqs=4)
    params = [impl.SamplingParams(seed=seed, temperature=1.5, max_tokens=2) for seed in (1, 2, 1)]
    said = [output.outputs[0].token_ids for output in llm.generate([[300, 301]] * 3, params, use_tqdm=False)]
    assert said[0] == said[2] != said[1]


@pytest.mark.parametrize("params", [{"temperature": 0}, {"temperature": 1.0, "seed": 2}], ids=["greedy", "seeded"])
def test_drafts_change_no_token(params):
    """Several tokens of a request in a step, behind others that are computed: what the kernel for prompts attends to."""
    asked = {"dtype": "float32", "device": DEVICE, "kernels": True, "max_model_len": 32, "max_num_seqs": 4, "num_gpu_blocks_override": 9}
    drafting, plain = (impl.LLM(FOLDER, speculative_config=config, **asked) for config in (
        {"method": "ngram", "num_speculative_tokens": 2, "prompt_lookup_min": 1}, None))
    params = impl.SamplingParams(max_tokens=8, ignore_eos=True, allowed_token_ids=[14, 15, 16], **params)
    said, expected = ([(done.token_ids, done.finish_reason) for output in llm.generate([[14, 15, 14, 16, 14]], params, use_tqdm=False) for done in output.outputs]
                      for llm in (drafting, plain))
    stats = drafting.engine.scheduler.speculation.stats
    assert said == expected and 0 < stats.num_accepted_tokens < stats.num_draft_tokens


def test_a_cache_of_8_bits_holds_more_and_says_much_the_same():
    asked = {"dtype": "float32", "device": DEVICE, "kernels": True, "kv_cache_memory_bytes": 1 << 17, "max_model_len": 64, "max_num_seqs": 99}
    exact, rounded = (impl.LLM(FOLDER, kv_cache_dtype=kind, **asked) for kind in ("auto", "fp8"))
    assert [llm.engine.scheduler.config.num_blocks - 1 for llm in (exact, rounded)] == [4, 16]
    params = impl.SamplingParams(temperature=0, max_tokens=1, logprobs=20)
    right, about = ({token_id: entry.logprob for token_id, entry in llm.generate([own_text("qwen3")[:8]], params, use_tqdm=False)[0].outputs[0].logprobs[0].items()}
                    for llm in (exact, rounded))
    errors = [abs(right[token_id] - about[token_id]) for token_id in right.keys() & about.keys()]
    assert len(errors) > 10 and 0.001 < max(errors) < 2, errors


@pytest.mark.parametrize("arguments, advice", [
    ({"kv_cache_dtype": "fp8", "kernels": False}, "use a GPU"), ({"kv_cache_dtype": "int4"}, "auto .* or fp8"),
    ({"dtype": "bfloat16", "kernels": True, "device": "cpu"}, "float32 or float16")], ids=str)
def test_what_nobody_can_compute_is_refused(arguments, advice):
    with pytest.raises(InvalidConfigError, match=advice):
        impl.LLM(FOLDER, **arguments)


def test_a_gpu_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InvalidConfigError, match="no GPU here; leave device out"):
        impl.LLM(FOLDER, device="cuda")


@pytest.mark.parametrize("device", ["cuda:1", "gpu", "mps"])
def test_a_device_that_the_kernels_do_not_know_is_refused(monkeypatch, device):
    """They are launched on the first GPU, wherever their numbers are."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(InvalidConfigError, match=f"device='{device}': choose 'cpu' or 'cuda'.*CUDA_VISIBLE_DEVICES"):
        impl.LLM(FOLDER, device=device)


def test_triton_imported_too_early_is_told_at_the_door():
    """And only there: transformers imports a package named kernels, if there is one, and must find no trouble."""
    code = ("import triton, kernels, impl\n"
            f"try: impl.LLM({str(FOLDER)!r}, dtype='float32', kernels=True)\n"
            "except impl.errors.InvalidConfigError as error: print(error)")
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout.strip().endswith("set TRITON_INTERPRET=1") or DEVICE == "cuda", done.stdout + done.stderr
