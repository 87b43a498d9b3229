"""The benchmark of engines on a GPU, as far as it can be judged without one: what it asks, what it makes of answers, and that all of it runs."""
import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="needs torch: make setup")

from impl.sampling_params import SamplingParams  # noqa: E402
from reference.checkpoint.random_model import QWEN3, QWEN3_600M, count_weights  # noqa: E402
from reference.engine_process import EngineProcess, EngineProcessError  # noqa: E402
from reference.served_load import LoadPlayer  # noqa: E402
from spec.benchmarks import engine_contest, engine_pair, served_contest  # noqa: E402
from spec.benchmarks.engine_contest import Limit  # noqa: E402
from spec.benchmarks.engine_pair import Pair  # noqa: E402
from spec.benchmarks.engine_row import Row, percentile  # noqa: E402
from spec.benchmarks.engine_scale import REHEARSAL, STANDARD  # noqa: E402
from spec.benchmarks.gpu_time import TooFast  # noqa: E402
from spec.benchmarks.greedy_check import checked, judge  # noqa: E402
from spec.benchmarks.kernel_race import Turns, WrongResult  # noqa: E402
from spec.kernels.exactness import DEVICE  # noqa: E402

ROOT = Path(__file__).parents[2]
CONFIG = {"num_hidden_layers": 2, "num_key_value_heads": 3, "head_dim": 5}


def test_the_standard_benchmark_is_nano_vllms():
    prompts, outputs = STANDARD.standard()
    assert (len(prompts), sum(outputs)) == (256, 133_966)
    assert all(100 <= size <= 1024 for size in [*outputs, *map(len, prompts)]) and max(map(max, prompts)) == 10_000
    assert QWEN3_600M["num_attention_heads"] * QWEN3_600M["head_dim"] == 2048


def test_no_round_finds_the_prompts_of_another_in_the_cache():
    prompts, _ = REHEARSAL.standard()
    rounds = [REHEARSAL.like(prompts, number) for number in range(4)]
    assert rounds[0] == prompts and rounds[1] == REHEARSAL.like(prompts, 1)
    assert all(list(map(len, each)) == list(map(len, prompts)) for each in rounds)
    assert len({tuple(prompt[:8]) for each in rounds for prompt in each}) == 4 * len(prompts)


