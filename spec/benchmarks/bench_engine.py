"""How fast our engine writes, against vLLM as it comes and warmed up: `make bench`.

Each is a process of its own (`reference/engine_process.py`) that gets the same prompts, new ones every round, and
is stopped while the other works. Timed is `LLM.generate`, from token ids to texts, on the CPU in float32, greedily.
"""
import os
import random
import statistics
import subprocess
import sys
from time import perf_counter

import pytest

from reference.checkpoint.random_model import QWEN3, QWEN3_100M, write_random_model
from reference.engine_process import EngineProcess
from reference.vllm_scheduler import installed_version
from spec.benchmarks.bench_scheduler import median_and_spread

pytestmark = pytest.mark.skipif(installed_version() is None, reason="vLLM is not installed: see `make doctor`")

# By model and requests: rounds, and tokens to write in each. A round is a third of a second or more.
CASES = {("tiny", 1): (15, 128), ("tiny", 8): (11, 128), ("tiny", 64): (11, 128),
         ("100M", 1): (5, 64), ("100M", 8): (5, 64), ("100M", 64): (3, 64)}
VOCABULARY = {"tiny": 1024, "100M": 32_000}
NEAR_TIE = 1e-4     # of two logits this close, either may win: twice what float32 sums differ by (NOISE in spec/engine)


@pytest.fixture(scope="module", params=["tiny", "100M"])
def engines(request, tmp_path_factory):
    """vLLM and ours, with one model, started anew and warm after one round of every size."""
    model, say = request.param, request.config.pluginmanager.getplugin("terminalreporter").write_line
    folder = QWEN3
    if model == "100M":
        folder = tmp_path_factory.mktemp("random_model")
        say(f"\n{write_random_model(folder, QWEN3_100M):,} random weights are in {folder}")
    say(f"\nvLLM loads the {model} model and compiles it: a minute or two ...")
    with EngineProcess("vllm", str(folder)) as vllm, EngineProcess("impl", str(folder)) as ours:
        say(f"ready: vLLM after {vllm.ready['seconds']:.1f} s, ours after {ours.ready['seconds']:.1f} s")
        yield model, vllm, ours


def prompts(model: str, size: int, rng: random.Random) -> list[list[int]]:
    return [[rng.randrange(3, VOCABULARY[model]) for _ in range(rng.randint(32, 128))] for _ in range(size)]


@pytest.mark.parametrize("size", [1, 8, 64])
def test_as_many_tokens_a_second_as_vllm(benchmark, record_property, engines, size):
    model, vllm, ours = engines
    (rounds, max_tokens), rng, answers = CASES[model, size], random.Random(size), []

    def vllm_goes_first():
        asked = prompts(model, size, rng)
        answers.append([asked, vllm.generate(asked, max_tokens)])
        return (asked,), {}

    def ours_follows(asked):
        answers[-1].append(ours.generate(asked, max_tokens))

    benchmark.pedantic(ours_follows, setup=vllm_goes_first, rounds=rounds, warmup_rounds=1)
    ties = [tie for asked, theirs, mine in answers for tie in near_ties(ours, asked, theirs["token_ids"], mine["token_ids"])]
    info, row = benchmark.extra_info, {"model": model, "requests": f"{size}"}
    seconds = {"vLLM": [theirs["seconds"] for _, theirs, _ in answers[1:]], "ours": [mine["seconds"] for _, _, mine in answers[1:]]}
    for engine, each in seconds.items():
        median, spread = median_and_spread(each)
        info |= {f"{engine} tokens/s": size * max_tokens / median, f"{engine} spread": spread / median}
        row[f"{engine} tokens/s"] = f"{size * max_tokens / median:,.0f} ({spread / median:.0%})"
    info["ratio"] = statistics.median(seconds["vLLM"]) / statistics.median(seconds["ours"])
    info["near ties"], info["load"] = len(ties), os.getloadavg()[0]
    row |= {"ratio": f"{info['ratio']:.2f}", "near ties": f"{len(ties)}", "load": f"{info['load']:.1f}"}
    record_property("engine benchmark", row)
    assert info["ratio"] >= 1, f"ours writes {info['ratio']:.2f} times as many tokens a second as vLLM with {size} requests"


def near_ties(ours: EngineProcess, asked: list, theirs: list, mine: list) -> list[float]:
    """Where two outputs part, the two best logits must be as good as equal: their distances. After that, they are of different texts."""
    distances = []
    for prompt, expected, found in zip(asked, theirs, mine, strict=True):
        if found == expected:
            continue
        at = next(index for index, (one, other) in enumerate(zip(expected, found)) if one != other)
        ranked = ours.generate([prompt + found[:at]], 1, logprobs=2)["logprobs"][0][0]
        distances.append(ranked[str(found[at])] - ranked.get(str(expected[at]), float("-inf")))
        assert distances[-1] < NEAR_TIE, (f"token {at}: vLLM writes {expected[at]}, ours {found[at]}, "
                                          f"which ours finds better by {distances[-1]:.2e}: no near tie, so one of them is wrong")
    return distances


def test_time_to_the_first_token(benchmark, record_property):
    """`python -m impl`, from the command to the first letter: a fresh process each time."""
    command = [sys.executable, "-m", "impl", "--model", str(QWEN3), "--max-tokens", "8", "Once upon a time"]
    seconds = []

    def first_letter():
        started = perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout.read(1)
            seconds.append(perf_counter() - started)

    benchmark.pedantic(first_letter, rounds=7, warmup_rounds=1)
    median, spread = median_and_spread(seconds[1:])
    benchmark.extra_info["seconds"] = median
    record_property("engine benchmark", {"model": "tiny", "requests": "1, cold", "time to first token": f"{median:.2f} s ({spread / median:.0%})"})
