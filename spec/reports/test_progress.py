"""Progress: read from real run files, however large or damaged, and told alike on the terminal, in Markdown and on the page."""
import json
import re
from datetime import date, datetime, timedelta

import pytest

from reports import activity, drilled, progress
from reports.explored import existing, explored
from reports.learner import gather
from reports.predictions import append
from reports.progress import as_markdown, as_text
from reports.progress_page import page
from spec.bench.test_plugin import BELIEF, FALSE, HEAD, TRUE, lab
from spec.reports.browser import browser, page as opened, troubles  # noqa: F401

TODAY = date(2026, 11, 23)     # a Monday
HOSTILE = '</style></title><script>document.title = "taken"</script><img src=x> \u202eevil\x1b[31m |'
SPEC = '''
from spec.bench import claim

@claim("One.", on=a, about="finish", vllm="b")
def test_one(run): ...

@claim("Two.", on=a, about="finish", vllm="b")
def test_two(run): ...

@pytest.mark.parametrize("a", [1])
def test_ordinary(a): ...

def claim_of_another_kind(): ...
'''


@pytest.fixture(scope="module")
def run_file(tmp_path_factory):
    """A run file as pytest writes it: a claim that holds, one that fell, a belief."""
    folder = tmp_path_factory.mktemp("lab")
    status, told = lab(folder, TRUE + FALSE.removeprefix(HEAD) + BELIEF.removeprefix(HEAD))
    assert status == 1, told
    [path] = (folder / "reports/runs").glob("*.jsonl")
    return path


