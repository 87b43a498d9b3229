"""The judge of preemption by recomputation."""
from collections import deque
from random import Random

from drills.classics.preemption.solution import BlockPool, Request

SIZE = 4


class Engine:
    """The rest of an engine: requests that compute all they have at once, and generate."""

    def __init__(self, answer, num_blocks):
        self.answer, self.pool, self.num_blocks = answer, BlockPool(num_blocks), num_blocks
        self.blocks = list(self.pool.free_queue)
        self.running, self.waiting = [], deque()
        self.arrived = 0

    def start(self, request_id, token_ids):
        """A request comes, runs, and computes its prompt. Only where there is room."""
        request = Request(request_id, list(token_ids), len(token_ids), [])
        self.hash(request)
        self.waiting.appendleft(request)
        assert self.resume(), f"{self}\n{request_id} was not admitted"
        self.compute(request)
        return request

    def hash(self, request):
        request.block_hashes = [str(request.token_ids[:end]) for end in range(SIZE, len(request.token_ids) + 1, SIZE)]

    def compute(self, request):
        request.num_computed_tokens = len(request.token_ids)
        for block, block_hash in zip(request.blocks, request.block_hashes):
            if block.block_hash is None:
                self.pool.cache(block, block_hash)

    def generate(self, request, *token_ids):
        """Compute more tokens, if there are blocks for them."""
        needed = -(-(len(request.token_ids) + len(token_ids)) // SIZE) - len(request.blocks)
        if needed > self.pool.num_free_blocks:
            return
        request.blocks = request.blocks + self.pool.get_new_blocks(needed)
        request.token_ids += token_ids
        self.hash(request)
        self.compute(request)

    def preempt(self, request):
        self.answer.preempt(request, self.running, self.waiting, self.pool)
        self.check()

    def resume(self):
        done = self.answer.resume(self.running, self.waiting, self.pool, SIZE)
        self.check()
        return done

    def finish(self, request):
        self.running.remove(request)
        self.pool.free(request.blocks[::-1])
        request.blocks = []

    def check(self):
        """Each block is held by those whose tables have it, or free."""
        for request in self.waiting:
            assert not request.blocks, f"{self}\n{request.request_id} waits, and its table still has {len(request.blocks)} blocks"
        for request in self.running:
            ids = [block.block_id for block in request.blocks]
            assert len(set(ids)) == len(ids), f"{self}\n{request.request_id} has a block twice in its table: {ids}: a cached block was given out as a new one"
        for block in self.blocks:
            holders = [request.request_id for request in self.running if block in request.blocks]
            assert block.ref_cnt == len(holders), f"{self}\nblock {block.block_id} has a reference count of {block.ref_cnt}, but {holders} hold it"
            assert (block in self.pool.free_queue) == (not holders), (
                f"{self}\nblock {block.block_id}: {holders} hold it, and it is {'' if holders else 'not '}free")

    def __str__(self):
        return (f"running {[(each.request_id, [block.block_id for block in each.blocks]) for each in self.running]}, waiting "
                f"{[each.request_id for each in self.waiting]}, free blocks {[block.block_id for block in self.pool.free_queue]}")


def test_where_it_goes(answer):
    """To the front: it came before all that wait. Whoever it is: under some policies it is not the last that goes."""
    engine = Engine(answer, 10)
    a, b, c = (engine.start(name, range(start, start + 5)) for name, start in (("a", 0), ("b", 10), ("c", 20)))
    engine.waiting.append(Request("d", [1], 1, []))
    engine.preempt(b)
    assert engine.running == [a, c], f"b is preempted, a and c run on; running: {[each.request_id for each in engine.running]}"
    engine.preempt(c)
    order = [each.request_id for each in engine.waiting]
    assert order == ["c", "b", "d"], f"b, then c were preempted while d waited; the queue is {order}, should be c, b, d: to the front"
    assert c.status == "preempted", f"its status is {c.status!r}, should be 'preempted'"
    assert c.num_preemptions == 1, f"it was preempted once, num_preemptions is {c.num_preemptions}"


def test_what_is_kept(answer):
    """Tokens that were sampled cannot be computed again: chance would say something else, and the user has seen them."""
    engine = Engine(answer, 10)
    a = engine.start("a", [1, 2, 3])
    engine.generate(a, 4, 5)
    hashes = list(a.block_hashes)
    engine.preempt(a)
    assert a.token_ids == [1, 2, 3, 4, 5], f"the tokens were [1, 2, 3, 4, 5], two of them output; after the preemption they are {a.token_ids}"
    assert a.num_prompt_tokens == 3, f"the prompt has 3 tokens, after the preemption {a.num_prompt_tokens}"
    assert a.block_hashes == hashes, "the hashes of its full blocks are those of its tokens: they stay"


def test_what_is_dropped(answer):
    engine = Engine(answer, 10)
    a = engine.start("a", range(9))
    a.draft_token_ids = [7, 8]
    engine.preempt(a)
    assert a.num_computed_tokens == 0, f"its blocks are gone, but {a.num_computed_tokens} tokens still count as computed"
    assert not a.draft_token_ids, f"the drafts {a.draft_token_ids} were guessed for a step that does not come"


def test_its_beginning_is_evicted_last(answer):
    """One of its blocks is taken by somebody else: the last one should be lost, not the first, without which the rest is useless."""
    engine = Engine(answer, 4)
    a = engine.start("a", range(16))
    engine.preempt(a)
    engine.start("b", [99])
    left = [index for index, block_hash in enumerate(a.block_hashes) if engine.pool.cached(block_hash)]
    assert left == [0, 1, 2], (
        f"after one new block for somebody else, the blocks {left} of the preempted request are still cached, should be [0, 1, 2]: free the tail first")


def test_shared_blocks_stay_with_the_others(answer):
    engine = Engine(answer, 6)
    a = engine.start("a", range(9))
    b = engine.start("b", range(10))
    assert a.blocks[:2] == b.blocks[:2], f"{engine}\nthe two begin with the same 8 tokens: b has to find the blocks of a"
    engine.preempt(b)
    assert all(block.ref_cnt == 1 for block in a.blocks), f"{engine}\nthe blocks that a shared with b must be held by a"


def test_it_finds_its_prefix_again(answer):
    """Nothing was evicted meanwhile: all full blocks are there, those of its output too."""
    engine = Engine(answer, 10)
    a = engine.start("a", range(6))
    engine.generate(a, *range(6, 13))
    engine.preempt(a)
    assert engine.resume(), f"{engine}\nthere are 10 free blocks, and it needs 4"
    assert a.num_computed_tokens == 12, f"12 of its 13 tokens, prompt and output, are cached in full blocks; it begins at {a.num_computed_tokens}"
    assert len(a.blocks) == 4, f"13 tokens need 4 blocks, it has {len(a.blocks)}"
    assert engine.running == [a] and not engine.waiting and a.status == "running", f"{engine}\nit runs; its status is {a.status!r}"
    assert a.num_preemptions == 1, f"num_preemptions counts for good: {a.num_preemptions}, should be 1"


def test_one_token_is_left_to_compute(answer):
    engine = Engine(answer, 10)
    a = engine.start("a", range(8))
    engine.preempt(a)
    engine.resume()
    assert a.num_computed_tokens == 4, (
        f"both blocks of its 8 tokens are cached, but the last token has to be computed: it begins at {a.num_computed_tokens}, should at 4")


def test_too_few_blocks(answer):
    """The cached blocks are free ones themselves: a hit takes one out of the free queue."""
    engine = Engine(answer, 4)
    a = engine.start("a", range(14))
    engine.preempt(a)
    engine.start("b", [99])
    before = str(engine)
    assert not engine.resume(), f"{before}\nit needs 4 blocks, 3 cached ones among them, and 3 are free, the cached ones among them"
    assert str(engine) == before, f"before: {before}\nafter:  {engine}\na request that cannot resume changes nothing"
    assert a.status == "preempted" and a.num_computed_tokens == 0, f"it still waits: {a.status}, {a.num_computed_tokens} computed tokens"


def test_its_hits_are_next_to_be_evicted(answer):
    """The first in the free queue is one of its own cached blocks: who takes new blocks first gets that one."""
    engine = Engine(answer, 5)
    a = engine.start("a", range(13))    # blocks of 4 4 4 1
    engine.preempt(a)
    b = engine.start("b", [99])         # takes the fifth, which was never used
    c = engine.start("c", [98])         # takes the one with 1 token
    engine.finish(c)
    engine.finish(b)
    assert engine.resume(), f"{engine}\nall 5 blocks are free, and it needs 4"
    assert a.num_computed_tokens == 12, f"its three full blocks were cached; it begins at {a.num_computed_tokens}"
    hashes = [block.block_hash for block in a.blocks[:3]]
    assert hashes == a.block_hashes, (
        f"its first three blocks should still be cached under its own hashes, but hold {hashes}: hold the hits before you take new blocks")


def test_nobody_waits(answer):
    engine = Engine(answer, 3)
    assert not engine.resume(), "nobody waits: False"


def test_any_sequence(answer):
    """Some requests begin alike. Blocks are neither lost nor shared by mistake, and whoever can resume does."""
    for length in (2, 5, 10, 20, 40):
        for seed in range(40):
            random = Random(seed)
            calls = [(random.choice(["arrive", "preempt", "resume", "generate", "finish"]), random.randrange(3), random.randint(1, 14)) for _ in range(length)]
            live(answer, random.randint(4, 8), calls)


def live(answer, num_blocks, calls):
    engine = Engine(answer, num_blocks)
    for name, index, number in calls:
        if name == "arrive":
            engine.arrived += 1
            token_ids = list(range(number)) if index else [100 * engine.arrived + position for position in range(number)]
            request = Request(f"r{engine.arrived}", token_ids, number, [])
            engine.hash(request)
            engine.waiting.append(request)
        if name in ("arrive", "resume"):
            front, before = engine.waiting[0] if engine.waiting else None, str(engine)
            if front:
                right = []
                while len(right) < (len(front.token_ids) - 1) // SIZE and (block := engine.pool.cached(front.block_hashes[len(right)])):
                    right.append(block)
                free = engine.pool.num_free_blocks - sum(block.ref_cnt == 0 for block in right)
                can = -(-len(front.token_ids) // SIZE) - len(right) <= free
            else:
                can = False
            done = engine.resume()
            assert bool(done) == can, f"{before}\nresume returns {done}, should return {can}"
            if not can:
                assert str(engine) == before, f"before: {before}\nafter:  {engine}\na request that cannot resume changes nothing"
            else:
                assert engine.running[-1] is front, f"{engine}\n{front.request_id} was first in the queue, so it runs"
                assert front.num_computed_tokens == len(right) * SIZE, (
                    f"{before}\n{front.request_id} resumes at {front.num_computed_tokens}: {len(right)} of its blocks were cached, "
                    f"so it begins at {len(right) * SIZE}")
                assert front.blocks[:len(right)] == right, f"{engine}\n{front.request_id} does not have its cached blocks {[block.block_id for block in right]}"
                assert len(front.blocks) == -(-len(front.token_ids) // SIZE), f"{engine}\n{front.request_id} has {len(front.token_ids)} tokens"
                engine.compute(front)
        elif engine.running:
            request = engine.running[index % len(engine.running)]
            tokens = list(request.token_ids)
            if name == "generate":
                engine.generate(request, *range(number))
            elif name == "preempt":
                engine.preempt(request)
                assert request.token_ids == tokens, f"{request.request_id} had the tokens {tokens}, after its preemption {request.token_ids}"
            else:
                engine.finish(request)
        else:
            engine.resume()
            for request in engine.running:
                engine.compute(request)
