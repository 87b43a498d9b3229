"""Whether greedy tokens are right: each is float32's best one, or a proved near-tie.

A float32 engine reads each prompt with what was written after it, and tells its best token at every position. So
all tokens are judged, also those behind the first near-tie.
"""
from dataclasses import dataclass

from reference.engine_process import EngineProcess
from spec.benchmarks.engine_pair import Pair
from spec.benchmarks.engine_row import Row
from spec.benchmarks.engine_scale import EngineScale
from spec.benchmarks.kernel_race import WrongResult


@dataclass
class Verdict:
    """Of some outputs. `gaps`: of the tokens that are not float32's best, by how much its logprob lies below; the worst of them in words."""

    tokens: int
    gaps: list[float]
    worst: str

    @property
    def largest(self) -> float:
        return max(self.gaps, default=0.0)


def judge(exact: EngineProcess, prompts: list[list[int]], outputs: list[list[int]]) -> Verdict:
    read = exact.generate([prompt + output for prompt, output in zip(prompts, outputs, strict=True)], 1, prompt_logprobs=1)["prompt_logprobs"]
    gaps: dict[str, float] = {}
    for number, (prompt, output, positions) in enumerate(zip(prompts, outputs, read, strict=True)):
        for at, (token_id, ranked) in enumerate(zip(output, positions[len(prompt):], strict=True)):
            best = max(ranked, key=ranked.get)
            gap = ranked[best] - ranked[str(token_id)]
            if gap > 0:
                gaps[f"prompt {number}, token {at}: {token_id} is written, and float32 finds {best} better by {gap:.3f}"] = gap
    return Verdict(sum(map(len, outputs)), list(gaps.values()), max(gaps, key=gaps.get, default=""))


def checked(scale: EngineScale, pair: Pair, benchmark, exact: EngineProcess) -> Row:
    """Greedy requests in the midst of sampled ones, and the one that is alone: how many of their tokens are near-ties.

    Raises `WrongResult` where ours wrote a token that is none. There shall be at most twice as many as vLLM's, as the kernels' rule has it.
    """
    prompts, (few, length), (prompt, output) = scale.standard()[0], scale.checked, scale.alone
    lonely = scale.like([[0] * prompt], 40)
    temperatures = [0.0 if number % (len(prompts) // few) == 0 else 0.6 for number in range(len(prompts))]
    greedy = [number for number, each in enumerate(temperatures) if each == 0]

    def together(engine: EngineProcess, number: int) -> dict:
        return engine.generate(scale.like(prompts, 50 + number), length, temperature=temperatures)

    among = pair.take_turns(benchmark, 1, together)
    asked = scale.like(prompts, 51)
    verdicts = {}
    for name, engine in pair.engines.items():
        written = [among[name][0]["token_ids"][number] for number in greedy] + engine.generate(lonely, output)["token_ids"]
        verdicts[name] = judge(exact, [asked[number] for number in greedy] + lonely, written)
        pair.say(f"  {name}: {len(verdicts[name].gaps)} near-ties in {verdicts[name].tokens:,} greedy tokens, the largest {verdicts[name].largest:.3f}")
    if verdicts["ours"].largest > scale.most_apart:
        raise WrongResult(f"{verdicts['ours'].worst}: no near-tie ({scale.most_apart}), so it is wrong")
    counts = {name: len(each.gaps) for name, each in verdicts.items()}
    twice = "not measured" if not pair.vllm else "met" if counts["ours"] <= 2 * counts["vLLM"] else "missed"
    return Row("greedy tokens that are near-ties in float32", "near-ties", {name: [count] for name, count in counts.items()},
               verdicts={"at most 2x vLLM's": twice}, notes={"tokens": verdicts["ours"].tokens, "allowed gap": scale.most_apart, "absent": pair.absent}
               | {f"{name} largest gap": each.largest for name, each in verdicts.items()})
