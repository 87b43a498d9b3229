"""The benchmark of a second GPU, as far as it can be judged without any: what it asks, what it makes of answers and of who fails, and that all of it runs."""
import json
import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import pytest

torch = pytest.importorskip("torch", reason="needs torch: make setup")

from reference.checkpoint.random_model import QWEN3_8B  # noqa: E402
from reference.engine_process import EngineProcess, EngineProcessError  # noqa: E402
from spec.benchmarks import engine_trio, two_gpus_contest  # noqa: E402
from spec.benchmarks.engine_trio import Trio, opened  # noqa: E402
from spec.benchmarks.gpu_time import TooFast  # noqa: E402
from spec.benchmarks.kernel_race import WrongResult  # noqa: E402
from spec.benchmarks.two_gpus_row import Row  # noqa: E402
from spec.benchmarks.two_gpus_scale import ONE, REHEARSAL, TWO, VLLM  # noqa: E402
from spec.kernels.exactness import DEVICE  # noqa: E402

ROOT = Path(__file__).parents[2]


class Benchmark:
    """Of pytest-benchmark's fixture, what a contest uses."""

    def __init__(self):
        self.rounds = 0

    def pedantic(self, function, rounds, warmup_rounds):
        self.rounds = rounds
        for _ in range(rounds):
            function()


class Scripted:
    """An engine that gives its answers in turn, raises those that are errors, and remembers whether it was ended."""

    def __init__(self, *answers):
        self.answers, self.asked, self.ended = list(answers), [], False

    def generate(self, prompts, max_tokens, **params):
        self.asked.append((prompts, max_tokens, params))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def __exit__(self, *_):
        self.ended = True


def trio_of(seconds=1e6, **engines):
    names = {"vllm": VLLM, "one": ONE, "two": TWO}
    return Trio({names[name]: engine for name, engine in engines.items()}, {}, lambda line: None, perf_counter() + seconds)


def took(*seconds):
    return Scripted(*({"seconds": each} for each in seconds))


def ask(engine, number):
    return engine.generate([number], 1)


def test_no_round_finds_the_prompts_of_another_in_the_cache():
    lengths, _ = REHEARSAL.lengths()
    rounds = [REHEARSAL.prompts(lengths, number) for number in (20, 21, 50)]
    assert rounds[0] == REHEARSAL.prompts(lengths, 20) and all(list(map(len, each)) == lengths for each in rounds)
    assert len({tuple(prompt[:8]) for each in rounds for prompt in each}) == 3 * len(lengths)


def test_all_are_asked_the_same_and_the_warm_up_does_not_count():
    one, two, vllm, benchmark = took(9.0, 2.0, 4.0), took(9.0, 1.0, 2.0), took(9.0, 1.5, 1.5), Benchmark()
    told = trio_of(vllm=vllm, one=one, two=two).take_turns(benchmark, 2, ask)
    assert {name: [each["seconds"] for each in rounds] for name, rounds in told.items()} == {VLLM: [1.5, 1.5], ONE: [2.0, 4.0], TWO: [1.0, 2.0]}
    assert one.asked == two.asked == vllm.asked == [([number], 1, {}) for number in range(3)] and benchmark.rounds == 2


def test_who_gives_up_is_left_out_and_the_others_go_on():
    one, two = took(9.0, 2.0, 4.0), Scripted({"seconds": 9.0}, EngineProcessError("rank 1 let the others wait"))
    trio, benchmark = trio_of(one=one, two=two), Benchmark()
    told = trio.take_turns(benchmark, 2, ask)
    assert list(told) == [ONE] and len(told[ONE]) == benchmark.rounds == 2
    assert two.ended and not one.ended and list(trio.engines) == [ONE]
    assert trio.absent == {TWO: "gave up: rank 1 let the others wait"}


def test_where_time_is_short_there_are_fewer_rounds_but_one():
    benchmark = Benchmark()
    told = trio_of(seconds=0, one=took(9.0, 2.0, 4.0)).take_turns(benchmark, 2, ask)
    assert [each["seconds"] for each in told[ONE]] == [2.0] and benchmark.rounds == 1


