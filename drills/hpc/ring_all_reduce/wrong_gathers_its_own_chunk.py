"""Begins to gather with the chunk of its own number; after the first round, the one that follows it is complete."""
import numpy as np

FAILS = {"test_the_sum_on_every_rank": "3 ranks, shape|2 ranks, shape .2,.", "test_all_ranks_have_the_same_bits": "wrong sum",
         "test_a_view_with_gaps": "wrong sum"}


def all_reduce(rank, world, data, send, receive):
    chunks = np.array_split(data.flatten(), world)
    for step in range(world - 1):
        send(chunks[(rank - step) % world])
        chunks[(rank - step - 1) % world] += receive()
    for step in range(world - 1):
        send(chunks[(rank - step) % world])
        chunks[(rank - step - 1) % world] = receive()
    return np.concatenate(chunks).reshape(data.shape)
