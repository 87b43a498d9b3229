"""The judge of incremental detokenisation."""
from hypothesis import given
from hypothesis import strategies as st

from drills.judging import grows

EURO, SMILE = "€".encode(), "🙂".encode()
TOKENS = [b"Hello", b" world", b" ", b"  ", b"a", b"!", "é".encode(), " größer".encode(),      # whole characters, 0 to 7
          EURO[:1], EURO[1:2], EURO[2:], EURO[1:], SMILE[:1], SMILE[1:3], SMILE[3:],           # parts of characters, 8 to 14
          b"ab" + EURO[:2], EURO[2:] + b" x", b"\xff", "\ufffd".encode()]                      # more than a part, 15 and 16; nonsense, 17; 18
NAMES = dict(enumerate(TOKENS))


def stream(answer, prompt, output):
    """What is sent after each token, and at the end; checked as it comes."""
    vocabulary = answer.Vocabulary(TOKENS)
    detokenizer = answer.Detokenizer(vocabulary, list(prompt))
    start = len(vocabulary.decode(prompt))
    final = vocabulary.decode([*prompt, *output])[start:]
    story, sent = [f"prompt {[NAMES[token] for token in prompt]}"] if prompt else [], ""
    for i, token in enumerate(output):
        new = detokenizer.add(token)
        sent += new
        story.append(f"add {NAMES[token]} -> {new!r}")
        tale = "\n    ".join(story)
        so_far = vocabulary.decode([*prompt, *output[:i + 1]])[start:]
        assert final.startswith(sent), f"sent {sent!r}, but the whole output is {final!r}: what is sent cannot be taken back\n    {tale}"
        assert so_far.endswith("\ufffd") or sent == so_far, (
            f"sent {sent!r}, the output so far is {so_far!r}, with no character open: send all of it\n    {tale}")
    sent += detokenizer.finish()
    assert sent == final, f"with finish(), {sent!r} was sent, the whole output is {final!r}\n    " + "\n    ".join(story)
    return story


def test_words_with_spaces(answer):
    """A decoded piece loses the space in front: only with the token before it does one know."""
    stream(answer, [], [0, 1, 1])
    stream(answer, [], [0, 2, 4, 3, 1, 1])
    stream(answer, [], [1, 2, 2, 1])


def test_the_prompt_is_context(answer):
    stream(answer, [0], [1, 5])
    stream(answer, [0, 1, 4, 4, 4, 4, 4, 4, 4, 5], [1, 2, 1])


def test_a_character_over_several_tokens(answer):
    for output in ([8, 11], [8, 9, 10, 4], [12, 13, 14, 5], [0, 12, 13, 14, 8, 11, 1], [15, 16, 4]):
        stream(answer, [], output)
        stream(answer, [0, 7], output)


def test_what_is_broken_stays_broken(answer):
    """A byte that begins no character, and a character that is never finished, show as U+FFFD once something follows."""
    for output in ([17, 4], [4, 17, 17, 4], [8, 4], [8, 9, 1, 4], [12, 0], [18, 4]):
        stream(answer, [], output)


def test_what_is_held_back_comes_at_the_end(answer):
    for output in ([8], [4, 8, 9], [12, 13], [15], [17], [18], []):
        stream(answer, [], output)


@given(prompt=st.lists(st.integers(0, 7), max_size=8), output=st.lists(st.integers(0, len(TOKENS) - 1), max_size=12))
def test_any_tokens(answer, prompt, output):
    stream(answer, prompt, output)


def test_a_token_costs_the_same_whatever_came_before(answer):
    costs = {}
    for length in (100, 1000):
        vocabulary = answer.Vocabulary(TOKENS)
        detokenizer = answer.Detokenizer(vocabulary, [4] * length)
        before = vocabulary.decoded
        for i in range(60):
            detokenizer.add((0, 1, 8, 11, 5)[i % 5])
        costs[length] = vocabulary.decoded - before
    assert grows(costs) < 0.1, (f"60 tokens behind 100 others: {costs[100]} tokens are decoded; behind 1000: {costs[1000]}. "
                                "Decode from the last place that is known to be good, not from the beginning")
    vocabulary = answer.Vocabulary(TOKENS)
    detokenizer = answer.Detokenizer(vocabulary, [])
    for i in range(1000):
        detokenizer.add((0, 1, 8, 11, 5)[i % 5])
    assert vocabulary.decoded < 20_000, f"for an output of 1000 tokens, {vocabulary.decoded} are decoded: the window has to move on with the text"
