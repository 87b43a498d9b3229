"""Asks only whether the new blocks are free: cached blocks that are free themselves leave the free queue as well."""
from drills.classics.preemption.solution import _cached_prefix, preempt  # noqa: F401

FAILS = {"test_too_few_blocks": "IndexError|pop from an empty|deque", "test_any_sequence": "pop from an empty|deque"}


def resume(running, waiting, pool, block_size):
    if not waiting:
        return False
    request = waiting[0]
    hits = _cached_prefix(request, pool, block_size)
    number = -(-len(request.token_ids) // block_size) - len(hits)
    if number > pool.num_free_blocks:
        return False
    pool.touch(hits)
    request.blocks = hits + pool.get_new_blocks(number)
    request.num_computed_tokens = len(hits) * block_size
    request.status = "running"
    running.append(waiting.popleft())
    return True
