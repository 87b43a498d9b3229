"""`--predict` as a learner meets it: at a terminal of its own, the answers typed into it."""
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from importlib.util import find_spec

import pytest

from reports.predictions import read
from spec.bench.test_plugin import BELIEF, FALSE, HEAD, ROOT, TRUE, UNRECORDED

PLUGINS = [word for plugin in ("spec.bench.plugin", "spec.bench.predict", "reports.plugin", "no:cacheprovider") for word in ("-p", plugin)]
ASKED = "stops asking: "
SURE = "(certain)? "
TWO_MODELS = '''
from spec.bench import claim, prompts
asked = prompts().ask("a", "a prompt that nobody has recorded", max_tokens=3)

@claim("It ends by its length.", on=asked, about="greedy", vllm="v1/engine/core.py::EngineCore.step")
def test_of_two_models(run):
    assert True
'''


class Terminal:
    """pytest behind a pseudo-terminal, and somebody who reads and types."""

    def __init__(self, folder, *args, claims=TRUE):
        (folder / "test_claims.py").write_text(claims)
        (folder / "pytest.ini").write_text("[pytest]\n")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        environment |= {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "CI": "", "TERM": "dumb", "COLUMNS": "200"}
        self.ours, theirs = pty.openpty()
        self.process = subprocess.Popen([sys.executable, "-m", "pytest", *PLUGINS, "--reference=recorded", *args], cwd=folder, env=environment,
                                        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, close_fds=True)
        os.close(theirs)
        self.seen = ""

    def until(self, words: str, seconds: float = 60) -> str:
        """What was shown since the last time, up to these words."""
        deadline = time.monotonic() + seconds
        while words not in self.seen:
            assert time.monotonic() < deadline, f"{words!r} was not shown, but:\n{self.seen}"
            if not self._read():
                raise AssertionError(f"it ended without {words!r}:\n{self.seen}")
        shown, _, self.seen = self.seen.partition(words)
        return shown + words

    def type(self, line: str) -> None:
        os.write(self.ours, (line + "\n").encode())

    def end(self) -> str:
        """What was shown after the last thing waited for, and nothing else was asked."""
        deadline = time.monotonic() + 60
        while self._read():
            assert time.monotonic() < deadline and ASKED not in self.seen, f"it does not end:\n{self.seen}"
        self.process.wait(60)
        os.close(self.ours)
        return self.seen

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(60)
        os.close(self.ours)

    def _read(self) -> bool:
        if not select.select([self.ours], [], [], 1)[0]:
            return True
        try:
            data = os.read(self.ours, 65536)
        except OSError:     # Linux says so that the other end is closed
            data = b""
        self.seen += data.decode(errors="replace").replace("\r\n", "\n")
        return bool(data)


def lines(folder):
    return [json.loads(line) for line in (folder / "reports/predictions.jsonl").read_text().splitlines()]


def test_asked_stored_revealed(tmp_path):
    terminal = Terminal(tmp_path, "--predict", claims=TRUE + FALSE.removeprefix(HEAD) + BELIEF.removeprefix(HEAD))
    asked = terminal.until(ASKED)
    assert "It ends by its length." in asked and "num_blocks=5" not in asked and not (tmp_path / "reports/predictions.jsonl").exists()
    terminal.type("w")
    assert "workload(num_blocks=5" in terminal.until(ASKED)
    terminal.type("perhaps")
    terminal.until(ASKED)
    time.sleep(1.1)     # thinking
    terminal.type("y")
    for wrong in ("49", "101", "much"):
        terminal.until(SURE)
        terminal.type(wrong)
    terminal.until(SURE)
    terminal.type("80 %")
    assert "vLLM 0.32.0 does so (CONFIRMED). You said yes, 80 % sure: right." in terminal.until(ASKED)
    terminal.type("n")
    terminal.until(SURE)
    terminal.type("60")
    # The misconception has the sentence and the workload of the claim before it: it is one question.
    told = terminal.end()
    assert "vLLM 0.32.0 does not do so (REFUTED). You said no, 60 % sure: right." in told
    assert "2 of 2 were right; Brier score 0.10" in told and "1 failed, 2 passed" in told

    first, truth, second, its_truth = lines(tmp_path)
    assert (first["type"], first["holds"], first["confidence"], first["vllm"]) == ("prediction", True, 80, "0.32.0")
    assert first["nodeid"] == "test_claims.py::test_true" and re.fullmatch("[0-9a-f]{16}", first["claim"]) and first["time"] <= truth["time"]
    assert (truth["type"], truth["claim"], truth["verdict"], truth["holds"]) == ("truth", first["claim"], "CONFIRMED", True)
    assert (second["holds"], its_truth["holds"], its_truth["verdict"]) == (False, False, "REFUTED")
    [run] = (tmp_path / "reports/runs").glob("*.jsonl")
    assert all(event["duration"] < 1 for event in map(json.loads, run.read_text().splitlines()) if event["type"] == "claim")


def test_a_misconception_is_right_for_who_says_no(tmp_path):
    terminal = Terminal(tmp_path, "--predict", claims=BELIEF)
    terminal.until(ASKED)
    terminal.type("yes")
    terminal.until(SURE)
    terminal.type("100")
    told = terminal.end()
    assert "does not do so (REFUTED). You said yes, 100 % sure: WRONG." in told and "1 passed" in told and "Brier score 1.00" in told
    assert "vLLM 0.32.0 does otherwise" in told and "make log CLAIM=test_belief" in told


