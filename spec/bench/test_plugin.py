"""pytest as a learner meets it: what it says, and with which exit code. Answered from recordings, so no vLLM is needed."""
import os
import subprocess
import sys
from pathlib import Path

import pytest

from reference.concepts import CONCEPTS, THEMES
from reports.run_file import read

ROOT = Path(__file__).parents[2]
HEAD = '''
from spec.bench import claim, workload
two = workload(num_blocks=5).request("a", prompt=6, max_tokens=4)
def about(sentence, **more):
    return claim(sentence, on=two, about=more.pop("about", "finish"), vllm="v1/core/sched/scheduler.py::Scheduler.schedule", **more)
'''
TRUE = HEAD + '''
@about("It ends by its length.")
def test_true(run):
    assert run.finish_reasons == {"a": "length"}
'''
FALSE = HEAD + '''
@about("It ends after three steps.")
def test_false(run):
    assert len(run.steps) <= 3
'''
NEVER = HEAD + '''
@about("Whoever is preempted comes back.", about="preemption")
def test_never(run):
    assert True
'''
BELIEF = HEAD + '''
@about("It ends after three steps.", misconception=True)
def test_belief(run):
    assert len(run.steps) <= 3
'''
TRUE_BELIEF = HEAD + '''
@about("It ends after four steps.", misconception=True)
def test_true_belief(run):
    assert len(run.steps) <= 4
'''
UNRECORDED = TRUE.replace("prompt=6", "prompt=5")
QUICK = TRUE + '''
def test_vllm_was_not_imported():
    import sys
    assert not {"vllm", "torch"} & set(sys.modules)
'''
BROKEN = HEAD + '''
@about("It is broken.")
def test_broken(run):
    run.nothing_of_the_kind
'''


def lab(folder: Path, claims: str, *args: str, ci: str = "", stdin: str = "") -> tuple[int, str]:
    """Exit code and output of pytest on a file of claims, to which somebody types `stdin`."""
    (folder / "test_claims.py").write_text(claims)
    (folder / "pytest.ini").write_text("[pytest]\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment |= {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "CI": ci}
    plugins = ["-p", "spec.bench.plugin", "-p", "spec.bench.surgery", "-p", "reports.plugin", "-p", "no:cacheprovider"]
    done = subprocess.run([sys.executable, "-m", "pytest", *plugins, "--reference=recorded", *args], cwd=folder, env=environment,
                          input=stdin, capture_output=True, text=True, timeout=180)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("claims, code, words", [
    (TRUE, 0, ["1 CONFIRMED"]),
    (FALSE, 1, ["REFUTED, vLLM 0.32.0 does otherwise", '"It ends after three steps."', "recorded", "0 CONFIRMED", "1 REFUTED"]),
    (NEVER, 1, ["VACUOUS", "there was no preemption", "1 VACUOUS"]),
    (BELIEF, 0, ["1 misconception REFUTED"]),
    (TRUE_BELIEF, 1, ["marked as a misconception, and it is true of vLLM"]),
    (UNRECORDED, 0, ["1 UNTESTED", "--reference=record", "1 skipped"]),
    (BROKEN, 1, ["AttributeError"]),
], ids=["true", "false", "never", "belief", "true-belief", "unrecorded", "broken"])
def test_a_verdict_and_its_exit_code(tmp_path, claims, code, words):
    returned, told = lab(tmp_path, claims)
    assert returned == code, told
    assert [word for word in words if word not in told] == [], told


def test_untested_is_an_error_in_ci(tmp_path):
    returned, told = lab(tmp_path, UNRECORDED, ci="true")
    assert returned == 1 and "UNTESTED" in told and "1 failed" in told


def test_what_is_about_the_other_build_is_none_in_ci_either(tmp_path):
    """No machine has both builds: each job of CI asks what is about its own."""
    returned, told = lab(tmp_path, TRUE.replace('length.")', 'length.", build="cuda")'), ci="true")
    assert returned == 0 and "1 UNTESTED" in told and "1 skipped" in told, told


def test_a_divergence_shows_both_sides_and_our_engine(tmp_path):
    returned, told = lab(tmp_path, TRUE, "--impl=impl.naive")
    assert returned == 1
    assert "DIVERGED at step 0, in scheduled: impl.naive and vLLM 0.32.0 part." in told
    assert "a new: 6 after 0 on 1 2 3 " in told and "a new: 6 after 0 on 1 2\n" in told
    assert "workload(num_blocks=5)" in told and "scheduler.py" in told and "next: ask the real vLLM" in told
    assert "1 DIVERGED" in told


def test_an_engine_that_is_not_there_is_named(tmp_path):
    returned, told = lab(tmp_path, TRUE, "--impl=no_such_engine")
    assert returned == 4 and "--impl=no_such_engine" in told and "Traceback" not in told


def test_a_package_without_the_doors_is_named(tmp_path):
    returned, told = lab(tmp_path, TRUE, "--impl=json")
    assert returned == 4 and "has no Scheduler" in told


def test_the_header_says_who_answers(tmp_path):
    _, told = lab(tmp_path, TRUE)
    assert "inferlab: impl against vLLM 0.32.0, reference recorded" in told and "recorded 20" in told


def test_the_run_file_has_the_concept_map_and_each_claim_its_concepts(tmp_path):
    lab(tmp_path, TRUE.replace('"finish"', '"length"'))
    run = read(next(tmp_path.glob("reports/runs/*.jsonl")))
    assert [theme["theme"] for theme in run.concepts] == list(THEMES)
    assert [concept["vllm"] for theme in run.concepts for concept in theme["concepts"]] == [concept.vllm for concept in CONCEPTS]
    assert [claim["concepts"] for claim in run.claims] == [["a step's decision", "stopping"]]


def test_what_is_recorded_needs_no_vllm_though_it_may_be_here(tmp_path):
    """The loop of someone who edits impl: seconds, not vLLM's import."""
    returned, told = lab(tmp_path, QUICK, "--reference=auto")
    assert returned == 0 and "reference auto" in told and "1 CONFIRMED" in told, told
