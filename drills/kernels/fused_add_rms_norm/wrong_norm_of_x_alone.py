"""Normalises what the sublayer gave and adds for the residual only: the sum never reaches the next sublayer."""
from drills.kernels.rms_norm.solution import rms_norm

FAILS = {"test_both_are_written_in_place": "one token, x, which is to be the norm of x", "test_any_size": "tokens of .*, x, which",
         "test_eps": "eps 0.01, x, which", "test_half_precision": "size 1.0, x, which"}


def fused_add_rms_norm(x, residual, weight, eps):
    residual += x
    x.copy_(rms_norm(x, weight, eps))
