"""Goes through the blocks with >=: of equally good tokens in different blocks, the last one wins."""
import triton
import triton.language as tl

from drills.kernels.vocabulary_argmax.solution import _launch, block_argmax_kernel

FAILS = {"test_ties_go_to_the_lowest_token": r"tokens \[1500, 2600\]"}


@triton.jit
def row_argmax_kernel(values, ids, out, blocks, BLOCKS: tl.constexpr):
    row = tl.program_id(0)
    best, token = -float("inf"), tl.load(ids + row * blocks)
    for block in range(0, blocks):
        value = tl.load(values + row * blocks + block)
        token = tl.where(value >= best, tl.load(ids + row * blocks + block), token)
        best = tl.maximum(best, value)
    tl.store(out + row, token)


def vocabulary_argmax(logits, temperatures, noise):
    return _launch(block_argmax_kernel, row_argmax_kernel, logits, temperatures, noise)