def test_the_prediction_is_on_the_disk_before_vllm_is_asked(tmp_path):
    """A predicate that never comes back stands for vLLM: the run is killed in it."""
    hangs = TRUE.replace("    assert", "    import time; open('asking', 'w').close(); time.sleep(60)\n    assert")
    terminal = Terminal(tmp_path, "--predict", claims=hangs)
    terminal.until(ASKED)
    time.sleep(0.3)
    assert not (tmp_path / "asking").exists(), "the question comes first"
    terminal.type("y")
    terminal.until(SURE)
    terminal.type("70")
    deadline = time.monotonic() + 30
    while not (tmp_path / "asking").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    terminal.kill()
    assert [(line["type"], line["confidence"]) for line in lines(tmp_path)] == [("prediction", 70)]

    # The next run asks nothing, and finds the truth.
    told = Terminal(tmp_path, "--predict").end()
    assert "You said yes, 70 % sure: right." in told
    assert [line["type"] for line in lines(tmp_path)] == ["prediction", "truth"]

    # Nor does the one after it; asked again, the first answer stays what counts.
    assert "You said" not in Terminal(tmp_path, "--predict").end()
    again = Terminal(tmp_path, "--predict=again")
    again.until(ASKED)
    again.type("n")
    again.until(SURE)
    again.type("90")
    assert "You said no, 90 % sure: WRONG." in again.end()
    assert [(one.holds, one.truth) for one in read(tmp_path / "reports/predictions.jsonl")] == [(True, True), (False, True)]


@pytest.mark.parametrize(("typed", "questions"), [("", 2), ("q", 1), ("\x04", 1)], ids=["enter", "q", "end of file"])
def test_who_does_not_answer_is_not_recorded(tmp_path, typed, questions):
    terminal = Terminal(tmp_path, "--predict", claims=TRUE + FALSE.removeprefix(HEAD))
    for _ in range(questions):
        terminal.until(ASKED)
        terminal.type(typed) if typed != "\x04" else os.write(terminal.ours, b"\x04")
    assert "1 failed, 1 passed" in terminal.end()
    assert not (tmp_path / "reports/predictions.jsonl").exists()


def test_what_nobody_can_say_stays_open(tmp_path):
    terminal = Terminal(tmp_path, "--predict", claims=UNRECORDED)
    terminal.until(ASKED)
    terminal.type("y")
    terminal.until(SURE)
    terminal.type("70")
    assert "1 skipped" in terminal.end()
    assert [line["type"] for line in lines(tmp_path)] == ["prediction"]


def test_a_divergence_does_not_answer_the_question(tmp_path):
    """The engines part; the sentence is false of vLLM's run, and that is what counts."""
    terminal = Terminal(tmp_path, "--predict", "--impl=impl.naive", claims=FALSE)
    terminal.until(ASKED)
    terminal.type("n")
    terminal.until(SURE)
    terminal.type("90")
    assert "vLLM 0.32.0 does not do so (DIVERGED). You said no, 90 % sure: right." in terminal.end()


@pytest.mark.skipif(not find_spec("torch"), reason="claims about models are not asked where there is no torch")
def test_a_sentence_asked_of_two_models_is_one_question(tmp_path):
    terminal = Terminal(tmp_path, "--predict", claims=TWO_MODELS)
    terminal.until(ASKED)
    terminal.type("y")
    terminal.until(SURE)
    terminal.type("70")
    assert "2 skipped" in terminal.end()
    assert len(lines(tmp_path)) == 1


def test_what_cannot_be_stored_ends_the_questions(tmp_path):
    (tmp_path / "reports").write_text("a file where the folder should be")
    terminal = Terminal(tmp_path, "--predict", "--no-report", claims=TRUE + FALSE.removeprefix(HEAD))
    terminal.until(ASKED)
    terminal.type("y")
    terminal.until(SURE)
    terminal.type("70")
    told = terminal.end()
    assert "could not be stored, so nothing more is asked" in told and "1 failed, 1 passed" in told and "You said" not in told


def test_a_sentence_cannot_steer_the_terminal(tmp_path):
    terminal = Terminal(tmp_path, "--predict", claims=TRUE.replace("It ends", r"\x1b[2J\u202eIt ends"))
    assert r"\x1b[2J\u202eIt ends" in terminal.until(ASKED)
    terminal.type("q")
    terminal.end()


@pytest.mark.parametrize(("args", "says"), [
    (["--predict", "test_claims.py"], "--predict=test_claims.py: it is --predict or --predict=again; write --predict after what is to be run"),
    (["-p", "xdist", "-n", "2", "--predict"], "--predict asks one question at a time: leave out -n"),
])
def test_it_refuses_at_the_start(tmp_path, args, says):
    told = Terminal(tmp_path, *args).end()
    assert f"ERROR: {says}" in told and "passed" not in told


def test_without_a_terminal_it_refuses(tmp_path):
    (tmp_path / "test_claims.py").write_text(TRUE)
    done = subprocess.run([sys.executable, "-m", "pytest", *PLUGINS, "--predict"], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)},
                          input="y\n80\n", capture_output=True, text=True)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "--predict asks a person: run it in a terminal" in done.stderr
    assert not (tmp_path / "reports").exists()
