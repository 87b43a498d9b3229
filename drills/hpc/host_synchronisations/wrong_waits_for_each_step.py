"""Copies without stopping everything, but waits for the copy before it launches the next step."""
from drills.hpc.host_synchronisations.solution import _all_ended

FAILS = {"test_the_gpu_is_never_idle": "had nothing to do for ... us"}


def decode(gpu, tokens, positions, eos, max_steps, emit):
    tokens, positions, finished = gpu.upload(tokens), gpu.upload(positions), gpu.upload([False] * len(tokens))
    for _ in range(max_steps):
        tokens = gpu.choose(finished, eos, gpu.forward(tokens, positions))
        finished, positions = gpu.equal(tokens, eos), gpu.add(positions, 1)
        if _all_ended(gpu.copy_to_host(tokens).wait(), eos, emit):
            return
