"""Our engine on a GPU, or two: the runner that does not wait, CUDA graphs, ranks that meet by NCCL, and the benchmarks of all that. Without GPUs, each is rehearsed."""
