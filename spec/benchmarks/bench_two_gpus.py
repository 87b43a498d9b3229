"""What a second GPU brings: ours on one, ours on two, and vLLM on two, with a model of eight thousand million weights: `make bench-two-gpus`.

Each is in processes of its own, asked the same in turns; the others are stopped meanwhile. `two_gpus.md` says what is expected, and
`two_gpus_scale.py` how much is asked. Where there are no two GPUs, `--rehearse` plays it small on the CPU, and no number means anything.
"""
import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from types import SimpleNamespace

import pytest

pytest.importorskip("torch", reason="needs torch: make setup")

from reference.checkpoint.random_model import QWEN3, count_weights, write_random_model
from reference.engine_process import EngineProcess, EngineProcessError
from spec.benchmarks import all_reduce_time, gpu_ceilings, two_gpus_contest
from spec.benchmarks.engine_trio import opened
from spec.benchmarks.gpu_time import provenance
from spec.benchmarks.kernel_race import STOPWATCH, command
from spec.benchmarks.two_gpus_arithmetic import two_over_one
from spec.benchmarks.two_gpus_scale import ONE, REHEARSAL, STANDARD, TWO, VLLM

SHARDS = 16
JUDGE_S = 60        # what the judge needs at least: 33 GB of float32 weights are made, and its kernels compiled
# Of the environment, what changes how GPUs talk to each other.
TELLING = ("NCCL_NVLS_ENABLE", "NCCL_P2P_DISABLE", "NCCL_ALGO", "NCCL_PROTO", "TORCH_SYMM_MEM_DISABLE_MULTICAST", "VLLM_ALLREDUCE_USE_SYMM_MEM")

pytestmark = pytest.mark.benchmark(timer=STOPWATCH)


@pytest.fixture(scope="module")
def scale(request):
    if request.config.getoption("--rehearse", False):
        return REHEARSAL
    import torch
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two NVIDIA GPUs: run this on a machine that has them, or see that it runs, small and on the CPU, with --rehearse")
    return STANDARD


@pytest.fixture(scope="module")
def end(scale):
    """When no more is begun."""
    return perf_counter() + scale.seconds


@pytest.fixture(scope="module")
def facts(scale, end, say):
    """Where and when it ran, and how fast each GPU copies; measured before an engine takes the memory."""
    import torch
    told = {**provenance(), "command": command(), "arguments": scale.arguments, "environment": {name: os.environ[name] for name in TELLING if name in os.environ}}
    if scale is REHEARSAL:
        return told | _ceilings([{"copy TB/s": 1000.0, "product TFLOP/s": 1000.0}] * 2) | _all_reduces("cpu", 9, 128, [1, scale.num_requests], say)
    measured = gpu_ceilings.of_each(2)
    told |= {"gpu": measured[0]["gpu"], "peer access": torch.cuda.can_device_access_peer(0, 1)} | _ceilings(measured)
    told |= _all_reduces("cuda", 2 * scale.shape["num_hidden_layers"] + 1, scale.shape["hidden_size"], [1, scale.num_requests], say)
    say(f"\ntwo {told['gpu']}, copies in TB/s: {told['copy TB/s']}; each reaches the other's memory: {told['peer access']}")
    return told


def _ceilings(measured: list[dict]) -> dict:
    """Of each GPU the copy, by its number; of the slower one both."""
    slower = {what: min(each[what] for each in measured) for what in ("copy TB/s", "product TFLOP/s")}
    return {"copy TB/s": {str(number): each["copy TB/s"] for number, each in enumerate(measured)}, "ceilings": slower}


def _all_reduces(device: str, in_a_row: int, hidden: int, rows: list[int], say) -> dict:
    """What NCCL takes, by rows. The contest goes on without."""
    try:
        told = {"all-reduce us": all_reduce_time.microseconds(device, in_a_row, hidden, rows)}
    except all_reduce_time.NotMeasured as error:
        told = {"all-reduce us": {}, "no all-reduce": str(error)}
    say(f"\nmicroseconds of an all-reduce of [rows, {hidden}], by rows: {told}")
    return told