def test_who_does_not_start_is_named_and_the_others_are_measured(monkeypatch):
    said, patience = [], []

    class Process(Scripted):
        def __init__(self, engine, model, door, arguments, patience):
            super().__init__()
            self.ready = {"seconds": 2.0, "build": 1.0}
            if arguments.get("tensor_parallel_size") == 2:
                raise EngineProcessError("it ended with status 1")

    monkeypatch.setattr(engine_trio, "EngineProcess", Process)
    for version, why in ((None, engine_trio.WANTED), ("0.32.0", "did not start: it ended with status 1")):
        monkeypatch.setattr(engine_trio, "installed_version", lambda version=version: version)
        with opened(REHEARSAL, "", said.append, perf_counter() + 9) as trio:
            one = trio.engines[ONE]
            assert list(trio.engines) == [ONE] and trio.started == {ONE: 1.0}
            assert trio.absent == {VLLM: why, TWO: "did not start: it ended with status 1"} and f"  {VLLM} {why}" in said
        assert one.ended


def test_a_process_that_does_not_start_in_time_is_ended():
    began = perf_counter()
    with pytest.raises(EngineProcessError, match="was ended as it took 0 s"):
        EngineProcess("impl", str(ROOT / "reference/checkpoint/qwen3"), patience=0.05)
    assert perf_counter() - began < 30


def test_a_row_says_what_the_second_gpu_brought_and_how_vllm_compares():
    row = Row("a rate", "tokens/s", {ONE: [100.0, 90.0, 110.0], TWO: [150.0, 120.0, 160.0], VLLM: [200.0]}, {ONE: 0.5}, {})
    assert row.ratios() == {"two over one": 1.5, "ratio to vLLM": 0.75}
    figures = row.figures()
    assert (figures[f"{TWO} tokens/s"], figures[f"{ONE} spread"], figures[f"{ONE} of limit"]) == (150.0, 0.2, 0.5) and f"{VLLM} spread" not in figures
    assert Row("a time", "ms", {ONE: [4.0], TWO: [2.0]}).ratios() == {"two over one": 2.0}
    assert Row("a count", "near-ties", {ONE: [4], TWO: [2], VLLM: [1]}).ratios() == {} == Row("a rate", "tokens/s", {VLLM: [1.0]}).ratios()


def test_an_output_of_another_length_and_a_time_below_the_limit_are_errors():
    limit = two_gpus_contest.limits(100, QWEN3_8B | {"tie_word_embeddings": True}, {ONE: 1e12, TWO: 2e12})
    prompt, output = REHEARSAL.alone
    for seconds, length, error in ((1.0, output - 1, WrongResult), (1e-9, output, TooFast)):
        two = Scripted(*[{"seconds": seconds, "token_ids": [[5] * length]}] * 3)
        with pytest.raises(error, match=f"^{TWO}"):
            two_gpus_contest.alone(REHEARSAL, trio_of(two=two), Benchmark(), limit)


def wrote(token_id):
    """Of both rounds: what comes together, and what is alone."""
    few, length = REHEARSAL.checked
    return Scripted(*[{"seconds": 1.0, "token_ids": [[token_id] * length for _ in range(REHEARSAL.num_requests)]},
                      {"seconds": 1.0, "token_ids": [[token_id] * REHEARSAL.alone[1]]}] * 2)


class Exact:
    """A float32 engine that finds token 6 better than any other, by `gap`."""

    def __init__(self, gap):
        self.gap = gap

    def generate(self, whole, max_tokens, prompt_logprobs):
        return {"prompt_logprobs": [[{}] + [{str(token_id): -1.0 - self.gap * (token_id != 6), "6": -1.0} for token_id in each[1:]] for each in whole]}


def test_greedy_tokens_are_those_of_greedy_requests_in_the_midst_of_sampled_ones_and_of_one_alone():
    two = wrote(5)
    prompts, outputs = two_gpus_contest.written(REHEARSAL, trio_of(two=two), Benchmark())
    among, alone = two.asked[2], two.asked[3]
    temperatures = among[2]["temperature"]
    assert temperatures.count(0.0) == len(prompts) - 1 >= REHEARSAL.checked[0] and set(temperatures) == {0.0, 0.6}
    assert prompts == [prompt for prompt, temperature in zip(among[0], temperatures) if temperature == 0] + alone[0]
    assert list(map(len, outputs[TWO])) == [REHEARSAL.checked[1]] * (len(prompts) - 1) + [REHEARSAL.alone[1]]


