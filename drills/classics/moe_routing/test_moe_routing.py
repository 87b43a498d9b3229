"""The judge of routing in a mixture of experts."""
import math

import pytest

from drills.judging import assert_close

torch = pytest.importorskip("torch", reason="needs torch: make setup")

SHAPES = [(1, 1, 1, 1), (1, 4, 1, 2), (1, 4, 2, 2), (3, 4, 2, 4), (7, 5, 3, 4), (40, 8, 2, 16), (33, 16, 4, 8), (5, 60, 6, 4)]   # tokens, experts, top_k, block


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def choices(num_tokens, num_experts, top_k, seed=1):
    """Experts as a router would choose them, an unequal load, different ones for each token."""
    favour = torch.linspace(0, 3, num_experts)
    return (random(num_tokens, num_experts, seed=seed) + favour).topk(top_k, dim=1).indices.int()


def expected(topk_ids, block_size, num_experts):
    """Expert by expert."""
    flat, token_ids, expert_ids = topk_ids.flatten().tolist(), [], []
    for expert in range(num_experts):
        mine = [i for i, chosen in enumerate(flat) if chosen == expert]
        blocks = math.ceil(len(mine) / block_size)
        token_ids += mine + [len(flat)] * (blocks * block_size - len(mine))
        expert_ids += [expert] * blocks
    return token_ids, expert_ids


def test_the_weights(answer):
    logits = torch.log(torch.tensor([[0.1, 0.4, 0.3, 0.2]]))
    for top_k, renormalize, right, why in ((1, False, [0.4], "of one expert, its probability among all four"),
                                           (2, False, [0.4, 0.3], "the softmax is over all experts, before the choice"),
                                           (1, True, [1.0], "one weight, divided by itself"),
                                           (2, True, [0.4 / 0.7, 0.3 / 0.7], "divided by their sum")):
        weights, ids = answer.fused_topk(logits.clone(), top_k, renormalize)
        assert ids.tolist() == [[1, 2][:top_k]], f"probabilities 0.1, 0.4, 0.3, 0.2, top {top_k}: got the experts {ids.tolist()}, the best first is expected"
        assert_close(weights, torch.tensor([right]), f"probabilities 0.1, 0.4, 0.3, 0.2, top {top_k}, renormalize={renormalize}: {why}", 1e-6)


def test_the_weights_at_random(answer):
    for num_tokens, num_experts, top_k, _ in SHAPES:
        for dtype in (torch.float32, torch.bfloat16):
            logits = (5 * random(num_tokens, num_experts)).to(dtype)
            for renormalize in (False, True):
                weights, ids = answer.fused_topk(logits.clone(), top_k, renormalize)
                what = f"{num_tokens} tokens, {num_experts} experts, top {top_k}, renormalize={renormalize}, {dtype} logits"
                assert ids.dtype == torch.int32 and ids.shape == (num_tokens, top_k), f"{what}: expected int32 [{num_tokens}, {top_k}] experts"
                chosen = logits.float().softmax(1).gather(1, ids.long())
                best = logits.float().softmax(1).sort(1, descending=True).values[:, :top_k]
                assert torch.equal(chosen, best) and all(len(set(row)) == top_k for row in ids.tolist()), f"{what}: not the best experts, each once"
                assert_close(weights, best / best.sum(1, keepdim=True) if renormalize else best, f"{what}: weights in float32", 1e-5)


