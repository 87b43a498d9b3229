"""The benchmark of a second GPU, as far as it can be judged without any: what it asks, what it makes of answers and of who fails, and that all of it runs."""
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import pytest

torch = pytest.importorskip("torch", reason="needs torch: make setup")

from safetensors import safe_open  # noqa: E402

from impl.checkpoint import read_weights  # noqa: E402
from reference.checkpoint.random_model import QWEN3_600M, QWEN3_8B, write_random_model  # noqa: E402
from reference.engine_process import EngineProcess, EngineProcessError  # noqa: E402
from spec.benchmarks import all_reduce_time, engine_trio, gpu_ceilings, two_gpus_arithmetic, two_gpus_contest  # noqa: E402
from spec.benchmarks.engine_trio import Trio, opened  # noqa: E402
from spec.benchmarks.gpu_time import TooFast  # noqa: E402
from spec.benchmarks.kernel_race import WrongResult  # noqa: E402
from spec.benchmarks.two_gpus_arithmetic import Prediction  # noqa: E402
from spec.benchmarks.two_gpus_row import Row  # noqa: E402
from spec.benchmarks.two_gpus_scale import KV_CACHE_BYTES, ONE, REHEARSAL, STANDARD, TWO, VLLM  # noqa: E402
from spec.kernels.exactness import DEVICE  # noqa: E402

ROOT = Path(__file__).parents[2]
LAYERS, HIDDEN, VOCABULARY, GATES = 36, 4096, 151_936, 12_288
A_TOKEN = 2 * 2 * LAYERS * 8 * 128                                                              # bytes of the KV cache, bfloat16
A_LAYER = 2 * HIDDEN * 32 * 128 + 2 * HIDDEN * 8 * 128 + 3 * HIDDEN * GATES + 2 * HIDDEN + 2 * 128
READ = LAYERS * A_LAYER + HIDDEN + VOCABULARY * HIDDEN                                          # weights of a step: of the embedding only rows


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


def test_no_round_finds_the_prompts_of_another_in_the_cache():
    lengths, _ = REHEARSAL.lengths()
    rounds = [REHEARSAL.prompts(lengths, number) for number in (20, 21, 50)]
    assert rounds[0] == REHEARSAL.prompts(lengths, 20) and all(list(map(len, each)) == lengths for each in rounds)
    assert len({tuple(prompt[:8]) for each in rounds for prompt in each}) == 3 * len(lengths)


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
        all_reduce_time.microseconds("cuda" if DEVICE == "cpu" else "cpu:7", 2, 16, [1])
    monkeypatch.setattr(all_reduce_time, "PATIENCE", 3)
    with pytest.raises(all_reduce_time.NotMeasured, match="the ranks took more than 3 s"):
        all_reduce_time.microseconds("cpu", 10**9, 16, [1])


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


def bench(*arguments):
    """In a process in which no vLLM is installed."""
    code = ("import sys, pytest, reference.vllm_scheduler as it; it.installed_version = lambda: None; "
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
