"""The gym: judging the learner's answers, and never losing one.

Judgements are kept by content in drills/mine/judged.jsonl, a line each: an answer that has been judged is judged again
only when it, what it imports of drills/, its judge or the tools of the judges have changed.
"""
import ast
import datetime
import hashlib
import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from drills.answers import load
from drills.drill import DRILLS, Drill, all_drills, mine

SECONDS = 60       # for one test; beyond that an answer is said to hang
GRACE = 20          # more, for what does not listen to a signal, and for the imports before the first test
TOOLS = [DRILLS / name for name in ("answers.py", "conftest.py", "judging.py", "telling.py")]


class NotJudgedError(Exception):
    """Nothing can be said about an answer, because something is missing here."""


@dataclass(frozen=True)
class Judgement:
    drill: str
    track: str
    content: str        # a hash of the answer and of all that judges it
    passed: bool
    date: str           # ISO 8601, to the second
    output: str         # what the judge said
    badge: float | None = None      # the share of the machine's ceiling, if it was measured


def start(drill: Drill) -> bool:
    """Put the stub where the learner writes; False if there is something already."""
    drill.mine.parent.mkdir(parents=True, exist_ok=True)
    try:
        with drill.mine.open("x") as file:
            file.write(drill.stub.read_text())
    except FileExistsError:
        return False
    return True


def reset(drill: Drill) -> Path | None:
    """Begin anew; returns where the old answer is kept, None if there was none."""
    kept = keep(drill)
    drill.mine.unlink(missing_ok=True)
    start(drill)
    return kept


def keep(drill: Drill) -> Path | None:
    """A copy of the learner's answer, under a name that is free."""
    if not drill.mine.exists():
        return None
    content, folder = drill.mine.read_bytes(), mine() / "kept"
    folder.mkdir(parents=True, exist_ok=True)
    number = 1
    while (copy := folder / f"{drill.name}.{number}.py").exists():
        if copy.read_bytes() == content:
            return copy
        number += 1
    copy.write_bytes(content)
    return copy


def judgements() -> list[Judgement]:
    """All of them, oldest first; a line that nobody can read is skipped."""
    path = mine() / "judged.jsonl"
    found = (_judgement(line) for line in path.read_text(errors="replace").splitlines()) if path.exists() else ()
    return [each for each in found if each]


def _judgement(line: str) -> Judgement | None:
    known = {field.name for field in fields(Judgement)}
    try:
        judgement = Judgement(**{name: value for name, value in json.loads(line).items() if name in known})
    except (ValueError, TypeError, AttributeError):
        return None
    return judgement if isinstance(judgement.passed, bool) and isinstance(judgement.output, str) else None


def note(judgement: Judgement) -> None:
    path = mine() / "judged.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    cut = path.exists() and not path.read_bytes().endswith(b"\n")       # by a crash, in the middle of a line
    with path.open("a") as file:
        file.write("\n" * cut + json.dumps(asdict(judgement)) + "\n")


def judged(drill: Drill) -> Judgement | None:
    """What was said about this very content, if it was ever judged."""
    content = content_of(drill)
    return next((each for each in reversed(judgements()) if each.content == content and each.drill == drill.name), None)


def passed() -> set[str]:
    """The drills of which some answer of the learner has passed."""
    return {each.drill for each in judgements() if each.passed}


def badges() -> dict[str, float]:
    """The best share of the ceiling that was ever reached, by drill."""
    found: dict[str, float] = {}
    for each in judgements():
        if each.passed and each.badge is not None:
            found[each.drill] = max(each.badge, found.get(each.drill, 0.0))
    return found


def next_drill() -> Drill | None:
    """The first in the order of the course that has not been passed."""
    done = passed()
    return next((drill for drill in all_drills() if drill.name not in done), None)


def content_of(drill: Drill) -> str | None:
    """A hash of the answer and of all that decides what is said about it; None if there is no answer."""
    try:
        parts = [*_with_imports(drill.mine), drill.judge, *TOOLS]
        return hashlib.sha256(b"\0".join(path.read_bytes() for path in parts)).hexdigest()[:16]
    except FileNotFoundError:       # also for a moment, while an editor saves
        return None


