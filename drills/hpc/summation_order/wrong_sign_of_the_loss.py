"""Subtracts what was lost where it should be added: the error doubles."""
import numpy as np

from drills.hpc.summation_order.solution import *  # noqa: F403

FAILS = {"test_kahan": "in this order", "test_what_the_orders_are_worth": "kahan of .* off by"}


def kahan(x):
    total = lost = np.float32(0)
    for number in x:
        number = number - lost
        grown = total + number
        lost = number - (grown - total)
        total = grown
    return total
