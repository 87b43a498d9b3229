"""The kernels: as exact as torch, touching nothing that is not theirs, and equal to vLLM's own."""
