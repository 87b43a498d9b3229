"""The judge of the block pool."""
import gc
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drills.judging import count_lines, grows, play


class Answer:
    """The answer, spoken to in block ids."""

    def __init__(self, answer, num_blocks):
        self.pool = answer.BlockPool(num_blocks)

    def get_new_blocks(self, number):
        return [block.block_id for block in self.pool.get_new_blocks(number)]

    def get_cached_block(self, block_hash):
        block = self.pool.get_cached_block(block_hash)
        return block and block.block_id

    def touch(self, ids):
        return self.pool.touch([self.pool.blocks[block_id] for block_id in ids])

    def cache(self, block_id, block_hash):
        return self.pool.cache(self.pool.blocks[block_id], block_hash)

    def free(self, ids):
        return self.pool.free(self.pool.blocks[block_id] for block_id in ids)

    def reset_prefix_cache(self):
        return self.pool.reset_prefix_cache()

    def look(self):
        blocks = self.pool.blocks
        return {"free_queue": [block.block_id for block in self.pool.free_queue], "num_free_blocks": self.pool.num_free_blocks,
                "ref_cnt": [block.ref_cnt for block in blocks[1:]], "block_hash": [block.block_hash for block in blocks[1:]],
                "usage": round(float(self.pool.usage), 6)}


class Oracle:
    """Slow and right: a list of free ids, and for each block who holds it and when it was cached."""

    def __init__(self, num_blocks):
        self.queue = list(range(1, num_blocks))
        self.refs, self.hashes, self.order = [0] * num_blocks, [None] * num_blocks, []

    def get_new_blocks(self, number):
        if number > len(self.queue):
            raise ValueError
        taken, self.queue = self.queue[:number], self.queue[number:]
        for block_id in taken:
            self.forget(block_id)
            self.refs[block_id] = 1
        return taken

    def forget(self, block_id):
        self.hashes[block_id] = None
        self.order = [each for each in self.order if each != block_id]

    def get_cached_block(self, block_hash):
        return next((block_id for block_id in self.order if self.hashes[block_id] == block_hash), None)

    def touch(self, ids):
        for block_id in ids:
            self.refs[block_id] += 1
        self.queue = [block_id for block_id in self.queue if not self.refs[block_id]]

    def cache(self, block_id, block_hash):
        self.hashes[block_id] = block_hash
        self.order.append(block_id)

    def free(self, ids):
        for block_id in ids:
            self.refs[block_id] -= 1
        gone = [block_id for block_id in ids if not self.refs[block_id]]
        self.queue = ([block_id for block_id in gone if self.hashes[block_id] is None] + self.queue
                      + [block_id for block_id in gone if self.hashes[block_id] is not None])

    def reset_prefix_cache(self):
        if any(self.refs):
            return False
        for block_id in list(self.order):
            self.forget(block_id)
        return True

    def look(self):
        total = len(self.refs) - 1
        return {"free_queue": self.queue, "num_free_blocks": len(self.queue), "ref_cnt": self.refs[1:], "block_hash": self.hashes[1:],
                "usage": round(sum(map(bool, self.refs)) / total, 6) if total else 0.0}


def life(draw, oracle):
    """Calls that a block manager would make: the oracle says what is possible."""
    calls, held = [], []        # who holds which blocks
    for _ in range(draw(st.integers(0, 20))):
        what = draw(st.sampled_from(["new", "new", "cache", "cache", "hit", "finish", "finish", "reset"]))
        if what == "new":
            calls.append(("get_new_blocks", draw(st.integers(0, 4))))
            if calls[-1][1] <= len(oracle.queue):
                held.append(oracle.get_new_blocks(calls[-1][1]))
        elif what == "cache":
            plain = [block_id for table in held for block_id in table if oracle.hashes[block_id] is None]
            if plain:
                calls.append(("cache", draw(st.sampled_from(plain)), draw(st.sampled_from([b"a", b"b", b"c"]))))
                oracle.cache(*calls[-1][1:])
        elif what == "hit":
            calls.append(("get_cached_block", draw(st.sampled_from([b"a", b"b", b"c"]))))
            hit = oracle.get_cached_block(calls[-1][1])
            if hit:
                calls.append(("touch", [hit]))
                held.append([hit])
                oracle.touch([hit])
        elif what == "finish" and held:
            table = held.pop(draw(st.integers(0, len(held) - 1)))
            calls.append(("free", table[::-1]))
            oracle.free(table[::-1])
        elif what == "reset":
            calls.append(("reset_prefix_cache",))
            oracle.reset_prefix_cache()
        calls.append(("look",))
    return calls


def conserved(thing):
    pool = thing.pool
    free, held = len(list(pool.free_queue)), sum(block.ref_cnt > 0 for block in pool.blocks[1:])
    assert free + held == len(pool.blocks) - 1, (
        f"{len(pool.blocks) - 1} blocks can be used, but {free} are free and {held} held: every block is one or the other")
    assert pool.null_block.block_id == 0 and not any(block is pool.null_block for block in pool.free_queue), (
        "block 0 is the null block: it is never in the free queue, or padding would be written into somebody's block")


