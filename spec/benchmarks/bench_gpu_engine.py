"""How fast our engine writes on a GPU, against vLLM as it comes, and against what has to be read from memory: `make bench`.

Each is a process of its own with the same memory for its KV cache, asked the same in turns; one is stopped while the other works.
`engine_scale.py` says how much is asked. Where there is no GPU, `--rehearse` plays it small: all parts run, and no number means anything.
"""
import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs torch: make setup")

from reference.engine_process import EngineProcess
from spec.benchmarks import engine_contest
from spec.benchmarks.engine_contest import Limit
from spec.benchmarks.engine_pair import opened
from spec.benchmarks.greedy_check import checked
from spec.benchmarks.kernel_race import STOPWATCH

pytestmark = pytest.mark.benchmark(timer=STOPWATCH)


@pytest.fixture(scope="module")
def pair(scale, model, gpu_facts, say):
    """Both engines, each after its first question."""
    with opened(scale, model.folder, "LLM", say) as pair:
        for name, engine in pair.engines.items():
            pair.first[name] = engine.generate(scale.like([[0] * scale.alone[0]], 99), 16)["seconds"]
            say(f"  {name}: first generate {pair.first[name]:.2f} s")
        yield pair


@pytest.fixture(scope="module")
def limit(model, gpu_facts):
    config = json.loads((Path(model.folder) / "config.json").read_text())
    return Limit(model.num_weights, config, gpu_facts["ceilings"]["copy TB/s"] * 1e12)


def test_throughput(tell, scale, pair, benchmark, limit):
    tell(engine_contest.throughput(scale, pair, benchmark, limit))


def test_one_request_alone(tell, scale, pair, benchmark, limit):
    tell(engine_contest.alone(scale, pair, benchmark, limit))


def test_first_token_of_a_long_prompt(tell, scale, pair, benchmark):
    tell(engine_contest.first_token(scale, pair, benchmark))


def test_greedy_tokens_are_right(tell, scale, model, pair, benchmark):
    with EngineProcess("impl", model.folder, "LLM", scale.arguments["float32"]) as exact:
        tell(checked(scale, pair, benchmark, exact))


def test_start_up(tell, pair, benchmark):
    row = engine_contest.start_up(pair)
    benchmark.pedantic(lambda: STOPWATCH.add(row.median("ours")))
    tell(row)


def test_first_generate(tell, pair, benchmark):
    row = engine_contest.first_generate(pair)
    benchmark.pedantic(lambda: STOPWATCH.add(row.median("ours")))
    tell(row)
