"""What the page may ask of the driver, checked field by field before anybody else sees it.

    {"do": "ask", "prompt": "Elizabeth was", "max_tokens": 40}
    {"do": "engine", "engine": "both", "model": "llama", "limits": {"num_blocks": 17, "block_size": 32}}

Each name is a method of `Driver`, each field one of its arguments.
"""
import json
from collections.abc import Callable
from typing import Any

from reference.prompts import MODELS

LONGEST_PROMPT = 20_000     # characters
ENGINES = {"impl": ("impl",), "vllm": ("vllm",), "both": ("impl", "vllm")}
REQUIRED = object()


class InvalidControl(ValueError):
    """Something the page may not ask. The message says what, and what it may."""


def read_control(body: bytes) -> dict:
    """A control as `{"do": …, **fields}`, its defaults filled in. Raises `InvalidControl`."""
    try:
        told = json.loads(body, parse_constant=_no_such_number)
    except (ValueError, RecursionError) as error:
        raise InvalidControl(f"this is no JSON: {error}") from None
    if not isinstance(told, dict):
        raise InvalidControl('send one JSON object, such as {"do": "pause"}')
    name = told.pop("do", None)
    if not isinstance(name, str) or name not in CONTROLS:
        raise InvalidControl(f"do={name!r}: choose one of {', '.join(CONTROLS)}")
    return {"do": name} | _fields(name, CONTROLS[name], told)


def _fields(where: str, known: dict, told: dict) -> dict:
    for name in told:
        if name not in known:
            raise InvalidControl(f"{where} has no field {name!r}; it has {', '.join(known) or 'none'}")
    for name, (_, default) in known.items():
        if name not in told and default is REQUIRED:
            raise InvalidControl(f"{where} lacks the field {name!r}")
    return {name: check(name, told[name]) if name in told else default for name, (check, default) in known.items()}


def _no_such_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _whole(low: int, high: int) -> Callable[[str, Any], int]:
    def check(name: str, value) -> int:
        if type(value) is not int or not low <= value <= high:      # True is an int, too
            raise InvalidControl(f"{name}={_short(value)}: a whole number from {low} to {high}")
        return value
    return check


def _number(low: float, high: float) -> Callable[[str, Any], float]:
    def check(name: str, value) -> float:
        if type(value) not in (int, float) or not low <= value <= high:
            raise InvalidControl(f"{name}={_short(value)}: a number from {low:g} to {high:g}")
        return value
    return check


def _text(longest: int) -> Callable[[str, Any], str]:
    def check(name: str, value) -> str:
        if not isinstance(value, str) or not value:
            raise InvalidControl(f"{name}={_short(value)}: a text, not empty")
        if len(value) > longest:
            raise InvalidControl(f"{name} has {len(value):,} characters; at most {longest:,} are taken")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InvalidControl(f"{name} has half a character in it (a lone surrogate)") from None
        return value
    return check


def _one_of(*choices: str) -> Callable[[str, Any], str]:
    def check(name: str, value) -> str:
        if value not in choices:
            raise InvalidControl(f"{name}={_short(value)}: choose one of {', '.join(choices)}")
        return value
    return check


def _flag(name: str, value) -> bool:
    if not isinstance(value, bool):
        raise InvalidControl(f"{name}={_short(value)}: true or false")
    return value


def _or_none(check: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    return lambda name, value: None if value is None else check(name, value)


def _limits(name: str, value) -> dict:
    """The limits that are named; for the others there are defaults."""
    if not isinstance(value, dict):
        raise InvalidControl(f"{name}={_short(value)}: an object of limits")
    return {each: told for each, told in _fields(name, LIMITS, value).items() if told is not None}


def _short(value) -> str:
    said = repr(value)
    return said if len(said) <= 60 else said[:60] + "…"


LIMITS = {
    "num_blocks": (_whole(1, 4096), None), "block_size": (_whole(1, 512), None), "max_model_len": (_or_none(_whole(1, 4096)), None),
    "max_num_batched_tokens": (_whole(1, 8192), None), "max_num_seqs": (_whole(1, 256), None),
    "policy": (_one_of("fcfs", "priority"), None), "enable_prefix_caching": (_flag, None)}
CONTROLS = {
    "ask": {"prompt": (_text(LONGEST_PROMPT), REQUIRED), "max_tokens": (_whole(1, 4096), 40), "temperature": (_number(0, 2), 0),
            "seed": (_or_none(_whole(0, 2**53)), None), "priority": (_whole(-1000, 1000), 0)},
    "abort": {"request_id": (_text(40), REQUIRED)},
    "pause": {}, "resume": {}, "step": {}, "save": {},
    "speed": {"steps_per_second": (_number(0.1, 1000), REQUIRED)},
    "engine": {"engine": (_one_of(*ENGINES), REQUIRED), "model": (_one_of(*MODELS), REQUIRED), "limits": (_limits, {})}}
