"""The driver: pace, pause, limits, saving, and a thread of its own."""
import threading

import pytest

from reports.run_file import read
from spec.engine.side_by_side import needs_torch
from spec.live.by_hand import SMALL, ask, begin, driver, errors, finish, lines, steps, tokens
from spec.live.controls import read_control
from spec.live.driver import Driver

pytestmark = needs_torch


def test_the_limits_are_those_that_were_asked_for(driver):
    begin(driver, policy="priority", enable_prefix_caching=False, max_model_len=40)
    [run] = lines(driver, "run")
    assert (run["side"], run["model"], run["timeline"]["steps"], run["timeline"]["ended"]) == ("ours", "qwen3", [], None)
    limits = SMALL | {"max_model_len": 40, "enable_prefix_caching": False, "scheduling_policy": "priority"}
    assert run["timeline"]["limits"].items() >= limits.items()


def test_where_nobody_says_how_long_a_sequence_may_be_the_pool_does(driver):
    begin(driver, num_blocks=4)
    assert lines(driver, "run")[0]["timeline"]["limits"]["max_model_len"] == 24


def test_pause_and_step(driver):
    begin(driver)
    ask(driver, "Elizabeth was")
    driver.take({"do": "pause"})
    assert driver.until_next_turn() is None, "a paused engine waits until somebody asks"
    for made in (1, 2):
        driver.take({"do": "step"})
        assert len(steps(driver)) == made and driver.paused
    driver.take({"do": "resume"})
    assert driver.until_next_turn() is not None
    finish(driver)
    assert driver.until_next_turn() is None, "nothing to do"
    driver.take({"do": "step"})
    assert len(steps(driver)) == 12, "a step of an engine with nothing to do is none"
    assert [line["paused"] for line in lines(driver, "control")[2:]] == [True, True, True, False, True]


def test_a_step_while_it_runs_makes_it_stand_still(driver):
    begin(driver)
    ask(driver, "Elizabeth was")
    driver.take({"do": "step"})
    assert driver.paused and len(steps(driver)) == 1


def test_it_waits_no_longer_than_its_speed_says(driver):
    begin(driver)
    ask(driver, "Elizabeth was")
    driver.turn()
    driver.take({"do": "speed", "steps_per_second": 0.1})
    assert 5 < driver.until_next_turn() <= 10
    driver.take({"do": "speed", "steps_per_second": 1000})
    assert driver.until_next_turn() <= 0.001


def test_limits_that_cannot_be_leave_the_engine_at_work(driver):
    begin(driver)
    ask(driver, "Elizabeth was")
    driver.turn()
    begin(driver, num_blocks=3, max_model_len=100)
    begin(driver, max_num_batched_tokens=1)
    assert [error.split(":")[0] for error in errors(driver)] == ["PoolTooSmallError", "InvalidConfigError"]
    finish(driver)
    assert len(tokens(driver)["1"]) == 12 and len(driver.files) == 1


def test_without_an_engine_nobody_can_be_asked(driver):
    ask(driver, "Elizabeth was")
    driver.take({"do": "save"})
    assert [error.split(":")[0] for error in errors(driver)] == ["No engine is running", "There is nothing to save"] and len(driver.files) == 1


def test_a_saved_file_reads_back_whole(driver):
    begin(driver)
    ask(driver, "Elizabeth was <img src=x onerror=alert(1)> \u202e 🙂")
    finish(driver)
    made = steps(driver)
    driver.take({"do": "save"})
    run = read(driver.files[0])
    assert run.complete and not run.damaged and run.header["lab"]["live"] is True
    told = [event for event in run.events if event["type"] == "step"]
    assert [event["step"] for event in told] == made and [event["index"] for event in told] == list(range(len(made))) and len(made) >= 12
    assert next(event for event in run.events if event["type"] == "request")["request"]["prompt"].endswith("\u202e 🙂")
    [fresh] = lines(driver, "run")
    assert fresh["timeline"]["limits"] == next(event for event in run.events if event["type"] == "run")["timeline"]["limits"]
    ask(driver, "Mr. Darcy")
    finish(driver)
    assert len(tokens(driver)["1"]) == 12, "the new file has a new engine under the same limits"


def test_its_own_thread_takes_what_is_asked_and_ends_with_a_footer(driver, tmp_path):
    of_its_own = Driver(tmp_path / "own")
    thread = threading.Thread(target=of_its_own.run)
    thread.start()
    of_its_own.put({"do": "speed", "steps_per_second": 1000})
    of_its_own.put({"do": "engine", "engine": "impl", "model": "llama", "limits": SMALL})
    of_its_own.put(read_control(b'{"do": "ask", "prompt": "Elizabeth was", "max_tokens": 5}'))
    of_its_own.put({"do": "pause"})     # taken before the first turn or after some: either way nothing may be lost
    of_its_own.put({"do": "abort", "request_id": "9"})
    for _ in range(5):
        of_its_own.put({"do": "step"})
    of_its_own.stop()
    thread.join(timeout=60)
    assert not thread.is_alive() and read(of_its_own.files[0]).complete
    assert len(tokens(of_its_own)["1"]) == 5 and "no request '9'" in errors(of_its_own)[0]
