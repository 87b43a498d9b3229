"""Rounds the rows of a rank down and leaves the rest to the last one: parts of different sizes, and the last rank is the slowest."""
import torch

from drills.classics.tensor_parallel_linear import solution
from drills.classics.tensor_parallel_linear.solution import ColumnParallelLinear, Group, MergedColumnParallelLinear, RowParallelLinear, feed_forward

FAILS = {"test_embedding": "ranks hold"}


class VocabParallelEmbedding(solution.VocabParallelEmbedding):
    def __init__(self, weight, group):
        rows = len(weight) // group.size
        starts = [rank * rows for rank in range(group.size)] + [len(weight)]
        self.starts, self.group = starts, group
        self.weights = [weight[start:end].clone() for start, end in zip(starts, starts[1:])]

    def forward(self, token_ids):
        outs = []
        for ids, weight, start in zip(token_ids, self.weights, self.starts):
            own = ids - start
            foreign = (own < 0) | (own >= len(weight))
            outs.append(torch.cat([weight, weight.new_zeros(1, weight.shape[1])])[own.masked_fill(foreign, len(weight))])
        return self.group.all_reduce(outs) if self.group.size > 1 else outs
