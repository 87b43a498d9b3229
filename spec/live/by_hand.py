"""A driver turned by hand, a step at a time, and its run file read: nothing depends on how fast anything is."""
import json

import pytest

from spec.live.controls import read_control
from spec.live.driver import Driver

SMALL = {"num_blocks": 20, "block_size": 8, "max_num_batched_tokens": 16, "max_num_seqs": 2}


@pytest.fixture
def driver(tmp_path):
    made = Driver(tmp_path)
    yield made
    made.session.file.close(0, {}, {})


def begin(driver, engine="impl", **limits):
    driver.take({"do": "engine", "engine": engine, "model": "qwen3", "limits": SMALL | limits})


def ask(driver, prompt, **params):
    driver.take(read_control(json.dumps({"do": "ask", "prompt": prompt, "max_tokens": 12} | params).encode()))


def finish(driver):
    for _ in range(500):
        if not driver.session.unfinished:
            return
        driver.turn()
    raise AssertionError("500 steps, and still not finished")


def lines(driver, kind, file=-1):
    """The lines of one type in a run file."""
    return [line for line in map(json.loads, driver.files[file].read_text().splitlines()) if line["type"] == kind]


def steps(driver, side="ours", file=-1):
    return [line["step"] for line in lines(driver, "step", file) if line["side"] == side]


def tokens(driver, side="ours", file=-1):
    """What each request was given, in the order of the steps."""
    said = {}
    for step in steps(driver, side, file):
        for request_id, token_ids, *_ in step.get("outputs", ()):
            said.setdefault(request_id, []).extend(token_ids)
    return said


def text(driver, request_id):
    return "".join(step.get("text", {}).get(request_id, "") for step in steps(driver))


def errors(driver):
    return [line["text"] for line in lines(driver, "note") if line["kind"] == "error"]
