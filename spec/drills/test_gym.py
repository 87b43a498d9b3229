"""The gym as a learner meets it: each command, and that no work is ever lost. The answers here are those of a drill or two."""
import json
import os
import pty
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from drills import __main__ as door
from drills import gym
from drills.drill import DRILLS, Drill, all_drills, find

ROOT = DRILLS.parent
RING, HASH_CHAIN = Drill("data_structures", "ring_buffer"), Drill("data_structures", "prefix_hash_chain")
SOLUTION = RING.solution.read_text()
WRONG = (RING.folder / "wrong_end_of_the_array.py").read_text()
HANGS = SOLUTION.replace("    def popleft(self):", "    def popleft(self):\n        while True: pass")
DIES = SOLUTION.replace("    def popleft(self):", "    def popleft(self):\n        import os; os._exit(3)")


@pytest.fixture(autouse=True)
def mine(tmp_path, monkeypatch):
    """The learner's folder is an empty one."""
    monkeypatch.setenv("INFERLAB_MINE", str(tmp_path / "mine"))
    return tmp_path / "mine"


def answer(text, drill=RING):
    drill.mine.parent.mkdir(parents=True, exist_ok=True)
    drill.mine.write_text(text)


def runs_of_judges():
    """Run files that tell of a judge; whoever else works here may write others meanwhile."""
    return [path for path in (ROOT / "reports/runs").glob("*.jsonl") if b"drills.telling" in path.open("rb").readline()]


@pytest.fixture
def judges(monkeypatch):
    """How often a judge was really called, and instead of it: whoever is given passes."""
    called = []
    monkeypatch.setattr(gym, "_judge", lambda drill, say, doing: called.append(drill.name) or say(f"  ✓ asked {len(called)}") or "right" in drill.mine.read_text())
    return called


