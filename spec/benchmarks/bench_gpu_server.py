"""How our engine serves on a GPU, against vLLM's `AsyncLLM`: requests arrive at random, and some leave before their end: `make bench`.

`served_load.py` says what is timed, `engine_scale.py` how much is asked. `--rehearse` as in `bench_gpu_engine.py`.
"""
import functools

import pytest

pytest.importorskip("torch", reason="needs torch: make setup")

from spec.benchmarks.engine_pair import opened
from spec.benchmarks.engine_scale import REHEARSAL, STANDARD
from spec.benchmarks.kernel_race import STOPWATCH
from spec.benchmarks.served_contest import between_tokens, left_behind, served, waiting

pytestmark = pytest.mark.benchmark(timer=STOPWATCH)


def pytest_generate_tests(metafunc):
    if "requests_a_second" in metafunc.fixturenames:
        metafunc.parametrize("requests_a_second", (REHEARSAL if metafunc.config.getoption("--rehearse", False) else STANDARD).rates)


@pytest.fixture(scope="module")
def pair(scale, model, gpu_facts, say):
    """Both servers, warm."""
    with opened(scale, model.folder, "AsyncLLM", say) as pair:
        for engine in pair.engines.values():
            engine.serve(scale.load(max(scale.rates) + 1, scale.fewest_arrivals))
        yield pair


@pytest.fixture(scope="module")
def load(scale, pair):
    """Each rate is played once, whoever asks."""
    return functools.cache(functools.partial(served, scale, pair))


def test_time_to_the_first_token_under_load(tell, pair, load, benchmark, requests_a_second):
    row = waiting(load(requests_a_second), requests_a_second, pair.absent)
    benchmark.pedantic(lambda: STOPWATCH.add(row.median("ours") / 1e3))
    tell(row)


def test_time_per_output_token_under_load(tell, pair, load, benchmark, requests_a_second):
    row = between_tokens(load(requests_a_second), requests_a_second, pair.absent)
    benchmark.pedantic(lambda: STOPWATCH.add(row.median("ours") / 1e3))
    tell(row)


def test_the_load_leaves_no_block_behind(tell, scale, load, benchmark):
    row = left_behind({rate: load(rate) for rate in scale.rates})
    benchmark.pedantic(lambda: STOPWATCH.add(0.0))
    tell(row)
