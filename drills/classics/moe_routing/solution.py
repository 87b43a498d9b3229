"""Each token chooses its experts; then the choices are sorted by expert, and each expert's share is filled up to whole blocks."""
import torch


def fused_topk(router_logits: torch.Tensor, top_k: int, renormalize: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """The weights, float32 [num_tokens, top_k], and the experts, int32 [num_tokens, top_k], of each token, the best first.

    router_logits [num_tokens, num_experts], float32 or bfloat16. The weights are the softmax over all experts; with
    renormalize, those of a token are divided by their sum.
    """
    weights, experts = router_logits.float().softmax(1).topk(top_k, dim=1)
    if renormalize:
        weights = weights / weights.sum(1, keepdim=True)
    return weights, experts.int()


def moe_align_block_size(topk_ids: torch.Tensor, block_size: int, num_experts: int) -> tuple[torch.Tensor, torch.Tensor, int]:
    """(sorted_token_ids, expert_ids, num_tokens_post_padded) of the choices topk_ids, int32 [num_tokens, top_k].

    sorted_token_ids, int32 [num_tokens_post_padded]: places in the flattened topk_ids, grouped by expert in ascending order,
    in order within an expert, each group filled up to a multiple of block_size with the number topk_ids.numel().
    expert_ids, int32 [num_tokens_post_padded / block_size]: whose block it is.
    """
    flat = topk_ids.flatten().long()
    counts = torch.bincount(flat, minlength=num_experts)
    padded = (counts + block_size - 1) // block_size * block_size
    total = int(padded.sum())
    order = flat.argsort(stable=True)
    # Where an expert's choices begin, in the padded order and in the sorted one.
    padded_starts, starts = padded.cumsum(0) - padded, counts.cumsum(0) - counts
    experts = flat[order]
    places = padded_starts[experts] + torch.arange(len(flat)) - starts[experts]
    sorted_token_ids = torch.full((total,), len(flat), dtype=torch.int32)
    sorted_token_ids[places] = order.int()
    expert_ids = torch.arange(num_experts, dtype=torch.int32).repeat_interleave(padded // block_size)
    return sorted_token_ids, expert_ids, total


def moe(hidden: torch.Tensor, router_logits: torch.Tensor, experts: torch.Tensor, top_k: int, block_size: int, renormalize: bool) -> torch.Tensor:
    """The weighted sum of the chosen experts' outputs: float32 [num_tokens, size].

    hidden float32 [num_tokens, size]; experts float32 [num_experts, size, size], of which each gives hidden @ expert. One
    matrix product per block of block_size rows, with the matrix of its expert.
    """
    weights, ids = fused_topk(router_logits, top_k, renormalize)
    sorted_token_ids, expert_ids, _ = moe_align_block_size(ids, block_size, len(experts))
    return _weighted_sums(hidden, experts, weights, sorted_token_ids.view(-1, block_size), expert_ids)


def _weighted_sums(hidden, experts, weights, blocks, expert_ids):
    """Multiply block by block, and bring the rows back to their tokens."""
    num_tokens, top_k = weights.shape
    size = hidden.shape[1]
    # The row behind the last token is what padding reads; the row behind the last choice is where it writes.
    rows = torch.cat([hidden, torch.zeros(1, size)])
    out = torch.zeros(num_tokens * top_k + 1, size)
    for choices, expert in zip(blocks.long(), expert_ids):
        out[choices] = rows[choices // top_k] @ experts[expert]
    return (out[:-1].view(num_tokens, top_k, size) * weights[:, :, None]).sum(1)
