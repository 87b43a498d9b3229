"""The judge of merging attention states."""
import pytest

from drills.judging import assert_close

torch = pytest.importorskip("torch", reason="needs torch: make setup")

TOKENS, HEADS, SIZE = 3, 2, 5      # all different: a mixed-up layout shows
NEVER = float("-inf")


def problem(num_keys, seed, scale=1.0):
    """Scores [tokens, heads, keys] and values [heads, keys, size]."""
    generator = torch.Generator().manual_seed(seed)
    return (scale * torch.randn(TOKENS, HEADS, num_keys, generator=generator, dtype=torch.float64),
            torch.randn(HEADS, num_keys, SIZE, generator=generator, dtype=torch.float64))


def attention(scores, values, dtype=torch.float32):
    """(output [tokens, heads, size], logsumexp [heads, tokens]). No key: garbage and -inf."""
    if scores.shape[-1] == 0:
        return torch.full((TOKENS, HEADS, SIZE), float("nan"), dtype=dtype), torch.full((HEADS, TOKENS), NEVER)
    output = torch.einsum("thk,hks->ths", scores.softmax(-1), values)
    return output.to(dtype), scores.logsumexp(-1).T.float().contiguous()


def split(scores, values, *ends, dtype=torch.float32):
    """The same attention in parts, which end at those keys."""
    return [attention(scores[:, :, start:end], values[:, start:end], dtype) for start, end in zip((0, *ends), (*ends, scores.shape[-1]))]


def merge_all(answer, parts):
    output, lse = parts[0]
    for other, other_lse in parts[1:]:
        output, lse = answer.merge_attention_states(output, lse, other, other_lse)
    return output, lse


def test_two_halves(answer):
    for num_keys, end in ((2, 1), (9, 4), (9, 1)):
        scores, values = problem(num_keys, seed=num_keys)
        right = attention(scores, values)
        got = answer.merge_attention_states(*sum(split(scores, values, end), ()))
        assert_close(got[0], right[0], f"output, {num_keys} keys in parts of {end} and {num_keys - end}", 1e-5)
        assert_close(got[1], right[1], f"logsumexp, {num_keys} keys in parts of {end} and {num_keys - end}", 1e-5)


def test_any_order_and_number_of_parts(answer):
    """A merged part can be merged again: its logsumexp has to be as good as its output."""
    scores, values = problem(20, seed=1, scale=3.0)
    parts, right = split(scores, values, 3, 4, 11), attention(scores, values)
    for order in ((0, 1, 2, 3), (3, 1, 0, 2)):
        got = merge_all(answer, [parts[i] for i in order])
        assert_close(got[1], right[1], f"logsumexp of four parts, merged in the order {order}", 1e-5)
        assert_close(got[0], right[0], f"output of four parts, merged in the order {order}", 1e-5)
    got = merge_all(answer, [merge_all(answer, parts[:2]), merge_all(answer, parts[2:])])
    assert_close(got[0], right[0], "output of four parts, merged as a tree", 1e-5)


def test_big_logsumexps(answer):
    """exp(89) is beyond float32, and exp(-104) is 0."""
    for shift in (1000.0, -1000.0):
        scores, values = problem(6, seed=2)
        scores = scores + shift
        right = attention(scores, values)
        got = answer.merge_attention_states(*sum(split(scores, values, 2), ()))
        assert_close(got[0], right[0], f"output, scores around {shift}", 1e-4)
        assert_close(got[1], right[1], f"logsumexp, scores around {shift}", 1e-4)


def test_one_part_is_empty(answer):
    """Nobody wrote its output: it is full of NaN."""
    scores, values = problem(6, seed=3)
    full, empty = attention(scores, values), attention(scores[:, :, :0], values[:, :0])
    for what, parts in (("the second part is empty", (*full, *empty)), ("the first part is empty", (*empty, *full))):
        got = answer.merge_attention_states(*parts)
        assert_close(got[0], full[0], f"output, {what}", 1e-6)
        assert_close(got[1], full[1], f"logsumexp, {what}", 1e-6)


def test_empty_for_some_tokens_alone(answer):
    """A batch mixes requests with and without a common prefix."""
    scores, values = problem(6, seed=4)
    (output_a, lse_a), (output_b, lse_b) = split(scores, values, 3)
    lse_a[:, 1], output_a[1] = NEVER, 0
    got = answer.merge_attention_states(output_a, lse_a, output_b, lse_b)
    right = attention(scores, values)[0]
    right[1] = output_b[1]
    assert_close(got[0], right, "output, the first part is empty for token 1", 1e-5)


def test_plus_infinity_is_empty_too(answer):
    """Some attention kernels say +inf where there was no key."""
    scores, values = problem(6, seed=5)
    full, (garbage, _) = attention(scores, values), attention(scores[:, :, :0], values[:, :0])
    got = answer.merge_attention_states(torch.zeros_like(garbage), torch.full((HEADS, TOKENS), float("inf")), *full)
    assert_close(got[0], full[0], "output, the first part is empty and says so with +inf", 1e-6)
    assert_close(got[1], full[1], "logsumexp, the first part is empty and says so with +inf", 1e-6)


def test_both_parts_are_empty(answer):
    """Zeros and -inf, so that a third part can still be merged."""
    zeros, nothing = torch.zeros(TOKENS, HEADS, SIZE), torch.full((HEADS, TOKENS), NEVER)
    output, lse = answer.merge_attention_states(zeros, nothing, zeros, nothing)
    assert_close(output, zeros, "output, both parts are empty")
    assert_close(lse, nothing, "logsumexp, both parts are empty")


def test_half_precision(answer):
    for dtype in (torch.float16, torch.bfloat16):
        scores, values = problem(8, seed=6)
        output, lse = answer.merge_attention_states(*sum(split(scores, values, 5, dtype=dtype), ()))
        right = attention(scores, values, dtype)
        assert_close(output, right[0], f"output in {dtype}", 4 * torch.finfo(dtype).eps)
        assert_close(lse, right[1], f"logsumexp with outputs in {dtype}: it stays float32", 1e-5)


def test_views_with_gaps_and_inputs_unchanged(answer):
    """Kernels hand over transposed logsumexps and padded outputs."""
    scores, values = problem(7, seed=7)
    parts = []
    for output, lse in split(scores, values, 2):
        padded = torch.full((TOKENS, HEADS, SIZE + 3), float("nan"))
        padded[:, :, :SIZE] = output
        parts += [padded[:, :, :SIZE], lse.T.contiguous().T]
    before = [each.clone() for each in parts]
    output, lse = answer.merge_attention_states(*parts)
    right = attention(scores, values)
    assert_close(output, right[0], "output, from views with gaps", 1e-5)
    assert_close(lse, right[1], "logsumexp, from views with gaps", 1e-5)
    for each, old, name in zip(parts, before, ("output_a", "lse_a", "output_b", "lse_b")):
        assert_close(each, old, f"{name} after the call: the inputs belong to somebody else")


def test_no_token(answer):
    output, lse = answer.merge_attention_states(torch.zeros(0, HEADS, SIZE), torch.zeros(HEADS, 0), torch.zeros(0, HEADS, SIZE), torch.zeros(HEADS, 0))
    assert output.shape == (0, HEADS, SIZE) and lse.shape == (HEADS, 0), f"no token: the shapes are {list(output.shape)} and {list(lse.shape)}"
