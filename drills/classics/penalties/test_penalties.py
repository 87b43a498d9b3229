"""The judge of the penalties."""
import random

import pytest

from drills.judging import assert_close, count_lines, grows

torch = pytest.importorskip("torch", reason="needs torch: make setup")


def penalised(answer, logits, prompt=(), output=(), presence=0.0, frequency=0.0, repetition=1.0):
    """One request, numbers in and numbers out."""
    row = torch.tensor([logits])
    out = answer.apply_penalties(row, [list(prompt)], [list(output)], torch.tensor([presence]), torch.tensor([frequency]), torch.tensor([repetition]))
    return out[0].tolist()


def oracle(logits, prompt, output, presence, frequency, repetition):
    """Token by token, in double precision."""
    right = []
    for token, logit in enumerate(logits.double().tolist()):
        if token in prompt or token in output:
            logit = logit / repetition if logit > 0 else logit * repetition
        count = output.count(token)
        right.append(logit - frequency * count - presence * (count > 0))
    return torch.tensor(right, dtype=torch.float64).float()


def test_a_negative_logit_is_multiplied(answer):
    got = penalised(answer, [4.0, -4.0, 4.0, -4.0], output=[0, 1], repetition=2.0)
    assert got == [2.0, -8.0, 4.0, -4.0], (
        f"a repetition penalty of 2 on logits 4 and -4 that were said makes {got[:2]}: expected [2, -8]. A penalty makes a token less likely, "
        "so a positive logit is divided, and a negative one multiplied")


def test_the_repetition_penalty_does_not_count(answer):
    got = penalised(answer, [8.0, 8.0, 8.0, 8.0], prompt=[1, 2, 2], output=[0, 0, 0, 2], repetition=2.0)
    assert got == [4.0, 4.0, 4.0, 8.0], (
        f"got {got}, expected [4, 4, 4, 8]: a repetition penalty of 2 halves a logit of 8 once, however often the token was said, "
        "in the prompt, in the output or in both")


def test_the_prompt_counts_for_the_repetition_penalty_only(answer):
    got = penalised(answer, [1.0, 1.0], prompt=[0, 0], presence=0.5, frequency=0.25)
    assert got == [1.0, 1.0], f"got {got}, expected [1, 1]: presence and frequency look at the output, token 0 was said in the prompt only"
    got = penalised(answer, [1.0, 1.0], prompt=[0, 0], repetition=2.0)
    assert got == [0.5, 1.0], f"got {got}, expected [0.5, 1]: the repetition penalty looks at the prompt as well"


def test_frequency_counts_and_presence_does_not(answer):
    got = penalised(answer, [1.0, 1.0], output=[0, 0, 0], frequency=0.25)
    assert got == [0.25, 1.0], f"got {got}, expected [0.25, 1]: three times a frequency penalty of 0.25"
    got = penalised(answer, [1.0, 1.0], output=[0, 0, 0], presence=0.25)
    assert got == [0.75, 1.0], f"got {got}, expected [0.75, 1]: the presence penalty is subtracted once, however often the token was said"


def test_repetition_comes_first(answer):
    got = penalised(answer, [1.0, 0.25], output=[0, 1], presence=0.5, repetition=2.0)
    assert got == [0.0, -0.375], (
        f"got {got}, expected [1 / 2 - 0.5, 0.25 / 2 - 0.5]: first the repetition penalty, by the sign that the logit came with, then the subtractions")


def test_a_placeholder_is_no_token(answer):
    got = penalised(answer, [1.0, 1.0, 1.0], output=[-1, 0, -1], presence=0.5, frequency=0.25, repetition=2.0)
    assert got == [-0.25, 1.0, 1.0], f"got {got}, expected [-0.25, 1, 1]: -1 stands for a token that is not known yet; it is no token, and not the last one"


def test_random_batches(answer):
    random_ = random.Random(0)
    generator = torch.Generator().manual_seed(0)
    for num_reqs, vocab_size in ((1, 1), (1, 3), (2, 3), (3, 7), (5, 50)):
        for _ in range(5):
            logits = 3 * torch.randn(num_reqs, vocab_size, generator=generator)
            logits[torch.rand(num_reqs, vocab_size, generator=generator) < 0.1] = float("-inf")
            prompt, output = ([[random_.randrange(vocab_size) for _ in range(random_.randrange(6))] for _ in range(num_reqs)] for _ in range(2))
            presence, frequency = (4 * torch.rand(num_reqs, generator=generator) - 2 for _ in range(2))
            repetition = 0.1 + 1.9 * torch.rand(num_reqs, generator=generator)
            right = torch.stack([oracle(logits[i], prompt[i], output[i], presence[i].item(), frequency[i].item(), repetition[i].item())
                                 for i in range(num_reqs)])
            got = answer.apply_penalties(logits.clone(), prompt, output, presence, frequency, repetition)
            assert_close(got, right, f"{num_reqs} requests, {vocab_size} tokens, prompts {prompt}, outputs {output}", 1e-5)


def test_in_place_and_exact_where_nothing_is_asked(answer):
    logits = torch.randn(2, 5, generator=torch.Generator().manual_seed(1))
    before, ones, zeros = logits.clone(), torch.tensor([1.0, 1.5]), torch.zeros(2)
    prompt, output = [[0, 1], [0, 4]], [[1, 2, 2], []]
    got = answer.apply_penalties(logits, prompt, output, zeros, zeros, ones)
    assert got is logits, "the logits are changed in place, and the same tensor comes back: with 150,000 tokens a copy is felt"
    assert torch.equal(logits[0], before[0]), f"a request with neutral penalties (0, 0, 1) keeps its logits bit for bit: {logits[0]} instead of {before[0]}"
    assert torch.equal(logits[1, 1:4], before[1, 1:4]), "tokens that were not said keep their logits bit for bit"
    assert (prompt, output) == ([[0, 1], [0, 4]], [[1, 2, 2], []]), "the lists of tokens are not yours to change"


def test_no_loop_over_the_vocabulary(answer):
    costs = {}
    for vocab_size in (100, 1000):
        arguments = (torch.randn(2, vocab_size), [[1, 2], [3]], [[4], []], torch.ones(2), torch.ones(2), torch.full((2,), 1.5))
        costs[vocab_size] = count_lines(answer, lambda: answer.apply_penalties(*arguments))
    assert grows(costs) < 0.1, (f"lines executed: {costs[100]} for a vocabulary of 100, {costs[1000]} for 1000: loop over the tokens that were said, "
                                "never over the vocabulary")
