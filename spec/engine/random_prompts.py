"""Prompts drawn at random, and the same ones with nobody beside them."""
import random
from collections.abc import Callable

from reference.prompts import Prompts, prompts
from spec.engine.many_prompts import own_text

SAID = own_text("qwen3")


def alone(asked: Prompts) -> Prompts:
    """The same requests, one at a time, each computed in one piece, nothing remembered."""
    return asked.with_limits(max_num_seqs=1, max_num_batched_tokens=512, enable_prefix_caching=False, num_gpu_blocks_override=49)


def at_random(seed: int, more: Callable[[random.Random], dict] = lambda rng: {}) -> Prompts:
    """Requests, arrivals and limits of every kind: shared beginnings, aborts, a crowded pool, small budgets, both policies.

    `more`: further sampling parameters of a request.
    """
    rng = random.Random(seed)
    max_model_len = rng.choice((96, 128, 256))
    blocks = -(-max_model_len // 32)
    some = prompts(max_model_len=max_model_len, num_gpu_blocks_override=blocks + 1 + rng.choice((1, 2, 4, 20)), max_num_seqs=rng.choice((2, 4, 16)),
                   max_num_batched_tokens=rng.choice((16, 40, 256)), enable_prefix_caching=rng.random() < 0.8,
                   scheduling_policy=rng.choice(("fcfs", "priority")))
    for number in range(rng.randrange(4, 12)):
        start, shared = rng.choice((0, 0, 300)), rng.randrange(0, 70)
        own = rng.randrange(600, 1300)
        prompt = SAID[start:start + shared] + SAID[own:own + rng.randrange(1, 20)]
        some = some.ask(str(number), prompt, arrives=rng.randrange(0, 25), priority=rng.choice((0, 0, 0, 1, -1)),
                        max_tokens=rng.randrange(1, min(60, max_model_len - len(prompt)) + 1), logprobs=2, ignore_eos=rng.random() < 0.5, **more(rng))
    if rng.random() < 0.5:
        some = some.abort(str(rng.randrange(4)), at=rng.randrange(26, 40))
    return some
