"""What is asked in the soak: random requests of every kind, and whatever the door must refuse."""
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from impl.sampling_params import SamplingParams

STOPS = (" the", ".", ",", " and", "\n", "ing", " of Mr", "zzz")
WORDS = ("Elizabeth was", "Mr. Darcy", "Once upon a time", "\u00e9\u00e8\u4e2d\u6587", " ", "<|im_end|>", "It is a truth universally acknowledged, that")
# By phase: how many requests come, as a multiple of what the seats could finish meanwhile, and for how long, in lifes of a request.
PHASES = {"burst": (50.0, 0.05), "crowded": (2.0, 3.0), "back to back": (0.8, 2.0), "calm": (0.2, 2.0), "lull": (0.0, 1.0)}

@dataclass(frozen=True)
class Asked:
    """`sentinel`: which of the requests whose tokens are known. `broken`: no token can be chosen for it, and it ends with an error."""

    prompt: object
    params: SamplingParams
    priority: int = 0
    cache_salt: str | None = None
    sentinel: int | None = None
    broken: bool = False


class Traffic:
    """`rng` alone decides, so that a seed asks the same again. `sentinels`: prompts that are asked greedily now and then."""

    def __init__(self, rng: random.Random, vocab_size: int, max_model_len: int, sentinels: list[Asked]):
        self.rng, self.vocab_size, self.max_model_len, self.sentinels = rng, vocab_size, max_model_len, sentinels
        self.prefixes = [self._tokens(rng.randint(max_model_len // 8, max_model_len // 2)) for _ in range(6)]

    def phases(self) -> Iterator[tuple[str, float, int]]:
        """One round: each phase once, in any order; its name, arrivals a step for each seat, and steps."""
        life = self.max_model_len / 8       # steps, on average: see `_ends`
        for name in self.rng.sample(list(PHASES), len(PHASES)):
            load, lifes = PHASES[name]
            yield name, load / life, max(1, round(lifes * life * self.rng.uniform(0.6, 1.6)))

    def request(self) -> Asked:
        if self._one_in(10):
            return self.rng.choice(self.sentinels)
        broken = self._one_in(30)
        params = self._ends() | self._chance() | self._extras()
        if broken:
            params |= {"logit_bias": {3: float("nan")}, "allowed_token_ids": None, "n": 1}
        return Asked(self._prompt(), SamplingParams(**params), self.rng.choice((0, 0, 0, 0, 1, -1, 7)), self.rng.choice((None,) * 8 + ("a", "b")), broken=broken)

    def refused(self, live: str | None) -> tuple[str, str, Callable]:
        """Something bad: what it is, the name of the error, and what does it, given the door `add_request`. `live`: an id that is in use."""
        what = self.rng.choice([name for name in BAD if live or name not in NEED_AN_ID])
        error, bad = BAD[what]
        return what, error, lambda door: bad(lambda prompt, request_id="refused", more=None, **params: door(
            request_id, prompt, SamplingParams(**params), **more or {}), self, live)

    def _prompt(self) -> object:
        if self._one_in(10):
            return self.rng.choice(WORDS) * self.rng.randint(1, 3)
        most = self.max_model_len - 1
        head = self.rng.choice(self.prefixes)[:self.rng.randint(0, most)] if self._one_in(2) else []
        tail = self._tokens(most if self._one_in(40) else self.rng.randint(1, most // 4))
        return (head + tail)[:most]

    def _ends(self) -> dict:
        max_tokens = None if self._one_in(30) else self.rng.randint(1, self.max_model_len // 4)
        return {"max_tokens": max_tokens, "min_tokens": self.rng.randint(0, max_tokens) if max_tokens and self._one_in(8) else 0,
                "ignore_eos": self._one_in(3), "stop": tuple(self.rng.sample(STOPS, 2)) if self._one_in(6) else (),
                "include_stop_str_in_output": self._one_in(3), "stop_token_ids": tuple(self._tokens(3)) if self._one_in(8) else ()}

    def _chance(self) -> dict:
        if self._one_in(3):
            return {"temperature": 0.0}
        return {"temperature": self.rng.uniform(0.2, 1.6), "top_k": self.rng.choice((0, 0, 1, 20)), "top_p": self.rng.choice((1.0, 1.0, 0.9)),
                "min_p": self.rng.choice((0.0, 0.0, 0.0, 0.1)), "n": self.rng.choice((1,) * 6 + (2, 4)),
                "seed": self.rng.choice((None, self.rng.randrange(2**63)))}

    def _extras(self) -> dict:
        """Mostly nothing: each of these keeps a request from the fast path."""
        extras = {"presence_penalty": 0.7, "frequency_penalty": 0.3, "repetition_penalty": 1.2, "logit_bias": {5: 2.0}, "bad_words": ("the", "Darcy"),
                  "allowed_token_ids": tuple(range(3, self.vocab_size, 2)), "logprobs": self.rng.randint(0, 20), "prompt_logprobs": 2,
                  "skip_special_tokens": False}
        return {name: extras[name] for name in self.rng.sample(list(extras), self.rng.choice((0, 0, 0, 0, 1, 2)))}

    def _tokens(self, number: int) -> list[int]:
        return [self.rng.randrange(3, self.vocab_size) for _ in range(number)]

    def _one_in(self, number: int) -> bool:
        return self.rng.randrange(number) == 0


NEED_AN_ID = ("an id in use", "a child's id in use")
# By name: the error, and what raises it. `door(prompt, request_id=…, more=…, **sampling parameters)`.
BAD: dict[str, tuple[str, Callable]] = {
    "no token": ("EmptyPromptError", lambda door, traffic, live: door([])),
    "no letter": ("EmptyPromptError", lambda door, traffic, live: door("")),
    "too long": ("PromptTooLongError", lambda door, traffic, live: door([5] * traffic.max_model_len)),
    "too long, a family": ("PromptTooLongError", lambda door, traffic, live: door([5] * traffic.max_model_len, n=3)),
    "an unknown token": ("UnknownTokenError", lambda door, traffic, live: door([5, traffic.vocab_size])),
    "a negative token": ("UnknownTokenError", lambda door, traffic, live: door([-1])),
    "a number": ("InvalidPromptError", lambda door, traffic, live: door(3.5)),
    "another dict": ("InvalidPromptError", lambda door, traffic, live: door({"text": "x"})),
    "an id in use": ("DuplicateRequestError", lambda door, traffic, live: door([5], request_id=live)),
    "a child's id in use": ("DuplicateRequestError", lambda door, traffic, live: door([5], request_id=live.partition("_")[2], n=3)),
    "an id that is a number": ("InvalidRequestError", lambda door, traffic, live: door([5], request_id=7)),
    "a priority in words": ("InvalidRequestError", lambda door, traffic, live: door([5], more={"priority": "high"})),
    "a salt that is a number": ("InvalidRequestError", lambda door, traffic, live: door([5], more={"cache_salt": 5})),
    "too many logprobs": ("InvalidSamplingParamsError", lambda door, traffic, live: door([5], logprobs=21)),
    "all logprobs of a prompt": ("InvalidSamplingParamsError", lambda door, traffic, live: door([5], prompt_logprobs=-1)),
    "cached prompt_logprobs": ("InvalidSamplingParamsError", lambda door, traffic, live: door([5], prompt_logprobs=1, skip_reading_prefix_cache=False)),
    "nothing is allowed": ("InvalidSamplingParamsError", lambda door, traffic, live: door([5], allowed_token_ids=[])),
    "no room for min_tokens": ("InvalidSamplingParamsError", lambda door, traffic, live: door([5] * 9, max_tokens=None, min_tokens=traffic.max_model_len)),
    "an unknown bias": ("UnknownTokenError", lambda door, traffic, live: door([5], logit_bias={traffic.vocab_size: 1.0})),
    "an unknown stop token": ("UnknownTokenError", lambda door, traffic, live: door([5], stop_token_ids=[-3])),
    "no such structure": ("InvalidGrammarError", lambda door, traffic, live: door([5], structured_outputs={"xml": "x"})),
    "a cold negative": ("InvalidSamplingParamsError", lambda door, traffic, live: door([5], temperature=-1.0)),
    "greedy and many": ("InvalidSamplingParamsError", lambda door, traffic, live: door([5], temperature=0.0, n=2)),
    "an empty stop": ("InvalidSamplingParamsError", lambda door, traffic, live: door([5], stop=("",))),
    "not a number": ("InvalidSamplingParamsError", lambda door, traffic, live: door([5], top_p=float("nan"))),
}
