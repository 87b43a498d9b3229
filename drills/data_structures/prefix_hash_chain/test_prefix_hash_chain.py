"""The judge of the prefix hash chain."""
import hashlib
import pickle

from hypothesis import given
from hypothesis import strategies as st

KNOWN, SALTED = ["d6a0584b", "e862f01a"], ["bf7a95e1", "67b55ee5"]


def right_chain(tokens, block_size, salt):
    chain, parent = [], hashlib.sha256(pickle.dumps("vllm-none-hash", protocol=pickle.HIGHEST_PROTOCOL)).digest()
    for start in range(0, len(tokens) - block_size + 1, block_size):
        extra = (("cache_salt", salt),) if salt and not start else None
        parent = hashlib.sha256(pickle.dumps((parent, tuple(tokens[start:start + block_size]), extra), protocol=pickle.HIGHEST_PROTOCOL)).digest()
        chain.append(parent)
    return chain


def short(chain):
    return [each.hex()[:8] if isinstance(each, bytes) else each for each in chain]


def extended(answer, tokens, block_size, salt=None):
    chain = []
    answer.extend_hash_chain(chain, tokens, block_size, salt)
    return chain


def test_these_very_bytes(answer):
    """Written down, so that the recipe cannot drift."""
    got = short(extended(answer, [1, 2, 3, 4, 5, 6, 7], 3))
    assert got == KNOWN, f"tokens 1..7 in blocks of 3 hash to {KNOWN} (first 4 bytes each), yours: {got}"
    got = short(extended(answer, [1, 2, 3, 4, 5, 6, 7], 3, "tenant"))
    assert got == SALTED, f"the same with the salt 'tenant' hash to {SALTED}, yours: {got}"


TOKENS = st.lists(st.integers(0, 3) | st.integers(0, 200_000), max_size=20)


@given(tokens=TOKENS, block_size=st.integers(1, 5), salt=st.sampled_from([None, "", "x", "y"]))
def test_any_prompt(answer, tokens, block_size, salt):
    before = list(tokens)
    got, right = extended(answer, tokens, block_size, salt), right_chain(tokens, block_size, salt)
    assert tokens == before, "the token ids are the request's: leave them as they are"
    assert len(got) == len(right), f"{len(tokens)} tokens have {len(right)} full blocks of {block_size}, your chain has {len(got)} hashes"
    assert got == right, f"tokens {tokens}, block size {block_size}, salt {salt!r}: yours {short(got)}, right {short(right)}"


@given(tokens=TOKENS, cuts=st.lists(st.integers(0, 20), max_size=4), block_size=st.integers(1, 4), salt=st.sampled_from([None, "x"]))
def test_growing_gives_the_same_as_all_at_once(answer, tokens, cuts, block_size, salt):
    chain = []
    for cut in [*sorted(cut for cut in cuts if cut < len(tokens)), len(tokens)]:
        answer.extend_hash_chain(chain, tokens[:cut], block_size, salt)
    right = right_chain(tokens, block_size, salt)
    assert chain == right, f"{len(tokens)} tokens that arrived bit by bit (at {cuts}), blocks of {block_size}: yours {short(chain)}, all at once {short(right)}"


def test_equal_tokens_after_another_beginning(answer):
    one, other = extended(answer, [1, 2, 7, 8], 2), extended(answer, [3, 4, 7, 8], 2)
    assert one[1] != other[1], "blocks [7, 8] follow different tokens: their keys and values differ, so must their hashes"


def test_a_salt_separates_whole_chains(answer):
    tokens = [1, 2, 3, 4]
    chains = {salt: extended(answer, tokens, 2, salt) for salt in (None, "x", "y")}
    for one, other in [(None, "x"), ("x", "y")]:
        for block in range(2):
            assert chains[one][block] != chains[other][block], f"block {block} has the same hash with the salts {one!r} and {other!r}: tenants share a cache"
    assert extended(answer, tokens, 2, "") == chains[None], "an empty salt is no salt"


class Watched(list):
    """A list that counts how many of its elements are read."""

    read = 0

    def __getitem__(self, index):
        got = super().__getitem__(index)
        Watched.read += len(got) if isinstance(index, slice) else 1
        return got

    def __iter__(self):
        for each in super().__iter__():
            Watched.read += 1
            yield each


def test_no_block_is_hashed_twice(answer):
    """A decoding request calls this for every token."""
    Watched.read = 0
    tokens, chain = Watched(), []
    for token in range(256):
        tokens.append(token)
        answer.extend_hash_chain(chain, tokens, 4, None)
    assert len(chain) == 64, f"256 tokens are 64 blocks of 4, not {len(chain)}"
    assert Watched.read <= 2 * 256, f"256 tokens arrived one by one, and {Watched.read} were read: hash only the blocks that the chain lacks"
