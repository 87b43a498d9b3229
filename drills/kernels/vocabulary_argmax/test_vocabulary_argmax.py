"""The judge of the vocabulary argmax."""
import pytest

torch = pytest.importorskip("torch", reason="needs torch and triton: make setup")


@pytest.fixture(autouse=True)
def the_same_numbers_each_time():
    torch.manual_seed(0)


def gumbel(*shape):
    return -torch.empty(shape).exponential_().log()


def oracle(logits, temperatures, noise):
    """The lowest of the best tokens. The temperatures here are powers of two: dividing by them rounds nothing."""
    values = logits.float().clone()
    sampled = temperatures > 0
    values[sampled] = values[sampled] / temperatures[sampled, None] + noise[sampled]
    return [(row == row.max()).nonzero()[0].item() for row in values]


def judge(answer, logits, what, temperatures=None, noise=None):
    temperatures = torch.zeros(len(logits)) if temperatures is None else torch.tensor(temperatures)
    noise = torch.full(logits.shape, float("nan")) if noise is None else noise
    right = oracle(logits, temperatures, noise)
    got = answer.vocabulary_argmax(logits, temperatures, noise)
    assert got.dtype == torch.int64 and got.shape == (len(logits),), f"{what}: expected int64 [{len(logits)}], got {got.dtype} {list(got.shape)}"
    assert got.tolist() == right, f"{what}: the best tokens are {right}, got {got.tolist()}"


def test_any_vocabulary(answer):
    for rows, vocab_size in ((1, 1), (0, 7), (2, 5), (2, 1000), (1, 1024), (3, 1025), (2, 5000)):
        judge(answer, torch.randn(rows, vocab_size), f"{rows} rows of {vocab_size} logits, temperature 0")


def test_the_best_may_be_anywhere(answer):
    """Also at either end of the row."""
    logits = torch.randn(4, 3000)
    logits[range(4), [0, 2999, 1024, 2047]] = 10
    judge(answer, logits, "rows of 3000 logits, temperature 0")


def test_negative_logits(answer):
    """Nothing better than -5: what is not a token must not win."""
    for vocab_size in (3, 1100):
        logits = -6 - torch.rand(2, vocab_size)
        logits[:, -1] = -5
        judge(answer, logits, f"rows of {vocab_size} logits, the last is -5 and the best, temperature 0")


def test_ties_go_to_the_lowest_token(answer):
    for vocab_size, best in ((4, [1, 3]), (900, [17, 500, 899]), (3000, [1500, 2600]), (3000, [1023, 1024]), (3000, [2999, 0])):
        logits = torch.zeros(1, vocab_size)
        logits[0, best] = 1
        judge(answer, logits, f"tokens {sorted(best)} of {vocab_size} are equally good, temperature 0")
    judge(answer, torch.full((1, 2000), -float("inf")), "2000 logits of -inf, temperature 0")


def test_temperature_and_noise(answer):
    """A batch of rows with different temperatures; the noise must not be divided by them."""
    for vocab_size in (6, 2000):
        for temperature in (1.0, 0.25, 8.0):
            judge(answer, 2 * torch.randn(3, vocab_size), f"rows of {vocab_size} logits, temperature {temperature}", [temperature] * 3, gumbel(3, vocab_size))


def test_greedy_rows_among_others(answer):
    """The noise of a row of temperature 0 is not looked at: it is not even a number."""
    noise = gumbel(3, 50)
    noise[1] = float("nan")
    judge(answer, torch.randn(3, 50), "temperatures 0.5, 0, 2", [0.5, 0.0, 2.0], noise)


def test_half_precision(answer):
    """60000 / 0.5 is more than float16 holds, and with the noise two logits differ that are alike."""
    logits = torch.randn(2, 1500).half()
    logits[:, 700:720] = 60000
    logits[0, 710] = 60032
    judge(answer, logits, "float16 logits around 60000, temperature 0.5", [0.5, 0.5], gumbel(2, 1500))
