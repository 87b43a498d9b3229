"""A list that drops its front: right, and each push onto a full buffer moves all the rest."""

FAILS = {"test_a_call_costs_the_same_whatever_the_capacity": "for a capacity of 1000"}


class RingBuffer:
    def __init__(self, capacity):
        if capacity < 1:
            raise ValueError("capacity")
        self.capacity, self.values = capacity, []

    def __len__(self):
        return len(self.values)

    def __getitem__(self, index):
        return self.values[index]

    def push(self, value):
        gone = None
        if len(self.values) == self.capacity:
            gone = self.values[0]
            for i in range(1, len(self.values)):
                self.values[i - 1] = self.values[i]
            self.values.pop()
        self.values.append(value)
        return gone

    def popleft(self):
        if not self.values:
            raise IndexError
        return self.values.pop(0)
