"""Answers in a process of their own: what comes back, what is noticed, and what is told of one that crashes or hangs."""
import math

import pytest

from drills.answers import AnswerCrashed, Guards, Isolated, load


def isolated(folder, text):
    pytest.importorskip("torch", reason="needs torch: make setup")
    path = folder / "answer.py"
    path.write_text("import os, sys, time, torch\n" + text)
    return Isolated(path)


@pytest.fixture(scope="module")
def far(tmp_path_factory):
    """An answer in a process of its own, which does many things."""
    return isolated(tmp_path_factory.mktemp("answer"), '''
def in_place(x, scale, more=()):
    x *= scale
    for each in more:
        each += 1

def process():
    return os.getpid()

def raises(kind, *text):
    raise {"ValueError": ValueError, "IndexError": IndexError, "NotImplementedError": NotImplementedError, "Own": type("OwnError", (Exception,), {})}[kind](*text)

def exits():
    os._exit(9)

def sleeps():
    time.sleep(60)

def several(x):
    return x + 1, [x - 1], {"n": 3}

def beyond(x, where):
    torch.as_strided(x, (1,), (1,), x.storage_offset() + where).fill_(7)

def unwritten(*shape, dtype=torch.float32):
    return torch.empty(*shape, dtype=dtype)

def unwritten_like(x):
    return torch.empty_like(x)

def zeros(x):
    return torch.zeros(2, 3), torch.zeros_like(x)
''')


def test_what_an_answer_changes_in_place_comes_back(far):
    import torch
    one, two, three = torch.ones(3), torch.tensor([1, 2]), torch.zeros(2, dtype=torch.int64)
    far.in_place(one, 2.5, more=())
    far.in_place(two, 3)
    assert one.tolist() == [2.5] * 3 and two.tolist() == [3, 6]
    view = torch.zeros(3, 4)
    far.in_place(view[:, 1].add_(1), 5)
    assert view[:, 1].tolist() == [5] * 3 and view.sum() == 15, "a view with gaps"
    far.in_place(one, 1, more=[three])
    assert three.tolist() == [1, 1], "a tensor in a list"


def test_what_an_answer_returns_comes_back(far):
    import os

    import torch
    first, [second], third = far.several(torch.tensor([1.0, float("nan")]))
    assert first[0] == 2 and second[0] == 0 and math.isnan(first[1]) and third == {"n": 3}
    assert far.process() == far.process() != os.getpid(), "one process, and another one"


def test_an_exception_comes_back_with_its_type_and_words(far):
    for kind, error in (("ValueError", ValueError), ("IndexError", IndexError), ("NotImplementedError", NotImplementedError)):
        with pytest.raises(error, match="^these words") as caught:
            far.raises(kind, "these words")
        place = "" if error is NotImplementedError else " (answer.py, line "     # what is not written yet is told as it is
        assert str(caught.value).startswith(f"these words{place}") and "in answer.py, which runs in a process of its own" in caught.value.__notes__
    with pytest.raises(RuntimeError, match="OwnError: these words"):
        far.raises("Own", "these words")
    with pytest.raises(AttributeError, match="no_such_function"):
        far.no_such_function()


def test_a_crash_is_told_and_the_next_call_starts_anew(far):
    before = far.process()
    with pytest.raises(AnswerCrashed, match=r"exits killed its process \(exit code 9\)"):
        far.exits()
    assert far.process() != before


def test_a_hang_is_told_and_the_next_call_starts_anew(far, monkeypatch):
    monkeypatch.setattr("drills.answers.SECONDS", 0.5)
    with pytest.raises(AnswerCrashed, match="sleeps has not returned after 0.5 s"):
        far.sleeps()
    monkeypatch.undo()
    assert far.process()


def test_an_answer_that_cannot_be_imported_says_so_at_its_first_call(tmp_path):
    with pytest.raises(RuntimeError, match="SyntaxError"):
        isolated(tmp_path, "def f(:").f()


@pytest.mark.parametrize("where, words", [(10, "beyond the end"), (13, "beyond the end"), (-1, "before the beginning"), (-100, "before the beginning")])
def test_a_store_beside_a_tensor_is_noticed(far, where, words):
    import torch
    with pytest.raises(IndexError, match=f"something was stored {words} of a tensor of 10 numbers"):
        far.beyond(torch.zeros(10), where)
    far.beyond(torch.zeros(10), 9)
    far.beyond(torch.zeros(10), 0)


def test_what_was_never_written_is_no_number(far):
    import torch
    assert far.unwritten(2, 3).isnan().all() and far.unwritten((4,), dtype=torch.bfloat16).isnan().all() and far.unwritten(0).shape == (0,)
    assert far.unwritten(3, dtype=torch.int32).tolist() == [2 ** 31 - 1] * 3 and far.unwritten(2, dtype=torch.bool).all()
    like = far.unwritten_like(torch.ones(2, 2, dtype=torch.float16))
    assert like.isnan().all() and like.dtype == torch.float16 and like.shape == (2, 2)
    plain, alike = far.zeros(torch.ones(2, dtype=torch.int8))
    assert plain.tolist() == [[0] * 3] * 2 and alike.tolist() == [0, 0] and alike.dtype == torch.int8


def test_guards_go_when_the_call_is_over():
    torch = pytest.importorskip("torch", reason="needs torch: make setup")
    originals = [torch.empty, torch.zeros, torch.empty_like, torch.zeros_like]
    guards = Guards("cpu")
    with pytest.raises(KeyError, match="its own"):
        with guards:
            guards._allocate((3,), torch.float32).fill_(0)
            raise KeyError("its own")
    assert [torch.empty, torch.zeros, torch.empty_like, torch.zeros_like] == originals and not guards.guarded
    with guards:
        torch.zeros(3)


def test_a_plain_answer_is_a_fresh_module(tmp_path):
    path = tmp_path / "answer.py"
    path.write_text("seen = []")
    load(path).seen.append(1)
    assert load(path).seen == []
