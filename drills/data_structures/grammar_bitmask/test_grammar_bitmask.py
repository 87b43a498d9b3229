"""The judge of the grammar bitmask."""
import random

import pytest

from drills.judging import assert_close, count_lines, grows

torch = pytest.importorskip("torch", reason="needs torch: make setup")

SIZES = (1, 5, 31, 32, 33, 64, 70, 100)


def right_words(tokens, vocab_size):
    words = [0] * -(-vocab_size // 32)
    for token in tokens:
        words[token // 32] |= 1 << token % 32
    return [word - 2**32 if word >= 2**31 else word for word in words]


def shown(words):
    return " ".join(f"{word & 0xffffffff:08x}" for word in words)


def some_tokens(rng, vocab_size):
    return sorted(rng.sample(range(vocab_size), rng.randint(0, vocab_size)))


def judge_pack(answer, allowed, vocab_size):
    got = answer.pack([list(tokens) for tokens in allowed], vocab_size)
    words = -(-vocab_size // 32)
    assert got.dtype == torch.int32 and list(got.shape) == [len(allowed), words], (
        f"{len(allowed)} rows for a vocabulary of {vocab_size}: int32 [{len(allowed)}, {words}], not {got.dtype} {list(got.shape)}")
    for row, tokens in enumerate(allowed):
        right = right_words(tokens, vocab_size)
        assert got[row].tolist() == right, f"vocabulary {vocab_size}, allowed {tokens}: words {shown(right)}, yours {shown(got[row].tolist())} (hexadecimal)"


def test_each_token_has_its_bit(answer):
    for token, vocab_size in ((0, 1), (1, 5), (7, 8), (8, 20), (30, 33), (32, 33), (63, 64), (64, 70)):
        judge_pack(answer, [[token]], vocab_size)


def test_the_highest_bit(answer):
    """Bit 31 is the sign of an int32."""
    judge_pack(answer, [[31]], 32)
    judge_pack(answer, [[0, 31], list(range(32))], 32)


def test_any_set_of_tokens(answer):
    rng = random.Random(0)
    for vocab_size in SIZES:
        judge_pack(answer, [some_tokens(rng, vocab_size) for _ in range(4)], vocab_size)
    judge_pack(answer, [], 40)
    judge_pack(answer, [[]], 40)


def test_tokens_beyond_the_vocabulary_are_refused(answer):
    for token in (40, 63, 64, -1):
        with pytest.raises(ValueError):
            answer.pack([[1], [2, token]], 40)


def right_logits(logits, allowed, rows):
    right = logits.clone()
    for row, tokens in zip(rows, allowed):
        for token in range(logits.shape[1]):
            if token not in tokens:
                right[row, token] = float("-inf")
    return right


def judge_apply(answer, allowed, rows, num_rows, vocab_size, dtype=torch.float32, beyond=0):
    bitmask = torch.tensor([right_words(tokens, vocab_size) for tokens in allowed], dtype=torch.int32).view(len(allowed), -(-vocab_size // 32))
    if vocab_size % 32 and len(allowed):
        bitmask[:, -1] |= beyond << vocab_size % 32     # bits beyond the vocabulary
    logits = torch.randn(num_rows, vocab_size).to(dtype)
    right, mask_before = right_logits(logits, allowed, rows), bitmask.clone()
    answer.apply_bitmask(logits, bitmask, list(rows))
    assert torch.equal(bitmask, mask_before), "the bitmask was changed"
    assert not logits.isnan().any(), f"{int(logits.isnan().sum())} logits are not a number: 0 times infinity is none, so choose with a mask, do not multiply"
    assert_close(logits, right, f"vocabulary {vocab_size}, rows {rows} of {num_rows}, allowed {allowed}", tolerance=0)


def test_what_is_not_allowed_is_minus_infinity(answer):
    rng = random.Random(1)
    for vocab_size in SIZES:
        judge_apply(answer, [some_tokens(rng, vocab_size) for _ in range(3)], [0, 1, 2], 3, vocab_size)
    for dtype in (torch.float16, torch.bfloat16):
        judge_apply(answer, [[1, 31], [33]], [0, 1], 2, 40, dtype)


def test_all_or_nothing(answer):
    for vocab_size in (32, 40):
        judge_apply(answer, [range(vocab_size), []], [0, 1], 2, vocab_size)


def test_rows_without_a_grammar_stay(answer):
    judge_apply(answer, [[1, 2], [3]], [3, 1], 5, 40)
    judge_apply(answer, [], [], 2, 40)


def test_bits_beyond_the_vocabulary(answer):
    """Where the last word ends, whatever its other bits are."""
    for vocab_size in (1, 33, 40, 63):
        judge_apply(answer, [[0]], [1], 2, vocab_size, beyond=1)


def test_the_logits_may_be_a_part_of_a_larger_tensor(answer):
    """As after a matrix product whose output is padded."""
    whole = torch.randn(3, 64)
    before, logits = whole.clone(), whole[:, :40]
    answer.apply_bitmask(logits, torch.tensor([[1, 0]], dtype=torch.int32), [1])
    right = before.clone()
    right[1, 1:40] = float("-inf")
    assert_close(whole, right, "row 1 of logits [3, 40], which are columns of [3, 64]: only token 0 is allowed", tolerance=0)


def test_no_loop_over_the_vocabulary(answer):
    costs = {}
    for words in (10, 100, 1000):
        logits, mask = torch.randn(2, words * 32), torch.ones(2, words, dtype=torch.int32)
        costs[words] = count_lines(answer, lambda: answer.apply_bitmask(logits, mask, [0, 1]))
    assert grows(costs) < 0.1, f"lines executed: {costs[10]} for 320 tokens, {costs[1000]} for 32000: let torch loop"
