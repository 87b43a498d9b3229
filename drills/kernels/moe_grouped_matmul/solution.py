"""A tiled matrix product in which each block of rows looks up which rows these are, and whose weights they meet."""
import torch
import triton
import triton.language as tl


@triton.jit
def moe_kernel(a, b, c, sorted_token_ids, expert_ids, num_tokens_post_padded, topk_weights, num_choices, top_k, N, K,
               WEIGHTED: tl.constexpr, BLOCK_SIZE: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr):
    """One block of choices times BLOCK_N columns of their expert's matrix."""
    block = tl.program_id(0)
    if block * BLOCK_SIZE < tl.load(num_tokens_post_padded):        # the grid is for the worst case
        place = tl.load(sorted_token_ids + block * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)).to(tl.int64)
        is_choice = place < num_choices     # otherwise padding
        expert = tl.load(expert_ids + block).to(tl.int64)
        column = tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)
        row = place // top_k                # the choices of a token share its row

        acc = tl.zeros([BLOCK_SIZE, BLOCK_N], tl.float32)
        for start in range(0, tl.where(expert >= 0, K, 0), BLOCK_K):        # an expert that is elsewhere gives 0
            k = start + tl.arange(0, BLOCK_K)
            left = tl.load(a + row[:, None] * K + k[None, :], mask=is_choice[:, None] & (k < K)[None, :], other=0.0)
            right = tl.load(b + (expert * N + column)[None, :] * K + k[:, None], mask=(column < N)[None, :] & (k < K)[:, None], other=0.0)
            acc += tl.dot(left, right, input_precision="ieee")
        if WEIGHTED:
            acc *= tl.load(topk_weights + place, mask=is_choice, other=0.0)[:, None]
        tl.store(c + place[:, None] * N + column[None, :], acc.to(c.dtype.element_ty), mask=is_choice[:, None] & (column < N)[None, :])


def moe_grouped_matmul(a: torch.Tensor, b: torch.Tensor, sorted_token_ids: torch.Tensor, expert_ids: torch.Tensor,
                       num_tokens_post_padded: torch.Tensor, topk_weights: torch.Tensor | None, top_k: int, num_choices: int) -> torch.Tensor:
    """Each choice's row of `a` times the matrix of its expert: [num_choices, N], of a's dtype, summed in float32.

    `a`: [num_choices / top_k, K], float32 or float16; choice p belongs to row p // top_k. `b`: [experts, N, K], of the same dtype:
    expert e makes `row @ b[e].T`. `sorted_token_ids`: int32, blocks of choices that go to one expert, filled up by num_choices,
    which is none. `expert_ids`: int32, a block's expert, or -1 if that is on another device: then the result is 0. All blocks have
    len(sorted_token_ids) / len(expert_ids) places, 16, 32 or 64. `num_tokens_post_padded`: int32 [1], on the device: what comes
    after so many places means nothing. `topk_weights`: float32 [num_choices], factors of the results, or None.
    """
    return _launch(moe_kernel, a, b, sorted_token_ids, expert_ids, num_tokens_post_padded, topk_weights, top_k, num_choices)


def _launch(kernel, a, b, sorted_token_ids, expert_ids, num_tokens_post_padded, topk_weights, top_k, num_choices):
    _, N, K = b.shape
    c = torch.empty(num_choices, N, dtype=a.dtype, device=a.device)
    if num_choices:
        kernel[(len(expert_ids), triton.cdiv(N, 32))](
            a, b, c, sorted_token_ids, expert_ids, num_tokens_post_padded, topk_weights, num_choices, top_k, N, K, WEIGHTED=topk_weights is not None,
            BLOCK_SIZE=len(sorted_token_ids) // len(expert_ids), BLOCK_N=32, BLOCK_K=32)
    return c
