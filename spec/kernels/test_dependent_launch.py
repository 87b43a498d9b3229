"""Kernels that are launched early read what the one before has written, all of it, and never write over what it still reads."""
import pytest

torch = pytest.importorskip("torch", reason="needs torch: make setup")

import triton  # noqa: E402
import triton.language as tl  # noqa: E402

from kernels.dependent_launch import EARLY, await_the_kernel_before  # noqa: E402
from spec.kernels.exactness import DEVICE, needs_gpu  # noqa: E402

SIZE, TILE, SLOWLY = (1 << 22, 4096, 200) if DEVICE == "cuda" else (1 << 10, 256, 2)


@triton.jit
def _fill(out, counter, SLOWLY: tl.constexpr, TILE: tl.constexpr, ALLOW: tl.constexpr):
    """As many as the counter says, everywhere; the last programs are late."""
    await_the_kernel_before(ALLOW)
    value = tl.load(counter)
    at = tl.program_id(0) * TILE + tl.arange(0, TILE)
    total = tl.zeros([TILE], tl.float32)
    for _ in range(SLOWLY * (1 + tl.program_id(0) % 3)):
        total = total * 0.5 + value * 0.5
    tl.store(out + at, tl.where(total > -1, value, 0.0))


@triton.jit
def _copy(x, out, TILE: tl.constexpr, ALLOW: tl.constexpr):
    """From the other end, where the one before is last."""
    await_the_kernel_before(ALLOW)
    at = (tl.num_programs(0) - 1 - tl.program_id(0)) * TILE + tl.arange(0, TILE)
    tl.store(out + at, tl.load(x + at))


@triton.jit
def _count(x, counter, wrong, TILE: tl.constexpr, ALLOW: tl.constexpr):
    """Of a tile, how many are not as many as the counter says."""
    await_the_kernel_before(ALLOW)
    value = tl.load(counter)
    tile = tl.program_id(0)
    tl.atomic_add(wrong, tl.sum((tl.load(x + tile * TILE + tl.arange(0, TILE)) != value).to(tl.int32)))


@triton.jit
def _next(counter, ALLOW: tl.constexpr):
    """For the next round, which must not be seen by this one."""
    await_the_kernel_before(ALLOW)
    tl.store(counter, tl.load(counter) + 1)


def chain(allow: bool):
    """A round of four kernels, and where it counts what it saw wrongly."""
    first, second = torch.zeros(SIZE, device=DEVICE), torch.zeros(SIZE, device=DEVICE)
    counter, wrong = torch.ones(1, device=DEVICE), torch.zeros(1, dtype=torch.int32, device=DEVICE)
    grid = (SIZE // TILE,)

    def play() -> None:
        _fill[grid](first, counter, SLOWLY=SLOWLY, TILE=TILE, ALLOW=allow, **EARLY)
        _copy[grid](first, second, TILE=TILE, ALLOW=allow, **EARLY)
        _count[grid](second, counter, wrong, TILE=TILE, ALLOW=allow, **EARLY)
        _next[(1,)](counter, ALLOW=allow, **EARLY)

    return play, counter, wrong


@pytest.mark.parametrize("allow", [True, False])
def test_in_a_row(allow):
    play, counter, wrong = chain(allow)
    rounds = 300 if DEVICE == "cuda" else 3
    for _ in range(rounds):
        play()
    assert wrong.item() == 0 and counter.item() == rounds + 1


@needs_gpu
@pytest.mark.parametrize("allow", [True, False])
def test_in_a_graph(allow):
    play, counter, wrong = chain(allow)
    play()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(10):
            play()
    for _ in range(30):
        graph.replay()
    assert wrong.item() == 0 and counter.item() == 302


def test_what_is_wrong_is_counted():
    play, counter, wrong = chain(True)
    play()
    counter.fill_(9)
    _count[(SIZE // TILE,)](torch.zeros(SIZE, device=DEVICE), counter, wrong, TILE=TILE, ALLOW=True, **EARLY)
    assert wrong.item() == SIZE
