"""A workload: limits, requests with their arrivals, and what happens to them on the way.

    crowded = (workload(num_blocks=9, block_size=4)
               .request("a", prompt=12, max_tokens=20)
               .request("b", prompt="system:8 b:4", arrives=2)
               .abort("a", at=5))

It is a value: equal workloads have equal keys, and `source()` gives it back as
Python to paste. No tokens are written out. A prompt is a count (`12`: twelve tokens
of its own) or pieces of labelled texts (`"system:8 b:4"`: the first 8 tokens of
*system*, then 4 of *b*); requests that name the same label share these tokens. What
request *a* generates is the text *a.out*, whatever the scheduler does.

With `num_speculative_tokens=3` there is a proposer, which drafts the next tokens of
that text: three each time, or as many as `drafts` says, and rightly but for the
output tokens that `misdrafts` names.

    workload(num_blocks=9, num_speculative_tokens=3).request("a", prompt=6, misdrafts=(3, 9))
"""
import hashlib
import json
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields, replace

from impl.config import SchedulerConfig

EOS = 2  # the token that ends a sequence, in every workload
WRONG_DRAFT = 1  # a token that no request generates

# The limits of a workload that does not name them: small enough to follow by eye.
DEFAULTS = {"block_size": 4, "max_num_batched_tokens": 64, "max_num_seqs": 8}


@dataclass(frozen=True)
class RequestSpec:
    """One request as it arrives before step `arrives`. `says` fixes generated tokens, by their number from 1."""

    request_id: str
    prompt: str
    arrives: int = 0
    max_tokens: int | None = 16
    min_tokens: int = 0
    priority: int = 0
    arrival_time: float | None = None       # None: the order of arrival
    cache_salt: str | None = None
    n: int = 1
    ignore_eos: bool = False
    stop_token_ids: tuple[int, ...] = ()
    prompt_logprobs: int | None = None
    skip_reading_prefix_cache: bool | None = None
    says: tuple[tuple[int, int], ...] = ()
    grammar: bool = False                   # structured output: it waits until `.compiled` says that its grammar is
    grammar_rejects: int | None = None      # the number of the token, from 1, that the grammar turns out to reject
    # How many are proposed after its 1st, 2nd, … output token, over and over; None: the proposer says nothing of it; (): always as many as may be.
    drafts: tuple[int | None, ...] = ()
    misdrafts: tuple[int, ...] = ()         # output tokens, by number from 1, that are drafted wrongly

    def prompt_token_ids(self) -> list[int]:
        return [token for label, count in segments(self.prompt) for token in text(label, count)]

    @property
    def num_prompt_tokens(self) -> int:
        return sum(count for _, count in segments(self.prompt))

    def output_token(self, request_id: str, number: int) -> int:
        """The `number`-th token (from 1) that it, or its child `request_id`, generates."""
        return dict(self.says).get(number) or text_token(f"{request_id}.out", number - 1)

    def num_drafts(self, num_output_tokens: int, at_most: int) -> int | None:
        """How many drafts are proposed after that many output tokens; None: nothing is said, not even that there are none."""
        asked = self.drafts[(num_output_tokens - 1) % len(self.drafts)] if self.drafts else at_most
        return None if asked is None else min(at_most, asked)

    def draft_token_ids(self, request_id: str, num_output_tokens: int, at_most: int) -> list[int] | None:
        """What is proposed after that many output tokens."""
        num_drafts = self.num_drafts(num_output_tokens, at_most)
        if num_drafts is None:
            return None
        numbers = range(num_output_tokens + 1, num_output_tokens + 1 + num_drafts)
        return [WRONG_DRAFT if number in self.misdrafts else self.output_token(request_id, number) for number in numbers]


@dataclass(frozen=True)
class Action:
    """Something done to the scheduler: before step `at` is scheduled or, if `between`, after, and before its update."""

    at: int
    name: str                   # "abort", "reset_prefix_cache", "pause", "compiled" or "compile error"
    argument: str | bool | None = None
    between: bool = False


