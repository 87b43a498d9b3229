"""The arithmetic that tells that a vLLM will run out of memory. The whole experiment: `python -m reference.experiments.reproduce_oom`."""
import json
import re
from pathlib import Path

import pytest

from reference.experiments import memory
from reference.experiments.memory import Shape
from reference.experiments.oom_cases import GUESSED, ON_CPU, ON_GPU
from reference.experiments.reproduce_oom import ALLOWED, outcome
from reference.trace import REFUSED
from reference.workload import workload
from spec.bench import claim

RECORDS = sorted((Path(__file__).parents[2] / "reports/results/experiments").glob("experiment-reproduce_oom-*.json"))
TINY = Shape(num_hidden_layers=1, num_key_value_heads=1, head_dim=32, item=4)       # what the scheduler without weights believes its model to be

long_for_its_pool = workload(num_blocks=9, block_size=4, max_model_len=41, engine=True).request("a", prompt=4, max_tokens=1)


@claim("An engine is refused whose pool is too small for one sequence, and the error names the longest that fits, which one division tells beforehand.",
       on=long_for_its_pool, about="refusal", vllm="v1/core/kv_cache_utils.py::_check_enough_kv_cache_memory")
def test_the_longest_sequence_is_told_beforehand(run):
    assert run.ended == REFUSED
    named = int(re.search(r"(?:estimated maximum model length is|lower max_model_len to) (\d+)", run.error)[1])
    cache = run.workload.config["num_blocks"] * memory.block(TINY, 4)
    assert named == memory.longest_sequence(TINY, 4, cache) == 32


def test_the_weights_of_a_known_model():
    """Qwen3-0.6B is published with 596,049,920 weights; beside them stands its table of rotary positions."""
    shape = Shape()
    assert memory.weights(shape) == 2 * (596_049_920 + shape.max_position_embeddings * shape.head_dim)


def test_the_cache_of_a_known_model():
    """28 layers, keys and values, 8 heads of 128 numbers of two bytes: 112 KiB a token."""
    assert memory.block(Shape(), 16) == 16 * 112 * 1024
    assert memory.one_sequence(Shape(), 16, 40_960) == 40_960 * 112 * 1024
    assert memory.one_sequence(Shape(), 16, 17) == memory.block(Shape(), 16) * 2, "a block is had whole or not at all"


def test_a_sequence_that_is_said_to_fit_fits_beside_the_null_block():
    for cache in range(3 * memory.block(Shape(), 16), 5 * memory.block(Shape(), 16), 1 << 18):
        longest = memory.longest_sequence(Shape(), 16, cache)
        beside = cache - memory.block(Shape(), 16)
        assert memory.one_sequence(Shape(), 16, longest) <= beside < memory.one_sequence(Shape(), 16, longest + 1)


@pytest.mark.skipif(not RECORDS, reason="no run is committed: 'python -m reference.experiments.reproduce_oom --out reports/results/experiments' makes one")
@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_what_was_expected_was_seen(path):
    """In the committed runs, within five percent, and every case ended as it was meant to."""
    numbers, words, _ = json.loads(path.read_text())["tables"]
    compared = {(case, quantity): percent for case, quantity, _, _, percent in numbers["rows"] if percent is not None}
    assert len(compared) >= 5, "hardly anything was compared: the run was cut short"
    far = {what: percent for what, percent in compared.items() if abs(percent) > 100 * ALLOWED and "as vLLM estimates" not in what[1]}
    assert not far, f"explain it in reference/experiments/reproduce_oom.md, or correct the arithmetic in memory.py: {far}"
    otherwise = [row[0] for row in words["rows"] if not row[2].startswith("as expected")]     # "…, but for" a number: looked at above
    assert not otherwise, f"these did not end as they were meant to: {otherwise}"


# What a GPU's cases tell, in vLLM's and torch's words, with the numbers of a card of 80 GiB; they run on a GPU only.
MIB, GIB = 1 << 20, 1 << 30
CARD = {"free": 79 * GIB, "total": 80 * GIB}
KNOWN = {"libraries": 300 * MIB, "context": GIB}
TOLD = {
    "healthy": {"ended": "built", "weights": memory.weights(Shape()), "peak_activation_memory": memory.activation_peak(Shape(), 65_536), "cache": 37 * GIB,
                "num_blocks": 21_650},
    "pool too small for one sequence": {"words": "(4.38 GiB KV cache is needed, which is larger than the available KV cache memory (1.0 GiB). Based on the "
                                                 "available memory, the estimated maximum model length is 9344. To serve at least one request"},
    "weights and activations beyond the share": {"words": "No available memory for the cache blocks.", "utilization": 0.025, "cache": -GIB,
                                                 "total_consumed": 1485 * MIB, "peak_activation_memory": 1664 * MIB},
    "another process, before the start": {"words": "Free memory on device cuda:0 (58.1/80.0 GiB) on startup is less than desired GPU memory utilization "
                                                   "(0.92, 73.6 GiB)."},
    "another process, after the measuring": {"error": "OutOfMemoryError", "words": "CUDA out of memory. Tried to allocate 38.46 GiB. GPU 0 has"},
    "activations beyond the device": {"error": "OutOfMemoryError", "words": "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has"},
    "graphs counted in": {"ended": "built", "cudagraph_memory_estimate": 200 * MIB, "graphs": 204 * MIB},
    "graphs not counted in": {"error": "AcceleratorError", "words": "CUDA error: out of memory", "cudagraph_memory_estimate": 200 * MIB, "peak_activation_memory": 20 * MIB}}


@pytest.mark.parametrize("case", ON_GPU, ids=lambda case: case.name)
def test_a_case_of_a_gpu_reads_what_its_process_tells(case):
    told = outcome(case, Shape(), KNOWN, {"ended": "refused", "before": CARD, "alone": CARD} | TOLD[case.name])
    assert told["verdict"] == "as expected", told
    assert all(None not in row for row in told["rows"]) or case.name == "graphs not counted in"
    wrong = outcome(case, Shape(), KNOWN, {"ended": "built" if case.words else "refused", "before": CARD, "alone": CARD})
    assert wrong["verdict"] == "OTHERWISE", "a case that did not end as it was meant to is to be called so"


@pytest.mark.parametrize("case", [*ON_GPU, *ON_CPU], ids=lambda case: case.name)
def test_a_case_can_be_asked_when_the_healthy_run_has_failed(case):
    assert json.loads(json.dumps(case.ask(Shape(), GUESSED)))["llm"]["max_num_seqs"] >= 16
