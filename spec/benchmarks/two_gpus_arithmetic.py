"""What a second GPU should bring, before it is measured: bytes, FLOP, and what a collective and a launch cost.

`python -m spec.benchmarks.two_gpus_arithmetic` prints the tables of `two_gpus.md`, which says where the assumptions come from. With the copy's
speed of its own GPUs, the benchmark puts the prediction beside what it measures.
"""
from math import ceil

from reference.checkpoint.random_model import QWEN3_8B
from spec.benchmarks.two_gpus_scale import STANDARD, TwoGpusScale

SMALL = 24e-6           # seconds a layer in a decode step, beside reading its weights: its ten kernels start and end
STEP = 0.15e-3          # seconds a step: its inputs, the draw, and the gap to the next
ATTENTION = 0.96        # of the copy's speed, at which keys and values are read
PRODUCT = 600e12        # FLOP a second, with some thousand rows
COLLECTIVE = 12e-6      # seconds of an all-reduce or gather of next to nothing, in a graph
LINK = 330e9            # bytes a second of large ones
LAUNCHES = 1e-3         # seconds a layer for the processor to launch it kernel by kernel
LAUNCH = 30e-6          # ... a collective
BYTES = 2               # of a bfloat16


class Prediction:
    """Of `num_gpus`, each of which copies `copy` bytes a second. All results are seconds."""

    def __init__(self, config: dict, copy: float, num_gpus: int):
        self.copy, self.num_gpus, self.layers = copy, num_gpus, config["num_hidden_layers"]
        self.hidden, self.vocabulary = config["hidden_size"], config["vocab_size"]
        attention = self.hidden * config["head_dim"] * 2 * (config["num_attention_heads"] + config["num_key_value_heads"])
        self.layer = attention + 3 * self.hidden * config["intermediate_size"]
        self.weights = BYTES * (self.layers * self.layer + self.vocabulary * self.hidden)
        self.per_token = BYTES * 2 * self.layers * config["num_key_value_heads"] * config["head_dim"]

    def decode(self, rows: float) -> float:
        """A step in which `rows` requests decode, without their keys and values."""
        return self.weights / self.copy / self.num_gpus + self.layers * SMALL + STEP + self.collectives(rows)

    def collectives(self, rows: float) -> float:
        """Of a step: two all-reduces a layer, one of the embedding, and the logits of both halves of the vocabulary."""
        if self.num_gpus == 1:
            return 0.0
        num_reduces = 2 * self.layers + 1
        gathered = rows * self.vocabulary / self.num_gpus
        return (num_reduces + 1) * COLLECTIVE + BYTES * (num_reduces * rows * self.hidden + gathered) / LINK

    def cache(self, tokens: float) -> float:
        """Keys and values of so many tokens are read."""
        return tokens * self.per_token / self.copy / self.num_gpus / ATTENTION

    def prefill(self, tokens: int, num_steps: int = 1) -> float:
        """Prompts of so many tokens: the device's time or the processor's, whichever is longer."""
        reduces = 0 if self.num_gpus == 1 else 2 * self.layers + 1
        device = 2 * tokens * self.layers * self.layer / PRODUCT / self.num_gpus + reduces * (num_steps * COLLECTIVE + BYTES * tokens * self.hidden / LINK)
        return max(device, num_steps * (self.layers * LAUNCHES + reduces * LAUNCH))

    def alone(self, scale: TwoGpusScale) -> float:
        prompt, output = scale.alone
        return self.prefill(prompt) + (output - 1) * self.decode(1) + self.cache(sum(range(prompt + 1, prompt + output)))

    def together(self, scale: TwoGpusScale) -> float:
        prompts, outputs = scale.lengths()
        steps, num_prefills = max(outputs), ceil(sum(prompts) / 16_384)
        read = sum((output - 1) * prompt + output * (output - 1) // 2 for prompt, output in zip(prompts, outputs))
        return self.prefill(sum(prompts), num_prefills) + (steps - 1) * self.decode(sum(outputs) / steps) + self.cache(read)

    def first_token(self, scale: TwoGpusScale) -> float:
        return self.prefill(scale.first_token)


def two_over_one(scale: TwoGpusScale, copy: float, situation: str) -> float:
    """How many times as fast two are predicted to be."""
    one, two = (getattr(Prediction(scale.shape, copy, num_gpus), situation)(scale) for num_gpus in (1, 2))
    return one / two


def tables() -> str:
    """Markdown: a decode step by its parts, and the situations, at the speeds of two kinds of GPU."""
    kinds = {"H100, 3.0 TB/s": 3.0e12, "H200, 4.25 TB/s": 4.25e12}
    columns = {f"{name}: {number}": Prediction(QWEN3_8B, copy, number) for name, copy in kinds.items() for number in (1, 2)}
    prompts, outputs = STANDARD.lengths()
    rows = sum(outputs) / max(outputs)
    cached = sum((output - 1) * prompt + output * (output - 1) // 2 for prompt, output in zip(prompts, outputs)) / max(outputs)
    one, several = (STANDARD.alone[0] + STANDARD.alone[1] / 2), cached
    ms = {"weights": lambda each: each.weights / each.copy / each.num_gpus, "kernels start and end": lambda each: each.layers * SMALL + STEP,
          "(A) keys and values": lambda each: each.cache(one), "(A) collectives": lambda each: each.collectives(1),
          "**(A) a step**": lambda each: each.decode(1) + each.cache(one),
          "(B) keys and values": lambda each: each.cache(several), "(B) collectives": lambda each: each.collectives(rows),
          "**(B) a step, the mean**": lambda each: each.decode(rows) + each.cache(several),
          "(B) all prompts": lambda each: each.prefill(sum(prompts), ceil(sum(prompts) / 16_384)),
          "**(C) the first token**": lambda each: each.first_token(STANDARD)}
    first = _table(["ms", *columns], [[what, *(f"{1e3 * seconds(each):.2f}" for each in columns.values())] for what, seconds in ms.items()])
    situations = {"(A) tokens/s": lambda each: STANDARD.alone[1] / each.alone(STANDARD), "(B) tokens/s": lambda each: sum(outputs) / each.together(STANDARD),
                  "(C) first tokens/s": lambda each: 1 / each.first_token(STANDARD)}
    lines = []
    for what, rate in situations.items():
        rates = [rate(each) for each in columns.values()]
        lines.append([what, *(f"{each:,.0f}" for each in rates), *(f"**{two / single:.2f}**" for single, two in (rates[:2], rates[2:]))])
    return first + "\n\n" + _table(["", *columns, *(f"{name.split(',')[0]}: two over one" for name in kinds)], lines)


def _table(head: list[str], lines: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---", *["---:"] * (len(head) - 1)], *lines])


if __name__ == "__main__":
    print(tables())
