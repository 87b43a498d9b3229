"""Takes neighbours for a pair, gate and up in turn: right only where a row has one of each."""
import torch

from drills.kernels.silu_and_mul import solution

FAILS = {"test_the_first_half_is_the_gate": "gates 1, -2, 0", "test_several_tokens": "3 tokens, n = 4", "test_large_gates": "a gate of -1000",
         "test_half_precision": "float16"}


def silu_and_mul(x):
    return solution.silu_and_mul(torch.cat((x[:, ::2], x[:, 1::2]), dim=1))
