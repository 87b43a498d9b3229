"""The arithmetic that tells that a vLLM will run out of memory. The whole experiment: `python -m reference.experiments.reproduce_oom`."""
import json
import re
from pathlib import Path

import pytest

from reference.experiments import memory
from reference.experiments.memory import Shape
from reference.experiments.reproduce_oom import ALLOWED
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
    far = {what: percent for what, percent in compared.items() if abs(percent) > 100 * ALLOWED}
    assert not far, f"explain it in reference/experiments/reproduce_oom.md, or correct the arithmetic in memory.py: {far}"
    otherwise = [row[0] for row in words["rows"] if row[2] != "as expected"]
    assert not otherwise, f"these did not end as they were meant to: {otherwise}"