def test_start_gives_the_stub_and_never_overwrites(mine, capsys):
    assert door.main(["start", "ring_buffer"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("# Ring buffer") and str(RING.mine) in told and RING.mine.read_text() == RING.stub.read_text()
    answer("mine")
    assert door.main(["start", "ring_buffer"]) == 0 and RING.mine.read_text() == "mine"
    assert "Your answer is in" in capsys.readouterr().out


# Where nearly any case fails, Hypothesis would write behind each number that any other will do, each on a line of its own.
@pytest.mark.parametrize("wrong", [WRONG, SOLUTION.replace("    def push(self, value):", "    def push(self, value):\n        if len(self): return 'wrong'")], ids=["some cases", "most cases"])
def test_a_wrong_answer_is_told_its_smallest_case_and_no_noise(capsys, wrong):
    answer(wrong)
    assert door.main(["check", "ring_buffer"]) == 1
    told = capsys.readouterr().out
    assert "✗ any sequence of calls" in told and re.search(r"^    after\n        push\(0\)\n(.*\n)*    yours: .*\n    right: ", told, re.MULTILINE)
    assert re.search(r"the smallest case that shows it:\n        capacity=\d,\n        calls=\[\([^#]*\)\],\n\n", told)      # how small it is is Hypothesis' business
    assert "play(calls, answer.RingBuffer(capacity)" in told and "0 of 4 tests hold" in told
    assert [noise for noise in ("Traceback", "site-packages", "answer=<", "hypothesis", "test session", "\x1b", "short test summary") if noise in told] == []
    assert not runs_of_judges(), "a judgement is no run of claims"


def test_the_stub_is_told_in_one_line(capsys):
    assert door.main(["check", "ring_buffer"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["ring_buffer", "  ✗ RingBuffer.__init__ is not written yet"]
    assert sum("not written yet" in line for line in lines) == 1 and len(lines) < 8


def test_a_right_answer_passes_and_is_shown_beside_the_solution(capsys):
    assert door.main(["diff", "ring_buffer"]) == 1 and "Pass ring_buffer first" in capsys.readouterr().out
    answer(SOLUTION.replace("gone", "lost"))
    assert door.main(["check", "ring_buffer"]) == 0
    told = capsys.readouterr().out
    assert told.count("✓") == 4 and "ring_buffer: passed" in told
    assert door.main(["diff", "ring_buffer"]) == 0
    told = capsys.readouterr().out
    assert "-        return lost" in told and "+        return gone" in told
    RING.mine.unlink()
    assert door.main(["diff", "ring_buffer"]) == 1 and "There is no" in capsys.readouterr().out


@pytest.mark.parametrize("text, words", [
    ("class RingBuffer:\n    def push(self, value)\n        pass\n", ["line 2", "def push(self, value)", "expected ':'"]),
    ("import no_such_module\n", ["ModuleNotFoundError: No module named 'no_such_module'", "ring_buffer.py:1"]),
    ("\0", ["null bytes"]),
    ("", ["AttributeError", "RingBuffer"]),
    (DIES, ["✗ any sequence of calls", "has ended the process of its judge (exit code 3)"]),
], ids=["syntax", "import", "binary", "empty", "dies"])
def test_an_answer_that_cannot_be_judged_is_wrong_with_a_reason(capsys, text, words):
    answer(text)
    assert door.main(["check", "ring_buffer"]) == 1
    told = capsys.readouterr().out
    assert [word for word in words if word not in told] == [], told
    assert "Traceback" not in told and not gym.judgements()[-1].passed


def test_an_answer_that_hangs_is_stopped_where_it_is(capsys, monkeypatch):
    monkeypatch.setenv("INFERLAB_SECONDS", "2")
    answer(HANGS)
    assert door.main(["check", "ring_buffer"]) == 1
    told = capsys.readouterr().out
    assert "this has not ended after 2 s: look for a loop that does not end" in told and "while True: pass" in told, told


def test_an_answer_that_hears_no_signal_is_ended(capsys, monkeypatch):
    monkeypatch.setenv("INFERLAB_SECONDS", "1")
    monkeypatch.setattr(gym, "GRACE", 6)
    answer(SOLUTION.replace("    def popleft(self):", "    def popleft(self):\n        import signal; signal.signal(signal.SIGALRM, signal.SIG_IGN)\n        while True: pass"))
    assert door.main(["check", "ring_buffer"]) == 1
    assert "this has not ended after 1 s" in capsys.readouterr().out


def test_ctrl_c_ends_the_judge_as_well(monkeypatch):
    answer(HANGS)
    started = []
    real = subprocess.Popen
    monkeypatch.setattr(gym.subprocess, "Popen", lambda *args, **named: started.append(real(*args, **named)) or started[0])

    def interrupted(what):
        if what.startswith("any sequence"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gym.check(RING, doing=interrupted)
    assert started[0].returncode == -9 and not gym.judgements()


def test_a_kernel_that_kills_its_process_is_told_so(capsys):
    pytest.importorskip("triton", reason="needs torch and triton: make setup")
    drill = Drill("kernels", "vector_add")
    answer("import os\ndef vector_add(x, y):\n    os._exit(139)\n", drill)
    assert door.main(["check", "vector_add"]) == 1
    told = capsys.readouterr().out
    assert "vector_add killed its process (exit code 139)" in told and "mask" in told
    assert door.main(["check", "vector_add"]) == 1 and "judged on" in capsys.readouterr().out


def test_what_was_judged_is_not_judged_again(judges, capsys):
    answer("right")
    assert [door.main(["check", "ring_buffer"]) for _ in range(2)] == [0, 0] and judges == ["ring_buffer"]
    told = capsys.readouterr().out
    assert told.count("✓ asked 1") == 2 and told.count("nothing has changed since") == 1
    assert door.main(["check", "ring_buffer", "--again"]) == 0 and len(judges) == 2
    answer("wrong")
    assert door.main(["check", "ring_buffer"]) == 1 and len(judges) == 3
    answer("right")
    assert door.main(["check", "ring_buffer"]) == 0 and len(judges) == 3, "an earlier content is remembered"


@pytest.mark.parametrize("tool", gym.TOOLS, ids=lambda path: path.name)
def test_when_the_tools_change_it_is_judged_again(judges, monkeypatch, tmp_path, tool):
    answer("right")
    gym.check(RING)
    (tmp_path / tool.name).write_text(tool.read_text() + "# otherwise")
    monkeypatch.setattr(gym, "TOOLS", [tmp_path / each.name if each == tool else each for each in gym.TOOLS])
    gym.check(RING)
    assert len(judges) == 2


def test_when_an_answer_changes_those_that_build_on_it_are_judged_again(judges, monkeypatch, mine, tmp_path):
    """Also over two steps, and in a circle."""
    monkeypatch.setattr(gym, "DRILLS", tmp_path / "drills")
    folder = tmp_path / "drills/mine/data_structures"
    folder.mkdir(parents=True)
    monkeypatch.setenv("INFERLAB_MINE", str(tmp_path / "drills/mine"))
    RING.mine.write_text("from drills.mine.data_structures import between  # right")
    (folder / "between.py").write_text("import drills.mine.data_structures.below, drills.mine.data_structures.ring_buffer")
    (folder / "below.py").write_text("")
    contents = [gym.content_of(RING)]
    for name in ("below.py", "between.py"):
        (folder / name).write_text((folder / name).read_text() + "\n")
        contents.append(gym.content_of(RING))
    assert len(set(contents)) == 3


def test_nothing_is_noted_of_an_answer_that_changes_meanwhile(monkeypatch):
    answer("one")
    monkeypatch.setattr(gym, "_judge", lambda drill, *_: answer("other") or True)
    assert gym.check(RING).passed and not gym.judgements()


def test_lines_that_nobody_can_read_are_skipped(judges, mine):
    answer("right")
    gym.check(RING)
    log = mine / "judged.jsonl"
    whole = log.read_bytes()
    spoilt = [b"", b"no JSON", b"[1]", b"null", b'{"drill": "ring_buffer"}', b"\xff\xfe", whole.replace(b'"passed": true', b'"passed": "yes"').strip(),
              whole.strip().replace(b'"drill": "ring_buffer"', b'"later": 1, "drill": "of_a_later_gym"')]
    log.write_bytes(b"\n".join(spoilt) + b"\n" + whole + whole[:40])
    assert [each.drill for each in gym.judgements()] == ["of_a_later_gym", "ring_buffer"]
    answer("right too")
    gym.check(RING)
    assert [each.drill for each in gym.judgements()] == ["of_a_later_gym", "ring_buffer", "ring_buffer"], "a cut line swallows the next one"


def test_reset_keeps_every_copy_once(mine, capsys):
    for text in ("one", "two", "one", "three"):
        answer(text)
        assert door.main(["reset", "ring_buffer"]) == 0
        assert RING.mine.read_text() == RING.stub.read_text()
    kept = {path.name: path.read_text() for path in (mine / "kept").iterdir()}
    assert kept == {"ring_buffer.1.py": "one", "ring_buffer.2.py": "two", "ring_buffer.3.py": "three"}
    assert capsys.readouterr().out.count("What you had is in") == 4


def test_reset_of_what_was_never_begun(mine, capsys):
    assert door.main(["reset", "ring_buffer"]) == 0
    assert RING.mine.exists() and not (mine / "kept").exists() and "What you had" not in capsys.readouterr().out


def test_watch_judges_what_is_saved(judges, capsys):
    """Whatever is saved while it judges is judged next."""
    answer("first")
    seen = []
    real = gym._judge

    def judge(drill, say, doing):
        passed = real(drill, say, doing)
        seen.append(drill.mine.read_text())
        if len(seen) == 1:
            threading.Timer(0.2, answer, ["second, right"]).start()
        return passed

    gym._judge, kept = judge, gym._judge
    try:
        assert door.watch(RING, poll=0.02, rounds=2) == 0
    finally:
        gym._judge = kept
    assert seen == ["first", "second, right"]
    told = capsys.readouterr().out
    assert "ring_buffer: not yet" in told and "ring_buffer: passed" in told


def test_watch_waits_while_an_editor_saves(judges, monkeypatch):
    """Some take the old file away before they write the new one: nothing must be put in its place."""
    answer("first")
    waits = []

    def wait(_):
        waits.append(RING.mine.exists())
        if len(waits) == 1:
            RING.mine.unlink()
        elif len(waits) == 3:
            answer("right")

    monkeypatch.setattr(door.time, "sleep", wait)
    door.watch(RING, rounds=2)
    assert waits == [True, False, False] and len(judges) == 2


def test_watch_ends_when_interrupted(judges, monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(door.time, "sleep", interrupted)
    assert door.main(["watch", "ring_buffer"]) == 0 and len(judges) == 1


def test_hints_come_one_after_another(mine, capsys):
    told = []
    for _ in range(4):
        status = door.main(["hint", "ring_buffer"])
        told.append(capsys.readouterr().out)
    assert [each.splitlines()[0] for each in told[:3]] == ["Hint 1", "Hint 2", "Hint 3"]
    assert status == 1 and "drills/data_structures/ring_buffer/HINTS.md" in told[3]
    (mine / "hints/ring_buffer").write_text("many")
    assert door.main(["hint", "ring_buffer"]) == 0 and capsys.readouterr().out.startswith("Hint 1\n")


def test_the_next_is_the_first_that_has_not_passed(judges, capsys):
    first, second = all_drills()[:2]
    assert door.main(["next"]) == 0 and capsys.readouterr().out.startswith(f"# {first.title}\n")
    answer("right", first)
    assert door.main(["check"]) == 0
    assert door.main(["next"]) == 0 and capsys.readouterr().out.rpartition("passed. ")[2].partition("# ")[2].startswith(second.title)
    for drill in all_drills():
        gym.note(gym.Judgement(drill.name, drill.track, "", True, "", ""))
    assert door.main(["next"]) == 0 and "You have passed every drill" in capsys.readouterr().out


def test_the_list_says_what_is_begun_and_what_has_passed(judges, capsys):
    answer("right")
    gym.check(RING)
    answer("begun", HASH_CHAIN)
    gym.note(gym.Judgement("ring_buffer", "data_structures", "", True, "", "", badge=0.55))
    gym.note(gym.Judgement("ring_buffer", "data_structures", "", True, "", "", badge=0.3))
    answer("wrong now")
    gym.check(RING)
    assert door.main(["list"]) == 0
    told = capsys.readouterr().out
    assert "[x] ring_buffer" in told and "Ring buffer  (silver)" in told, "passed once is passed, and the best badge counts"
    assert "[.] prefix_hash_chain" in told and f"data_structures: 1 of {sum(drill.track == 'data_structures' for drill in all_drills())}" in told
    assert [drill.name for drill in all_drills() if drill.name not in told] == []


@pytest.mark.parametrize("command", ["start", "check", "watch", "hint", "reset", "diff", "badge"])
def test_an_unknown_name_is_answered_with_the_nearest(command, capsys, mine):
    assert door.main([command, "ring_bufer"]) == 2
    assert "did you mean ring_buffer" in capsys.readouterr().err and not mine.exists()
    assert door.main([command, "xyzzy"]) == 2 and "python -m drills list" in capsys.readouterr().err


@pytest.mark.parametrize("share, name", [(1.2, "gold"), (0.8, "gold"), (0.79, "silver"), (0.5, "silver"), (0.2, "bronze"), (0.1, "no badge yet")])
def test_a_badge_is_measured_once_it_is_right_and_noted(judges, monkeypatch, tmp_path, capsys, share, name):
    folder = tmp_path / "drill"
    folder.mkdir()
    (folder / "badge.py").write_text(f"def badge(answer):\n    assert answer.RIGHT\n    return {share}\n")
    answer("wrong")
    assert door.main(["badge", "ring_buffer"]) == 1 and "first it has to be right" in capsys.readouterr().out
    answer("RIGHT = 1  # right")
    assert door.main(["badge", "ring_buffer"]) == 0 and "has no badge" in capsys.readouterr().out
    judge = RING.judge
    monkeypatch.setattr(Drill, "folder", property(lambda drill: folder))
    monkeypatch.setattr(Drill, "judge", property(lambda drill: judge))
    assert door.badge(RING) == 0 and f": {name}" in capsys.readouterr().out
    assert gym.badges() == {"ring_buffer": share}


def test_a_badge_that_cannot_be_measured_here_says_why(judges, monkeypatch, capsys):
    def measure(drill):
        raise RuntimeError("needs an NVIDIA GPU")

    answer("RIGHT = 1  # right")
    monkeypatch.setattr(gym, "measure", measure)
    assert door.main(["badge", "ring_buffer"]) == 1 and "ring_buffer: the badge needs an NVIDIA GPU" in capsys.readouterr().out


def test_what_is_missing_here_is_no_verdict(mine, monkeypatch, capsys, tmp_path):
    (tmp_path / "test_ring_buffer.py").write_text('import pytest\ntorch = pytest.importorskip("no_torch_here", reason="needs torch: make setup")\n')
    monkeypatch.setattr(Drill, "judge", property(lambda drill: tmp_path / "test_ring_buffer.py"))
    monkeypatch.setattr(gym, "DRILLS", tmp_path)    # there is no conftest of drills above that judge
    (tmp_path / "conftest.py").write_text((DRILLS / "conftest.py").read_text())
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    answer(SOLUTION)
    with pytest.raises(gym.NotJudgedError, match="needs torch: make setup|could not begin"):
        gym._judge(RING, print, lambda what: None)


def test_stubs_says_what_it_did(monkeypatch, capsys):
    for changed, words in ((["ring_buffer", "rope"], "2 stubs changed: ring_buffer, rope"), ([], "every stub is what its solution makes it")):
        monkeypatch.setattr(door.stubs, "write_all", lambda: changed)
        assert door.main(["stubs"]) == 0 and words in capsys.readouterr().out


def test_on_a_terminal_there_is_colour_and_progress(mine):
    """Through a pseudo-terminal, as a learner sees it."""
    answer(SOLUTION)
    ours, theirs = pty.openpty()
    process = subprocess.Popen([sys.executable, "-m", "drills", "check", "ring_buffer"], cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs,
                               env=os.environ | {"TERM": "xterm"})
    os.close(theirs)
    said = b""
    while True:
        try:
            data = os.read(ours, 4096)
        except OSError:     # the other end is closed
            break
        if not data:
            break
        said += data
    os.close(ours)
    assert process.wait(60) == 0
    told = said.decode()
    assert "\x1b[32m  ✓ any sequence of calls\x1b[0m" in told and "… any sequence of calls" in told and "the judge is being called" in told
    stored = json.loads((mine / "judged.jsonl").read_text())["output"]
    assert "\x1b" not in stored and "…" not in stored and stored.count("✓") == 4


def test_the_gym_is_found_as_a_module():
    done = subprocess.run([sys.executable, "-m", "drills", "list"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and find("ring_buffer").title in done.stdout


def test_the_learners_folder_may_be_committed_but_not_its_judgements():
    ignored = Path(ROOT / ".gitignore").read_text().splitlines()
    assert "/drills/mine/judged.jsonl" in ignored and not any(line.rstrip("/") == "/drills/mine" for line in ignored)
