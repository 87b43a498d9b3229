"""Brings the activations together before the second matrix, only to split them again: right, and a second wait in every layer."""
import torch

from drills.classics.tensor_parallel_linear.solution import (ColumnParallelLinear, Group, MergedColumnParallelLinear, RowParallelLinear,
                                                             VocabParallelEmbedding, silu_and_mul)

FAILS = {"test_feed_forward": r"2 ranks: 1 all-reduces and 1 all-gathers, expected 1 and 0"}


def feed_forward(xs, gate_up, down):
    activated = [silu_and_mul(x) for x in gate_up.forward(xs)]
    if down.group.size > 1:
        whole = down.group.all_gather(activated)
        activated = [x.chunk(down.group.size, 1)[rank] for rank, x in enumerate(whole)]
    return down.forward(activated)
