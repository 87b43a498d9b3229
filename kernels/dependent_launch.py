"""Programmatic dependent launch, which Hopper GPUs have: a kernel gets ready while the one before it ends.

Launched with `**EARLY`, a kernel is set up, and may load what nobody has just written, before the one before has ended: some
microseconds in all, hundreds of times a step. Before it touches what others have written, or writes anything, it must call
`await_the_kernel_before`. Elsewhere both do nothing.

It has a price: a GPU starts a program each 0.61 ns, and one that allows the next kernel each 1.21 (H100, `kernels/silu_and_mul.md`). So a kernel of
hundreds of thousands of small programs had better make them larger.

It begins as soon as all programs of the one before run and have allowed it, instead of when they have ended: of a kernel that reads
weights, these are then on their way while the one before still computes.
"""
import triton
import triton.language as tl

from kernels import HOPPER

EARLY = {"launch_pdl": True} if HOPPER else {}
_WAITS = tl.constexpr(HOPPER)


@triton.jit
def await_the_kernel_before(ALLOW: tl.constexpr = True):
    """Wait until all that was launched before has ended. `ALLOW`: whoever comes next may get ready from now on."""
    if _WAITS:
        if ALLOW:
            tl.extra.cuda.gdc_launch_dependents()
        tl.extra.cuda.gdc_wait()
