"""Takes the row of `a` by the number of the choice, not of its token: right if top_k is 1."""
import triton
import triton.language as tl

from drills.kernels.moe_grouped_matmul.solution import _launch

FAILS = {"test_any_shape": "top_k 2", "test_weights": "2 tokens", "test_experts_elsewhere": "experts", "test_half_precision": "float16",
         "test_what_comes_after_the_last_block": "blocks"}


@triton.jit
def moe_kernel(a, b, c, sorted_token_ids, expert_ids, num_tokens_post_padded, topk_weights, num_choices, top_k, N, K,
               WEIGHTED: tl.constexpr, BLOCK_SIZE: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr):
    block, column = tl.program_id(0), tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)
    expert = tl.load(expert_ids + block)
    if block * BLOCK_SIZE < tl.load(num_tokens_post_padded):
        place = tl.load(sorted_token_ids + block * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE))
        is_choice = place < num_choices
        acc = tl.zeros([BLOCK_SIZE, BLOCK_N], tl.float32)
        for start in range(0, tl.where(expert >= 0, K, 0), BLOCK_K):
            k = start + tl.arange(0, BLOCK_K)
            left = tl.load(a + (place)[:, None] * K + k[None, :], mask=is_choice[:, None] & (k < K)[None, :], other=0.0)
            right = tl.load(b + (expert * N + column)[None, :] * K + k[:, None], mask=(column < N)[None, :] & (k < K)[:, None], other=0.0)
            acc += tl.dot(left, right, input_precision="ieee")
        if WEIGHTED:
            acc *= tl.load(topk_weights + place, mask=is_choice, other=0.0)[:, None]
        tl.store(c + place[:, None] * N + column[None, :], acc.to(c.dtype.element_ty), mask=is_choice[:, None] & (column < N)[None, :])


def moe_grouped_matmul(*inputs):
    return _launch(moe_kernel, *inputs)
