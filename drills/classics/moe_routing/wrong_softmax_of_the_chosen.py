"""Takes the softmax over the chosen experts only: the same if renormalised, too much if not."""
from drills.classics.moe_routing import solution
from drills.classics.moe_routing.solution import moe_align_block_size

FAILS = {"test_the_weights": "before the choice|of one expert", "test_the_weights_at_random": "renormalize=False", "test_the_output": "renormalize=False"}


def fused_topk(router_logits, top_k, renormalize):
    weights, experts = router_logits.float().topk(top_k, dim=1)
    return weights.softmax(1), experts.int()


def moe(hidden, router_logits, experts, top_k, block_size, renormalize):
    return solution.moe(hidden, router_logits, experts, top_k, block_size, True)