def test_blocks_by_hand(answer):
    for topk_ids, block_size, num_experts in (([[0]], 1, 1), ([[2]], 2, 4), ([[0, 1], [1, 2], [1, 0]], 2, 4), ([[2, 0], [0, 2], [2, 1], [3, 2]], 4, 4)):
        token_ids, expert_ids = expected(torch.tensor(topk_ids), block_size, num_experts)
        got = answer.moe_align_block_size(torch.tensor(topk_ids, dtype=torch.int32), block_size, num_experts)
        what = f"choices {topk_ids}, blocks of {block_size}, {num_experts} experts"
        assert got[0].tolist() == token_ids, (f"{what}: sorted_token_ids are {got[0].tolist()}, expected {token_ids}: the places in the flattened choices, "
                                              f"expert by expert, each expert filled up with {sum(map(len, topk_ids))}")
        assert got[1].tolist() == expert_ids, f"{what}: expert_ids are {got[1].tolist()}, expected {expert_ids}: an expert without tokens has no block"
        assert got[2] == len(token_ids), f"{what}: num_tokens_post_padded is {got[2]}, expected {len(token_ids)}"


def test_blocks_at_random(answer):
    for num_tokens, num_experts, top_k, block_size in [*SHAPES, (0, 4, 2, 4)]:
        topk_ids = choices(num_tokens, num_experts, top_k)
        before = topk_ids.clone()
        sorted_token_ids, expert_ids, total = answer.moe_align_block_size(topk_ids, block_size, num_experts)
        right = expected(topk_ids, block_size, num_experts)
        what = f"{num_tokens} tokens, {num_experts} experts, top {top_k}, blocks of {block_size}"
        assert int(total) == len(right[0]), f"{what}: num_tokens_post_padded is {int(total)}, expected {len(right[0])}"
        assert_close(sorted_token_ids, torch.tensor(right[0], dtype=torch.int32), f"{what}: sorted_token_ids")
        assert_close(expert_ids, torch.tensor(right[1], dtype=torch.int32), f"{what}: expert_ids")
        assert torch.equal(topk_ids, before), "the choices are not yours to change"


def test_the_output(answer):
    for num_tokens, num_experts, top_k, block_size in [*SHAPES, (0, 4, 2, 4)]:
        hidden, logits, experts = random(num_tokens, 6, seed=2), 2 * random(num_tokens, num_experts, seed=3), random(num_experts, 6, 6, seed=4)
        for renormalize in (True, False):
            probabilities = logits.double().softmax(1)
            kept = torch.where(probabilities >= probabilities.topk(top_k, dim=1).values[:, -1:], probabilities, 0)
            if renormalize:
                kept = kept / kept.sum(1, keepdim=True)
            right = torch.einsum("te,eij,ti->tj", kept, experts.double(), hidden.double()).float()
            before = hidden.clone(), experts.clone()
            got = answer.moe(hidden, logits.clone(), experts, top_k, block_size, renormalize)
            assert_close(got, right, f"{num_tokens} tokens, {num_experts} experts, top {top_k}, blocks of {block_size}, renormalize={renormalize}", 1e-4)
            assert torch.equal(hidden, before[0]) and torch.equal(experts, before[1]), "the inputs are not yours to change"


def test_one_product_per_block(answer):
    """By the record of operations: the sum of rows that go through an expert, and how often."""
    for num_tokens, num_experts, top_k, block_size in ((40, 8, 2, 16), (5, 60, 6, 4)):
        hidden, logits, experts = random(num_tokens, 6), random(num_tokens, num_experts), random(num_experts, 6, 6)
        ids = logits.topk(top_k, dim=1).indices
        blocks = len(expected(ids, block_size, num_experts)[1])
        with torch.autograd.profiler.profile(record_shapes=True) as profile:
            answer.moe(hidden, logits, experts, top_k, block_size, True)
        products = [event.input_shapes[:2] for event in profile.function_events if event.name in ("aten::mm", "aten::bmm")]
        rows = sum(math.prod(one[:-1]) for one, _ in products)
        assert rows <= blocks * block_size, (
            f"{num_tokens} tokens with {top_k} of {num_experts} experts each are {blocks} blocks of {block_size} rows: {rows} rows are multiplied, "
            f"{blocks * block_size} are enough; not every token goes through every expert")
        assert len(products) <= blocks, f"{len(products)} matrix products for {blocks} blocks: the rows of a block go together"