def test_a_load_arrives_at_its_rate_and_some_leave():
    requests = STANDARD.load(60)
    assert len(requests) == 300 and requests == STANDARD.load(60)
    assert 4 < requests[-1]["arrives"] < 6 and requests[0]["arrives"] == 0
    leaving = [request for request in requests if request["leaves_after"]]
    assert len(leaving) == 30 and all(request["leaves_after"] == request["max_tokens"] // 2 for request in leaving)
    assert len(STANDARD.load(5)) == 40


def test_the_limit_counts_each_byte_that_must_be_read():
    prompts, outputs = [7, 4], [3, 5]
    read = sum(prompt + number for prompt, output in zip(prompts, outputs) for number in range(1, output))      # the first comes with the prompt
    num_bytes = 5 * 100 * 2 + read * 2 * 2 * 3 * 5 * 2      # five steps; key and value, layers, heads, head_dim, bytes
    limit = Limit(100, CONFIG, 1e3)
    assert limit.seconds(prompts, outputs) == num_bytes / 1e3
    assert limit.share(num_bytes / 500, prompts, outputs, "ours") == 0.5
    with pytest.raises(TooFast, match="^ours took"):
        limit.share(num_bytes / 1.1e3, prompts, outputs, "ours")


def test_the_limit_of_the_standard_benchmark():
    """About 38,000 and 3,500 tokens a second at 4.25 TB/s."""
    prompts, outputs = STANDARD.standard()
    limit = Limit(596_049_920, QWEN3_600M, 4.25e12)
    assert 36_000 < sum(outputs) / limit.seconds(list(map(len, prompts)), outputs) < 39_000
    assert 3_400 < 512 / limit.seconds([100], [512]) < 3_600


def test_a_row_is_judged_by_each_of_its_bars():
    row = Row("a rate", "tokens/s", {"ours": [130.0, 110.0, 120.0], "vLLM": [100.0, 90.0, 110.0]}, {"vLLM": 1.2, "of ceiling": 0.7}, {"ours": 0.69, "vLLM": 0.5})
    assert row.ratio == 1.2 and row.judged() == {"1.20x vLLM": "met", "70% of ceiling": "missed"}
    figures = row.figures()
    assert (figures["ours tokens/s"], figures["ratio to vLLM"], figures["ours of ceiling"], figures["ours spread"]) == (120.0, 1.2, 0.69, pytest.approx(1 / 6))
    assert row.shown()["bars"] == "1.20x vLLM: met, 70% of ceiling: missed"


def test_of_a_time_less_is_better_and_without_vllm_nothing_is_met():
    twice = Row("a time", "ms", {"ours": [5.0], "vLLM": [10.0]}, {"vLLM": 2.0})
    assert twice.ratio == 2.0 and twice.judged() == {"2.00x vLLM": "met"}
    lonely = Row("a time", "ms", {"ours": [5.0]}, {"vLLM": 1.0}, tail=True)
    assert lonely.ratio is None and lonely.judged() == {"1.00x vLLM": "not measured"} and lonely.figures()["ours p99 ms"] == 5.0
    assert Row("a count", "near-ties", {"ours": [0], "vLLM": [0]}).ratio is None
    assert percentile(list(range(1000)), 99) == 990


class Scripted:
    """An engine that answers as it is told, and remembers what it was asked."""

    def __init__(self, *answers):
        self.answers, self.asked, self.ready = list(answers), [], {"build": 1.0}

    def generate(self, prompts, max_tokens, **params):
        self.asked.append((prompts, max_tokens))
        return self.answers.pop(0)

    def serve(self, requests):
        return self.answers.pop(0)


def pair_of(ours, vllm=None):
    return Pair(ours, vllm, "" if vllm else "none here", lambda line: None)


def test_both_are_asked_the_same_and_the_warm_up_does_not_count():
    answers = [{"seconds": seconds} for seconds in (9.0, 2.0, 4.0)]
    ours, vllm = Scripted(*answers), Scripted(*answers)
    told = pair_of(ours, vllm).take_turns(Turns(), 2, lambda engine, number: engine.generate([number], 1))
    assert {name: [each["seconds"] for each in rounds] for name, rounds in told.items()} == {"vLLM": [2.0, 4.0], "ours": [2.0, 4.0]}
    assert ours.asked == vllm.asked == [([0], 1), ([1], 1), ([2], 1)]


def test_an_output_of_another_length_is_an_error():
    answers = [{"seconds": 1.0, "token_ids": [[5] * length]} for length in (16, 16, 15)]
    with pytest.raises(WrongResult, match="^ours wrote outputs of other lengths"):
        engine_contest.alone(REHEARSAL, pair_of(Scripted(*answers)), Turns(), Limit(1, CONFIG, 1e12))


RANKED = [{}, {"7": -1.0}, {"8": -1.0, "9": -1.5}, {"3": -2.0}]


def test_each_greedy_token_is_judged_also_behind_a_near_tie():
    verdict = judge(Scripted({"prompt_logprobs": [RANKED]}), [[1]], [[7, 9, 3]])
    assert (verdict.tokens, verdict.gaps) == (3, [0.5]) and verdict.worst == "prompt 0, token 1: 9 is written, and float32 finds 8 better by 0.500"
    assert judge(Scripted({"prompt_logprobs": [RANKED]}), [[1]], [[7, 8, 3]]).gaps == []


def all_wrong(scale, gap):
    """What a float32 engine says of outputs that are all of token 5."""
    few, length = scale.checked
    prompts = scale.standard()[0]
    lengths = [len(prompts[number]) for number in range(0, len(prompts), len(prompts) // few)]
    return {"prompt_logprobs": [[{}] * size + [{"5": -1.0 - gap, "6": -1.0}] * output
                                for size, output in [*((size, length) for size in lengths), scale.alone]]}


@pytest.mark.parametrize("gap, wrong", [(0.9e-4, False), (1.1e-4, True)])
def test_a_greedy_token_that_is_no_near_tie_is_an_error(gap, wrong):
    among = {"seconds": 1.0, "token_ids": [[5] * REHEARSAL.checked[1]] * REHEARSAL.num_requests}
    ours = Scripted(among, among, {"token_ids": [[5] * REHEARSAL.alone[1]]})
    exact = Scripted(all_wrong(REHEARSAL, gap))
    if wrong:
        with pytest.raises(WrongResult, match="5 is written, and float32 finds 6 better by 0.000: no near-tie"):
            checked(REHEARSAL, pair_of(ours), Turns(), exact)
        return
    row = checked(REHEARSAL, pair_of(ours), Turns(), exact)
    assert row.measured == {"ours": [3 * 8 + 16]} and row.judged() == {"at most 2x vLLM's": "not measured"}


def load_told(rate, lost=0, **more):
    answers = [{"first": 0.5, "last": 0.5 + (request["max_tokens"] - 1) / 8, "tokens": request["leaves_after"] or request["max_tokens"], "has_text": True}
               for request in REHEARSAL.load(rate)]
    answers[0] |= more
    return {"seconds": 1.0, "answers": answers, "lost_blocks": lost}


def test_what_a_load_is_told_as():
    told = served_contest.served(REHEARSAL, pair_of(Scripted(load_told(20)), Scripted(load_told(20, first=0.25))), 20)
    row = served_contest.waiting(told, 20, "")
    assert (row.what, row.ratio, row.figures()["ours ms"], row.figures()["requests"]) == ("time to the first token, 20 requests/s", 1.0, 500.0, 10)
    assert served_contest.between_tokens(told, 20, "").figures()["ours ms"] == 125.0


@pytest.mark.parametrize("more", [{"tokens": 3}, {"tokens": 99}, {"has_text": False}])
def test_a_request_that_did_not_get_what_it_asked_for_is_an_error(more):
    with pytest.raises(WrongResult, match="^ours gave"):
        served_contest.served(REHEARSAL, pair_of(Scripted(load_told(20, **more))), 20)


def test_lost_blocks_are_an_error():
    assert served_contest.left_behind({20: {"ours": load_told(20)}}).figures()["ours blocks"] == 0
    with pytest.raises(WrongResult, match="{20: 0, 80: 2}"):
        served_contest.left_behind({20: {"ours": load_told(20)}, 80: {"ours": load_told(80, lost=2)}})


class Stream:
    """An `AsyncLLM` that gives a token every hundredth of a second, all so far or what is new, and one block a request."""

    def __init__(self, new_only=False, keeps=()):
        self.new_only, self.keeps, self.free = new_only, keeps, list(range(10))
        manager = SimpleNamespace(free_blocks=self.free)
        self.engine = SimpleNamespace(scheduler=SimpleNamespace(config=SimpleNamespace(num_blocks=11), block_manager=manager))

    async def generate(self, prompt, params, request_id):
        block = self.free.pop()
        try:
            for number in range(1, params.max_tokens + 1):
                await asyncio.sleep(0.01)
                yield SimpleNamespace(outputs=[SimpleNamespace(token_ids=[7] * (1 if self.new_only else number), text="" if number > 1 else "seven")])
        finally:
            if request_id not in self.keeps:
                self.free.append(block)


@pytest.mark.parametrize("new_only", [False, True])
def test_a_load_is_played_and_who_leaves_gets_no_more(new_only):
    asked = [{"arrives": 0.0, "prompt": [1], "max_tokens": 4, "leaves_after": None}, {"arrives": 0.03, "prompt": [1], "max_tokens": 9, "leaves_after": 2}]
    player = LoadPlayer(Stream(new_only), asyncio.Runner(), {"min_tokens": 0} if new_only else {})
    told = player.play(SamplingParams, asked)
    assert [answer["tokens"] for answer in told["answers"]] == [4, 2] and told["lost_blocks"] == 0
    assert all(0 < answer["first"] < answer["last"] and answer["has_text"] for answer in told["answers"])


def test_a_block_that_does_not_come_back_is_counted(monkeypatch):
    monkeypatch.setattr("reference.served_load.PATIENCE", 0.1)
    player = LoadPlayer(Stream(keeps=["1-1"]), asyncio.Runner(), {})
    assert player.play(SamplingParams, [{"arrives": 0.0, "prompt": [1], "max_tokens": 2, "leaves_after": None}] * 2)["lost_blocks"] == 1


def test_an_engine_that_cannot_answer_can_be_asked_again_and_one_that_hangs_is_ended(monkeypatch):
    with EngineProcess("impl", str(QWEN3)) as ours:
        with pytest.raises(EngineProcessError, match="InvalidSamplingParamsError: max_tokens=0"):
            ours.generate([[5, 6]], 0)
        assert len(ours.generate([[5, 6]], 3)["token_ids"][0]) == 3
        monkeypatch.setattr("reference.engine_process.ANSWER_S", 0.01)
        with pytest.raises(EngineProcessError, match="was ended as it took"):
            ours.generate([[5, 6]], 500)


def test_without_vllm_ours_is_measured_alone_and_that_is_said(monkeypatch):
    said = []

    class Process(Scripted):
        def __init__(self, engine, *rest):
            super().__init__()
            self.ready = {"seconds": 1.0}
            if engine == "vllm":
                raise EngineProcessError("it ended with status 1")

        __enter__, __exit__ = (lambda self: self), (lambda *_: None)

    monkeypatch.setattr(engine_pair, "EngineProcess", Process)
    for version, why in ((None, engine_pair.WANTED), ("0.32.0", "vLLM did not start, so ours is measured alone: it ended with status 1")):
        monkeypatch.setattr(engine_pair, "installed_version", lambda version=version: version)
        with engine_pair.opened(REHEARSAL, "", "LLM", said.append) as pair:
            assert list(pair.engines) == ["ours"] and pair.absent == why and said[-2] == why


def test_the_weights_of_a_checkpoint_are_counted():
    from safetensors import safe_open
    with safe_open(QWEN3 / "model.safetensors", "pt") as weights:
        names = set(weights.keys()) - {"lm_head.weight"}    # tied
        assert count_weights(QWEN3) == sum(weights.get_tensor(name).numel() for name in names)


def bench(tmp_path, *arguments):
    """Both files in a process in which no vLLM is installed."""
    code = ("import sys, pytest, reference.vllm_scheduler as it; it.installed_version = lambda: None; "
            "raise SystemExit(pytest.main(['spec/benchmarks/bench_gpu_engine.py', 'spec/benchmarks/bench_gpu_server.py', '--no-report', '-rs', *sys.argv[1:]]))")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")} | {"CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run([sys.executable, "-W", "ignore", "-c", code, "-p", "no:cacheprovider", "--benchmark-only", *arguments],
                          cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)


def test_where_there_is_no_gpu_it_is_skipped_and_the_remedy_named(tmp_path):
    done = bench(tmp_path)
    assert done.returncode == 0 and "needs an NVIDIA GPU: run this on a machine that has one" in done.stdout, done.stdout + done.stderr


@pytest.mark.skipif(DEVICE == "cuda", reason="there is a GPU, and so no need to rehearse: make bench")
def test_all_of_it_runs_without_a_gpu(tmp_path):
    done = bench(tmp_path, "--rehearse", f"--benchmark-json={tmp_path / 'bench.json'}")
    assert done.returncode == 0 and "ours is measured alone" in done.stdout, done.stdout + done.stderr
    rows = {each["extra_info"]["engine row"]: each["extra_info"] for each in json.loads((tmp_path / "bench.json").read_text())["benchmarks"]}
    assert len(rows) == 7 + 2 * len(REHEARSAL.rates)
    assert rows["greedy tokens that are near-ties in float32"]["ours near-ties"] == 0
    assert not any("gpu" in row for row in rows.values()), "a rehearsal must not be taken for a measurement"