@given(data=st.data(), num_blocks=st.integers(1, 6))
def test_the_life_of_a_pool(answer, data, num_blocks):
    calls = life(data.draw, Oracle(num_blocks))
    play([("look",), *calls], Answer(answer, num_blocks), Oracle(num_blocks), conserved)


def test_the_null_block_is_never_given_out(answer):
    thing = Answer(answer, 4)
    taken = thing.get_new_blocks(3)
    assert taken == [1, 2, 3], f"a pool of 4 gives out blocks 1 2 3 and keeps block 0, the null block; yours gave {taken}"
    with pytest.raises(ValueError):
        thing.get_new_blocks(1)
    assert Answer(answer, 1).pool.usage == 0, "a pool of the null block alone has a usage of 0"


def test_too_many_are_refused_as_a_whole(answer):
    thing = Answer(answer, 4)
    before = thing.look()
    with pytest.raises(ValueError):
        thing.get_new_blocks(4)
    assert thing.look() == before, f"3 are free, 4 wanted: a refusal changes nothing, yours went from {before} to {thing.look()}"


def test_a_freed_block_is_not_forgotten(answer):
    thing = Answer(answer, 4)
    thing.get_new_blocks(1)
    thing.cache(1, b"a")
    thing.free([1])
    assert thing.get_cached_block(b"a") == 1, "a cached block that nobody holds still contains its tokens: forget them when the block is given out anew"
    thing.touch([1])
    queue = thing.look()["free_queue"]
    assert queue == [2, 3], f"block 1 was hit and is held: it must not be given out as well, so it leaves the free queue; there are {queue}"
    thing.get_new_blocks(2)
    thing.free([1])
    assert thing.get_new_blocks(1) == [1], "nothing else is left"
    assert thing.get_cached_block(b"a") is None, "block 1 was given out anew: what it contained is gone, and must not be found any more"


def test_useless_blocks_are_reused_first(answer):
    thing = Answer(answer, 7)
    thing.get_new_blocks(4)
    thing.cache(1, b"a")
    thing.cache(3, b"b")
    thing.free([4, 3, 2, 1])
    order = thing.look()["free_queue"]
    assert order == [4, 2, 5, 6, 3, 1], f"4 and 2 have no hash: to the front, in this order; 3 and 1 are cached: to the back. Expected 4 2 5 6 3 1, got {order}"


def test_a_shared_block_outlives_the_first_who_leaves(answer):
    thing = Answer(answer, 3)
    thing.get_new_blocks(1)
    thing.touch([1])
    thing.free([1])
    look = thing.look()
    assert look["ref_cnt"] == [1, 0] and look["free_queue"] == [2], f"two hold block 1, one lets go: one still holds it and it is not free; got {look}"
    thing.free([1])
    assert thing.look()["num_free_blocks"] == 2, "both let go: block 1 is free"
    with pytest.raises(ValueError):
        thing.free([1])


def test_of_two_equal_blocks_one_may_go(answer):
    thing = Answer(answer, 3)
    thing.get_new_blocks(2)
    thing.cache(1, b"same")
    thing.cache(2, b"same")
    assert thing.get_cached_block(b"same") == 1, "of two equal blocks, the one that was cached first is found"
    thing.free([1])
    thing.get_new_blocks(1)
    assert thing.get_cached_block(b"same") == 2, "block 1 was given out anew, block 2 still has the same content and must be found"


def test_what_was_evicted_leaves_nothing_behind(answer):
    """A pool serves for weeks: a dictionary that only grows is a leak."""
    class Hash:
        pass

    pool, alive = answer.BlockPool(4), weakref.WeakSet()
    for _ in range(300):
        block, block_hash = pool.get_new_blocks(1)[0], Hash()
        alive.add(block_hash)
        pool.cache(block, block_hash)
        pool.free([block])
        del block_hash
    if len(alive) > 3:      # perhaps in cycles
        gc.collect()
    assert len(alive) <= 3, f"300 blocks were cached one after another in a pool of 3: 3 hashes can be cached, {len(alive)} are still kept somewhere"


def test_a_hit_costs_the_same_whatever_the_size(answer):
    costs = {}
    for size in (10, 100, 1000):
        pool = answer.BlockPool(size + 1)
        blocks = pool.get_new_blocks(size)
        for block in blocks:
            pool.cache(block, b"%d" % block.block_id)
        pool.free(blocks)

        def calls():
            hit = pool.get_cached_block(b"%d" % (size // 2))
            assert hit is not None, "all blocks are cached and free: each of them can be found"
            pool.touch([hit])
            pool.free([hit])
            pool.free(pool.get_new_blocks(1))
            return pool.num_free_blocks, pool.usage
        costs[size] = count_lines(answer, calls)
    assert grows(costs) < 0.1, f"lines executed: {costs[10]} in a pool of 10, {costs[1000]} in one of 1000: something looks at every block"
