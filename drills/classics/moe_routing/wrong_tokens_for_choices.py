"""Sorts the numbers of the tokens, where the places of the choices belong: which of a token's weights is meant is lost."""
import torch

from drills.classics.moe_routing import solution
from drills.classics.moe_routing.solution import fused_topk

FAILS = {"test_blocks_by_hand": "the places in the flattened choices", "test_blocks_at_random": "sorted_token_ids", "test_the_output": "numbers are wrong"}


def moe_align_block_size(topk_ids, block_size, num_experts):
    sorted_token_ids, expert_ids, total = solution.moe_align_block_size(topk_ids, block_size, num_experts)
    padding = sorted_token_ids == topk_ids.numel()
    return torch.where(padding, topk_ids.numel(), sorted_token_ids // topk_ids.shape[1]), expert_ids, total


def moe(hidden, router_logits, experts, top_k, block_size, renormalize):
    weights, ids = fused_topk(router_logits, top_k, renormalize)
    sorted_token_ids, expert_ids, _ = moe_align_block_size(ids, block_size, len(experts))
    out, seen = torch.zeros_like(hidden), [0] * len(hidden)
    for tokens, expert in zip(sorted_token_ids.view(-1, block_size), expert_ids):
        tokens = tokens[tokens < len(hidden)].long()
        rows = hidden[tokens] @ experts[expert]
        for token, row in zip(tokens.tolist(), rows):
            out[token] += weights[token, min(seen[token], top_k - 1)] * row
            seen[token] += 1
    return out
