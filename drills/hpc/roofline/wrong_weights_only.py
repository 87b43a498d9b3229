"""The rule of thumb, ridge * bytes / 2: it counts the weights and forgets the activations, and always finds a batch."""
import math

from drills.hpc.roofline.solution import *  # noqa: F403

FAILS = {"test_the_batch_from_which_on_decode_is_compute_bound": "(is memory bound still|is not reached|are not reached)"}


def compute_bound_batch(n, k, element_bytes, machine):
    return math.ceil(machine.operations / machine.bandwidth * element_bytes / 2)
