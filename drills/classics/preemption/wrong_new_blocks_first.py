"""Takes the new blocks before it holds the cached ones: a free cached block may be given out as a new one."""
from drills.classics.preemption.solution import _cached_prefix, preempt  # noqa: F401

FAILS = {"test_its_hits_are_next_to_be_evicted": "block twice in its table|hold the hits before you take new blocks",
         "test_any_sequence": "block twice|reference count|free"}


def resume(running, waiting, pool, block_size):
    if not waiting:
        return False
    request = waiting[0]
    hits = _cached_prefix(request, pool, block_size)
    number = -(-len(request.token_ids) // block_size) - len(hits)
    if number + sum(block.ref_cnt == 0 for block in hits) > pool.num_free_blocks:
        return False
    new = pool.get_new_blocks(number)
    pool.touch(hits)
    request.blocks = hits + new
    request.num_computed_tokens = len(hits) * block_size
    request.status = "running"
    running.append(waiting.popleft())
    return True