@pytest.fixture(scope="module")
def model(scale, facts, say):
    """Its folder, and how many weights it has."""
    import torch
    if scale is REHEARSAL:
        yield SimpleNamespace(folder=str(QWEN3), num_weights=count_weights(QWEN3))
        return
    with TemporaryDirectory() as folder:
        began = perf_counter()
        num_weights = write_random_model(Path(folder), scale.shape, deviation=scale.deviation, device="cuda", num_shards=SHARDS)
        torch.cuda.empty_cache()
        say(f"{num_weights:,} random weights were written in {perf_counter() - began:.1f} s")
        yield SimpleNamespace(folder=folder, num_weights=num_weights)


@pytest.fixture(scope="module")
def trio(scale, model, say, end):
    with opened(scale, model.folder, say, end) as trio:
        yield trio


@pytest.fixture(scope="module")
def limit(model, facts):
    config = json.loads((Path(model.folder) / "config.json").read_text())
    both = 2e12 * facts["ceilings"]["copy TB/s"]
    return two_gpus_contest.limits(model.num_weights, config, {ONE: 1e12 * facts["copy TB/s"]["0"], TWO: both, VLLM: both})


@pytest.fixture
def tell(request, scale, trio, facts, benchmark, record_property, say):
    """Keeps a row, for the file and for the terminal; `situation`: as the arithmetic calls it.

    Then raises `EngineProcessError` if one of ours takes no part any more.
    """
    say(f"\n{request.node.name}, {trio.seconds_left():.0f} s left")
    if trio.seconds_left() < 0:
        pytest.skip("the time is up, and what was measured must be written; start this test alone, with -k, or raise the scale's seconds")

    def told(row, situation: str | None = None) -> None:
        if situation and scale is STANDARD:
            row.notes["predicted two over one"] = two_over_one(scale, 1e12 * facts["ceilings"]["copy TB/s"], situation)
        benchmark.extra_info |= facts | row.figures()
        record_property("two gpus benchmark", row.shown())
        record_property("two gpus benchmark facts", {"gpu": "rehearsed without a GPU"} | facts)
        say(f"  {row.shown()}")
        if lost := {name: why for name, why in trio.absent.items() if name != VLLM}:
            raise EngineProcessError(f"the others are measured without {lost}")

    return told


def test_one_request_alone(tell, scale, trio, benchmark, limit):
    tell(two_gpus_contest.alone(scale, trio, benchmark, limit), "alone")


def test_throughput(tell, scale, trio, benchmark, limit):
    tell(two_gpus_contest.together(scale, trio, benchmark, limit), "together")


def test_first_token_of_a_long_prompt(tell, scale, trio, benchmark):
    tell(two_gpus_contest.first_token(scale, trio, benchmark), "first_token")


def test_start_up(tell, trio, benchmark):
    row = two_gpus_contest.start_up(trio)
    benchmark.pedantic(lambda: STOPWATCH.add(max(trio.started.values(), default=0.0)))
    tell(row)


def test_greedy_tokens_are_right(tell, scale, model, trio, benchmark):
    """The last: the contestants are ended, as the judge needs their memory."""
    prompts, outputs = two_gpus_contest.written(scale, trio, benchmark)
    trio.end_all()
    if trio.seconds_left() < JUDGE_S:
        pytest.skip(f"the judge needs {JUDGE_S} s, and {trio.seconds_left():.0f} are left: the tokens are not judged; start this test alone, with -k greedy")
    with EngineProcess("impl", model.folder, "LLM", scale.arguments["float32"], patience=trio.seconds_left()) as exact:
        tell(two_gpus_contest.near_ties(scale, trio, exact, prompts, outputs))
