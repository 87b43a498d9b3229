"""One engine under random load, turned step by step: who comes, who goes, who is refused, and what is looked at afterwards.

What happens in a step is decided by the seed and the number of the step, and not by the clock, so that a finding can be had again. The
engine is driven by its own doors, in one thread: `AsyncLLM` adds the event loop's order, which nobody could repeat.
"""
import random
import traceback
from collections.abc import Callable
from time import perf_counter, process_time

from impl.sampling_params import SamplingParams
from reference.experiments.soak_gauges import compiled_kernels, containers, left_behind, objects, sizes_now, wrong_blocks, yardstick
from reference.experiments.soak_ledger import Ledger
from reference.experiments.soak_log import Log
from reference.experiments.soak_traffic import Asked, Traffic

NUM_SENTINELS, SENTINEL_TOKENS = 4, 24
CLEAR = 1e-2    # a sentinel's best token is better than the next by as much, in logprobs: no noise of float32 turns that
STUCK = 300     # steps in which nobody is told anything
MOST_WRONG = 20


class Ended(Exception):
    """What is wrong is so wrong, or so much, that the soak ends."""


class Soak:
    """One engine under random load. `every`: seconds from sample to sample."""

    def __init__(self, engine, seed: int, log: Log, every: float = 2.0, say: Callable[[str], None] = lambda line: None):
        self.engine, self.log, self.every, self.say = engine, log, every, say
        self.config, self.rng = engine.scheduler.config, random.Random(seed)
        self.began = self.sampled = perf_counter()
        self.cpu = process_time()           # of all threads, when the round began
        self.fresh = containers(engine)
        self.num_steps = self.num_rounds = self.num_wrong = self.num_asked = 0
        self.seconds: list[float] = []      # of each step, since the last sample
        self.of_round: list[float] = []     # since the last time that it was drained
        sentinels, expected = self._sentinels()
        self.traffic = Traffic(self.rng, engine.model_config["vocab_size"], self.config.max_model_len, sentinels)
        self.ledger = Ledger(expected, self.config.max_model_len, self.wrong)

    def run(self, goes_on: Callable[[], bool]) -> None:
        """Rounds, each of which ends with a drained engine, while `goes_on`. What is wrong is in the log."""
        try:
            while goes_on():
                self.num_rounds += 1
                for phase, arrivals, steps in self.traffic.phases():
                    for _ in range(steps):
                        self.turn(arrivals * self.config.max_num_seqs)
                        if perf_counter() - self.sampled > self.every:
                            self._sample(phase)
                        if not goes_on():
                            break
                self.drain()
        except Ended as why:
            self.log.write("ended", why=str(why), step=self.num_steps)
        except Exception as error:
            traceback.print_exc()
            where = traceback.extract_tb(error.__traceback__)[-1]
            self.log.write("wrong", what=f"{type(error).__name__} was raised in {where.name}: {error}", step=self.num_steps, round=self.num_rounds)
            self.log.write("ended", why="what was raised is above", step=self.num_steps)

    def turn(self, arrivals: float) -> None:
        """One step, and what comes and goes before it."""
        for _ in range(int(arrivals) + (self.rng.random() < arrivals % 1)):
            if len(self.ledger.under_way) < 3 * self.config.max_num_seqs:
                self._ask()
        under_way, chance = list(self.ledger.under_way), self.rng.random()
        if chance < 0.08:
            alone = [request_id for request_id in under_way if self.ledger.under_way[request_id].asked.params.n == 1]
            self._ask_wrongly(self.rng.choice(alone) if alone else None)
        elif chance < 0.15 and under_way:
            self._abort(self.rng.choice(under_way))
        elif chance < 0.16 and self.engine.abort("nobody"):
            self.wrong("an abort of nobody gives something back")
        elif chance > 0.997:
            self.engine.scheduler.reset_prefix_cache(reset_running_requests=self.rng.random() < 0.5)
        self._step()

    def drain(self) -> None:
        """Let everybody finish; then nothing may be left, and a request alone must say what it said at the beginning."""
        self._until_nobody_is_left()
        number = self.rng.randrange(len(self.traffic.sentinels))
        self._ask(self.traffic.sentinels[number])
        begin = len(self.of_round)
        self._until_nobody_is_left()
        speed = {"sentinel": number, "yardstick ms": yardstick()}
        free = self.engine.scheduler.block_manager.pool.num_free_blocks
        if free != self.config.num_blocks - 1:
            self.wrong(f"drained, and {self.config.num_blocks - 1 - free} of {self.config.num_blocks - 1} blocks are not free")
        for each in wrong_blocks(self.engine.scheduler) + left_behind(self.fresh, containers(self.engine), self.config):
            self.wrong(f"drained: {each}")
        if self.ledger.under_way:
            self.wrong(f"drained, and these were never told that they had finished: {sorted(self.ledger.under_way)[:5]}")
            self.ledger.under_way.clear()
        pace = latencies("step", self.of_round) | latencies("first token", self.ledger.of_round) | latencies("step alone", self.of_round[begin:])
        pace["cpu ms a step"] = round(1e3 * (process_time() - self.cpu) / len(self.of_round), 3)
        self.of_round.clear()
        self.ledger.of_round.clear()
        told = self._where("drained") | self.ledger.counts | sizes_now(self.engine) | pace | speed
        self.log.write("drained", **told, **{"compiled kernels": compiled_kernels()}, objects=objects())
        self.cpu = process_time()

    def wrong(self, what: str) -> None:
        """Raises `Ended` when it is too much."""
        self.num_wrong += 1
        self.log.write("wrong", what=what, step=self.num_steps, round=self.num_rounds)
        self.say(f"WRONG at step {self.num_steps}: {what}")
        if self.num_wrong >= MOST_WRONG:
            raise Ended(f"{MOST_WRONG} things are wrong")

    def _ask(self, asked=None) -> None:
        asked = asked or self.traffic.request()
        request_id = f"{self.rng.randrange(3)}_{self.num_asked}"       # such as the children of a family have
        self.num_asked += 1
        self.ledger.came(request_id, asked)
        self.engine.add_request(request_id, asked.prompt, asked.params, priority=asked.priority, cache_salt=asked.cache_salt)

    def _ask_wrongly(self, live: str | None) -> None:
        what, error, bad = self.traffic.refused(live)
        before, raised = self._state(), None
        try:
            bad(self.engine.add_request)
        except Exception as refusal:
            raised = f"{type(refusal).__name__}: {refusal}"
        if (raised or "nothing").partition(":")[0] != error:
            self.wrong(f"{what}: {error} was to be raised, and it was {raised or 'nothing'}")
        if self._state() != before:
            self.wrong(f"{what}: it was refused, and has left something behind")
        self.ledger.counts["refused"] += 1

    def _state(self) -> tuple:
        return containers(self.engine), list(self.engine.scheduler.requests), self.engine.scheduler.block_manager.pool.num_free_blocks

    def _abort(self, request_id: str) -> None:
        self.ledger.aborted(request_id, self.engine.abort(request_id))
        if self.engine.abort(request_id):
            self.wrong(f"{request_id} was aborted twice, and something came back both times")

    def _step(self) -> int:
        """How many were told something."""
        began = perf_counter()
        outputs = self.engine.step()
        taken = perf_counter() - began
        self.seconds.append(taken)
        self.of_round.append(taken)
        self.num_steps += 1
        self.ledger.take(outputs)
        return len(outputs)

    def _until_nobody_is_left(self) -> None:
        silent = 0
        while self.engine.has_unfinished_requests():
            silent = 0 if self._step() else silent + 1
            if silent == STUCK:
                self.wrong(f"nobody was told anything in {STUCK} steps: {sizes_now(self.engine)}")
                raise Ended("the engine is stuck")
            if perf_counter() - self.sampled > self.every:
                self._sample("draining")
        for _ in range(2):      # they tell the model runner who has gone
            self._step()

    def _sentinels(self) -> tuple[list[Asked], list[list[int]]]:
        """Requests whose greedy tokens are not in doubt, and these tokens. Each is asked alone."""
        chosen, expected, vocabulary = [], [], self.engine.model_config["vocab_size"]
        while len(chosen) < NUM_SENTINELS:
            prompt = [self.rng.randrange(3, vocabulary) for _ in range(self.rng.randint(4, self.config.max_model_len - SENTINEL_TOKENS))]
            params = {"temperature": 0.0, "max_tokens": SENTINEL_TOKENS, "ignore_eos": True}
            self.engine.add_request("alone", prompt, SamplingParams(**params, logprobs=2))
            while self.engine.has_unfinished_requests():
                outputs = self.engine.step()
            completion = outputs[0].outputs[0]
            if all(best - second > CLEAR for best, second in map(_two_best, completion.logprobs)):
                chosen.append(Asked(prompt, SamplingParams(**params), sentinel=len(chosen)))
                expected.append(completion.token_ids)
        return chosen, expected

    def _sample(self, phase: str) -> None:
        for each in wrong_blocks(self.engine.scheduler):
            self.wrong(each)
        told = self._where(phase) | self.ledger.counts | sizes_now(self.engine) | {"largest container": max(containers(self.engine).values())}
        told |= latencies("step", self.seconds) | latencies("first token", self.ledger.first_tokens)
        self.seconds.clear()
        self.ledger.first_tokens.clear()
        self.log.write("sample", **told)
        self.sampled = perf_counter()
        self.say(f"{told['seconds']:7.1f} s  round {self.num_rounds} {phase:<12} {self.num_steps:,} steps: {told['done']:,} done, {told['aborted']:,} aborted, "
                 f"{told['refused']:,} refused; {told['running']} run, {told['waiting']} wait, {told['free blocks']} blocks free; "
                 f"step {told['step p50 ms'] or 0:.1f} ms; {told['process MB']:.0f} MB")

    def _where(self, phase: str) -> dict:
        return {"seconds": round(perf_counter() - self.began, 2), "round": self.num_rounds, "phase": phase, "steps": self.num_steps}


def latencies(what: str, seconds: list[float]) -> dict[str, float | None]:
    """In ms: the median, the 99th of a hundred, the longest."""
    ranked = sorted(seconds)
    return {f"{what} {name} ms": round(1e3 * ranked[min(len(ranked) - 1, int(len(ranked) * share))], 3) if ranked else None
            for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))}


def _two_best(position: dict) -> list[float]:
    return sorted((entry.logprob for entry in position.values()), reverse=True)[:2]