@dataclass(frozen=True)
class Workload:
    config: dict = field(hash=False)
    requests: tuple[RequestSpec, ...] = ()
    actions: tuple[Action, ...] = ()
    engine: bool = False        # built and fed as the engine does it, with its checks in front of the scheduler
    max_steps: int = 1000

    def request(self, request_id: str, prompt: int | str, *, arrives: int = 0, says: dict[int, int] | None = None,
                stop_token_ids: tuple[int, ...] = (), **more) -> "Workload":
        """Add a request. `more`: the fields of `RequestSpec`."""
        if isinstance(prompt, int):
            prompt = f"{request_id}:{prompt}"
        spec = RequestSpec(request_id, prompt, arrives, stop_token_ids=tuple(stop_token_ids),
                           says=tuple(sorted((says or {}).items())), **more)
        if (spec.drafts or spec.misdrafts) and not self.config.get("num_speculative_tokens"):
            raise ValueError(f"request {request_id!r}: drafts or misdrafts, but nobody to propose them; give the workload num_speculative_tokens")
        segments(prompt)  # a prompt that cannot be read is refused here
        return replace(self, requests=self.requests + (spec,))

    def abort(self, request_id: str | None, *, at: int, between: bool = False) -> "Workload":
        """Abort one request, or all (None)."""
        return self._act(Action(at, "abort", request_id, between))

    def reset_prefix_cache(self, *, at: int, running: bool = False, between: bool = False) -> "Workload":
        return self._act(Action(at, "reset_prefix_cache", running, between))

    def pause(self, *, at: int, admission_only: bool = False) -> "Workload":
        return self._act(Action(at, "pause", "new" if admission_only else "all"))

    def unpause(self, *, at: int) -> "Workload":
        return self._act(Action(at, "pause", "unpaused"))

    def compiled(self, request_id: str, *, at: int, error: bool = False, between: bool = False) -> "Workload":
        """The grammar of a request is compiled by then, or cannot be."""
        return self._act(Action(at, "compile error" if error else "compiled", request_id, between))

    def _act(self, action: Action) -> "Workload":
        return replace(self, actions=self.actions + (action,))

    def with_config(self, **limits) -> "Workload":
        """The same requests under other limits."""
        return replace(self, config=self.config | limits)

    @property
    def last_event(self) -> int:
        """The last step at which something still happens from outside."""
        return max([spec.arrives for spec in self.requests] + [action.at for action in self.actions], default=0)

    @property
    def key(self) -> str:
        """16 hex digits that stand for the whole content."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:16]

    def to_json(self) -> dict:
        return {
            "config": {name: value for name, value in self.config.items()},
            "requests": [_without_defaults(spec) for spec in self.requests],
            "actions": [_without_defaults(action) for action in self.actions],
            "engine": self.engine, "max_steps": self.max_steps}

    @classmethod
    def from_json(cls, data: dict) -> "Workload":
        requests = tuple(RequestSpec(**{name: _tuples(value) for name, value in spec.items()}) for spec in data["requests"])
        config = {name: _tuples(value) for name, value in data["config"].items()}
        return cls(config, requests, tuple(Action(**action) for action in data["actions"]),
                   data["engine"], data["max_steps"])

    def source(self) -> str:
        """The workload as Python to paste into a claim."""
        limits = {name: value for name, value in self.config.items() if DEFAULTS.get(name) != value}
        if limits.get("max_model_len") == capacity(self.config):
            del limits["max_model_len"]
        if self.engine:
            limits["engine"] = True
        if self.max_steps != 1000:
            limits["max_steps"] = self.max_steps
        lines = [f"workload({_arguments(limits)})"]
        lines += [f".request({_request_arguments(spec)})" for spec in self.requests]
        lines += [_action_source(action) for action in self.actions]
        return lines[0] if len(lines) == 1 else "(" + "\n ".join(lines) + ")"


def workload(num_blocks: int, *, engine: bool = False, max_steps: int = 1000, **limits) -> Workload:
    """An empty workload under these limits (the fields of `SchedulerConfig`).

    `max_model_len`, unless given, is what the pool can hold, as an engine demands
    at least.
    """
    unknown = set(limits) - {spec.name for spec in fields(SchedulerConfig)}
    if unknown:
        raise TypeError(f"unknown limit {', '.join(sorted(unknown))}; there are: "
                        + ", ".join(spec.name for spec in fields(SchedulerConfig)))
    config = {"num_blocks": num_blocks} | DEFAULTS | limits
    config.setdefault("max_model_len", capacity(config))
    if config["max_num_batched_tokens"] < config["max_num_seqs"] and "max_num_seqs" not in limits:
        config["max_num_seqs"] = max(config["max_num_batched_tokens"], 1)
    return Workload(config, engine=engine, max_steps=max_steps)


def capacity(config: dict) -> int:
    """Tokens the pool can hold beside the null block, in each KV cache group."""
    return (config["num_blocks"] - 1) // (len(config.get("kv_cache_groups", ())) or 1) * config["block_size"]


def segments(prompt: str) -> Iterator[tuple[str, int]]:
    """`"system:8 b:4"` as ("system", 8), ("b", 4)."""
    pieces = []
    for piece in prompt.split():
        label, separator, count = piece.rpartition(":")
        if not separator or not count.isdigit():
            raise ValueError(f"prompt {prompt!r}: {piece!r} is no piece of text; write LABEL:COUNT, such as 'system:8 b:4'")
        pieces.append((label, int(count)))
    return iter(pieces)


def text_token(label: str, index: int) -> int:
    """The token at `index` of the endless text `label`."""
    return (zlib.crc32(label.encode()) % 1_000_000 + 1) * 1_000 + index


def text(label: str, count: int) -> range:
    """The first `count` tokens of the endless text `label`."""
    start = text_token(label, 0)
    return range(start, start + count)


def _without_defaults(value) -> dict:
    defaults = {spec.name: spec.default for spec in fields(value)}
    return {name: item for name, item in asdict(value).items() if item != defaults[name]}


def _tuples(value):
    return tuple(_tuples(item) for item in value) if isinstance(value, (list, tuple)) else value


def _arguments(named: dict) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in named.items())


def _request_arguments(spec: RequestSpec) -> str:
    named = _without_defaults(spec)
    request_id, prompt = named.pop("request_id"), named.pop("prompt")
    label, _, count = prompt.rpartition(":")
    if label == request_id and count.isdigit():
        prompt = int(count)
    if "says" in named:
        named["says"] = {number: token for number, token in spec.says}
    return f"{request_id!r}, " + _arguments({"prompt": prompt} | named)


def _action_source(action: Action) -> str:
    between = ", between=True" if action.between else ""
    if action.name == "abort":
        return f".abort({action.argument!r}, at={action.at}{between})"
    if action.name == "reset_prefix_cache":
        return f".reset_prefix_cache(at={action.at}{', running=True' if action.argument else ''}{between})"
    if action.name.startswith("compile"):
        return f".compiled({action.argument!r}, at={action.at}{', error=True' if action.name == 'compile error' else ''}{between})"
    if action.argument == "unpaused":
        return f".unpause(at={action.at})"
    return f".pause(at={action.at}{', admission_only=True' if action.argument == 'new' else ''})"
