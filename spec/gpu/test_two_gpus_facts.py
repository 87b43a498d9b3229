"""What is known before the contest on two GPUs begins: the arithmetic, the speed of the GPUs, and a model in shards; as far as it can be judged without any."""
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs torch: make setup")

from safetensors import safe_open  # noqa: E402

from impl.checkpoint import read_weights  # noqa: E402
from reference.checkpoint.random_model import QWEN3_600M, QWEN3_8B, write_random_model  # noqa: E402
from spec.benchmarks import all_reduce_time, gpu_ceilings, two_gpus_arithmetic, two_gpus_contest  # noqa: E402
from spec.benchmarks.two_gpus_arithmetic import Prediction  # noqa: E402
from spec.benchmarks.two_gpus_scale import KV_CACHE_BYTES, ONE, STANDARD, TWO, VLLM  # noqa: E402

ROOT = Path(__file__).parents[2]
LAYERS, HIDDEN, VOCABULARY, GATES = 36, 4096, 151_936, 12_288
A_TOKEN = 2 * 2 * LAYERS * 8 * 128                                                              # bytes of the KV cache, bfloat16
A_LAYER = 2 * HIDDEN * 32 * 128 + 2 * HIDDEN * 8 * 128 + 3 * HIDDEN * GATES + 2 * HIDDEN + 2 * 128
READ = LAYERS * A_LAYER + HIDDEN + VOCABULARY * HIDDEN                                          # weights of a step: of the embedding only rows


