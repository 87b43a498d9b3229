"""Pulls a foreign token into the own range, and forgets to make a zero of what stands there."""
from drills.classics.tensor_parallel_linear import solution
from drills.classics.tensor_parallel_linear.solution import ColumnParallelLinear, Group, MergedColumnParallelLinear, RowParallelLinear, feed_forward

FAILS = {"test_embedding": "VocabParallelEmbedding of"}


class VocabParallelEmbedding(solution.VocabParallelEmbedding):
    def forward(self, token_ids):
        outs = [weight[(ids - rank * self.rows).clamp(0, self.rows - 1)] for rank, (ids, weight) in enumerate(zip(token_ids, self.weights))]
        return self.group.all_reduce(outs) if self.group.size > 1 else outs
