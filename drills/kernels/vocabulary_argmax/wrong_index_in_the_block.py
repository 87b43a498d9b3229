"""Forgets where a block begins: right for the first 1024 tokens."""
import triton
import triton.language as tl

from drills.kernels.vocabulary_argmax.solution import _launch, row_argmax_kernel

FAILS = {"test_any_vocabulary": "3 rows of 1025|2 rows of 5000",
         "test_the_best_may_be_anywhere": r"best tokens are \[0, 2999, 1024, 2047\], got \[0, 951, 0, 1023\]",
         "test_negative_logits": "rows of 1100", "test_ties_go_to_the_lowest_token": r"tokens \[1500, 2600\]", "test_temperature_and_noise": "rows of 2000"}


@triton.jit
def block_argmax_kernel(logits, temperatures, noise, values, ids, vocab_size, BLOCK: tl.constexpr):
    row, block = tl.program_id(0), tl.program_id(1)
    token = block * BLOCK + tl.arange(0, BLOCK)
    value = tl.load(logits + row * vocab_size + token, mask=token < vocab_size, other=-float("inf")).to(tl.float32)
    temperature = tl.load(temperatures + row)
    if temperature > 0:
        value = value / temperature + tl.load(noise + row * vocab_size + token, mask=token < vocab_size, other=0.0)
    best, index = tl.max(value, axis=0, return_indices=True)
    tl.store(values + row * tl.num_programs(1) + block, best)
    tl.store(ids + row * tl.num_programs(1) + block, index)


def vocabulary_argmax(logits, temperatures, noise):
    return _launch(block_argmax_kernel, row_argmax_kernel, logits, temperatures, noise)
