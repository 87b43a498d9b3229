"""The judge of the stop string trie."""
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drills.judging import count_lines, grows


def first_stop(text, stop):
    """(end, stop string) of the one that is complete first; of those that end at the same place, the first in the list."""
    for end in range(1, len(text) + 1):
        for string in stop:
            if text[:end].endswith(string):
                return end, string
    return None


def right_output(text, stop, include):
    """What may be shown of a text that goes on, and the stop string."""
    found = first_stop(text, stop)
    if found:
        end, string = found
        return text[:end] if include else text[:end - len(string)], string
    begins = [length for string in stop for length in range(1, len(string)) if text.endswith(string[:length])]
    return text[:len(text) - (0 if include else max(begins, default=0))], None


def stream(answer, pieces, stop, include=False):
    """Feed the pieces, and judge after each of them."""
    checker, shown, text = answer.StopChecker(list(stop), include), "", ""
    for number, piece in enumerate(pieces):
        text += piece
        shown += checker.feed(piece)
        right, found = right_output(text, stop, include)
        story = f"stop strings {stop}, {'included, ' if include else ''}after the pieces {pieces[:number + 1]}:"
        assert checker.stopped == found, f"{story} stopped is {checker.stopped!r}, should be {found!r}"
        too_much = "a part of a stop string was shown" if not include else "more was shown than came before the stop"
        assert len(shown) <= len(right) or not shown.startswith(right), f"{story} {shown!r} was shown, should be {right!r}: {too_much}"
        assert len(shown) >= len(right) or not right.startswith(shown), (
            f"{story} {shown!r} was shown, should be {right!r}: what cannot be the beginning of a stop string must not wait")
        assert shown == right, f"{story} {shown!r} was shown, should be {right!r}"
    shown += checker.finish()
    right = right_output(text, stop, include)[0] if checker.stopped is not None else text
    assert shown == right, f"stop strings {stop}, pieces {pieces}, then the end: {shown!r} was shown in all, should be {right!r}"


LETTERS = st.text("ab", max_size=5) | st.text("abc", max_size=3)
STOP = st.lists(st.text("ab", min_size=1, max_size=4) | st.text("abc", min_size=1, max_size=3), max_size=3)


@given(stop=STOP, pieces=st.lists(LETTERS, max_size=6), include=st.booleans())
def test_any_text(answer, stop, pieces, include):
    stream(answer, pieces, stop, include)


@given(stop=STOP, tail=st.text("ab", max_size=2), repeat=st.integers(1, 4))
def test_texts_that_nearly_stop(answer, stop, tail, repeat):
    """Beginnings of the stop strings, one letter at a time."""
    text = "".join(string[:-1] for string in stop) * repeat + tail
    stream(answer, list(text), stop)


def test_across_pieces(answer):
    stream(answer, ["Hello", "\n\nUs", "er: and more"], ["\nUser:"])
    stream(answer, list("a stop <|end|> and more"), ["<|end|>"])


def test_a_stop_within_a_false_start(answer):
    stream(answer, list("aaab!"), ["aab"])
    stream(answer, list("ababac!"), ["abac"])
    stream(answer, list("xabcd!"), ["abce", "bcd"])


def test_the_one_that_is_complete_first_wins(answer):
    """Also if one piece brings several: speculative decoding brings many tokens at once."""
    stream(answer, ["one END two STOP three"], ["STOP", "END"])
    stream(answer, ["abcd"], ["abcd", "bc"])
    stream(answer, ["abc"], ["bc", "abc"])
    stream(answer, ["abc"], ["abc", "bc"])


def test_nothing_waits_without_need(answer):
    checker = answer.StopChecker(["</answer>"])
    shown = checker.feed("a < b")
    assert shown == "a < b", f"'a < b' cannot end within </answer>, since after < comes a space: all of it can be shown, not only {shown!r}"
    shown = checker.feed(" </an")
    assert shown == " ", f"'</an' may become </answer>, the space before cannot: show ' ', not {shown!r}"
    shown = checker.feed("d")
    assert shown == "</and", f"'</and' cannot become </answer> any more: show all of it, not {shown!r}"


def test_after_the_stop_comes_nothing(answer):
    checker = answer.StopChecker(["."])
    assert checker.feed("a.b") == "a" and checker.stopped == ".", "the text ends before the first ."
    assert (checker.feed("c."), checker.finish()) == ("", ""), "after a stop string nothing is shown"
    checker = answer.StopChecker([])
    assert (checker.feed("a"), checker.finish(), checker.stopped) == ("a", "", None), "without stop strings everything is shown at once"


def test_an_empty_stop_string_is_refused(answer):
    with pytest.raises(ValueError):
        answer.StopChecker(["a", ""])


def test_a_character_costs_the_same(answer):
    """Whatever the number of stop strings, and however long the text is already."""
    text = "the quick brown fox jumps over the lazy dog " * 5
    costs = {}
    for number in (1, 10, 100):
        checker = answer.StopChecker([f"{index:03d}stop" for index in range(number)])
        checker.feed(text)      # whatever is worked out once
        costs[number] = count_lines(answer, lambda: [checker.feed(character) for character in text])
    assert grows(costs) < 0.3, f"lines executed: {costs[1]} for 1 stop string, {costs[100]} for 100: a trie compares with all at once"
    costs = {}
    for repeat in (10, 100):
        checker = answer.StopChecker(["a" * 50 + "b"])
        costs[repeat] = count_lines(answer, lambda: [checker.feed("a" * 10) for _ in range(repeat)])
    assert grows(costs) < 1.2, f"lines executed: {costs[10]} for 100 characters, {costs[100]} for 1000: ten times the text, ten times the work, not more"


def test_a_long_false_start_costs_no_more(answer):
    costs = {}
    for length in (10, 100):
        checker = answer.StopChecker(["a" * length + "b"])
        costs[length] = count_lines(answer, lambda: [checker.feed("a") for _ in range(1000)])
    assert grows(costs) < 0.3, (f"lines executed for 1000 times 'a': {costs[10]} with a stop string of 10 times 'a' and 'b', {costs[100]} with 100 times: "
                                "where the end of the text still fits is known beforehand, do not try every length")


def test_a_long_stop_string_costs_no_more(answer):
    text, costs = "the quick brown fox jumps over the lazy dog " * 5, {}
    for length in (10, 100):
        checker = answer.StopChecker(["#" * length])
        checker.feed(text)      # whatever is worked out once
        costs[length] = count_lines(answer, lambda: [checker.feed(character) for character in text])
    assert grows(costs) < 0.3, (f"lines executed: {costs[10]} with a stop string of 10 characters, {costs[100]} with one of 100, of which the text has none: "
                                "a state knows what still fits, do not try every length")
