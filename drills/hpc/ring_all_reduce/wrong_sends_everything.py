"""Sends the whole array round the ring: right, and each rank sends world / 2 times as much."""
FAILS = {"test_the_bytes_that_are_sent": "sending everything round", "test_all_ranks_have_the_same_bits": "different orders"}


def all_reduce(rank, world, data, send, receive):
    total, passing = data.copy(), data
    for _ in range(world - 1):
        send(passing)
        passing = receive()
        total = total + passing
    return total
