"""The judge of merging states."""
import pytest

from drills.judging import assert_close

torch = pytest.importorskip("torch", reason="needs torch and triton: make setup")

INF = float("inf")


@pytest.fixture(autouse=True)
def the_same_numbers_each_time():
    torch.manual_seed(0)


def case(tokens, heads=2, head_dim=16, dtype=torch.float32):
    """Prefix, its lse, suffix, its lse."""
    prefix, suffix = torch.randn(2, tokens, heads, head_dim).to(dtype)
    return [prefix, 2 * torch.randn(heads, tokens), suffix, 2 * torch.randn(heads, tokens)]


def oracle(prefix, prefix_lse, suffix, suffix_lse, num_with_prefix):
    """In float64; what counts for nothing is not touched."""
    a, b = prefix_lse.double().clone(), suffix_lse.double()
    a[:, num_with_prefix:] = -INF
    lse = torch.logaddexp(a, b)
    shares = [torch.where(x > -INF, (x - lse).exp(), 0.0).T[..., None] for x in (a, b)]
    parts = [torch.where(share > 0, part.double(), 0.0) * share for part, share in zip((prefix, suffix), shares)]
    return sum(parts).to(suffix.dtype), lse.float()


def judge(answer, inputs, what, num_with_prefix=None, tolerance=1e-5):
    inputs = [*inputs, len(inputs[0]) if num_with_prefix is None else num_with_prefix]
    right, got = oracle(*inputs), answer.merge_states(*inputs)
    for name, mine, expected in zip(("output", "lse"), got, right):
        assert_close(mine, expected, f"{what}: {name}", tolerance)
    return got


def test_any_shape(answer):
    for tokens, heads, head_dim in ((1, 1, 1), (0, 2, 16), (3, 2, 16), (2, 3, 24), (1, 2, 100)):
        judge(answer, case(tokens, heads, head_dim), f"{tokens} tokens, {heads} heads of {head_dim}")


def test_logsumexps_of_any_size(answer):
    """exp(1000) is infinite, and exp(-1000) is 0; only the difference counts."""
    for base in (1000.0, -1000.0):
        prefix, prefix_lse, suffix, suffix_lse = case(3)
        judge(answer, (prefix, prefix_lse + base, suffix, suffix_lse + base), f"logsumexps around {base:g}", tolerance=1e-3)
        judge(answer, (prefix, prefix_lse + base, suffix, suffix_lse - base), f"logsumexps around {base:g} and {-base:g}", tolerance=1e-3)


def test_empty_parts(answer):
    """Nobody has written the output of an empty part."""
    for prefix_is_empty, suffix_is_empty, what in ((True, False, "the prefix is empty"), (False, True, "the suffix is empty"), (True, True, "both are empty")):
        inputs = case(3)
        for part, is_empty in ((0, prefix_is_empty), (2, suffix_is_empty)):
            if is_empty:
                inputs[part][1], inputs[part + 1][:, 1] = float("nan"), -INF
        judge(answer, inputs, f"of token 1 {what}")


def test_tokens_without_a_prefix(answer):
    """Nobody has written their prefix output, nor its lse."""
    for number in (4, 0, 1, 3):
        inputs = case(4)
        inputs[0][number:], inputs[1][:, number:] = float("nan"), float("nan")
        judge(answer, inputs, f"the first {number} of 4 tokens have a prefix", number)


def test_three_parts_make_the_whole(answer):
    """Attention over 9 keys in three parts, merged one after another."""
    query, keys, values = torch.randn(2, 1, 16), torch.randn(9, 16), torch.randn(9, 16)
    scores = query @ keys.T                     # [tokens, heads, keys]
    parts = [(scores[..., part].softmax(-1) @ values[part], scores[..., part].logsumexp(-1).T.contiguous()) for part in (slice(0, 2), slice(2, 3), slice(3, 9))]
    output, lse = parts[0]
    for part in parts[1:]:
        output, lse = answer.merge_states(output, lse, *part, 2)
    assert_close(output, scores.softmax(-1) @ values, "9 keys as 2 + 1 + 6: output", 1e-4)
    assert_close(lse, scores.logsumexp(-1).T.contiguous(), "9 keys as 2 + 1 + 6: lse", 1e-4)


def test_logsumexps_that_are_views(answer):
    """Made as [tokens, heads], and transposed."""
    prefix, _, suffix, _ = case(3)
    judge(answer, (prefix, torch.randn(3, 2).T, suffix, torch.randn(3, 2).T), "both logsumexps transposed")


def test_half_precision(answer):
    """Both outputs are 60000: their sum does not fit float16, their mean does."""
    prefix, prefix_lse, suffix, suffix_lse = case(2, dtype=torch.float16)
    prefix[:], suffix[:] = 60000, 60000
    suffix[1] = -60000
    judge(answer, (prefix, prefix_lse, suffix, suffix_lse), "float16 outputs of 60000", tolerance=2e-3)
