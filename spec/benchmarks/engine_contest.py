"""The parts of the engines' contest: what both are asked, in turns, and what is made of their answers.

A wrong answer fails; a slow one does not, its row says so.
"""
from spec.benchmarks.engine_pair import Pair
from spec.benchmarks.engine_row import PER_SECOND, Row
from spec.benchmarks.engine_scale import EngineScale
from spec.benchmarks.gpu_time import TooFast
from spec.benchmarks.kernel_race import WrongResult


class Limit:
    """What no engine can beat: memory has to be read. `num_weights` are all read in each step, in bfloat16, and so are a request's keys and values."""

    def __init__(self, num_weights: int, config: dict, bytes_per_second: float):
        self.weights, self.bytes_per_second = 2 * num_weights, bytes_per_second
        self.per_token = 2 * 2 * config["num_hidden_layers"] * config["num_key_value_heads"] * config["head_dim"]

    def seconds(self, prompts: list[int], outputs: list[int]) -> float:
        """Of requests of so many tokens. There are as many steps as the longest output has tokens; each token but
        the first, which comes with the prompt's, reads what the tokens before it and itself have left in the cache."""
        read = sum((output - 1) * prompt + output * (output - 1) // 2 for prompt, output in zip(prompts, outputs, strict=True))
        return (max(outputs) * self.weights + read * self.per_token) / self.bytes_per_second

    def share(self, seconds: float, prompts: list[int], outputs: list[int], who: str) -> float:
        """How near to the limit it came. Raises `TooFast` beyond."""
        share = self.seconds(prompts, outputs) / seconds
        if share > 1.05:    # the ceiling is itself a measurement
            raise TooFast(f"{who} took {seconds:.3f} s, and reading the weights and the cache takes {seconds * share:.3f} s: part of the work was not done")
        return share


def throughput(scale: EngineScale, pair: Pair, benchmark, limit: Limit) -> Row:
    """All requests of the standard benchmark at once, sampled."""
    prompts, outputs = scale.standard()
    rounds = pair.take_turns(benchmark, scale.rounds, lambda engine, number: engine.generate(scale.like(prompts, number), outputs, temperature=0.6))
    return _rate(f"output tokens a second, {len(prompts)} requests", pair, rounds, limit, list(map(len, prompts)), outputs, {"vLLM": 1.2, "of ceiling": 0.7})


def alone(scale: EngineScale, pair: Pair, benchmark, limit: Limit) -> Row:
    """One request and no other, greedily."""
    length, output = scale.alone
    rounds = pair.take_turns(benchmark, scale.rounds, lambda engine, number: engine.generate(scale.like([[0] * length], 20 + number), output))
    return _rate("output tokens a second, one request alone", pair, rounds, limit, [length], [output], {"vLLM": 1.5, "of ceiling": 0.25})


def _rate(what: str, pair: Pair, rounds: dict[str, list[dict]], limit: Limit, prompts: list[int], outputs: list[int], bars: dict) -> Row:
    for engine, answers in rounds.items():
        for answer in answers:
            if list(map(len, answer["token_ids"])) != outputs:
                raise WrongResult(f"{engine} wrote outputs of other lengths than it was asked for")
    row = Row(what, PER_SECOND, {engine: [sum(outputs) / answer["seconds"] for answer in answers] for engine, answers in rounds.items()}, bars,
              notes={"output tokens": sum(outputs), "absent": pair.absent})
    row.shares = {engine: limit.share(sum(outputs) / row.median(engine), prompts, outputs, engine) for engine in rounds}
    return row


def first_token(scale: EngineScale, pair: Pair, benchmark) -> Row:
    """A prompt that nobody has seen, of which one token is wanted; warm."""
    rounds = pair.take_turns(benchmark, scale.first_token_rounds, lambda engine, number: engine.generate(scale.like([[0] * scale.first_token], 100 + number), 1))
    return Row(f"time to the first token, a prompt of {scale.first_token:,}", "ms",
               {engine: [1e3 * answer["seconds"] for answer in answers] for engine, answers in rounds.items()}, {"vLLM": 1.0}, notes={"absent": pair.absent})


def start_up(pair: Pair) -> Row:
    """The engine is made: weights are loaded, code is compiled, graphs are captured. Imports are not counted."""
    return _once(pair, "start-up: LLM() is built", {name: engine.ready["build"] for name, engine in pair.engines.items()})


def first_generate(pair: Pair) -> Row:
    """The first question after the start."""
    return _once(pair, "start-up: the first generate", pair.first)


def _once(pair: Pair, what: str, seconds: dict[str, float]) -> Row:
    return Row(what, "s", {name: [each] for name, each in seconds.items()}, notes={"absent": pair.absent})
