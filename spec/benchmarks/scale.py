"""How much a contest between engines does: what the one on a GPU and the one on two have in common."""
import random
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Lengths are in tokens, and first to last.

    shape: of the model, as in `write_random_model`; None: the tiny one.
    arguments: by contestant, those of its engine. "float32" is ours again, for the tokens to be judged by.
    most_apart: by how much float32's logprob of a token may lie below its best one, for a near-tie.
    """

    shape: dict | None
    arguments: dict[str, dict] = field(repr=False)
    num_requests: int
    last_token_id: int                  # of prompts
    rounds: int
    alone: tuple[int, int]              # prompt and output
    first_token: int                    # the prompt
    first_token_rounds: int
    checked: tuple[int, int]            # prompts, and output of each
    most_apart: float

    def prompt(self, rng: random.Random, length: int) -> list[int]:
        return [rng.randint(0, self.last_token_id) for _ in range(length)]
