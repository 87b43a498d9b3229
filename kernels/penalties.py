"""Penalties for what was said before, in place: repetition (of prompt and output), frequency and presence (of the output).

One pass: each logit is read, changed and written once, and rows without a penalty are left alone. What was
said lies on the device, as an engine keeps it between steps: for the prompt a bit per token of the vocabulary, since how
often does not matter; for the output a count.

Mirrors `v1/worker/gpu/sample/penalties.py::apply_penalties`, without its draft tokens.
"""
import torch
import triton
import triton.language as tl

from kernels.greedy import check_logits

CHUNK = 1024    # logits a program looks at; a multiple of 32


def penalties_twin(logits: torch.Tensor, prompt_mask: torch.Tensor, output_counts: torch.Tensor, repetition: torch.Tensor,
                   frequency: torch.Tensor, presence: torch.Tensor) -> torch.Tensor:
    """`penalties` as its definition says. Returns the result, and leaves `logits` alone."""
    token_id = torch.arange(logits.shape[1], device=logits.device)
    in_prompt = (prompt_mask[:, token_id // 32] >> (token_id % 32)) & 1 == 1
    in_output = output_counts > 0
    repetition, frequency, presence = (each[:, None].to(logits.dtype) for each in (repetition, frequency, presence))
    repeated = torch.where(logits > 0, logits / repetition, logits * repetition)
    result = torch.where(in_prompt | in_output, repeated, logits)
    return result - frequency * output_counts - presence * in_output


def pack(seen: torch.Tensor) -> torch.Tensor:
    """int32 [rows, ceil(vocabulary / 32)] of bool [rows, vocabulary]: token t is bit t % 32 of number t // 32."""
    seen = torch.nn.functional.pad(seen, (0, -seen.shape[1] % 32)).unflatten(1, (-1, 32)).long()
    packed = (seen << torch.arange(32, device=seen.device)).sum(-1)
    return (packed - (packed >> 31 << 32)).int()    # bit 31 is the sign


@triton.jit
def _penalise(logits, prompt_mask, output_counts, repetitions, frequencies, presences, row_stride, mask_stride, counts_stride, vocab_size,
              CHUNK: tl.constexpr):
    row, chunk = tl.program_id(0).to(tl.int64), tl.program_id(1)
    repetition, frequency, presence = tl.load(repetitions + row), tl.load(frequencies + row), tl.load(presences + row)
    if repetition != 1.0 or frequency != 0.0 or presence != 0.0:
        token_id = chunk * CHUNK + tl.arange(0, CHUNK)
        inside = token_id < vocab_size
        value = tl.load(logits + row * row_stride + token_id, mask=inside, other=0.0).to(tl.float32)
        count = tl.load(output_counts + row * counts_stride + token_id, mask=inside, other=0)
        if repetition != 1.0:
            word = tl.load(prompt_mask + row * mask_stride + (token_id >> 5), mask=inside, other=0)     # 32 neighbours read the same
            seen = (((word >> (token_id & 31)) & 1) == 1) | (count > 0)
            scale = tl.where(seen, repetition, 1.0)
            value *= tl.where(value > 0, 1.0 / scale, scale)    # either way it becomes less likely
        value -= frequency * count
        value -= presence * (count > 0).to(tl.float32)
        tl.store(logits + row * row_stride + token_id, value.to(logits.dtype.element_ty), mask=inside)


def penalties(logits: torch.Tensor, prompt_mask: torch.Tensor, output_counts: torch.Tensor, repetition: torch.Tensor,
              frequency: torch.Tensor, presence: torch.Tensor, *, chunk: int = CHUNK, num_warps: int = 8) -> torch.Tensor:
    """`logits` [rows, vocabulary], changed in place and returned. Any float type, any row stride.

    A token that was in the prompt or is in the output: its logit is divided by `repetition` if positive, else multiplied. Then
    `frequency` times its count in the output is taken off, and `presence` if that is not 0. All three: float32 [rows]; 1, 0
    and 0 do nothing. `prompt_mask`: int32 [rows, ceil(vocabulary / 32)], see `pack`; `output_counts`: int32 [rows, vocabulary].
    """
    check_logits(logits, repetition=(repetition, torch.float32), frequency=(frequency, torch.float32), presence=(presence, torch.float32))
    rows, vocab_size = logits.shape
    for name, numbers, columns in (("prompt_mask", prompt_mask, triton.cdiv(vocab_size, 32)), ("output_counts", output_counts, vocab_size)):
        if numbers.dtype != torch.int32 or numbers.shape != (rows, columns) or numbers.stride(1) != 1:
            raise ValueError(f"{name} must be int32 [{rows}, {columns}], rows in one piece, and is {numbers.dtype} {list(numbers.shape)}")
    if rows:
        strides = [each.stride(0) for each in (logits, prompt_mask, output_counts)]
        _penalise[(rows, triton.cdiv(vocab_size, chunk))](logits, prompt_mask, output_counts, repetition, frequency, presence, *strides, vocab_size,
                                                          CHUNK=chunk, num_warps=num_warps)
    return logits


def bytes_min(rows: int, vocab_size: int, element: int = 4) -> int:
    """Each logit in and out, each count, each bit, three penalties a row. `element`: bytes of a logit."""
    return rows * (vocab_size * (2 * element + 4) + triton.cdiv(vocab_size, 32) * 4 + 12)