def checkout(folder, **runs):
    """A checkout with four claims, and runs: by when each began, what it said of some of them."""
    for name in ("scheduler/test_abort.py", "kv_cache/test_sharing.py"):
        (folder / "spec" / name).parent.mkdir(parents=True)
        (folder / "spec" / name).write_text(SPEC)
    (folder / "reports/runs").mkdir(parents=True)
    for number, (started, claims) in enumerate(runs.items()):
        began = datetime.strptime(started, "d%Y%m%d")
        lines = [{"type": "header", "format": 1, "started": f"{began.isoformat()}+02:00"}]
        lines += [{"type": "claim", "nodeid": name, "outcome": "passed", "duration": 0, "sentence": HOSTILE, "theme": "x", "verdict": verdict}
                  for name, verdict in claims.items()]
        (folder / f"reports/runs/{began:%Y%m%d}-00000{number}-1.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    return folder


ABORT, SHARING = "spec/scheduler/test_abort.py", "spec/kv_cache/test_sharing.py"


def test_the_claims_of_a_real_run_without_their_timelines(run_file):
    assert b'"steps"' in run_file.read_bytes(), "the run file has timelines"
    claims = {name.partition("::")[2]: claim for name, claim in explored(run_file.parent).verdicts.items()}
    assert {name: claim["verdict"] for name, claim in claims.items()} == {
        "test_true": "CONFIRMED", "test_false": "REFUTED", "test_belief": "REFUTED"}
    assert claims["test_belief"]["misconception"] is True and claims["test_true"]["sentence"] == "It ends by its length."
    assert not any("runs" in claim or "finding" in claim for claim in claims.values())


def test_timelines_are_not_even_parsed(run_file, tmp_path):
    """What stands behind the verdict may be anything: nobody looks at it."""
    spoilt = re.sub(rb'(, "runs": ).*', rb"\1 no JSON at all", run_file.read_bytes())
    (tmp_path / "spoilt.jsonl").write_bytes(spoilt)
    assert explored(tmp_path) == explored(run_file.parent)


def test_a_file_cut_anywhere_is_read_up_to_there(run_file, tmp_path):
    whole, path = run_file.read_bytes(), tmp_path / "20260101-000000-1.jsonl"
    counts = []
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        found = explored(tmp_path).verdicts.values()
        assert all("verdict" in claim for claim in found), f"cut after {length} bytes, half a claim is taken for a whole one"
        counts.append(len(found))
    assert counts == sorted(counts) and {0, 1, 2} <= set(counts)


def test_which_claims_exist_is_read_from_the_source(tmp_path):
    checkout(tmp_path)
    (tmp_path / "spec/kv_cache/test_half.py").write_text("@claim(\ndef")
    assert existing(tmp_path / "spec") == {
        f"{SHARING}::test_one": "kv_cache/sharing", f"{SHARING}::test_two": "kv_cache/sharing",
        f"{ABORT}::test_one": "scheduler/abort", f"{ABORT}::test_two": "scheduler/abort"}


def test_of_this_checkout_every_claim_is_found(pytestconfig):
    """The source's count is the one of the claims themselves, once they are all imported."""
    here = existing(pytestconfig.rootpath / "spec")
    assert {"scheduler/preemption", "engine/streaming", "sampling/logprobs"} <= set(here.values())
    import spec.scheduler.test_preemption as module
    assert {name.partition("::")[2] for name, theme in here.items() if theme == "scheduler/preemption"} == {
        name for name, test in vars(module).items() if hasattr(test, "claims")}


def test_the_last_verdict_counts_and_the_worst_of_a_run(tmp_path):
    root = checkout(tmp_path, d20261101={f"{ABORT}::test_one": "CONFIRMED", f"{ABORT}::test_gone": "CONFIRMED"},
                    d20261103={f"{ABORT}::test_one[llama]": "CONFIRMED", f"{ABORT}::test_one[qwen3]": "DIVERGED",
                               f"{SHARING}::test_two": "CONFIRMED"},
                    d20261102={f"{ABORT}::test_one": "CONFIRMED"})
    found = gather(root, TODAY)
    assert [(theme.name, theme.exist, [claim["verdict"] for claim in theme.claims]) for theme in found.themes] == [
        ("kv_cache/sharing", 2, ["CONFIRMED"]), ("scheduler/abort", 2, ["DIVERGED"])]
    assert (found.explored, found.exist, found.active_days) == (2, 4, 3)


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_the_last_run_is_the_one_that_began_last(tmp_path, names):
    """Whatever the files are called, and in whatever order the folder has them."""
    for name, day, verdict in zip(names, (1, 2), ("CONFIRMED", "REFUTED")):
        lines = [{"type": "header", "format": 1, "started": f"2026-11-0{day}T00:00:00"}, {"type": "claim", "nodeid": "n", "verdict": verdict}]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert explored(tmp_path).verdicts["n"]["verdict"] == "REFUTED"


def test_what_cannot_be_read_is_named_and_stops_nothing(tmp_path):
    root = checkout(tmp_path, d20261101={f"{ABORT}::test_one": "CONFIRMED"})
    for name, content in {"empty": b"", "binary": bytes(range(256)), "later": b'{"type": "header", "format": 2, "started": "2026-01-01"}\n',
                          "dateless": b'{"type": "header", "format": 1, "started": "soon"}\n', "list": b"[1]\n"}.items():
        (root / f"reports/runs/{name}.jsonl").write_bytes(content)
    (root / "reports/runs/folder.jsonl").mkdir()
    with (root / "reports/runs/20261101-000000-1.jsonl").open("ab") as file:
        file.write(b'{"type": "claim", "nodeid": "\\q"}\n{"type": "claim", "nodeid": "\xff"}\n{"type": "claim", "nodeid": "a", "runs": [[[\n\xff{\n')
    found = gather(root, TODAY)
    assert found.explored == 1
    assert sorted(found.unreadable) == [f"{name}.jsonl" for name in ("binary", "dateless", "empty", "folder", "later", "list")]
    assert "left out: binary.jsonl" in as_text(found) and "left out: binary.jsonl" in page(found)


def test_the_calendar(tmp_path):
    days = {TODAY: set("abc"), TODAY - timedelta(days=1): set(), TODAY - timedelta(days=7): set(map(str, range(100))),
            TODAY - timedelta(days=8): set(map(str, range(10))), TODAY - timedelta(weeks=26): {"too old"}}
    grid = activity.weeks(days, TODAY)
    assert len(grid) == 26 and [len(week) for week in grid] == [7] * 25 + [1] and grid[0][0].day == date(2026, 6, 1)
    monday, *_, sunday = activity.as_text(grid)
    assert (monday.split()[-2:], sunday.split()[-2:]) == (["█", "▒"], ["▓", "░"])
    assert monday.split()[0] == "Mon" and len(monday.split()) == 27 and len(sunday.split()) == 26
    assert activity.weeks({}, date(2026, 11, 29))[-1][-1].day == date(2026, 11, 29), "on a Sunday the last week is whole"


def learner(folder):
    """Somebody who has done a little of everything."""
    root = checkout(folder, d20261101={f"{ABORT}::test_one": "CONFIRMED"}, d20261122={f"{ABORT}::test_two": "DIVERGED"})
    for number, (holds, confidence, truth) in enumerate([(True, 90, True), (True, 80, False), (False, 60, None)]):
        append(root / "reports/predictions.jsonl", "prediction", claim=str(number), nodeid="n", theme=HOSTILE if number else "scheduler/abort",
               sentence="s", vllm="0.32.0", holds=holds, confidence=confidence)
        if truth is not None:
            append(root / "reports/predictions.jsonl", "truth", claim=str(number), verdict="CONFIRMED", holds=truth)
    (root / "reports/log").mkdir()
    (root / "reports/log/2026-11-02-it.md").write_text(f"---\ndate: 2026-11-02\n---\n# {HOSTILE.replace('[', chr(92) + '[')}\n")
    drills(root / "drills")
    return root


def drills(folder):
    """Two tracks; one drill has passed, with badges, one is begun, one has a name that nobody would choose."""
    for name in ("classics/softmax", "classics/half", "data_structures/block_pool", "data_structures/ring_buffer", "mine/classics", f"classics/{HOSTILE.replace('/', '')}"):
        (folder / name).mkdir(parents=True)
        if name != "classics/half":
            (folder / name / f"test_{name.partition('/')[2]}.py").touch()
    for name in ("classics/softmax.py", "data_structures/block_pool.py", f"classics/{HOSTILE.replace('/', '')}.py"):
        (folder / "mine" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "mine" / name).touch()
    said = [{"drill": "block_pool", "passed": False}, {"drill": "block_pool", "passed": True, "badge": 0.55}, {"drill": "block_pool", "passed": True, "badge": 0.3},
            {"drill": "block_pool", "passed": False}, {"drill": "of_another_course", "passed": True}, {"drill": ["x"], "passed": True}, {"drill": "softmax", "passed": "yes"},
            [], None]
    (folder / "mine/judged.jsonl").write_bytes(b"\xff no JSON\n" + "\n".join(map(json.dumps, said)).encode())


def test_the_same_is_told_everywhere(tmp_path, opened):  # noqa: F811
    found = gather(learner(tmp_path), TODAY)
    text, markdown = as_text(found), as_markdown(found)
    (tmp_path / "progress.html").write_text(page(found), encoding="utf-8")
    opened.goto((tmp_path / "progress.html").as_uri())
    shown = opened.locator("body").inner_text()
    brier = (0.1 ** 2 + 0.8 ** 2) / 2
    for told in (text, markdown, shown):
        assert "1 of 2 (50 %)" in told and f"{brier:.2f}" in told and "1 more wait" in told
        assert "1 CONFIRMED, 1 DIVERGED" in told and "1 of 4 passed, 2 more begun" in told
        assert "silver: block_pool" in told and "softmax" in told
    assert "claims explored: 2 of 4" in text and "**2 of 4 claims explored.**" in markdown
    assert "2 of 4" in opened.locator(".figures").inner_text().replace("\n", " ")
    assert "| scheduler/abort | 2 | 2 | 1 CONFIRMED, 1 DIVERGED |" in markdown and "(reports/log/2026-11-02-it.md)" in markdown
    assert "90 to 100 % sure: 100 % right (1)" in text and "80 to 89  % sure:   0 % right (1)" in text
    for told in (text, markdown):
        assert "\x1b" not in told and "\u202e" not in told
    rows = [line.replace(r"\|", "").count("|") for line in markdown.splitlines() if line.startswith("|")]
    assert rows == [5] * 4 + [4] * 8 + [6] * 4, "a theme's name has broken its row"

    # What is hostile was text; the pictures say in words what they show; nothing is wider than a phone.
    assert opened.title() == "Progress · InferLab" and opened.locator("script, img").count() == 0
    assert opened.get_by_role("img", name=re.compile("2 of the last 176 days had runs")).count() == 1
    assert opened.get_by_role("img", name=re.compile("80 % sure, 0 % right of 1; 90 % sure, 100 % right of 1")).count() == 1
    assert opened.locator(".activity rect:not(.shade0)").count() == 2 and opened.locator(".calibration circle").count() == 2
    assert opened.locator('progress[aria-label="passed of data_structures"]').get_attribute("value") == "1"
    assert "1 of 4" in opened.locator(".figures div").filter(has_text="drills passed").inner_text()
    assert opened.locator('progress[aria-label="explored of scheduler/abort"]').get_attribute("value") == "2"
    opened.get_by_text("Day by day").click()
    assert opened.get_by_role("row", name="2026-11-22 1").is_visible()
    for colours in ("light", "dark"):
        opened.emulate_media(color_scheme=colours)
        for width in (1280, 390):
            opened.set_viewport_size({"width": width, "height": 844})
            assert opened.evaluate("document.documentElement.scrollWidth") <= width
    assert opened.get_by_role("link", name="Log-book").get_attribute("href") == "log_book.html"


def test_who_has_done_nothing_yet_is_told_how_to_begin(tmp_path):
    found = gather(checkout(tmp_path), TODAY)
    for told in (as_text(found), as_markdown(found), page(found)):
        assert "--predict" in told and "make log CLAIM=" in told and "one yet" in told
    assert "claims explored: 0 of 4" in as_text(found) and "runs on 0 days" in as_text(found)


def test_drills_are_read_from_their_folders_and_from_what_the_gym_has_noted(tmp_path):
    drills(tmp_path)
    classics, structures = drilled.tracks(tmp_path)
    assert (structures.exist, structures.passed, structures.begun, structures.badges) == (
        ["block_pool", "ring_buffer"], ["block_pool"], [], {"block_pool": 0.55}), "passed once is passed, and the best badge counts"
    assert len(classics.exist) == 2 and classics.passed == [] and "softmax" in classics.begun, "half a folder is no drill, what is mine no track"
    assert drilled.medals(structures) == "silver: block_pool" and drilled.medals(classics) == ""
    (tmp_path / "mine/judged.jsonl").unlink()
    assert drilled.summary(drilled.tracks(tmp_path)) == "0 of 4 passed, 3 more begun"


def test_the_gym_of_this_checkout_is_the_one_that_is_told(pytestconfig, tmp_path, monkeypatch):
    """The two rooms do not import each other: here they are compared."""
    import drills.__main__ as door
    from drills import gym
    from drills.drill import all_drills
    assert drilled.MEDALS == door.MEDALS
    there = {track.name: set(track.exist) for track in drilled.tracks(pytestconfig.rootpath / "drills")}
    assert {(track, name) for track, names in there.items() for name in names} == {(drill.track, drill.name) for drill in all_drills()}
    monkeypatch.setenv("INFERLAB_MINE", str(tmp_path / "mine"))
    (tmp_path / "data_structures/ring_buffer").mkdir(parents=True)
    (tmp_path / "data_structures/ring_buffer/test_ring_buffer.py").touch()
    gym.note(gym.Judgement("ring_buffer", "data_structures", "", True, "", "", badge=0.9))
    [track] = drilled.tracks(tmp_path)
    assert track.passed == ["ring_buffer"] and drilled.medals(track) == "gold: ring_buffer"


def test_the_command(tmp_path, monkeypatch, capsys):
    root = learner(tmp_path)
    monkeypatch.setattr(progress, "ROOT", root)
    monkeypatch.setattr(progress.log_book, "PAGE", root / "reports/log_book.html")
    monkeypatch.setattr(progress.log_book, "LOG", root / "reports/log")
    monkeypatch.chdir(root)
    assert progress.main() == 0
    assert "written: PROGRESS.md, reports/progress.html, reports/log_book.html" in capsys.readouterr().out
    assert (root / "PROGRESS.md").read_text().startswith("# Progress\n") and "<title>Log-book" in (root / "reports/log_book.html").read_text()
