"""`--mine`: an answer to a drill in the place of what it mirrors in impl, judged by the claims, step by step, beside vLLM."""
import subprocess
import sys
from pathlib import Path

import pytest

from drills.drill import Drill
from spec.bench.mine import PIECES

ROOT = Path(__file__).parents[2]
POOL = Drill("data_structures", "block_pool")


def claims(*args, mine):
    """Exit code and output of pytest on some claims, answered from recordings."""
    done = subprocess.run([sys.executable, "-m", "pytest", "--no-report", "-p", "no:cacheprovider", "--reference=recorded", f"--mine={mine}", *args],
                          cwd=ROOT, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout + done.stderr


# Where a piece is asked for, a wrong answer, and the claims that notice it.
WHERE = {"block_pool": "spec/kv_cache", "prefix_hash_chain": "spec/kv_cache", "continuous_batching_step": "spec/scheduler",
         "sampling_filters": "spec/sampling/test_top_k_top_p_min_p.py"}
WRONG = {"block_pool": ("wrong_one_block_per_hash", "spec/kv_cache/test_sharing.py"), "prefix_hash_chain": ("wrong_no_parent", "spec/kv_cache/test_prefix_caching.py"),
         "continuous_batching_step": ("wrong_back_of_the_queue", "spec/scheduler/test_preemption.py"),
         "sampling_filters": ("wrong_exactly_k", "spec/sampling/test_top_k_top_p_min_p.py")}


@pytest.fixture(params=PIECES)
def piece(request):
    if request.param == "sampling_filters":
        pytest.importorskip("torch", reason="needs torch: make setup")
    return request.param


def test_every_piece_is_asked_for():
    assert WHERE.keys() == WRONG.keys() == PIECES.keys()


def test_with_the_solution_every_claim_holds(piece):
    status, told = claims(WHERE[piece], mine=f"{piece}:solution")
    assert status == 0 and " 0 DIVERGED" in told and f"inferlab: impl with {piece} by its solution against vLLM" in told, told[-3000:]


def test_with_a_wrong_answer_a_claim_diverges(piece):
    wrong, where = WRONG[piece]
    status, told = claims(where, "-x", mine=f"{piece}:{wrong}")
    assert status == 1 and f"impl with {piece} by its {wrong}" in told and "1 DIVERGED" in told, told[-3000:]
    assert f"--mine={piece}:{wrong}" in told.partition("next:")[2], "the command to type next has the same piece in the engine"


def test_a_stub_has_not_done_it():
    """Not even by being left out."""
    status, told = claims("spec/kv_cache/test_freeing.py", "-x", mine="block_pool:stub")
    assert status == 1 and "is not written yet" in told


def test_the_learners_own_and_any_file(tmp_path, monkeypatch):
    monkeypatch.setenv("INFERLAB_MINE", str(tmp_path))
    POOL.mine.parent.mkdir()
    POOL.mine.write_text(POOL.solution.read_text())
    status, told = claims("spec/kv_cache/test_freeing.py", mine="block_pool")
    assert status == 0 and "inferlab: impl with your block_pool against" in told
    POOL.mine.write_text((POOL.folder / "wrong_evicts_the_newest.py").read_text())
    assert claims("spec/kv_cache/test_freeing.py", "-x", mine="block_pool")[0] == 1
    status, told = claims("spec/kv_cache/test_freeing.py", mine=f"block_pool:{POOL.mine}")
    assert status == 1 and f"block_pool by {POOL.mine}" in told


def test_workers_have_it_too():
    status, told = claims("spec/kv_cache/test_eviction.py", "-n", "2", mine="block_pool:solution")
    assert status == 0, told[-2000:]
    status, told = claims("spec/kv_cache/test_eviction.py", "-n", "2", mine="block_pool:wrong_evicts_the_newest")
    assert status == 1 and " 0 DIVERGED" not in told


@pytest.mark.parametrize("mine, words", [
    ("block_pool", ["there is no", "block_pool.py; python -m drills start block_pool begins your answer"]),
    ("block_pool:wrong_x", ["there is no", "there are solution, wrong_"]),
    ("blok", ["no place for 'blok'; it has for block_pool, prefix_hash_chain"]),
    ("ring_buffer", ["no place for 'ring_buffer'"]),
], ids=["not begun", "no such answer", "no such drill", "no place"])
def test_what_cannot_be_put_in_is_named(tmp_path, monkeypatch, mine, words):
    monkeypatch.setenv("INFERLAB_MINE", str(tmp_path / "nothing"))
    status, told = claims("spec/kv_cache/test_freeing.py", mine=mine)
    assert status == 4 and [word for word in words if word not in told] == [], told
    assert "Traceback" not in told and "--mine=" in told


def test_a_file_that_is_no_python_is_named():
    status, told = claims("spec/kv_cache/test_freeing.py", mine="block_pool:./README.md")
    assert status == 4 and "README.md cannot take its place in impl" in told and "Traceback" not in told


def test_an_answer_without_what_is_asked_for_is_named(tmp_path):
    (tmp_path / "other.py").write_text("def nothing(): ...")
    status, told = claims("spec/kv_cache/test_freeing.py", mine=f"prefix_hash_chain:{tmp_path / 'other.py'}")
    assert status == 4 and "AttributeError" in told and "extend_hash_chain" in told and "Traceback" not in told


def test_it_goes_into_impl_and_nothing_else():
    status, told = claims("spec/kv_cache/test_freeing.py", "--impl=impl.naive", mine="block_pool:solution")
    assert status == 4 and "it takes a place in impl, not in --impl=impl.naive" in told
