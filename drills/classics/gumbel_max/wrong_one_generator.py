"""Draws the noise of all rows from one generator: what a request gets depends on its place in the batch."""
import torch

from drills.classics.gumbel_max.solution import uniform  # noqa: F401

FAILS = {"test_the_same_seed_the_same_token_whatever_the_batch": "in a batch of 64, and .* alone", "test_a_padded_vocabulary": "when the vocabulary is padded",
         "test_the_same_seed_and_logits_give_the_same_token": "two rows with the same logits"}


def gumbel_max(logits, seeds, positions):
    if not len(seeds):
        return torch.empty(0, dtype=torch.int64)
    generator = torch.Generator().manual_seed(int(seeds[0]) + int(positions[0]))
    noise = -torch.empty(logits.shape, dtype=torch.float64).exponential_(generator=generator).log()
    return (logits.double() + noise).argmax(-1)
