"""Sorts the k best anew for each newcomer: right, and k comparisons where a logarithm would do."""

FAILS = {"test_most_newcomers_cost_next_to_nothing": "the worst of them only", "test_a_newcomer_that_stays_costs_a_logarithm": "100 would do"}


class TopK:
    def __init__(self, k):
        if k < 1:
            raise ValueError
        self.k, self.kept = k, []

    def __len__(self):
        return len(self.kept)

    @property
    def threshold(self):
        return self.kept[-1][1] if len(self.kept) == self.k else None

    def push(self, item, score):
        newcomer = item, score
        self.kept.append(newcomer)
        self.kept.sort(key=lambda each: each[1], reverse=True)
        del self.kept[self.k:]
        return any(each is newcomer for each in self.kept)

    def best(self):
        return list(self.kept)
