"""The judge of the roofline."""
import random
from fractions import Fraction

import pytest

TOY = (64.0, 8.0)      # 64 operations and 8 bytes a second
H100 = (989e12, 3.35e12)


def test_the_ridge(answer):
    assert answer.ridge(answer.Machine(*TOY)) == pytest.approx(8), "64 operations and 8 bytes a second: 8 operations for each byte"
    assert answer.ridge(answer.Machine(*H100)) == pytest.approx(989 / 3.35), "the ridge is in operations per byte"


def test_the_shortest_time(answer):
    machine = answer.Machine(*TOY)
    for operations, moved, seconds in ((64, 0, 1), (0, 8, 1), (128, 8, 2), (64, 24, 3), (64, 8, 1)):
        got = answer.shortest_time(operations, moved, machine)
        assert got == pytest.approx(seconds), (
            f"{operations} operations take {operations / 64:g} s, {moved} bytes {moved / 8:g} s, at the same time: {seconds} s in all, not {got:g} s")


def test_the_bound(answer):
    machine = answer.Machine(*TOY)
    for operations, moved, right in ((65, 8, "compute"), (63, 8, "memory"), (64, 8, "compute"), (1, 0, "compute"), (0, 1, "memory")):
        got = answer.bound(operations, moved, machine)
        assert got == right, f"{operations} operations and {moved} bytes at a ridge of 8 operations per byte: {right} bound, not {got!r}"


def test_the_attained_share(answer):
    machine = answer.Machine(*TOY)
    for operations, moved, seconds, share in ((64, 8, 1, 1), (64, 8, 4, 0.25), (32, 16, 4, 0.5), (640, 8, 20, 0.5)):
        got = answer.attained_share(operations, moved, machine, seconds)
        assert got == pytest.approx(share), f"{operations} operations and {moved} bytes in {seconds} s: {share:.0%} of the roof, not {got:.0%}"


def test_a_matmul(answer):
    for m, n, k, size, right in ((1, 1, 1, 2, (2, 6)), (2, 3, 5, 1, (60, 31)), (16, 4096, 1024, 2, (134217728, 8552448))):
        got = tuple(answer.matmul_work(m, n, k, size))
        assert got == right, (
            f"[{m}, {k}] @ [{k}, {n}] of {size} bytes each: {m * n * k} products, each multiplied and added, and three matrices: {right}, not {got}")


def test_decode_attention(answer):
    # two heads of 4 numbers, 1 KV head: each cached token is 8 numbers, and 8 per head of multiplying and adding, twice
    got = tuple(answer.decode_attention_work([10], 2, 1, 4, 2))
    assert got == (4 * 10 * 2 * 4, (2 * 8 + 10 * 8) * 2), (
        f"one request of 10 tokens, 2 query heads, 1 KV head of size 4, 2 bytes: a query and an output of 8 numbers each, and 10 tokens of "
        f"8 numbers in the cache are 192 bytes, 320 operations; not {got}")
    random.seed(5)
    for _ in range(20):
        lengths = [random.randint(1, 5000) for _ in range(random.randint(0, 5))]
        kv, group, head, size = random.randint(1, 8), random.randint(1, 8), random.choice([64, 96, 128]), random.choice([1, 2])
        right = (4 * sum(lengths) * kv * group * head, 2 * (len(lengths) * group + sum(lengths)) * kv * head * size)
        got = tuple(answer.decode_attention_work(lengths, kv * group, kv, head, size))
        assert got == right, f"lengths {lengths}, {kv * group} query heads, {kv} KV heads of {head}, {size} bytes: {right}, not {got}"


def test_prefill_attention(answer):
    random.seed(6)
    for computed, new in ((0, 1), (0, 2), (3, 1), (3, 2), *((random.randint(0, 999), random.randint(1, 999)) for _ in range(20))):
        kv, group, head, size = (1, 1, 1, 1) if computed + new < 6 else (random.randint(1, 8), random.randint(1, 8), 64, 2)
        pairs = sum(computed + i + 1 for i in range(new))
        right = (4 * pairs * kv * group * head, 2 * (new * group + computed + new) * kv * head * size)
        got = tuple(answer.prefill_attention_work(computed, new, kv * group, kv, head, size))
        assert got == right, (f"{new} new tokens behind {computed}: token i sees {computed} + i + 1 keys, {pairs} pairs in all; with {kv * group} query "
                              f"heads, {kv} KV heads of {head}, {size} bytes: {right}, not {got}")


def test_a_larger_batch_does_not_help_decode_attention(answer):
    machine = answer.Machine(*H100)
    for batch in (1, 64, 4096):
        work = answer.decode_attention_work([2048] * batch, 32, 8, 128, 2)
        assert answer.bound(*work, machine) == "memory", f"decode attention of {batch} requests: each brings its own cache, it stays memory bound"


def test_the_batch_from_which_on_decode_is_compute_bound(answer):
    random.seed(7)
    cases = [(1, 1, 1, (1.0, 1.0)), (4096, 4096, 2, H100), (1, 4096, 2, H100), (14336, 4096, 1, H100), (64, 64, 2, (64.0, 1.0)), (65, 64, 2, (64.0, 1.0)),
             *((random.randint(1, 5000), random.randint(1, 5000), random.choice([1, 2, 4]), (float(random.randint(1, 300)), 1.0)) for _ in range(100))]
    for n, k, size, (rate, bandwidth) in cases:
        got = answer.compute_bound_batch(n, k, size, answer.Machine(rate, bandwidth))
        limit = Fraction(2 * n * k, (n + k) * size)
        about = f"[m, {k}] @ [{k}, {n}] of {size} bytes at {rate / bandwidth:g} operations per byte"
        if limit <= Fraction(rate) / Fraction(bandwidth):
            assert got is None, f"{about}: however large m is, {float(limit):.4g} operations per byte are not reached: None, not {got}"
            continue
        assert isinstance(got, int) and got >= 1, f"{about}: expected a batch, got {got!r}"
        for m, what in ((got, "is memory bound still"), (got - 1, "would do")):
            intensity = Fraction(2 * m * n * k, (m * k + k * n + m * n) * size) * Fraction(bandwidth) / Fraction(rate)
            right = intensity >= 1 - Fraction(1, 10 ** 9) if m == got else intensity < 1 + Fraction(1, 10 ** 9)
            assert right, f"{about}: you say m = {got}, but m = {m} {what}: it has {float(intensity):.4f} of the ridge"
