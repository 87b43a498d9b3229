"""The judge of the longest cached prefix."""
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st


class Cache(Mapping):
    """Blocks by hash, which can be read, and counts how often."""

    def __init__(self, blocks):
        self.blocks, self.lookups = blocks, 0

    def __getitem__(self, block_hash):
        self.lookups += 1
        return self.blocks[block_hash]

    def __contains__(self, block_hash):
        self.lookups += 1
        return block_hash in self.blocks

    def __iter__(self):
        self.lookups += len(self.blocks)
        return iter(self.blocks)

    def __len__(self):
        return len(self.blocks)


def hashes(number):
    return [f"hash {index}".encode() for index in range(number)]


def request(num_tokens, block_size, cached):
    """Its hashes, and a cache that has the blocks of those indices, by ids from 1 on, and others."""
    chain = hashes(num_tokens // block_size)
    return chain, Cache({b"somebody else's": 99} | {chain[index]: 1 + index for index in cached})


def check(answer, num_tokens, block_size, cached, right, why):
    chain, cache = request(num_tokens, block_size, cached)
    before = list(chain)
    got = answer.longest_cached_prefix(chain, cache, num_tokens, block_size)
    what = f"{num_tokens} tokens in blocks of {block_size}, of which those at {sorted(cached)} are cached"
    assert list(got) == [1 + index for index in right], f"{what}: yours are the blocks {list(got)}, right are {[1 + index for index in right]}: {why}"
    number = answer.num_cached_tokens(chain, cache, num_tokens, block_size)
    assert number == len(right) * block_size, f"{what}: {number} tokens, should be {len(right) * block_size}"
    assert chain == before, f"{what}: the hashes of the request have been changed"


def test_nothing_is_cached(answer):
    for num_tokens in (1, 3, 4, 9):
        check(answer, num_tokens, 4, [], [], "nothing is cached")


def test_a_prefix_is_cached(answer):
    check(answer, 5, 4, [0], [0], "its first block is there")
    check(answer, 14, 4, [0, 1], [0, 1], "its first two blocks are there")
    check(answer, 14, 4, [0, 1, 2], [0, 1, 2], "all full blocks are there, and two tokens behind them are left to compute")


def test_one_token_is_left_to_compute(answer):
    """Without it there would be no logits, and nothing to sample the next token from."""
    why = "the last token has to be computed, so its block, cached or not, is computed again"
    check(answer, 4, 4, [0], [], why)
    check(answer, 12, 4, [0, 1, 2], [0, 1], why)
    check(answer, 1, 1, [0], [], why)
    check(answer, 3, 1, [0, 1, 2], [0, 1], why)


def test_nothing_is_dropped_without_need(answer):
    why = "one token behind the last full block is enough to compute"
    check(answer, 13, 4, [0, 1, 2], [0, 1, 2], why)
    check(answer, 12, 4, [0, 1], [0, 1], "the last token is not in a cached block anyway")


def test_a_hole_ends_it(answer):
    """A block can be evicted while the ones behind it are still cached; they are of no use without it."""
    why = "the first missing block ends the prefix"
    check(answer, 14, 4, [1, 2], [], why)
    check(answer, 22, 4, [0, 2, 3, 4], [0], why)
    check(answer, 42, 4, [0, 1, 2, 4, 5, 6, 7, 8, 9], [0, 1, 2], why)


@given(block_size=st.integers(1, 5), num_tokens=st.integers(1, 40), present=st.lists(st.booleans(), min_size=40, max_size=40))
def test_any_cache(answer, block_size, num_tokens, present):
    cached = [index for index in range(num_tokens // block_size) if present[index]]
    right = []
    while len(right) in cached and (len(right) + 1) * block_size < num_tokens:
        right.append(len(right))
    check(answer, num_tokens, block_size, cached, right, "from the beginning, without holes, and one token is left")


def test_lookups_end_with_the_first_miss(answer):
    """The lookup is on the way of every new request."""
    for number in (0, 1, 10):
        chain, cache = request(4001, 4, range(number))
        answer.longest_cached_prefix(chain, cache, 4001, 4)
        assert cache.lookups <= 2 * (number + 1), f"{cache.lookups} lookups in the cache for a prefix of {number} blocks out of 1000: stop at the first miss"
