"""Receives before it sends: every rank waits for the one before it."""
import numpy as np

FAILS = {"test_the_sum_on_every_rank": "nobody is left", "test_all_ranks_have_the_same_bits": "nobody is left",
         "test_the_bytes_that_are_sent": "nobody is left", "test_everything_sent_is_received": "nobody is left",
         "test_the_data_stays_as_it_is": "nobody is left", "test_a_view_with_gaps": "nobody is left"}


def all_reduce(rank, world, data, send, receive):
    chunks = np.array_split(data.flatten(), world)
    for step in range(world - 1):
        arrived = receive()
        send(chunks[(rank - step) % world])
        chunks[(rank - step - 1) % world] += arrived
    for step in range(world - 1):
        arrived = receive()
        send(chunks[(rank + 1 - step) % world])
        chunks[(rank - step) % world] = arrived
    return np.concatenate(chunks).reshape(data.shape)
