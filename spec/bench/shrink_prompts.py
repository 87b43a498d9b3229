"""Simpler prompts than these: what `shrink` tries where a model is asked."""
from collections.abc import Iterator
from dataclasses import replace

from reference.prompts import DEFAULTS, Ask, Prompts

PLAIN = {"temperature": 0}      # the parameters of whoever asks for nothing


def simpler_prompts(prompts: Prompts) -> Iterator[Prompts]:
    """Prompts with one thing less, the boldest first."""
    asks = prompts.asks
    for size in (len(asks) // 2, len(asks) // 4, 1):
        for start in range(0, len(asks), size or 1):
            if size and len(asks) > size:
                yield _tidy(replace(prompts, asks=asks[:start] + asks[start + size:]))
    for index in range(len(prompts.aborts)):
        yield replace(prompts, aborts=prompts.aborts[:index] + prompts.aborts[index + 1:])
    for index, ask in enumerate(asks):
        for simpler in _simpler_ask(ask):
            yield _tidy(replace(prompts, asks=asks[:index] + (simpler,) + asks[index + 1:]))
    for name, value in prompts.limits.items():
        if DEFAULTS.get(name) != value:
            limits = {key: other for key, other in prompts.limits.items() if key != name}
            yield replace(prompts, limits=DEFAULTS | limits)


def _simpler_ask(ask: Ask) -> Iterator[Ask]:
    most = ask.params.get("max_tokens") or 16
    for fewer in sorted({1, most // 2, most - 1}):
        if 0 < fewer < most and fewer >= ask.params.get("min_tokens", 0):
            yield replace(ask, params=ask.params | {"max_tokens": fewer})
    for shorter in sorted({1, len(ask.prompt) // 2, len(ask.prompt) - 1}):
        if 0 < shorter < len(ask.prompt):
            yield replace(ask, prompt=ask.prompt[:shorter])
    for name in ask.params.keys() - PLAIN.keys() - {"max_tokens"}:
        yield replace(ask, params={key: value for key, value in ask.params.items() if key != name})
    if ask.priority:
        yield replace(ask, priority=0)
    if ask.arrives:
        yield replace(ask, arrives=0)


def _tidy(prompts: Prompts) -> Prompts:
    """Without the aborts of those who are not there, and without waiting for the first to arrive."""
    first = min(ask.arrives for ask in prompts.asks)
    known = {ask.request_id for ask in prompts.asks}
    return replace(prompts, asks=tuple(replace(ask, arrives=ask.arrives - first) for ask in prompts.asks),
                   aborts=tuple((request_id, max(0, at - first)) for request_id, at in prompts.aborts if request_id in known))