def test_at_their_fullest_the_requests_fit_into_the_cache_and_all_three_onto_one_gpu():
    prompts, outputs = STANDARD.lengths()
    fullest = max(sum(-(-(prompt + step) // 16) * 16 for prompt, output in zip(prompts, outputs) if step <= output) for step in range(1, max(outputs) + 1))
    assert len(prompts) == 96 and fullest * A_TOKEN < KV_CACHE_BYTES and max(prompts) + max(outputs) <= 2048
    assert STANDARD.arguments[TWO]["kv_cache_memory_bytes"] == STANDARD.arguments[VLLM]["kv_cache_memory_bytes"] == KV_CACHE_BYTES // 2
    weights = 2 * (READ + VOCABULARY * HIDDEN)
    first_gpu = 2 * weights + sum(STANDARD.arguments[name]["kv_cache_memory_bytes"] for name in (ONE, TWO, VLLM))
    assert 81_559 * 2**20 - first_gpu > 24 * 2**30, "of an H100's memory, what is left for graphs, activations and CUDA"
    most = STANDARD.checked[0] * (STANDARD.prompt_lengths[1] + STANDARD.checked[1]) + sum(STANDARD.alone)
    assert most * 2 * A_TOKEN < STANDARD.arguments["float32"]["kv_cache_memory_bytes"]


def test_an_embedding_that_is_not_the_output_layer_as_well_is_not_read():
    whole = READ + VOCABULARY * HIDDEN
    limit = two_gpus_contest.limits(whole, QWEN3_8B, {ONE: 3e12, TWO: 6e12})
    assert whole == 8_190_735_360, "as many as Qwen3-8B has"
    assert limit[ONE].weights == 2 * READ and limit[ONE].per_token == A_TOKEN
    assert limit[ONE].seconds([100], [256]) == 2 * limit[TWO].seconds([100], [256])
    assert two_gpus_contest.limits(whole, QWEN3_8B | {"tie_word_embeddings": True}, {ONE: 3e12})[ONE].weights == 2 * whole


def test_the_prediction_counts_bytes_collectives_and_the_processor():
    one, two = (Prediction(QWEN3_8B, 3e12, num_gpus) for num_gpus in (1, 2))
    assert one.weights == 2 * (READ - LAYERS * (2 * HIDDEN + 2 * 128) - HIDDEN) and one.per_token == A_TOKEN, "all but the norms"
    assert one.collectives(9) == 0 and two.collectives(0) == pytest.approx(74 * 12e-6)
    assert two.collectives(8) - two.collectives(0) == pytest.approx(2 * 8 * (73 * HIDDEN + VOCABULARY / 2) / 330e9)
    assert one.decode(1) - two.decode(1) == pytest.approx(one.weights / 6e12 - two.collectives(1))
    assert one.prefill(1024) == LAYERS * 1e-3 < two.prefill(1024), "launches, not products"
    assert one.prefill(60_000, 4) == pytest.approx(2 * 60_000 * LAYERS * one.layer / 600e12)
    small = two_gpus_arithmetic.two_over_one(replace(STANDARD, shape=QWEN3_600M), 3e12, "alone")
    assert small < 1 < two_gpus_arithmetic.two_over_one(STANDARD, 3e12, "alone"), "the 0.6B loses, the 8B gains"


def test_the_page_has_the_tables_of_the_arithmetic():
    assert two_gpus_arithmetic.tables() in (ROOT / "spec/benchmarks/two_gpus.md").read_text(), "python -m spec.benchmarks.two_gpus_arithmetic"


def answering(monkeypatch, code):
    monkeypatch.setattr(gpu_ceilings, "COMMAND", (sys.executable, "-c", code))


def test_each_gpu_is_measured_by_a_process_that_sees_no_other(monkeypatch):
    answering(monkeypatch, "import json, os; print(json.dumps({'gpu': os.environ['CUDA_VISIBLE_DEVICES']}))")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,2,3")
    assert gpu_ceilings.of_each(2) == [{"gpu": "5"}, {"gpu": "2"}]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert gpu_ceilings.of_each(2) == [{"gpu": "0"}, {"gpu": "1"}]


def test_a_gpu_that_cannot_be_measured_is_named(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    answering(monkeypatch, "import os; print('{}'); raise SystemExit(int(os.environ['CUDA_VISIBLE_DEVICES']) * 3)")
    with pytest.raises(gpu_ceilings.NoCeilings, match="GPU 1 was not measured: the process ended with status 3"):
        gpu_ceilings.of_each(2)
    answering(monkeypatch, "import time; time.sleep(60)")
    monkeypatch.setattr(gpu_ceilings, "PATIENCE", 0.1)
    with pytest.raises(gpu_ceilings.NoCeilings, match="not measured within 0.1 s"):
        gpu_ceilings.of_each(2)


def test_all_reduces_that_fail_or_hang_are_an_error_with_a_name(monkeypatch):
    with pytest.raises(all_reduce_time.NotMeasured, match="a rank failed"):
        all_reduce_time.microseconds("abacus", 2, 16, [1])
    monkeypatch.setattr(all_reduce_time, "PATIENCE", 3)
    with pytest.raises(all_reduce_time.NotMeasured, match="the ranks took more than 3 s"):
        all_reduce_time.microseconds("cpu", 10**9, 16, [1])


def test_a_model_in_shards_has_the_weights_of_the_one_in_a_file(tmp_path):
    """Which are those of before there were shards: other benchmarks are compared with their earlier runs."""
    names = {1: {"model.safetensors"}, 3: {f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)}}
    read = {}
    for num_shards, files in names.items():
        folder = tmp_path / str(num_shards)
        folder.mkdir()
        num_weights = write_random_model(folder, {"tie_word_embeddings": False, "num_hidden_layers": 2}, num_shards=num_shards)
        assert {path.name for path in folder.glob("*.safetensors")} == files
        read[num_shards] = read_weights(folder)
        assert num_weights == sum(tensor.numel() for tensor in read[num_shards].values())
    assert read[1].keys() == read[3].keys() and "lm_head.weight" in read[1] and all(torch.equal(read[1][name], read[3][name]) for name in read[1])
    index = json.loads((tmp_path / "3" / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == 4 * num_weights
    for name, file in index["weight_map"].items():
        with safe_open(tmp_path / "3" / file, "pt") as shard:
            assert name in shard.keys()
    assert index["weight_map"].keys() == read[1].keys()
    sizes = [path.stat().st_size for path in (tmp_path / "3").glob("*.safetensors")]
    assert max(sizes) - min(sizes) < max(tensor.nbytes for tensor in read[3].values())
    first = torch.empty(1024, 128).normal_(0, 0.05, generator=torch.Generator().manual_seed(0))
    assert torch.equal(read[1]["model.embed_tokens.weight"], first)
