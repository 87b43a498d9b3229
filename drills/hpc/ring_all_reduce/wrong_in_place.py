"""Adds into the data of the caller: the chunks of an array are views of it."""
import numpy as np

FAILS = {"test_the_data_stays_as_it_is": "was changed"}


def all_reduce(rank, world, data, send, receive):
    chunks = np.array_split(data.ravel(), world)
    for step in range(world - 1):
        send(chunks[(rank - step) % world])
        chunks[(rank - step - 1) % world] += receive()
    for step in range(world - 1):
        send(chunks[(rank + 1 - step) % world])
        chunks[(rank - step) % world] = receive()
    return np.concatenate(chunks).reshape(data.shape)
