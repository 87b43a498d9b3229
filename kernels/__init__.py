"""Triton kernels, one a file, each beside its slow and obviously right twin in PyTorch."""
