"""Divides logit and noise by the temperature: the best token is the same at any temperature."""
import triton
import triton.language as tl

from drills.kernels.vocabulary_argmax.solution import _launch, row_argmax_kernel

FAILS = {"test_temperature_and_noise": "temperature (0.25|8.0)", "test_greedy_rows_among_others": "temperatures 0.5, 0, 2"}


@triton.jit
def block_argmax_kernel(logits, temperatures, noise, values, ids, vocab_size, BLOCK: tl.constexpr):
    row, block = tl.program_id(0), tl.program_id(1)
    token = block * BLOCK + tl.arange(0, BLOCK)
    value = tl.load(logits + row * vocab_size + token, mask=token < vocab_size, other=-float("inf")).to(tl.float32)
    temperature = tl.load(temperatures + row)
    if temperature > 0:
        value = (value + tl.load(noise + row * vocab_size + token, mask=token < vocab_size, other=0.0)) / temperature
    best, index = tl.max(value, axis=0, return_indices=True)
    tl.store(values + row * tl.num_programs(1) + block, best)
    tl.store(ids + row * tl.num_programs(1) + block, block * BLOCK + index)


def vocabulary_argmax(logits, temperatures, noise):
    return _launch(block_argmax_kernel, row_argmax_kernel, logits, temperatures, noise)
