"""Packs the first token into the highest bit of a byte, as numpy.packbits does if it is not told otherwise."""
import numpy as np
import torch

from drills.data_structures.grammar_bitmask.solution import apply_bitmask

FAILS = {"test_each_token_has_its_bit": "words 00000001, yours 00000080", "test_the_highest_bit": "words 80000000, yours 01000000",
         "test_any_set_of_tokens": "vocabulary 1, allowed"}


def pack(allowed, vocab_size):
    bits = np.zeros((len(allowed), -(-vocab_size // 32) * 32), dtype=bool)
    for row, tokens in zip(bits, allowed):
        if tokens and not 0 <= min(tokens) <= max(tokens) < vocab_size:
            raise ValueError
        row[tokens] = True
    return torch.from_numpy(np.packbits(bits, axis=-1).view(np.int32))
