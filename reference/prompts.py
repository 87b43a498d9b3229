"""Prompts for a whole engine: what is asked of a model, under which limits, and when.

    both = (prompts(max_num_batched_tokens=16)
            .ask("a", "Elizabeth was", max_tokens=20)
            .ask("b", [5, 6, 7], arrives=3, temperature=0.8, seed=1)
            .abort("a", at=9))

It is a value, as a workload is: equal ones have equal keys, and `source()` gives it
back as Python to paste. The limits are the arguments of `LLM(...)`, the rest of `ask`
those of `SamplingParams(...)`, both under vLLM's names; whoever asks for no
temperature gets greedy decoding. Without a model it is meant for each of `MODELS`.
"""
import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

CHECKPOINTS = Path(__file__).parent / "checkpoint"
MODELS = ("qwen3", "llama")

# The limits of prompts that do not name them. vLLM's attention on a CPU wants blocks of a multiple of 32 tokens.
DEFAULTS = {"block_size": 32, "num_gpu_blocks_override": 49, "max_model_len": 512, "max_num_batched_tokens": 256, "max_num_seqs": 16,
            "dtype": "float32"}


@dataclass(frozen=True)
class Ask:
    """One prompt, as text or token ids, which arrives before step `arrives`. `params`: the arguments of `SamplingParams`."""

    request_id: str
    prompt: str | tuple[int, ...]
    params: dict = field(hash=False)
    arrives: int = 0
    priority: int = 0


@dataclass(frozen=True)
class Prompts:
    model: str | None
    limits: dict = field(hash=False)
    asks: tuple[Ask, ...] = ()
    aborts: tuple[tuple[str, int], ...] = ()    # who, and before which step
    max_steps: int = 5000

    def ask(self, request_id: str, prompt: str | Sequence[int], *, arrives: int = 0, priority: int = 0, **params) -> "Prompts":
        """Add a prompt, greedy unless `params` says otherwise."""
        prompt = prompt if isinstance(prompt, str) else tuple(prompt)
        return replace(self, asks=(*self.asks, Ask(request_id, prompt, {"temperature": 0} | params, arrives, priority)))

    def abort(self, request_id: str, *, at: int) -> "Prompts":
        return replace(self, aborts=(*self.aborts, (request_id, at)))

    def of(self, model: str) -> "Prompts":
        """The same prompts for one model."""
        return replace(self, model=model)

    def with_limits(self, **limits) -> "Prompts":
        """The same prompts under other limits."""
        return replace(self, limits=self.limits | limits)

    @property
    def config(self) -> dict:
        return self.limits

    @property
    def folder(self) -> Path:
        """Where the model's checkpoint is."""
        return CHECKPOINTS / self.model

    @property
    def last_event(self) -> int:
        """The last step before which something still happens from outside."""
        return max([ask.arrives for ask in self.asks] + [at for _, at in self.aborts], default=0)

    @property
    def key(self) -> str:
        """16 hex digits that stand for the whole content, the model's weights included."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:16]

    def to_json(self) -> dict:
        return {"model": self.model, "weights": _digest(self.folder), "limits": self.limits, "max_steps": self.max_steps,
                "asks": [[ask.request_id, ask.prompt, ask.params, ask.arrives, ask.priority] for ask in self.asks], "aborts": self.aborts}

    def source(self) -> str:
        """The prompts as Python to paste into a claim."""
        limits = {name: value for name, value in self.limits.items() if DEFAULTS.get(name) != value}
        lines = [f"prompts({_arguments(({'model': self.model} if self.model else {}) | limits)})"]
        lines += [f".ask({_ask_arguments(ask)})" for ask in self.asks]
        lines += [f".abort({request_id!r}, at={at})" for request_id, at in self.aborts]
        return lines[0] if len(lines) == 1 else "(" + "\n ".join(lines) + ")"


def prompts(model: str | None = None, **limits) -> Prompts:
    """No prompts yet, under these limits (the arguments of `LLM`)."""
    if model not in (None, *MODELS):
        raise ValueError(f"model {model!r}: there are {', '.join(MODELS)} in reference/checkpoint")
    return Prompts(model, DEFAULTS | limits)


@functools.cache
def _digest(folder: Path) -> str:
    """What the weights and the tokenizer are: a recording answers for no others."""
    content = b"".join((folder / name).read_bytes() for name in ("model.safetensors", "tokenizer.json", "config.json"))
    return hashlib.sha256(content).hexdigest()[:16]


def _arguments(named: dict) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in named.items())


def _ask_arguments(ask: Ask) -> str:
    named = {name: value for name, value in ask.params.items() if (name, value) != ("temperature", 0)}
    named |= {name: value for name, value in (("arrives", ask.arrives), ("priority", ask.priority)) if value}
    prompt = ask.prompt if isinstance(ask.prompt, str) else list(ask.prompt)
    return f"{ask.request_id!r}, {prompt!r}" + (f", {_arguments(named)}" if named else "")
