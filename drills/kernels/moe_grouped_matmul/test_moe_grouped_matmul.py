"""The judge of the grouped matmul."""
import pytest

from drills.judging import assert_close

torch = pytest.importorskip("torch", reason="needs torch and triton: make setup")


@pytest.fixture(autouse=True)
def the_same_numbers_each_time():
    torch.manual_seed(0)


def align(topk_ids, block_size, num_experts, spare=0):
    """Choices sorted by expert, in blocks; then `spare` blocks that mean nothing."""
    flat, places, experts = topk_ids.flatten().tolist(), [], []
    for expert in range(num_experts):
        mine = [place for place, chosen in enumerate(flat) if chosen == expert]
        mine += [len(flat)] * (-len(mine) % block_size)
        places += mine
        experts += [expert] * (len(mine) // block_size)
    padded = len(places)
    places += [place % max(len(flat), 1) for place in range(spare * block_size)]
    if spare:
        experts += [(experts[0] + 1) % num_experts] * spare
    return [torch.tensor(each, dtype=torch.int32) for each in (places, experts, [padded])]


def case(tokens, top_k, num_experts, N, K, block_size=16, spare=0):
    """a, b, and which experts each token has chosen, all different; then what `align` makes of it."""
    a, b = torch.randn(tokens, K), torch.randn(num_experts, N, K)
    topk_ids = torch.stack([torch.randperm(num_experts)[:top_k] for _ in range(tokens)]) if tokens else torch.zeros(0, top_k, dtype=torch.long)
    return a, b, topk_ids, align(topk_ids, block_size, num_experts, spare)


def oracle(a, b, topk_ids, topk_weights=None):
    """Choice by choice, in float64."""
    rows = [b[expert].double() @ a[token].double() for token, chosen in enumerate(topk_ids.tolist()) for expert in chosen]
    right = torch.stack(rows) if rows else torch.zeros(0, b.shape[1])
    return (right if topk_weights is None else right * topk_weights.double()[:, None]).to(a.dtype)


def test_any_shape(answer):
    for tokens, top_k, num_experts, N, K, block_size in ((1, 1, 1, 16, 16, 16), (0, 2, 3, 16, 16, 16), (2, 2, 3, 5, 7, 16), (17, 2, 3, 40, 16, 16),
                                                         (20, 3, 4, 16, 70, 16), (9, 2, 8, 33, 20, 32)):
        a, b, topk_ids, aligned = case(tokens, top_k, num_experts, N, K, block_size)
        got = answer.moe_grouped_matmul(a, b, *aligned, None, top_k, topk_ids.numel())
        assert_close(got, oracle(a, b, topk_ids), f"{tokens} tokens, top_k {top_k}, {num_experts} experts [{N}, {K}], blocks of {block_size}", 1e-4)


def test_top_k_1(answer):
    """As in the second product of an expert: there, each choice has a row of its own."""
    a, b, topk_ids, aligned = case(19, 1, 3, 16, 20)
    assert_close(answer.moe_grouped_matmul(a, b, *aligned, None, 1, 19), oracle(a, b, topk_ids), "19 tokens, top_k 1", 1e-4)


def test_weights(answer):
    for tokens, top_k in ((2, 2), (7, 3)):
        a, b, topk_ids, aligned = case(tokens, top_k, 4, 16, 16)
        weights = torch.rand(tokens * top_k)
        got = answer.moe_grouped_matmul(a, b, *aligned, weights, top_k, tokens * top_k)
        assert_close(got, oracle(a, b, topk_ids, weights), f"{tokens} tokens, top_k {top_k}, with weights", 1e-4)


def test_experts_elsewhere(answer):
    """The experts 0 and 2 are on another device: their blocks have the expert -1."""
    a, b, topk_ids, (places, experts, padded) = case(6, 2, 4, 16, 16)
    experts[(experts == 0) | (experts == 2)] = -1
    weights = torch.rand(12)
    right = oracle(a, b, topk_ids, weights)
    away = ((topk_ids == 0) | (topk_ids == 2)).flatten()
    right[away] = 0
    got = answer.moe_grouped_matmul(a, b, places, experts, padded, weights, 2, 12)
    assert (got[~away].isfinite() & ((got - right)[~away].abs() < 1e-3)).all(), "6 tokens, 2 of 4 experts here: the rows of the experts that are here are wrong"
    assert (got[away] == 0).all(), f"the rows of choices whose expert is elsewhere must be 0, they are added up later; got {got[away][0, :4].tolist()}"


def test_what_comes_after_the_last_block(answer):
    """The tensors are made for the worst case. The places behind look like choices, with another expert."""
    for spare in (1, 3):
        a, b, topk_ids, aligned = case(5, 2, 3, 16, 16, spare=spare)
        got = answer.moe_grouped_matmul(a, b, *aligned, None, 2, 10)
        assert_close(got, oracle(a, b, topk_ids), f"{len(aligned[1])} blocks, the last {spare} of them after num_tokens_post_padded", 1e-4)


def test_half_precision(answer):
    """300 * 300 does not fit float16, the whole sum does. All numbers are integers, so that float32 makes no errors."""
    a, b, topk_ids, aligned = case(3, 2, 3, 16, 40)
    a, b = a.round().half(), b.round().half()
    a[:, 0] = a[:, -1] = b[:, :, 0] = 300
    b[:, :, -1] = -300
    assert_close(answer.moe_grouped_matmul(a, b, *aligned, None, 2, 6), oracle(a, b, topk_ids), "float16, with products of 90000 and -90000")
