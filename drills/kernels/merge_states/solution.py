"""A program per token and head weighs the two outputs by what their softmaxes were divided by."""
import torch
import triton
import triton.language as tl


@triton.jit
def merge_states_kernel(prefix, prefix_lse, suffix, suffix_lse, out, out_lse, p_head, p_token, s_head, s_token, num_with_prefix,
                        D: tl.constexpr, PADDED_D: tl.constexpr):
    """One token and head. p_head, p_token, s_head, s_token: the strides of the two logsumexps."""
    token, head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    tokens, heads = tl.num_programs(0), tl.num_programs(1)
    column = tl.arange(0, PADDED_D)
    here = (token * heads + head) * D + column
    has_prefix = token < num_with_prefix
    a = tl.load(prefix_lse + head * p_head + token * p_token, mask=has_prefix, other=-float("inf"))
    b = tl.load(suffix_lse + head * s_head + token * s_token)
    # An output is read only if its part is not empty: what nobody has written may be NaN.
    of_prefix = tl.load(prefix + here, mask=column < tl.where(a > -float("inf"), D, 0), other=0.0).to(tl.float32)
    of_suffix = tl.load(suffix + here, mask=column < tl.where(b > -float("inf"), D, 0), other=0.0).to(tl.float32)

    highest = tl.maximum(a, b)
    is_empty = highest == -float("inf")
    shift = tl.where(is_empty, 0.0, highest)
    weight_a, weight_b = tl.exp(a - shift), tl.exp(b - shift)       # the larger one is 1
    total = tl.where(is_empty, 1.0, weight_a + weight_b)
    merged = of_prefix * (weight_a / total) + of_suffix * (weight_b / total)
    tl.store(out + here, merged.to(out.dtype.element_ty), mask=column < D)
    tl.store(out_lse + head * tokens + token, highest + tl.log(total))


def merge_states(prefix: torch.Tensor, prefix_lse: torch.Tensor, suffix: torch.Tensor, suffix_lse: torch.Tensor,
                 num_with_prefix: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The attention over prefix and suffix together, from that over each: (output, lse), as new tensors.

    `prefix`, `suffix`: [tokens, heads, D], float32 or float16, contiguous: outputs of attention. `prefix_lse`, `suffix_lse`: float32
    [heads, tokens], the logsumexp of the scores, with any strides; -inf: no keys, and then the output may be anything. The
    result's lse is contiguous. `num_with_prefix`: only the first so many tokens have a prefix; of the others nothing of the prefix's
    counts. A token without any keys gets 0 and -inf.
    """
    return _launch(merge_states_kernel, prefix, prefix_lse, suffix, suffix_lse, num_with_prefix)


def _launch(kernel, prefix, prefix_lse, suffix, suffix_lse, num_with_prefix):
    tokens, heads, head_dim = suffix.shape
    out = torch.empty_like(suffix)
    out_lse = torch.empty(heads, tokens, dtype=torch.float32, device=suffix.device)
    if tokens:
        kernel[(tokens, heads)](prefix, prefix_lse, suffix, suffix_lse, out, out_lse, *prefix_lse.stride(), *suffix_lse.stride(), num_with_prefix,
                                D=head_dim, PADDED_D=triton.next_power_of_2(head_dim))
    return out, out_lse