@pytest.mark.parametrize("gap, wrong", [(0.9e-4, False), (1.1e-4, True)])
def test_a_greedy_token_of_ours_that_is_no_near_tie_is_an_error(gap, wrong):
    trio = trio_of(vllm=wrote(5), two=wrote(5))
    prompts, outputs = two_gpus_contest.written(REHEARSAL, trio, Benchmark())
    if wrong:
        with pytest.raises(WrongResult, match=f"^{TWO}, prompt 0, token 0: 5 is written, and float32 finds 6 better by 0.000: no near-tie"):
            two_gpus_contest.near_ties(REHEARSAL, trio, Exact(gap), prompts, outputs)
        return
    row = two_gpus_contest.near_ties(REHEARSAL, trio, Exact(gap), prompts, outputs)
    tokens = sum(map(len, outputs[TWO]))
    assert row.measured == {VLLM: [tokens], TWO: [tokens]} and row.figures()["tokens"] == tokens
    assert two_gpus_contest.near_ties(REHEARSAL, trio, Exact(1.0), prompts, {TWO: [[6] * len(each) for each in outputs[TWO]]}).measured == {TWO: [0]}


def bench(*arguments, before="pass"):
    """In a process in which no vLLM is installed. `before`: what else is done there first."""
    code = (f"import sys, pytest, reference.vllm_scheduler as it; it.installed_version = lambda: None; {before}; "
            "raise SystemExit(pytest.main(['spec/benchmarks/bench_two_gpus.py', '--no-report', '-rs', *sys.argv[1:]]))")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")} | {"CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run([sys.executable, "-W", "ignore", "-c", code, "-p", "no:cacheprovider", "--benchmark-only", *arguments],
                          cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)


def test_where_there_are_no_two_gpus_it_is_skipped_and_the_remedy_named():
    done = bench()
    assert done.returncode == 0 and "needs two NVIDIA GPUs: run this on a machine that has them" in done.stdout, done.stdout + done.stderr


@pytest.mark.skipif(DEVICE == "cuda", reason="there is a GPU, and so no need to rehearse: make bench-two-gpus")
def test_all_of_it_runs_without_a_gpu(tmp_path):
    done = bench("--rehearse", f"--benchmark-json={tmp_path / 'bench.json'}")
    assert done.returncode == 0 and f"{VLLM} {engine_trio.WANTED}" in done.stdout, done.stdout + done.stderr
    rows = {each["extra_info"]["two gpus row"]: each["extra_info"] for each in json.loads((tmp_path / "bench.json").read_text())["benchmarks"]}
    assert len(rows) == 5 and all(f"{name} {row['unit']}" in row and row["absent"] == {VLLM: engine_trio.WANTED} for row in rows.values() for name in (ONE, TWO))
    assert rows["greedy tokens that are near-ties in float32"][f"{TWO} near-ties"] == 0
    assert all(list(row["all-reduce us"]) == ["1", str(REHEARSAL.num_requests)] and min(row["all-reduce us"].values()) > 0 for row in rows.values())
    assert not any("gpu" in row for row in rows.values()), "a rehearsal must not be taken for a measurement"


def test_where_ours_cannot_start_on_two_it_fails_and_the_others_are_kept(tmp_path):
    unknown = f"from spec.benchmarks.two_gpus_scale import REHEARSAL; REHEARSAL.arguments[{TWO!r}]['unknown'] = 1"
    done = bench("--rehearse", f"--benchmark-json={tmp_path / 'bench.json'}", "-k", "first_token", before=unknown)
    assert done.returncode == 1 and "the others are measured without {'ours on two': " in done.stdout, done.stdout + done.stderr
    kept, = json.loads((tmp_path / "bench.json").read_text())["benchmarks"]
    assert kept["extra_info"][f"{ONE} ms"] > 0 and "did not start: " in kept["extra_info"]["absent"][TWO]
