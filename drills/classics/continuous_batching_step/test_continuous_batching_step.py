"""The judge of a step of continuous batching."""
import copy
from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st

from drills.judging import count_lines, grows


class Request:
    """Nothing else can be noted on it."""

    __slots__ = ("request_id", "num_tokens", "num_computed_tokens", "num_cached_tokens")

    def __init__(self, request_id, num_tokens, num_computed_tokens=0, num_cached_tokens=0):
        self.request_id, self.num_tokens = request_id, num_tokens
        self.num_computed_tokens, self.num_cached_tokens = num_computed_tokens, num_cached_tokens

    def __repr__(self):
        return f"{self.request_id}: {self.num_computed_tokens} of {self.num_tokens}" + (f", {self.num_cached_tokens} cached" if self.num_cached_tokens else "")


class Blocks:
    """Counts blocks. A cached prefix lies in blocks that belong to nobody and cost nothing."""

    def __init__(self, num_blocks, block_size, running=(), refuses=()):
        self.block_size, self.held, self.refuses, self.freed = block_size, {}, refuses, []
        self.num_blocks = num_blocks
        for request in running:
            assert self.grow(request, request.num_computed_tokens)

    @property
    def free_blocks(self):
        return self.num_blocks - sum(self.held.values())

    def needed(self, request, num_tokens):
        return -(-num_tokens // self.block_size) - request.num_cached_tokens // self.block_size

    def grow(self, request, num_tokens):
        needed = self.needed(request, num_tokens) - self.held.get(request.request_id, 0)
        if needed > self.free_blocks:
            return False
        self.held[request.request_id] = self.held.get(request.request_id, 0) + max(0, needed)
        return True

    def cached_tokens(self, request):
        return request.num_cached_tokens

    def admit(self, request, num_cached_tokens, num_new_tokens):
        assert request.request_id not in self.held, f"{request!r} is admitted, but it holds blocks: a preempted request gives all of them back"
        assert num_cached_tokens == request.num_cached_tokens, (
            f"{request!r} is admitted with {num_cached_tokens} cached tokens; cached_tokens says {request.num_cached_tokens}")
        assert num_new_tokens > 0, f"{request!r} is admitted to compute {num_new_tokens} tokens: there must be something to compute"
        return request.request_id not in self.refuses and self.grow(request, num_cached_tokens + num_new_tokens)

    def allocate(self, request, num_new_tokens):
        assert request.request_id in self.held, f"{request!r} is not running: waiting requests get their blocks from admit"
        assert num_new_tokens > 0, f"{request!r} is allocated room for {num_new_tokens} tokens: pass over what has nothing to compute"
        return self.grow(request, request.num_computed_tokens + num_new_tokens)

    def free(self, request):
        assert request.request_id in self.held, f"{request!r} holds no blocks, and is freed"
        del self.held[request.request_id]


def right_step(running, waiting, blocks, token_budget, max_num_seqs, cap):
    """What has to come out, said without the loops of a scheduler: (running, waiting, scheduled, admitted, preempted) by id."""
    def shares(requests, budget):
        given_out = {}
        for request, missing in requests:
            given_out[request.request_id] = min(missing, budget, cap or missing)
            budget -= given_out[request.request_id]
        return given_out, budget

    def fit(requests, free):
        return sum(max(0, blocks.needed(request, start + number) - blocks.held.get(request.request_id, 0)) for request, start, number in requests) <= free

    # As few of the last have to go as lets all others have their share.
    for victims in range(len(running) + 1):
        stay, go = running[:len(running) - victims], running[len(running) - victims:]
        scheduled, budget = shares([(request, request.num_tokens - request.num_computed_tokens) for request in stay], token_budget)
        free = blocks.free_blocks + sum(blocks.held[request.request_id] for request in go)
        if fit([(request, request.num_computed_tokens, scheduled[request.request_id]) for request in stay if scheduled[request.request_id]], free):
            break
    # As many of the first come in as there is room for, if nobody had to go.
    admitted, entries = [], []
    free -= sum(max(0, blocks.needed(request, request.num_computed_tokens + scheduled[request.request_id]) - blocks.held[request.request_id])
                for request in stay if scheduled[request.request_id])
    for request in waiting if not go else ():
        number = min(request.num_tokens - request.num_cached_tokens, budget, cap or 10**9)
        entries.append((request, request.num_cached_tokens, number))
        if len(stay) + len(admitted) >= max_num_seqs or number == 0 or request.request_id in blocks.refuses or not fit(entries, free):
            break
        scheduled[request.request_id], budget = number, budget - number
        admitted.append(request)
    left = list(waiting)[len(admitted):]
    return ([each.request_id for each in stay + admitted], [each.request_id for each in go + left],
            {request_id: number for request_id, number in scheduled.items() if number},
            [each.request_id for each in admitted], [each.request_id for each in reversed(go)])


class Situation:
    """What a step begins with, told if need be."""

    def __init__(self, running, waiting, blocks, token_budget, max_num_seqs, cap):
        self.running, self.waiting = [copy.copy(each) for each in running], [copy.copy(each) for each in waiting]
        self.rest = f"a budget of {token_budget}, {max_num_seqs} seats, {blocks.free_blocks} free blocks of {blocks.block_size}" + (
            f", a cap of {cap}" if cap else "") + (f", {blocks.refuses} refused" if blocks.refuses else "")

    def __str__(self):
        return f"before the step: running {self.running}, waiting {self.waiting}; {self.rest}"


def check(answer, running, waiting, token_budget=100, max_num_seqs=100, cap=None, num_blocks=1000, block_size=4, refuses=(), blocks=None):
    """One step, part by part."""
    running, waiting = list(running), deque(waiting)
    blocks = blocks or Blocks(num_blocks, block_size, running, refuses)
    situation = Situation(running, waiting, blocks, token_budget, max_num_seqs, cap)
    before = {each.request_id: each for each in (*situation.running, *situation.waiting)}
    expected = right_step(running, waiting, blocks, token_budget, max_num_seqs, cap)
    step = answer.schedule_step(running, waiting, blocks, token_budget, max_num_seqs, cap)
    now = {each.request_id: each for each in (*running, *waiting)}
    lost = before.keys() - now.keys()
    assert not lost and len(now) == len(running) + len(waiting), (
        f"{situation}\n{f'lost {sorted(lost)}' if lost else 'a request is there twice'}: each is either running or waiting; "
        f"running {running}, waiting {waiting}")
    got = [each.request_id for each in running], [each.request_id for each in waiting], step.scheduled, list(step.admitted), list(step.preempted)
    for index, what, rule in ((4, "preempted", "when blocks run out, the last running request goes, as few as possible"),
                              (3, "admitted", "in order, until one does not fit; nobody overtakes it; nobody is admitted in a step that preempts"),
                              (2, "scheduled tokens", "in order, running requests first, min(missing, budget left, cap); a preempted request gets none"),
                              (0, "running afterwards", "in the order of admission"),
                              (1, "waiting afterwards", "a preempted request goes to the front, before those that wait already")):
        assert got[index] == expected[index], f"{situation}\n{what}: yours {got[index]}, right {expected[index]}: {rule}"
    assert list(step.scheduled) == list(expected[2]), f"{situation}\nserved in the order {list(step.scheduled)}, right {list(expected[2])}"
    for request in running:
        start = request.num_cached_tokens if request.request_id in step.admitted else before[request.request_id].num_computed_tokens
        right = start + step.scheduled.get(request.request_id, 0)
        assert request.num_computed_tokens == right, (
            f"{situation}\n{request.request_id} has {request.num_computed_tokens} computed tokens after the step, should have {right}: "
            f"{start} before it and {right - start} scheduled")
    for request in waiting:
        assert request.num_computed_tokens == 0, f"{situation}\n{request!r} waits: what it had computed went with its blocks, so it begins anew"
        assert request.request_id not in blocks.held, (
            f"{situation}\n{request.request_id} waits, and still holds {blocks.held[request.request_id]} blocks: they are lost")
    return step, running, waiting, blocks


def test_nobody_is_there(answer):
    check(answer, [], [])


def test_requests_are_admitted(answer):
    check(answer, [], [Request("a", 5)])
    check(answer, [], [Request("a", 5), Request("b", 3)])


def test_running_requests_get_a_token_each(answer):
    check(answer, [Request("a", 6, 5), Request("b", 4, 3)], [])


def test_running_comes_first(answer):
    """What is left of the budget is for those who wait."""
    check(answer, [Request("a", 6, 5)], [Request("b", 50)], token_budget=10)
    check(answer, [Request("a", 6, 5), Request("b", 4, 3)], [Request("c", 5)], token_budget=2)


def test_the_budget_runs_out(answer):
    """A long prompt is computed in chunks, and goes on in the next step."""
    check(answer, [], [Request("a", 50), Request("b", 5)], token_budget=10)
    check(answer, [Request("a", 50, 10), Request("b", 5, 4)], [], token_budget=10)
    check(answer, [Request("a", 50, 10)], [Request("b", 5)], token_budget=42)


def test_the_cap(answer):
    check(answer, [Request("a", 50, 10)], [Request("b", 30), Request("c", 3)], token_budget=20, cap=8)


def test_nothing_to_compute(answer):
    """The last step has not come back yet: the request is passed over."""
    check(answer, [Request("a", 5, 5), Request("b", 6, 5)], [Request("c", 2)])


def test_seats(answer):
    check(answer, [Request("a", 6, 5)], [Request("b", 2), Request("c", 2)], max_num_seqs=2)
    check(answer, [Request("a", 6, 5), Request("b", 6, 5)], [Request("c", 2)], max_num_seqs=2)


def test_a_cached_prefix_is_not_computed(answer):
    check(answer, [], [Request("a", 10, num_cached_tokens=8), Request("b", 10, num_cached_tokens=4)])
    check(answer, [], [Request("a", 30, num_cached_tokens=8)], token_budget=5)


def test_nobody_overtakes(answer):
    """A small request behind a large one would fit: but if small ones may pass, the large one starves."""
    check(answer, [], [Request("a", 4), Request("large", 40), Request("small", 2)], num_blocks=4)
    check(answer, [], [Request("refused", 4), Request("b", 4)], refuses=("refused",))


def test_the_last_is_preempted(answer):
    """b needs a new block and there is none: c goes."""
    check(answer, [Request("a", 6, 5), Request("b", 5, 4), Request("c", 3, 2)], [], num_blocks=4)


def test_who_lacks_nothing_is_preempted_as_well(answer):
    """The last step of c has not come back yet; it is the last that runs all the same."""
    check(answer, [Request("a", 5, 4), Request("b", 6, 5), Request("c", 4, 4)], [], num_blocks=4)


def test_several_are_preempted(answer):
    check(answer, [Request("a", 21, 8), Request("b", 6, 5), Request("c", 2, 1), Request("d", 2, 1)], [], num_blocks=6)


def test_a_request_preempts_itself(answer):
    """It is the last, and needs a block: there is nobody else."""
    check(answer, [Request("a", 6, 5), Request("b", 5, 4)], [], num_blocks=3)
    check(answer, [Request("a", 5, 4)], [], num_blocks=1)


def test_the_preempted_go_to_the_front(answer):
    """In the order in which they ran, before those that wait already."""
    check(answer, [Request("a", 13, 4), Request("b", 3, 2), Request("c", 3, 2)], [Request("d", 30)], num_blocks=3)


def test_nobody_is_admitted_in_a_step_that_preempts(answer):
    """Blocks are free again, and the budget lets a chunk of the victim in: it would be the next victim at once."""
    check(answer, [Request("a", 5, 4), Request("b", 20, 19)], [Request("c", 2)], num_blocks=6, token_budget=5)


def request_lists(running):
    def build(shapes):
        if running:
            return [Request(f"r{index}", computed + missing, computed) for index, (computed, missing) in enumerate(shapes)]
        return [Request(f"w{index}", sum(shape), 0, 2 * ((sum(shape) - 1) // 4)) for index, shape in enumerate(shapes)]
    return st.lists(st.tuples(st.integers(1, 12), st.sampled_from([1, 1, 1, 2, 7, 20])), max_size=5).map(build)


@settings(max_examples=120)
@given(running=request_lists(True), waiting=request_lists(False), token_budget=st.integers(1, 40), seats=st.integers(0, 3), spare=st.integers(0, 9),
       cap=st.sampled_from([None, None, 1, 4]), refuses=st.sampled_from([(), (), ("w0",), ("w1",)]))
def test_any_step(answer, running, waiting, token_budget, seats, spare, cap, refuses):
    num_blocks = sum(-(-request.num_computed_tokens // 2) for request in running) + spare
    check(answer, running, waiting, token_budget, len(running) + seats, cap, num_blocks, 2, refuses)


@settings(max_examples=10)
@given(prompts=st.lists(st.tuples(st.integers(1, 15), st.integers(1, 6)), min_size=1, max_size=6), token_budget=st.integers(3, 12))
def test_a_whole_life(answer, prompts, token_budget):
    """Steps until everybody has finished: nobody starves, no block is lost."""
    blocks, running, waiting = Blocks(10, 2), [], deque()
    outputs = {}
    for index, (prompt, output) in enumerate(prompts):
        waiting.append(Request(f"r{index}", min(prompt, 20 - output)))
        outputs[f"r{index}"] = output
    for _ in range(400):
        _, running, waiting, blocks = check(answer, running, waiting, token_budget, 3, None, blocks=blocks)
        for request in list(running):
            if request.num_computed_tokens == request.num_tokens:
                request.num_tokens += 1
                outputs[request.request_id] -= 1
                if not outputs[request.request_id]:
                    running.remove(request)
                    blocks.free(request)
        if not running and not waiting:
            break
    else:
        raise AssertionError(f"after 400 steps {running} still run and {list(waiting)} still wait: nothing moves on")
    assert blocks.free_blocks == 10, f"lost {10 - blocks.free_blocks} blocks: {blocks.held}"


def test_those_who_wait_cost_nothing(answer):
    """A step looks at the front of the queue, however long it is."""
    costs = {}
    for number in (10, 1000):
        running, waiting = [Request("a", 6, 5)], deque(Request(f"w{index}", 40) for index in range(number))
        blocks = Blocks(8, 4, running)
        costs[number] = count_lines(answer, lambda: answer.schedule_step(running, waiting, blocks, 100, 100, None))
    assert grows(costs) < 0.1, f"lines executed: {costs[10]} with 10 waiting, {costs[1000]} with 1000: something goes through the whole queue"
