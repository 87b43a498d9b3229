"""How fast our scheduler decides, against vLLM's: `make bench`.

Timed are the calls of the two schedulers themselves, and the building of requests: vLLM hashes a prompt there, we when it
is first looked up. The model is not played: a rehearsal writes down what it answers to each step, in the form each engine
wants, and the rounds that are timed read it out.
"""
import functools
import gc
import random
import statistics
from collections import defaultdict
from time import perf_counter

import pytest

import impl
from reference.play import OurEngine
from reference.vllm_scheduler import VllmEngine, installed_version
from reference.workload import EOS, RequestSpec, Workload, workload

pytestmark = pytest.mark.skipif(installed_version() is None, reason="vLLM is not installed: see `make doctor`")

ROUNDS = 11
# Timed steps in a round, by running requests: 50 ms of vLLM or more. Multiples of the block size, so that each
# request, wherever it stands, fills the same number of blocks.
STEPS = {4: 1024, 64: 128, 256: 48, 1024: 16}


class Ours:
    def __init__(self, workload: Workload):
        self.scheduler = OurEngine(impl, workload).scheduler

    def request(self, spec: RequestSpec, prompt: list[int]) -> functools.partial:
        params = impl.SamplingParams(max_tokens=spec.max_tokens, eos_token_id=EOS)
        return functools.partial(impl.Request, spec.request_id, prompt, params)

    def shares(self, output) -> dict[str, int]:
        return {share.request_id: share.num_tokens for share in output.scheduled}

    def answer(self, shares: dict[str, int], sampled: dict[str, list[int]]):
        return sampled


class Vllm:
    def __init__(self, workload: Workload):
        self.engine = VllmEngine(workload, log_stats=False)
        self.scheduler = self.engine.scheduler

    def request(self, spec: RequestSpec, prompt: list[int]) -> functools.partial:
        vllm = self.engine.vllm
        params = vllm.SamplingParams(max_tokens=spec.max_tokens, detokenize=False)
        params.update_from_generation_config({}, EOS)
        return functools.partial(vllm.Request, spec.request_id, prompt, params, None, block_hasher=self.engine.hasher)

    def shares(self, output) -> dict[str, int]:
        return dict(output.num_scheduled_tokens)

    def answer(self, shares: dict[str, int], sampled: dict[str, list[int]]):
        return self.engine.vllm.ModelRunnerOutput(
            req_ids=list(shares), req_id_to_index={request_id: index for index, request_id in enumerate(shares)},
            sampled_token_ids=[sampled.get(request_id, []) for request_id in shares],
            logprobs=None, prompt_logprobs_dict={}, pooler_output=[])


