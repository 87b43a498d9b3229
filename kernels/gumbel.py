"""Random sampling that can be had again: a token for each row, decided by logits, temperature, seed and position alone.

If each logit gets noise -log(-log(u)) (Gumbel's distribution; u uniform in (0, 1)), then the token with the
highest sum is drawn exactly as often as softmax says: no softmax, no sum over the row, no sort. Here 1 - u
stands for u, which is as uniform: what wins are large noises, they come of u near 0, and near 0 float32 is finest.

u is a hash, not the next number of a generator: MurmurHash3 (its 32-bit variant, seed 0) of 16 bytes, namely the
request's seed (8), the position of the token before (4) and the token's id (4). So chunks of a row need not talk, neighbours in
the batch do not matter, and a draw can be repeated anywhere.

Draws vLLM's very tokens: `v1/worker/gpu/sample/gumbel.py::gumbel_sample`, whose noise is the same
to the last bit, and so must be computed by the same steps.
"""
import torch
import triton
import triton.language as tl

from kernels.greedy import best_of_row, check_logits, order_key
from kernels.dependent_launch import EARLY, await_the_kernel_before

CHUNK = 1024    # logits a program looks at


def gumbel_twin(logits: torch.Tensor, temperature: torch.Tensor, seeds: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """`gumbel` as its definition says, in the precision of `logits`."""
    return noisy(logits, temperature, seeds, positions).argmax(-1)


def noisy(logits: torch.Tensor, temperature: torch.Tensor, seeds: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """The sums [rows, vocabulary], of which the highest wins: logits / temperature + noise, or just logits where the temperature is 0."""
    token_ids = torch.arange(logits.shape[1], device=logits.device).expand(logits.shape)
    u = (murmur3(seeds[:, None], positions[:, None], token_ids).to(logits.dtype) + 0.5) * 2.0 ** -32
    noise = -(-torch.log1p(-u)).log()
    random = (temperature != 0)[:, None]
    return torch.where(random, logits / torch.where(random, temperature[:, None], 1).to(logits.dtype) + noise, logits)


def murmur3(seeds: torch.Tensor, positions: torch.Tensor, token_ids: torch.Tensor) -> torch.Tensor:
    """The hash, in int64 tensors, of which all but the last 32 bits are cut off wherever they could matter."""
    word = 0xFFFFFFFF

    def rotated(x: torch.Tensor, by: int) -> torch.Tensor:
        return (x << by | x >> 32 - by) & word

    def times(x: torch.Tensor, factor: int) -> torch.Tensor:     # of two halves: 64 bits, signed, are too few for the whole
        return ((x >> 16) * factor % 2**16 * 2**16 + (x & 0xFFFF) * factor) & word

    mixed = torch.zeros_like(token_ids)
    for piece in (seeds & word, seeds >> 32 & word, positions & word, token_ids & word):
        mixed = mixed ^ times(rotated(times(piece, 0xCC9E2D51), 15), 0x1B873593)
        mixed = times(rotated(mixed, 13), 5) + 0xE6546B64 & word
    mixed = mixed ^ 16      # the length
    mixed = times(mixed ^ mixed >> 16, 0x85EBCA6B)
    mixed = times(mixed ^ mixed >> 13, 0xC2B2AE35)
    return mixed ^ mixed >> 16


@triton.jit
def _rotated(x, BY: tl.constexpr):
    return (x << BY) | (x >> (32 - BY))


@triton.jit
def _stirred(mixed, piece):
    """`mixed`, with 4 more bytes in it. Both uint32, so that shifts fill with zeros and products wrap."""
    mixed ^= _rotated(piece * 0xCC9E2D51, 15) * 0x1B873593
    return _rotated(mixed, 13) * 5 + 0xE6546B64


@triton.jit
def _murmur3(seed, position, token_id):
    mixed = _stirred((seed ^ seed).to(tl.uint32), (seed & 0xFFFFFFFF).to(tl.uint32))
    mixed = _stirred(mixed, ((seed >> 32) & 0xFFFFFFFF).to(tl.uint32))
    mixed = _stirred(mixed, (position & 0xFFFFFFFF).to(tl.uint32))
    mixed = _stirred(mixed, token_id.to(tl.uint32)) ^ 16    # the length
    mixed = (mixed ^ (mixed >> 16)) * 0x85EBCA6B
    mixed = (mixed ^ (mixed >> 13)) * 0xC2B2AE35
    return mixed ^ (mixed >> 16)


@triton.jit
def _noise(bits):
    """Gumbel's distribution out of 32 random bits."""
    # (bits + 0.5) / 2**32. Each half fits a float32, so that only their sum is rounded, and small ones not at all.
    high, low = (bits >> 16).to(tl.int32).to(tl.float32), (bits & 0xFFFF).to(tl.int32).to(tl.float32)
    u = high * 1.52587890625e-05 + (low + 0.5) * 2.3283064365386963e-10
    # log(1 - u). Where u is small, and wins, 1 - u would lose it: there by its series, whose error is below 6e-7 up to 1/4.
    series = 1.0 / 8.0
    series = 1.0 / 7.0 + u * series
    series = 1.0 / 6.0 + u * series
    series = 1.0 / 5.0 + u * series
    series = 1.0 / 4.0 + u * series
    series = 1.0 / 3.0 + u * series
    series = 1.0 / 2.0 + u * series
    series = 1.0 + u * series
    direct = tl.log(tl.maximum(1.0 - u, 5.960464477539063e-08))     # of the float32 just below 1, at u = 1
    return -tl.log(-tl.where(u < 0.25, -u * series, direct))


@triton.jit
def _draw_from_chunk(logits, temperatures, seeds, positions, best, row_stride, vocab_size, CHUNK: tl.constexpr):
    await_the_kernel_before()
    row, chunk = tl.program_id(0).to(tl.int64), tl.program_id(1)
    token_id = chunk * CHUNK + tl.arange(0, CHUNK)
    inside = token_id < vocab_size
    value = tl.load(logits + row * row_stride + token_id, mask=inside, other=float("-inf")).to(tl.float32)
    temperature = tl.load(temperatures + row)
    if temperature != 0.0:
        value = value / temperature
        value += _noise(_murmur3(tl.load(seeds + row), tl.load(positions + row), token_id))
        value = tl.where(inside, value, float("-inf"))
    tl.store(best + row * tl.num_programs(1) + chunk, tl.max(order_key(value, token_id)))


def gumbel(logits: torch.Tensor, temperature: torch.Tensor, seeds: torch.Tensor, positions: torch.Tensor, *,
           chunk: int = CHUNK, num_warps: int = 2) -> torch.Tensor:
    """int64 [rows]: a token drawn from softmax(`logits` / `temperature`), each row by its own seed and position.

    `logits`: [rows, vocabulary], any float type, any row stride; -inf is never drawn, unless there is nothing else (then token 0).
    `temperature`: float32 [rows]; 0 means greedy. `seeds`, `positions`: int64 [rows]; of a position the last 32 bits count.
    """
    check_logits(logits, temperature=(temperature, torch.float32), seeds=(seeds, torch.int64), positions=(positions, torch.int64))
    rows, vocab_size = logits.shape
    num_chunks = triton.cdiv(vocab_size, chunk)
    best = torch.empty((rows, num_chunks), dtype=torch.int64, device=logits.device)
    out = torch.empty(rows, dtype=torch.int64, device=logits.device)
    if rows:
        _draw_from_chunk[(rows, num_chunks)](logits, temperature, seeds, positions, best, logits.stride(0), vocab_size,
                                             CHUNK=chunk, num_warps=num_warps, **EARLY)
        best_of_row[(rows,)](best, out, num_chunks, CHUNKS=triton.next_power_of_2(num_chunks), num_warps=1, **EARLY)
    return out


def bytes_min(rows: int, vocab_size: int, element: int = 4) -> int:
    """Each logit once; per row a temperature, a seed, a position and a token id. `element`: bytes of a logit."""
    return rows * vocab_size * element + rows * (4 + 8 + 8 + 8)