def _with_imports(answer: Path) -> list[Path]:
    """The answer, and the files of drills/ that it imports: one may build on another."""
    found, new = [], [answer]
    while new:
        path = new.pop()
        found.append(path)
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)] if isinstance(node, ast.ImportFrom) else \
                [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                file = (DRILLS.parent / (name or "").replace(".", "/")).with_suffix(".py")
                if file.is_relative_to(DRILLS) and file.is_file() and file not in (*found, *new, *TOOLS):
                    new.append(file)
    return found


def check(drill: Drill, again: bool = False, tell: Callable[[str], None] = lambda line: None,
          doing: Callable[[str], None] = lambda what: None) -> Judgement:
    """Judge the learner's answer, unless that was done. `tell` gets each line of what is said, `doing` what goes on meanwhile.

    Raises `NotJudgedError`.
    """
    start(drill)
    known = judged(drill)
    if known and not again:
        for line in known.output.splitlines():
            tell(line)
        return known
    content, said = content_of(drill), []

    def say(line: str) -> None:
        said.append(line)
        tell(line)

    passed = _judge(drill, say, doing)
    now = datetime.datetime.now().isoformat(timespec="seconds")
    judgement = Judgement(drill.name, drill.track, content or "", passed, now, "\n".join(said))
    if content_of(drill) == content:     # not while somebody was writing
        note(judgement)
    return judgement


def _judge(drill: Drill, say: Callable[[str], None], doing: Callable[[str], None]) -> bool:
    """Run the judge in a process of its own, with neither the lab's plugins nor its reports: drills/telling.py speaks."""
    if trouble := _syntax_error(drill):
        say(trouble)
        return False
    doing("the judge is being called")
    limit = float(os.environ.get("INFERLAB_SECONDS", SECONDS))
    command = [sys.executable, "-m", "pytest", str(drill.judge), "--answer=mine", "-x", f"--confcutdir={DRILLS}", "-p", "drills.telling",
               "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:xdist"]
    environment = os.environ | {"INFERLAB_SECONDS": str(limit), "PYTHONPATH": str(DRILLS.parent), "PYTEST_ADDOPTS": "", "PYTHONIOENCODING": "utf-8"}
    process = subprocess.Popen(command, cwd=DRILLS.parent, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               start_new_session=True)      # so that Ctrl-C is ours
    test, verdict, reason, rest = "", "", "", []
    try:
        for line in _lines(process, limit + GRACE, lambda seconds: test and seconds and doing(f"{test} ({seconds:.0f} s)")):
            kind, _, text = line.partition("\t")
            if kind == "begins":
                doing(test := text)
            elif kind == "says":
                say(text)
            elif kind == "ends":
                verdict = text
            elif kind == "skips":
                reason = text
            else:
                rest.append(line)
    except TimeoutError as error:
        process.kill()
        say(f"  ✗ {test or drill.name}")
        say(f"\n    {error}")
        return False
    except KeyboardInterrupt:
        process.kill()
        raise
    finally:
        _end(process)
    if reason:
        raise NotJudgedError(reason)
    if not verdict:
        for line in rest:
            say(f"    {line}")
        code = process.returncode
        if not test:
            raise NotJudgedError("the judge could not begin:\n" + "\n".join(rest[-20:]))
        say(f"  ✗ {test}\n\n    your answer has ended the process of its judge ({f'signal {-code}' if code < 0 else f'exit code {code}'})")
    return verdict == "passed"


def _syntax_error(drill: Drill) -> str | None:
    try:
        compile(drill.mine.read_bytes(), str(drill.mine), "exec")
    except SyntaxError as error:
        return f"  ✗ {error.msg}: {place(drill)}, line {error.lineno}\n\n    {(error.text or '').strip()}"
    except ValueError as error:
        return f"  ✗ {place(drill)} is no Python: {error}"
    return None


def _lines(process: subprocess.Popen, limit: float, waiting: Callable[[float], object]) -> Iterator[str]:
    """The lines of a process as they come. Raises `TimeoutError` if none comes for `limit` seconds."""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        rest, since = b"", time.monotonic()
        while True:
            if not selector.select(1):
                waiting(time.monotonic() - since)
                if time.monotonic() - since > limit:
                    raise TimeoutError(f"this has not ended after {limit - GRACE:.0f} s: look for a loop that does not end")
                continue
            data = os.read(process.stdout.fileno(), 1 << 16)
            if not data:
                break
            *whole, rest = (rest + data).split(b"\n")
            for line in whole:
                since = time.monotonic()
                yield line.decode(errors="replace")
        if rest:
            yield rest.decode(errors="replace")


def _end(process: subprocess.Popen) -> None:
    """With all that it has started."""
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        pass
    try:
        os.killpg(process.pid, 9)
    except (ProcessLookupError, PermissionError):
        pass
    process.wait()
    process.stdout.close()


def measure(drill: Drill) -> float | None:
    """The share of the machine's ceiling that the learner's answer reaches; noted. None if the drill has no badge."""
    path = drill.folder / "badge.py"
    if not path.exists():
        return None
    judgement = judged(drill)
    share = float(load(path).badge(load(drill.mine)))
    if judgement:
        note(replace(judgement, badge=share, date=datetime.datetime.now().isoformat(timespec="seconds")))
    return share


def place(drill: Drill) -> str:
    """Where the learner writes, as short as it can be said."""
    return str(drill.mine.relative_to(DRILLS.parent) if drill.mine.is_relative_to(DRILLS.parent) else drill.mine)
