"""Gives every expert at least one block, also those without tokens: right, and most of the work of a small batch is padding."""
import torch

from drills.classics.moe_routing import solution
from drills.classics.moe_routing.solution import _weighted_sums, fused_topk

FAILS = {"test_blocks_by_hand": "sorted_token_ids are", "test_blocks_at_random": "num_tokens_post_padded", "test_one_product_per_block": "rows are multiplied"}


def moe_align_block_size(topk_ids, block_size, num_experts):
    sorted_token_ids, expert_ids, _ = solution.moe_align_block_size(topk_ids, block_size, num_experts)
    blocks = {expert: [] for expert in range(num_experts)}
    for block, expert in zip(sorted_token_ids.view(-1, block_size), expert_ids.tolist()):
        blocks[expert].append(block)
    for mine in blocks.values():
        mine or mine.append(torch.full((block_size,), topk_ids.numel(), dtype=torch.int32))
    ids = [expert for expert, mine in blocks.items() for _ in mine]
    return torch.cat([block for mine in blocks.values() for block in mine]), torch.tensor(ids, dtype=torch.int32), len(ids) * block_size


def moe(hidden, router_logits, experts, top_k, block_size, renormalize):
    weights, ids = fused_topk(router_logits, top_k, renormalize)
    sorted_token_ids, expert_ids, _ = moe_align_block_size(ids, block_size, len(experts))
    return _weighted_sums(hidden, experts, weights, sorted_token_ids.view(-1, block_size), expert_ids)
