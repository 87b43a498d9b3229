"""Takes the second half for the gate."""
import torch

from drills.kernels.silu_and_mul import solution

FAILS = {"test_the_first_half_is_the_gate": "gates 1, -2, 0", "test_several_tokens": "2 tokens, n = 1", "test_large_gates": "a gate of -1000",
         "test_half_precision": "float16"}


def silu_and_mul(x):
    n = x.shape[1] // 2
    return solution.silu_and_mul(torch.cat((x[:, n:], x[:, :n]), dim=1))
