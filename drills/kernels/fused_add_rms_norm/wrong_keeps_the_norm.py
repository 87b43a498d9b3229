"""Writes the norm to both: the residual is lost, and the layers no longer add up."""
from drills.kernels.fused_add_rms_norm import solution

FAILS = {"test_both_are_written_in_place": "one token, residual", "test_any_size": "tokens of .*, residual", "test_eps": "eps 0.01, residual",
         "test_half_precision": "size 1.0, residual", "test_layer_after_layer": "after 1 layers"}


def fused_add_rms_norm(x, residual, weight, eps):
    solution.fused_add_rms_norm(x, residual, weight, eps)
    residual.copy_(x)
