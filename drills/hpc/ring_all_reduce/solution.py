"""Round the ring twice: first each chunk collects its sum, then each sum goes to everybody."""
from collections.abc import Callable

import numpy as np


def all_reduce(rank: int, world: int, data: np.ndarray, send: Callable[[np.ndarray], None], receive: Callable[[], np.ndarray]) -> np.ndarray:
    """The sum of `data` of all ranks, of the same shape and dtype, on each of them; `data` stays as it is.

    `send` gives an array to rank + 1, `receive` waits for one from rank - 1, both round the ring.
    """
    chunks = np.array_split(data.flatten(), world)      # flatten copies; the chunks are views of the copy, some may be empty
    for step in range(world - 1):       # reduce-scatter
        send(chunks[(rank - step) % world])
        chunks[(rank - step - 1) % world] += receive()
    # Now the chunk rank + 1 is complete here.
    for step in range(world - 1):       # all-gather
        send(chunks[(rank + 1 - step) % world])
        chunks[(rank - step) % world] = receive()
    return np.concatenate(chunks).reshape(data.shape)
