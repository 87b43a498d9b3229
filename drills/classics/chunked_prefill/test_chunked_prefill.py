"""The judge of chunked prefill."""
from hypothesis import given
from hypothesis import strategies as st

LIMIT = 2000    # steps, after which an answer is said not to end


def follow(answer, prompts, outputs, budget, threshold=0):
    """Replays the plan and compares each share with what the rules give at that moment."""
    prompts, outputs = list(prompts), list(outputs)
    before = list(prompts), list(outputs)
    steps = answer.plan(prompts, outputs, budget, threshold)
    assert (prompts, outputs) == before, "the lists of the caller have been changed"
    problem = f"prompts {prompts}, outputs {outputs}, a budget of {budget}" + (f", a threshold of {threshold}" if threshold else "")
    known, computed, generated = list(prompts), [0] * len(prompts), [0] * len(prompts)
    for number, step in enumerate(steps):
        assert number < LIMIT, f"{problem}: after {LIMIT} steps there is no end"
        told = f"{problem}\nstep {number}: {[tuple(chunk) for chunk in step]}\n"
        total = sum(chunk.end - chunk.start for chunk in step)
        assert total <= budget, f"{told}{total} tokens are more than the budget of {budget}"
        order = [chunk.request for chunk in step]
        assert order == sorted(set(order)), f"{told}requests are served in their order, and once each, not {order}"
        there = [index for index in range(len(prompts)) if generated[index] < outputs[index]]
        assert there, f"{told}everybody had finished before this step"
        cap = threshold if threshold and len(there) > 1 else budget
        left = budget
        chunks = {chunk.request: chunk for chunk in step}
        for index in there:
            missing = known[index] - computed[index]
            right = min(missing, cap, left)
            chunk = chunks.pop(index, None)
            got = chunk.end - chunk.start if chunk else 0
            assert got == right, (
                f"{told}request {index} gets {got} tokens, should get {right}: it lacks {missing}, {left} of the budget are left, "
                f"{len(there)} requests are there" + (f", the threshold is {threshold}" if threshold else ""))
            if not chunk:
                continue
            assert got > 0, f"{told}request {index} has a chunk of no tokens: leave it out"
            assert chunk.start == computed[index], f"{told}request {index} starts at {chunk.start}, but {computed[index]} of its tokens are computed"
            computed[index], left = chunk.end, left - got
            samples = chunk.end == known[index]
            assert bool(chunk.samples) == samples, (
                f"{told}request {index} {'samples' if chunk.samples else 'does not sample'} after {chunk.end} of its {known[index]} tokens: "
                "the next token comes from the logits of the last one")
            known[index] += samples
            generated[index] += samples
        assert not chunks, f"{told}requests {sorted(chunks)} have finished, or do not exist"
    for index in range(len(prompts)):
        assert generated[index] == outputs[index], f"{problem}\nafter the last step request {index} has {generated[index]} of {outputs[index]} tokens"
    return steps


def test_no_request(answer):
    assert list(answer.plan([], [], 8, 0)) == [], "no request: no step"


def test_one_token_from_one(answer):
    follow(answer, [1], [1], 1)


def test_a_prompt_in_one_step(answer):
    follow(answer, [5], [1], 8)
    follow(answer, [8], [1], 8)


def test_the_output_follows_token_by_token(answer):
    """The last token of the output is never computed: nothing follows it."""
    follow(answer, [5], [3], 8)


def test_a_long_prompt_is_cut(answer):
    """Only its last chunk gives a token."""
    follow(answer, [20], [2], 8)
    follow(answer, [16], [2], 8)


def test_prompts_share_a_step(answer):
    follow(answer, [5, 6, 3], [1, 1, 1], 8)


def test_outputs_go_on_beside_a_prompt(answer):
    """A request in its output takes one token of the budget, and the prompt behind it the rest."""
    follow(answer, [3, 30], [10, 2], 8)


def test_more_requests_than_budget(answer):
    follow(answer, [1, 1, 1], [3, 3, 3], 2)


def test_the_threshold(answer):
    """A long prompt leaves room for the one behind it."""
    follow(answer, [20, 3], [1, 2], 8, 4)
    follow(answer, [20, 30, 3], [1, 1, 1], 9, 4)


def test_a_request_alone_is_not_held_back(answer):
    """There is nobody to starve."""
    follow(answer, [30], [2], 8, 4)
    follow(answer, [3, 40], [1, 1], 8, 4)


@given(requests=st.lists(st.tuples(st.integers(1, 30), st.integers(1, 4)), max_size=5), budget=st.integers(1, 12), threshold=st.integers(0, 6))
def test_any_requests(answer, requests, budget, threshold):
    follow(answer, [prompt for prompt, _ in requests], [output for _, output in requests], budget, threshold)
