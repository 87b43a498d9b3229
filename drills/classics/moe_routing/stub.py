"""Routing in a mixture of experts: your answer. The problem is in drills/classics/moe_routing/README.md."""
import torch


def fused_topk(router_logits: torch.Tensor, top_k: int, renormalize: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """The weights, float32 [num_tokens, top_k], and the experts, int32 [num_tokens, top_k], of each token, the best first.

    router_logits [num_tokens, num_experts], float32 or bfloat16. The weights are the softmax over all experts; with
    renormalize, those of a token are divided by their sum.
    """
    raise NotImplementedError("moe_routing: fused_topk is not written yet")


def moe_align_block_size(topk_ids: torch.Tensor, block_size: int, num_experts: int) -> tuple[torch.Tensor, torch.Tensor, int]:
    """(sorted_token_ids, expert_ids, num_tokens_post_padded) of the choices topk_ids, int32 [num_tokens, top_k].

    sorted_token_ids, int32 [num_tokens_post_padded]: places in the flattened topk_ids, grouped by expert in ascending order,
    in order within an expert, each group filled up to a multiple of block_size with the number topk_ids.numel().
    expert_ids, int32 [num_tokens_post_padded / block_size]: whose block it is.
    """
    raise NotImplementedError("moe_routing: moe_align_block_size is not written yet")


def moe(hidden: torch.Tensor, router_logits: torch.Tensor, experts: torch.Tensor, top_k: int, block_size: int, renormalize: bool) -> torch.Tensor:
    """The weighted sum of the chosen experts' outputs: float32 [num_tokens, size].

    hidden float32 [num_tokens, size]; experts float32 [num_experts, size, size], of which each gives hidden @ expert. One
    matrix product per block of block_size rows, with the matrix of its expert.
    """
    raise NotImplementedError("moe_routing: moe is not written yet")
