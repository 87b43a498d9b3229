"""What the next step needs stays on the GPU; what the host needs it reads one step later."""
from collections.abc import Callable

from drills.hpc.fakes import FakeGPU


def decode_slowly(gpu: FakeGPU, tokens: list[int], positions: list[int], eos: int, max_steps: int, emit: Callable[[list[int]], None]) -> None:  # given
    """Right, and slow: it stops the GPU several times in each step. Find where."""
    tokens, positions, finished = list(tokens), list(positions), [False] * len(tokens)
    for _ in range(max_steps):
        sampled = gpu.forward(gpu.upload(tokens), gpu.upload(positions))
        for i in range(len(tokens)):
            tokens[i] = eos if finished[i] else sampled[i].item()
            finished[i] = tokens[i] == eos
            positions[i] += 1
        emit(list(tokens))
        if all(finished):
            return


def decode(gpu: FakeGPU, tokens: list[int], positions: list[int], eos: int, max_steps: int, emit: Callable[[list[int]], None]) -> None:
    """Call `emit` with the tokens of each step, until all requests have ended or `max_steps` were made.

    The GPU is never idle between two steps, and makes at most one step that is not needed.
    """
    next_tokens, next_positions = gpu.upload(tokens), gpu.upload(positions)
    finished = gpu.upload([False] * len(tokens))
    previous = None
    for _ in range(max_steps):
        next_tokens = gpu.choose(finished, eos, gpu.forward(next_tokens, next_positions))
        finished = gpu.equal(next_tokens, eos)
        next_positions = gpu.add(next_positions, 1)
        current = gpu.copy_to_host(next_tokens)
        # The GPU has this step to do, meanwhile the host looks after the one before.
        if previous is not None and _all_ended(previous.wait(), eos, emit):
            return
        previous = current
    if previous is not None:
        emit(previous.wait())


def _all_ended(tokens: list[int], eos: int, emit: Callable[[list[int]], None]) -> bool:
    emit(tokens)
    return all(token == eos for token in tokens)
