"""Grouped matmul of a mixture of experts: your answer. The problem is in drills/kernels/moe_grouped_matmul/README.md."""
import torch
import triton
import triton.language as tl


@triton.jit
def moe_kernel(a, b, c, sorted_token_ids, expert_ids, num_tokens_post_padded, topk_weights, num_choices, top_k, N, K,
               WEIGHTED: tl.constexpr, BLOCK_SIZE: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr):
    """One block of choices times BLOCK_N columns of their expert's matrix."""


def moe_grouped_matmul(a: torch.Tensor, b: torch.Tensor, sorted_token_ids: torch.Tensor, expert_ids: torch.Tensor,
                       num_tokens_post_padded: torch.Tensor, topk_weights: torch.Tensor | None, top_k: int, num_choices: int) -> torch.Tensor:
    """Each choice's row of `a` times the matrix of its expert: [num_choices, N], of a's dtype, summed in float32.

    `a`: [num_choices / top_k, K], float32 or float16; choice p belongs to row p // top_k. `b`: [experts, N, K], of the same dtype:
    expert e makes `row @ b[e].T`. `sorted_token_ids`: int32, blocks of choices that go to one expert, filled up by num_choices,
    which is none. `expert_ids`: int32, a block's expert, or -1 if that is on another device: then the result is 0. All blocks have
    len(sorted_token_ids) / len(expert_ids) places, 16, 32 or 64. `num_tokens_post_padded`: int32 [1], on the device: what comes
    after so many places means nothing. `topk_weights`: float32 [num_choices], factors of the results, or None.
    """
    raise NotImplementedError("moe_grouped_matmul: moe_grouped_matmul is not written yet")
