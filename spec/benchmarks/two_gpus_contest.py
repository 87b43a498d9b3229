"""The parts of the contest on two GPUs: what the three are asked, in turns, and what is made of their answers.

A wrong answer fails; a slow one does not, its row says so.
"""
from reference.engine_process import EngineProcess
from spec.benchmarks.engine_contest import Limit
from spec.benchmarks.engine_row import PER_SECOND
from spec.benchmarks.engine_trio import Trio
from spec.benchmarks.greedy_check import judge
from spec.benchmarks.kernel_race import WrongResult
from spec.benchmarks.two_gpus_row import Row
from spec.benchmarks.two_gpus_scale import VLLM, TwoGpusScale


def limits(num_weights: int, config: dict, bytes_per_second: dict[str, float]) -> dict[str, Limit]:
    """By contestant. `bytes_per_second`: of all its GPUs together. An embedding that is not the output layer as well is no reading: a row a token."""
    read = num_weights - (0 if config["tie_word_embeddings"] else config["vocab_size"] * config["hidden_size"])
    return {name: Limit(read, config, speed) for name, speed in bytes_per_second.items()}


def alone(scale: TwoGpusScale, trio: Trio, benchmark, limit: dict[str, Limit]) -> Row:
    """One request and no other, greedily."""
    length, output = scale.alone
    rounds = trio.take_turns(benchmark, scale.rounds, lambda engine, number: engine.generate(scale.prompts([length], 10 + number), output))
    return _rate("output tokens a second, one request alone", trio, rounds, limit, [length], [output])


def together(scale: TwoGpusScale, trio: Trio, benchmark, limit: dict[str, Limit]) -> Row:
    """All requests at once, sampled."""
    lengths, outputs = scale.lengths()
    rounds = trio.take_turns(benchmark, scale.rounds, lambda engine, number: engine.generate(scale.prompts(lengths, 20 + number), outputs, temperature=0.6))
    return _rate(f"output tokens a second, {len(lengths)} requests", trio, rounds, limit, lengths, outputs)


def _rate(what: str, trio: Trio, rounds: dict[str, list[dict]], limit: dict[str, Limit], prompts: list[int], outputs: list[int]) -> Row:
    for name, answers in rounds.items():
        if any(list(map(len, answer["token_ids"])) != outputs for answer in answers):
            raise WrongResult(f"{name} wrote outputs of other lengths than it was asked for")
    row = Row(what, PER_SECOND, {name: [sum(outputs) / answer["seconds"] for answer in answers] for name, answers in rounds.items()},
              absent=trio.absent, notes={"output tokens": sum(outputs)})
    row.shares = {name: limit[name].share(sum(outputs) / row.median(name), prompts, outputs, name) for name in rounds}
    return row


def first_token(scale: TwoGpusScale, trio: Trio, benchmark) -> Row:
    """A prompt that nobody has seen, of which one token is wanted; warm."""
    rounds = trio.take_turns(benchmark, scale.first_token_rounds, lambda engine, number: engine.generate(scale.prompts([scale.first_token], 100 + number), 1))
    return Row(f"time to the first token, a prompt of {scale.first_token:,}", "ms",
               {name: [1e3 * answer["seconds"] for answer in answers] for name, answers in rounds.items()}, absent=trio.absent)


def start_up(trio: Trio) -> Row:
    """The engine is made: weights are loaded, code is compiled, graphs are captured. Imports are not counted."""
    return Row("start-up: LLM() is built", "s", {name: [seconds] for name, seconds in trio.started.items()}, absent=trio.absent)


def written(scale: TwoGpusScale, trio: Trio, benchmark) -> tuple[list[list[int]], dict[str, list[list[int]]]]:
    """Prompts, and what each contestant wrote to them greedily: some in the midst of sampled ones, and one alone."""
    (lengths, _), (few, output), (length, longer) = scale.lengths(), scale.checked, scale.alone
    greedy = range(0, len(lengths), len(lengths) // few)
    temperatures = [0.0 if number in greedy else 0.6 for number in range(len(lengths))]

    def asked(number: int) -> tuple[list[list[int]], list[list[int]]]:
        return scale.prompts(lengths, 50 + number), scale.prompts([length], 60 + number)

    def ask(engine: EngineProcess, number: int) -> dict:
        among, lonely = asked(number)
        told = engine.generate(among, output, temperature=temperatures)
        return told | {"token_ids": [told["token_ids"][each] for each in greedy] + engine.generate(lonely, longer)["token_ids"]}

    answers = trio.take_turns(benchmark, 1, ask)
    among, lonely = asked(1)
    return [among[number] for number in greedy] + lonely, {name: each[0]["token_ids"] for name, each in answers.items()}


def near_ties(scale: TwoGpusScale, trio: Trio, exact: EngineProcess, prompts: list[list[int]], outputs: dict[str, list[list[int]]]) -> Row:
    """Of the greedy tokens of each contestant, those that are not float32's best. Raises `WrongResult` where one of ours is no near-tie."""
    verdicts = {}
    for name, token_ids in outputs.items():
        verdicts[name] = verdict = judge(exact, prompts, token_ids)
        trio.say(f"  {name}: {len(verdict.gaps)} near-ties in {verdict.tokens:,} greedy tokens, the largest {verdict.largest:.3f}")
        if name != VLLM and verdict.largest > scale.most_apart:
            raise WrongResult(f"{name}, {verdict.worst}: no near-tie ({scale.most_apart}), so it is wrong")
    tokens = max((verdict.tokens for verdict in verdicts.values()), default=0)
    return Row("greedy tokens that are near-ties in float32", "near-ties", {name: [len(each.gaps)] for name, each in verdicts.items()}, absent=trio.absent,
               notes={"tokens": tokens, "allowed gap": scale.most_apart} | {f"{name} largest gap": each.largest for name, each in verdicts.items()})
