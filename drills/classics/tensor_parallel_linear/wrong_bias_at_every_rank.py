"""Every rank adds the bias before the sum: it counts as often as there are ranks."""
import torch.nn.functional as F

from drills.classics.tensor_parallel_linear import solution
from drills.classics.tensor_parallel_linear.solution import ColumnParallelLinear, Group, MergedColumnParallelLinear, VocabParallelEmbedding, feed_forward

FAILS = {"test_rows": "with bias, rank 0 of 2", "test_feed_forward": "rank 0 of 2"}


class RowParallelLinear(solution.RowParallelLinear):
    def forward(self, xs):
        outs = [F.linear(x, weight, self.bias) for x, weight in zip(xs, self.weights)]
        return self.group.all_reduce(outs) if self.group.size > 1 else outs
