"""Reads the step before while the next one runs, but with tolist: that waits for the next one too."""
from drills.hpc.host_synchronisations.solution import _all_ended

FAILS = {"test_the_host_does_not_stop_the_gpu": "times for everything", "test_the_gpu_is_never_idle": "nothing to do"}


def decode(gpu, tokens, positions, eos, max_steps, emit):
    tokens, positions, finished = gpu.upload(tokens), gpu.upload(positions), gpu.upload([False] * len(tokens))
    previous = None
    for _ in range(max_steps):
        tokens = gpu.choose(finished, eos, gpu.forward(tokens, positions))
        finished, positions = gpu.equal(tokens, eos), gpu.add(positions, 1)
        if previous is not None and _all_ended(previous.tolist(), eos, emit):
            return
        previous = tokens
    if previous is not None:
        emit(previous.tolist())
