"""Keeps the whole stream and cuts when it is asked: right, and its memory grows with the stream."""

FAILS = {"test_only_the_best_are_kept": "let go of what is not among the best", "test_most_newcomers_cost_next_to_nothing": "comparisons",
         "test_a_newcomer_that_stays_costs_a_logarithm": "comparisons each"}


class TopK:
    def __init__(self, k):
        if k < 1:
            raise ValueError
        self.k, self.stream = k, []

    def __len__(self):
        return min(self.k, len(self.stream))

    @property
    def threshold(self):
        return self.best()[-1][1] if len(self) == self.k else None

    def push(self, item, score):
        self.stream.append((item, score))
        return sum(not each < score for _, each in self.stream[:-1]) < self.k

    def best(self):
        return sorted(self.stream, key=lambda each: each[1], reverse=True)[:self.k]
