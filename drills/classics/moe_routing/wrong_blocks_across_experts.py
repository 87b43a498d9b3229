"""Sorts by expert and pads only at the end: a block with two experts in it is multiplied with the first one's matrix."""
import torch

from drills.classics.moe_routing.solution import _weighted_sums, fused_topk

FAILS = {"test_blocks_by_hand": "each expert filled up", "test_blocks_at_random": "num_tokens_post_padded", "test_the_output": "numbers are wrong"}


def moe_align_block_size(topk_ids, block_size, num_experts):
    flat = topk_ids.flatten()
    order = flat.argsort(stable=True)
    total = -(-len(flat) // block_size) * block_size
    sorted_token_ids = torch.full((total,), len(flat), dtype=torch.int32)
    sorted_token_ids[:len(flat)] = order.int()
    return sorted_token_ids, flat[order][::block_size].clone(), total


def moe(hidden, router_logits, experts, top_k, block_size, renormalize):
    weights, ids = fused_topk(router_logits, top_k, renormalize)
    sorted_token_ids, expert_ids, _ = moe_align_block_size(ids, block_size, len(experts))
    return _weighted_sums(hidden, experts, weights, sorted_token_ids.view(-1, block_size), expert_ids)
