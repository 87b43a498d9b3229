"""What the page may ask for, and what it may not."""
import inspect
import json

import pytest

from spec.live.controls import CONTROLS, InvalidControl, read_control
from spec.live.driver import Driver


@pytest.mark.parametrize("told, said", [
    (b"", "no JSON"), (b"{", "no JSON"), (b"\xff", "no JSON"), (b"[" * 50_000, "no JSON"), (b"[]", "one JSON object"), ({}, "choose one of ask"),
    ({"do": "begin"}, "choose one of ask"), ({"do": "_begin"}, "choose one of"), ({"do": ["pause"]}, "choose one of"), ({"do": "pause", "now": 1}, "no field 'now'"),
    ({"do": "ask"}, "lacks the field 'prompt'"), ({"do": "ask", "prompt": ""}, "not empty"), ({"do": "ask", "prompt": 7}, "a text"),
    ({"do": "ask", "prompt": "a" * 20_001}, "at most 20,000"), ({"do": "ask", "prompt": "\ud800"}, "half a character"),
    ({"do": "ask", "prompt": "a", "max_tokens": 0}, "from 1"), ({"do": "ask", "prompt": "a", "max_tokens": True}, "whole number"),
    ({"do": "ask", "prompt": "a", "max_tokens": 1.0}, "whole number"), ({"do": "ask", "prompt": "a", "temperature": "hot"}, "a number"),
    (b'{"do": "ask", "prompt": "a", "temperature": NaN}', "NaN"), (b'{"do": "ask", "prompt": "a", "temperature": 1e999}', "a number"),
    ({"do": "ask", "prompt": "a", "seed": -1}, "from 0"), ({"do": "ask", "prompt": "a", "stop": ["x"]}, "no field 'stop'"),
    ({"do": "abort", "request_id": 1}, "a text"), ({"do": "speed", "steps_per_second": 0}, "from 0.1"), ({"do": "speed", "steps_per_second": None}, "a number"),
    ({"do": "engine", "engine": "mine", "model": "qwen3"}, "impl, vllm, both"), ({"do": "engine", "engine": "impl", "model": "../qwen3"}, "qwen3, llama"),
    ({"do": "engine", "engine": "impl", "model": "qwen3", "limits": {"watermark": 0}}, "no field 'watermark'"),
    ({"do": "engine", "engine": "impl", "model": "qwen3", "limits": {"num_blocks": 10**9}}, "from 1 to 4096"),
    ({"do": "engine", "engine": "impl", "model": "qwen3", "limits": []}, "an object of limits"),
    ({"do": "engine", "engine": "impl", "model": "qwen3", "limits": {"enable_prefix_caching": 1}}, "true or false")])
def test_what_is_wrong_is_refused_with_a_sentence(told, said):
    body = told if isinstance(told, bytes) else json.dumps(told).encode()
    with pytest.raises(InvalidControl, match=said):
        read_control(body)


def test_what_is_right_is_taken_with_its_defaults():
    assert read_control(b'{"do": "ask", "prompt": "a"}') == {"do": "ask", "prompt": "a", "max_tokens": 40, "temperature": 0, "seed": None, "priority": 0}
    assert read_control(json.dumps({"do": "ask", "prompt": "🙂" * 20_000}).encode())["prompt"] == "🙂" * 20_000
    assert read_control(b'{"do": "engine", "engine": "both", "model": "llama", "limits": {"num_blocks": 9, "max_model_len": null}}') == {
        "do": "engine", "engine": "both", "model": "llama", "limits": {"num_blocks": 9}}


def test_every_control_is_something_the_driver_does():
    for name, fields in CONTROLS.items():
        assert list(inspect.signature(getattr(Driver, name)).parameters)[1:] == list(fields), name