@functools.cache
def decode(size: int) -> tuple[Workload, int, int]:
    """`size` requests that all run, and every one decodes; the steps before that are not timed."""
    rng, warm_up = random.Random(size), 2 + size // 64
    lab = workload(num_blocks=2 + size * (8 + STEPS[size] // 16), block_size=16, max_num_batched_tokens=8192,
                   max_num_seqs=size, max_model_len=16_384)
    for number in range(size):
        lab = lab.request(f"r{number}", rng.randint(32, 96), max_tokens=16_000)
    return lab, warm_up, STEPS[size]


@functools.cache
def mixed() -> tuple[Workload, int, int]:
    """256 requests come and go; eight system prompts hit the cache; a budget of 256 tokens cuts prefills into chunks."""
    rng = random.Random(0)
    lab = workload(num_blocks=8192, block_size=16, max_num_batched_tokens=256, max_num_seqs=128, max_model_len=16_384)
    for number in range(256):
        lab = lab.request(f"r{number}", f"system{rng.randrange(8)}:320 r{number}:{rng.randint(16, 400)}",
                          arrives=rng.randrange(1600), max_tokens=rng.randint(50, 350))
    return lab, 1, 2000


def rehearse(case: tuple[Workload, int, int]) -> dict[type, list[tuple]]:
    """For each engine and step, the requests that arrive and the model's answer. Both must decide alike throughout."""
    lab, warm_up, steps = case
    engines, feeds, arrivals = [Ours(lab), Vllm(lab)], {Ours: [], Vllm: []}, defaultdict(list)
    for spec in lab.requests:
        arrivals[spec.arrives].append(spec)
    for step in range(warm_up + steps):
        decisions = []
        for engine in engines:
            builders = [engine.request(spec, list(spec.prompt_token_ids())) for spec in arrivals[step]]
            for build in builders:
                engine.scheduler.add_request(build())
            output = engine.scheduler.schedule()
            shares, known = engine.shares(output), engine.scheduler.requests
            # Who has been computed to the end samples a token: which one costs neither engine anything.
            sampled = {name: [10_000 + step] for name in shares if known[name].num_computed_tokens == known[name].num_tokens}
            answer = engine.answer(shares, sampled)
            engine.scheduler.update_from_output(output, answer)
            feeds[type(engine)].append((builders, answer))
            decisions.append((list(shares.items()), list(sampled)))
        assert decisions[0] == decisions[1], f"step {step}: the engines decided differently, so their times mean nothing"
    return feeds


class Round:
    """One engine, new, fed up to the steps that are timed; then timed. Garbage is collected before, and not during."""

    def __init__(self, engine_class: type, case: tuple[Workload, int, int], feed: list[tuple]):
        lab, warm_up, _ = case
        self.scheduler, self.requests, self.feed = engine_class(lab).scheduler, [], feed[warm_up:]
        gc.collect()
        gc.disable()
        self.play(feed[:warm_up])
        gc.collect()

    def __call__(self) -> None:
        start = perf_counter()
        self.play(self.feed)
        self.step_seconds = (perf_counter() - start) / len(self.feed)
        gc.enable()
        self.work = [(request.request_id, request.num_computed_tokens, request.num_tokens) for request in self.requests]
        del self.scheduler, self.requests, self.feed

    def play(self, feed: list[tuple]) -> None:
        schedule, update_from_output = self.scheduler.schedule, self.scheduler.update_from_output
        for builders, answer in feed:
            for build in builders:
                request = build()
                self.scheduler.add_request(request)
                self.requests.append(request)
            update_from_output(schedule(), answer)


def race(benchmark, us, rival) -> list[tuple[Round, Round]]:
    """Let two contestants take turns, so that whatever else the machine does meets both.

    pytest-benchmark times one function per test, all its rounds in a row. So it times ours, and the rival has its
    round in what goes before each; its figures stand in the `extra_info` of pytest-benchmark's JSON.
    """
    rounds = []
    gc.collect()
    gc.freeze()     # What is here stays, torch above all: no round need collect it again.

    def rival_goes_first():
        theirs = Round(*rival)
        theirs()
        rounds.append((Round(*us), theirs))
        return rounds[-1][:1], {}

    benchmark.pedantic(Round.__call__, setup=rival_goes_first, rounds=ROUNDS, warmup_rounds=1)
    return rounds[1:]


def compare(benchmark, record_property, name: str, case: tuple[Workload, int, int]) -> float:
    """Race ours against vLLM on the same work, note the table's row, and return how many times as fast ours is."""
    feeds = rehearse(case)
    rounds = race(benchmark, (Ours, case, feeds[Ours]), (Vllm, case, feeds[Vllm]))
    assert all(ours.work == vllm.work for ours, vllm in rounds), "the engines did different work: their times do not compare"
    requests_per_step = statistics.mean(len(answer.req_ids) for _, answer in feeds[Vllm][case[1]:])
    info, row = benchmark.extra_info, {"running": name}
    for engine, of_engine in zip(("vLLM", "ours"), ([vllm for _, vllm in rounds], [ours for ours, _ in rounds])):
        median, spread = median_and_spread([each.step_seconds for each in of_engine])
        info |= {f"{engine} steps/s": 1 / median, f"{engine} us/request-step": 1e6 * median / requests_per_step,
                 f"{engine} spread": spread / median}
        row[f"{engine} steps/s"] = f"{1 / median:,.0f} ({spread / median:.0%})"
    info["ratio"], info["ratio spread"] = median_and_spread([vllm.step_seconds / ours.step_seconds for ours, vllm in rounds])
    row["ratio"] = f"{info['ratio']:.2f} ({info['ratio spread'] / info['ratio']:.0%})"
    row |= {column: f"{info[column]:.2f}" for column in ("vLLM us/request-step", "ours us/request-step")}
    record_property("scheduler benchmark", row)
    return info["ratio"]


def median_and_spread(values: list[float]) -> tuple[float, float]:
    """The median and the interquartile range."""
    first, median, third = statistics.quantiles(values, n=4, method="inclusive")
    return median, third - first


@pytest.mark.parametrize("size", STEPS)
def test_decoding_is_at_least_three_times_as_fast(benchmark, record_property, size):
    ratio = compare(benchmark, record_property, f"{size:,} decoding", decode(size))
    assert ratio >= 3, f"ours is {ratio:.2f} times as fast as vLLM with {size} requests; profile schedule() and update_from_output()"


def test_arrivals_and_prefills_are_at_least_three_times_as_fast(benchmark, record_property):
    ratio = compare(benchmark, record_property, "256 come and go", mixed())
    assert ratio >= 3, f"ours is {ratio:.2f} times as fast as vLLM; profile Admission and get_computed_blocks()"


def test_cost_grows_no_faster_than_the_work(benchmark):
    """Sixteen times the requests may cost 24 times the time: the caches of the processor are not endless."""
    small, large = decode(64), decode(1024)
    rounds = race(benchmark, (Ours, large, rehearse(large)[Ours]), (Ours, small, rehearse(small)[Ours]))
    growth = statistics.median((of_large.step_seconds / 1024) / (of_small.step_seconds / 64) for of_large, of_small in rounds)
    benchmark.extra_info["growth"] = growth
    assert growth <= 1.5, f"a request costs {growth:.2f} times as much among 1,024 as among 64: look for a scan within the loop"
