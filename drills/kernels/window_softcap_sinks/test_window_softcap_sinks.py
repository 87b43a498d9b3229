"""The judge of window, soft cap and sinks."""
import pytest

from drills.judging import assert_close

torch = pytest.importorskip("torch", reason="needs torch and triton: make setup")


@pytest.fixture(autouse=True)
def the_same_numbers_each_time():
    torch.manual_seed(0)


def case(length, new=None, heads=1, head_dim=16, factor=1.0, dtype=torch.float32):
    return [each.to(dtype) for each in (factor * torch.randn(heads, new or length, head_dim), torch.randn(heads, length, head_dim),
                                        torch.randn(heads, length, head_dim))]


def oracle(q, k, v, window=0, softcap=0.0, sinks=None):
    """The definition, in float64: scale, cap, mask, the sink as one more column, softmax, and without that column the values."""
    (heads, new, head_dim), length = q.shape, k.shape[1]
    scores = q.double() @ k.double().transpose(1, 2) * head_dim ** -0.5
    if softcap:
        scores = softcap * torch.tanh(scores / softcap)
    distance = torch.arange(length - new, length)[:, None] - torch.arange(length)
    scores.masked_fill_((distance < 0) | (distance >= (window or length)), -float("inf"))
    if sinks is not None:
        scores = torch.cat([scores, sinks.double()[:, None, None].expand(heads, new, 1)], dim=-1)
    return (scores.softmax(-1)[..., :length] @ v.double()).to(q.dtype)


def judge(answer, inputs, what, tolerance=1e-4, **options):
    assert_close(answer.window_attention(*inputs, **options), oracle(*inputs, **options), what, tolerance)


def test_none_of_them(answer):
    for length, new in ((1, 1), (5, 2), (17, 17), (30, 9)):
        judge(answer, case(length, new, heads=2), f"{length} tokens, {new} of them new, nothing special")


def test_the_window(answer):
    for length, window in ((5, 1), (5, 2), (20, 3), (33, 16), (17, 100)):
        judge(answer, case(length), f"{length} tokens, window {window}", window=window)


def test_the_soft_cap(answer):
    for length, softcap in ((3, 1.0), (15, 2.0), (15, 50.0)):
        judge(answer, case(length, factor=8), f"{length} tokens, softcap {softcap}", softcap=softcap)


def test_large_scores_under_a_soft_cap(answer):
    """tanh of 200 is 1, however large exp(200) is."""
    judge(answer, case(6, factor=1000), "6 tokens, scores around 1000, softcap 5.0", softcap=5.0)


def test_the_sinks(answer):
    """A low one takes hardly anything, a high one nearly everything."""
    for length, sinks in ((1, [0.0]), (3, [1.0, -5.0, 9.0]), (20, [2.0, 90.0])):
        judge(answer, case(length, heads=len(sinks)), f"{length} tokens, sinks {sinks}", sinks=torch.tensor(sinks))


def test_all_at_once(answer):
    for window, softcap, sinks in ((7, 5.0, [1.0, 3.0]), (20, 3.0, [2.0, 0.5])):
        judge(answer, case(27, heads=2, factor=5), f"27 tokens, window {window}, softcap {softcap}, sinks {sinks}",
              window=window, softcap=softcap, sinks=torch.tensor(sinks))


def test_what_the_window_has_left_is_gone(answer):
    """Their blocks have been freed: what is there now is NaN here."""
    for length, new, window in ((6, 1, 4), (40, 1, 9), (50, 18, 5)):
        q, k, v = case(length, new)
        sinks = torch.tensor([0.5])
        right, gone = oracle(q, k, v, window, 0.0, sinks), length - new - window + 1
        k[:, :gone] = v[:, :gone] = float("nan")
        assert_close(answer.window_attention(q, k, v, window, 0.0, sinks), right,
                     f"{length} tokens, {new} new, window {window}, tokens before {gone} NaN", 1e-4)


def test_other_head_dims(answer):
    for head_dim in (8, 24):
        judge(answer, case(9, head_dim=head_dim), f"heads of {head_dim}")


def test_half_precision(answer):
    judge(answer, case(30, dtype=torch.float16), "float16, window 5, softcap 2.0", 4e-3, window=5, softcap=2.0)
