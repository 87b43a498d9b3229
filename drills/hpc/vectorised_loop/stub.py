"""A loop becomes numpy: your answer. The problem is in drills/hpc/vectorised_loop/README.md."""
import numpy as np


def prepare_slowly(token_ids: np.ndarray, computed: np.ndarray, scheduled: np.ndarray, block_table: np.ndarray, block_size: int
                   ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Right, and slow: a loop over all tokens in Python."""
    input_ids, positions, slots, starts = [], [], [], [0]
    for request in range(len(scheduled)):
        for i in range(int(scheduled[request])):
            position = int(computed[request]) + i
            block = int(block_table[request, position // block_size])
            input_ids.append(int(token_ids[request, position]))
            positions.append(position)
            slots.append(block * block_size + position % block_size)
        starts.append(len(positions))
    return np.array(input_ids, np.int32), np.array(positions, np.int64), np.array(slots, np.int64), np.array(starts, np.int32)


def prepare(token_ids: np.ndarray, computed: np.ndarray, scheduled: np.ndarray, block_table: np.ndarray, block_size: int
            ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What a step needs for its tokens, request after request: as `prepare_slowly`, in a fixed number of numpy calls.

    token_ids [requests, longest] int32, computed and scheduled [requests] int32, block_table [requests, blocks] int32.
    Returns input_ids int32, positions int64 and slot_mapping int64 [tokens], and query_start_loc [requests + 1] int32.
    """
    raise NotImplementedError("vectorised_loop: prepare is not written yet")
