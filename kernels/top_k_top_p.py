"""Top-k and top-p without sorting the row: find where it must be cut, then write -inf below.

Which tokens stay: put all in order, by logit, and of equals the lower id first. The first k stay; of these, with their
softmax, the shortest beginning that has a mass of at least p, so at least one token. Hence of tokens that tie at the cut
those with the lower ids stay, and exactly k in all. So does `v1/sample/ops/topk_topp_triton.py::apply_top_k_top_p_triton`, vLLM's
on a GPU; `v1/sample/ops/topk_topp_sampler.py::apply_top_k_top_p_pytorch`, its rule where there is no Triton, keeps all that
tie with the k-th, and of those that tie at p, which ones its sort says.

With `order_key` no two tokens are equal, and a row's cut is one integer: whoever is above stays. It is found in
five launches that read the logits twice, and read and write them once more:

1. `_sample` sorts a small sample of the row, and chooses 8 pivots from it, close to where the cut must be.
2. `_survey` (the row, in chunks): how many tokens are above each pivot, and with what mass. So the cut is known to lie
   between two of the pivots, for sure: the sample was only a guess of good ones.
3. `_gather` (the row, in chunks) copies the tokens between these two, usually a few thousand of 152k, to a buffer.
4. `_bisect` halves the interval until the cut is found, counting in the buffer. Should the buffer be too small (most logits are
   equal, say), it counts in the row itself: slowly, but rightly.
5. `_mask` (the row, in chunks) writes the result.

All is counted in a fixed order and in chunks of a fixed size: a row's result depends neither on the rows beside it nor on luck.
"""
import torch
import triton
import triton.language as tl

from kernels.greedy import check_logits, order_key, ordered_bits

CHUNK = 8192        # logits a program looks at: a row of 152k is 19 programs
SAMPLE = 2048       # logits of a row, in runs of RUN, spread evenly
CAPACITY = 16384    # tokens between the pivots that fit the buffer
RUN = tl.constexpr(32)
PIVOTS = tl.constexpr(8)
HIGHEST_KEY = tl.constexpr(0x7FFFFFFFFFFFFFFF)
LOWEST_KEY = tl.constexpr(-0x7FFFFFFFFFFFFFFF)
LOWEST_FLOAT = tl.constexpr(-3.4e38)    # in place of a maximum of -inf, which would make NaN of all differences


def top_k_top_p_twin(logits: torch.Tensor, k: torch.Tensor | None, p: torch.Tensor | None) -> torch.Tensor:
    """`top_k_top_p` as its definition says: sorted as a whole."""
    ordered, token_ids = logits.sort(dim=-1, descending=True, stable=True)
    rank = torch.arange(logits.shape[1], device=logits.device)
    keep = torch.ones_like(ordered, dtype=torch.bool)
    if k is not None:
        keep &= (rank < k[:, None]) | (k[:, None] <= 0)
    if p is not None:
        probability = ordered.masked_fill(~keep, float("-inf")).softmax(-1)
        before = probability.cumsum(-1) - probability
        keep &= (before < p[:, None]) | (rank == 0) | (p[:, None] >= 1)
    return torch.full_like(logits, float("-inf")).scatter(1, token_ids, ordered.masked_fill(~keep, float("-inf")))


@triton.jit
def _asked(ks, ps, row, vocab_size):
    """What a row asks for: (whether top-k, k, whether top-p, p)."""
    k, p = 0, 1.0
    if ks is not None:
        k = tl.load(ks + row)
    if ps is not None:
        p = tl.load(ps + row)
    return (k > 0) & (k < vocab_size), k, p < 1.0, p


@triton.jit
def _cut_below(value):
    """The cut that keeps exactly what is greater than `value`."""
    return (ordered_bits(value) << 32) | 0xFFFFFFFF


@triton.jit
def _sample(logits, ks, ps, pivots, row_stride, vocab_size, SAMPLE: tl.constexpr):
    row, index = tl.program_id(0).to(tl.int64), tl.arange(0, SAMPLE)
    by_k, k, by_p, p = _asked(ks, ps, row, vocab_size)
    if by_k | by_p:
        token_id = index // RUN * (vocab_size // (SAMPLE // RUN)) + index % RUN
        value = tl.load(logits + row * row_stride + token_id, mask=token_id < vocab_size, other=float("-inf")).to(tl.float32)
        value = tl.sort(value, descending=True)
        # The rank of the cut among the sample, if that were the row; the true one is likely within a few standard deviations.
        weight = tl.exp(value - tl.maximum(tl.max(value), LOWEST_FLOAT))
        middle = tl.sum((tl.cumsum(weight) - weight < p * tl.sum(weight)).to(tl.float32))
        if by_k:
            middle = k * (SAMPLE / vocab_size)
        deviation = tl.sqrt(middle) + 1.0
        # Ranks of the pivots: 3 and 1 deviations up, 1 and 3 down; and, since a few tokens may have all the mass, 1, 16, 256.
        j = tl.arange(0, PIVOTS)
        rank = tl.where(j < 4, middle + deviation * (2 * j - 3), tl.exp2(4.0 * (j - 4)))
        rank = tl.minimum(tl.maximum(rank, 0.0), SAMPLE - 1.0).to(tl.int32)
        pivot = tl.max(tl.where(index[None, :] == rank[:, None], value[None, :], float("-inf")), 1)
        # Above the last is whatever can stay at all.
        tl.store(pivots + row * PIVOTS + j, tl.where(j == PIVOTS - 1, float("-inf"), pivot))


@triton.jit
def _survey(logits, ks, ps, pivots, counts, masses, highests, row_stride, vocab_size, CHUNK: tl.constexpr):
    """For one chunk of a row: its highest logit; how many tokens are above each pivot; and their mass, relative to the highest."""
    row, chunk = tl.program_id(0).to(tl.int64), tl.program_id(1)
    by_k, k, by_p, p = _asked(ks, ps, row, vocab_size)
    if by_k | by_p:
        token_id = chunk * CHUNK + tl.arange(0, CHUNK)
        value = tl.load(logits + row * row_stride + token_id, mask=token_id < vocab_size, other=float("-inf")).to(tl.float32)
        highest = tl.maximum(tl.max(value), LOWEST_FLOAT)
        place = row * tl.num_programs(1) + chunk
        tl.store(highests + place, highest)
        weight = tl.exp(value - highest)
        for j in range(PIVOTS):
            above = value > tl.load(pivots + row * PIVOTS + j)
            tl.store(counts + place * PIVOTS + j, tl.sum(above.to(tl.int32)))
            if ps is not None:
                tl.store(masses + place * PIVOTS + j, tl.sum(tl.where(above, weight, 0.0)))


@triton.jit
def _between(ks, ps, pivots, counts, masses, highests, row, vocab_size, num_chunks, CHUNKS: tl.constexpr):
    """Between which two cuts the row's is, by the survey. By top-k if that is asked for, else by top-p.

    Returns the cuts (low, high), the tokens above each, the mass above each and that of the row, the highest logit (to which masses
    are relative) and, for each chunk, the tokens between. The lowest possible cut keeps all that is not -inf, the highest none.
    """
    by_k, k, by_p, p = _asked(ks, ps, row, vocab_size)
    j, chunk = tl.arange(0, PIVOTS), tl.arange(0, CHUNKS)
    place = row * num_chunks + chunk
    there = (chunk < num_chunks)[:, None]
    chunk_highest = tl.load(highests + place, mask=chunk < num_chunks, other=LOWEST_FLOAT)
    highest = tl.max(chunk_highest)
    cut = _cut_below(tl.load(pivots + row * PIVOTS + j))
    count = tl.load(counts + place[:, None] * PIVOTS + j[None, :], mask=there, other=0)
    above = tl.sum(count, 0)
    mass = tl.zeros([PIVOTS], tl.float32)
    if ps is not None:
        scale = tl.exp(chunk_highest - highest)
        mass = tl.sum(tl.load(masses + place[:, None] * PIVOTS + j[None, :], mask=there, other=0.0) * scale[:, None], 0)
    total = tl.max(mass)
    enough = tl.where(by_k, above >= k, mass >= _target(p, total)) | (j == PIVOTS - 1)
    low, high = tl.max(tl.where(enough, cut, LOWEST_KEY)), tl.min(tl.where(enough, _cut_below(highest), cut))
    above_low, above_high = tl.min(tl.where(enough, above, vocab_size)), tl.max(tl.where(enough, 0, above))
    mass_low, mass_high = tl.min(tl.where(enough, mass, total)), tl.max(tl.where(enough, 0.0, mass))
    inside = tl.min(tl.where(enough[None, :], count, vocab_size), 1) - tl.max(tl.where(enough[None, :], 0, count), 1)
    return low, high, above_low, above_high, mass_low, mass_high, total, highest, inside


@triton.jit
def _target(p, total):
    """The mass to keep. More than none, so that the best token stays."""
    return tl.maximum(p * total, 1e-30)


@triton.jit
def _gather(logits, ks, ps, pivots, counts, masses, highests, buffer, row_stride, vocab_size, num_chunks,
            CHUNK: tl.constexpr, CHUNKS: tl.constexpr, CAPACITY: tl.constexpr, TILE: tl.constexpr):
    """Copies, as keys, what one chunk has between the cuts. How much the chunks before it have is known, so the order of the ids stays."""
    # Last chunk first: what the survey read last may still be in the L2 cache. The next to read, `_mask`, begins with the first.
    row, chunk = tl.program_id(0).to(tl.int64), num_chunks - 1 - tl.program_id(1)
    by_k, k, by_p, p = _asked(ks, ps, row, vocab_size)
    if by_k | by_p:
        low, high, above_low, above_high, mass_low, mass_high, total, highest, inside = _between(
            ks, ps, pivots, counts, masses, highests, row, vocab_size, num_chunks, CHUNKS)
        mine = tl.sum(tl.where(tl.arange(0, CHUNKS) == chunk, inside, 0))
        if (above_low - above_high <= CAPACITY) & (mine > 0):
            start = tl.sum(tl.where(tl.arange(0, CHUNKS) < chunk, inside, 0))
            for begin in range(0, CHUNK, TILE):
                token_id = chunk * CHUNK + begin + tl.arange(0, TILE)
                value = tl.load(logits + row * row_stride + token_id, mask=token_id < vocab_size, other=float("-inf")).to(tl.float32)
                key = order_key(value, token_id)
                between = ((key > low) & (key <= high)).to(tl.int32)
                tl.store(buffer + row * CAPACITY + start + tl.cumsum(between) - 1, key, mask=between == 1)
                start += tl.sum(between)


@triton.jit
def _value(key):
    """The logit of an `order_key`."""
    bits = (key >> 32).to(tl.int32)
    return tl.where(bits < 0, bits ^ 0x7FFFFFFF, bits).to(tl.float32, bitcast=True)


@triton.jit
def _halve(low, high, above_low, above_high, mass_low, mass_high, by_k, k, target, buffer, row, size, in_buffer, highest,
           WEIGH: tl.constexpr, TILE: tl.constexpr):
    """Narrow the interval until there is one token in it, the last to stay: then its lower end is the cut.

    Keys differ, so an interval with two tokens in it can be halved. Then the end that moves goes on to the next token: between
    tied tokens and others there is much room. Looks for tokens in the buffer, which has nothing else, or in the row, both
    of `size`. Returns the cut, how many tokens are above it, and their mass.
    """
    top, above_top, mass_top = high, above_high, mass_high      # what is above has been counted
    while above_low - above_high > 1:
        middle = (low & high) + ((low ^ high) >> 1)     # the mean, rounded down: the sum could overflow
        count = tl.zeros([TILE], tl.int32)
        mass = tl.zeros([TILE], tl.float32)
        next_above, next_below = tl.full([TILE], HIGHEST_KEY, tl.int64), tl.full([TILE], LOWEST_KEY, tl.int64)
        for begin in range(0, size, TILE):
            index = begin + tl.arange(0, TILE)
            if in_buffer:
                key = tl.load(buffer + index, mask=index < size, other=LOWEST_KEY)
            else:
                key = order_key(tl.load(row + index, mask=index < size, other=float("-inf")).to(tl.float32), index)
            kept = (key > middle) & (key <= top)
            count += kept.to(tl.int32)
            next_above = tl.minimum(next_above, tl.where(kept, key, HIGHEST_KEY))
            next_below = tl.maximum(next_below, tl.where(key <= middle, key, LOWEST_KEY))
            if WEIGH:
                mass += tl.where(kept, tl.exp(_value(key) - highest), 0.0)
        above = above_top + tl.sum(count)
        weight = mass_top + tl.sum(mass)
        enough = tl.where(by_k, above >= k, weight >= target)
        low, high = tl.where(enough, tl.min(next_above) - 1, low), tl.where(enough, high, tl.max(next_below))
        above_low, above_high = tl.where(enough, above, above_low), tl.where(enough, above_high, above)
        mass_low = tl.where(enough, weight, mass_low)
    return low, above_low, mass_low


@triton.jit
def _bisect(logits, ks, ps, pivots, counts, masses, highests, buffer, cuts, row_stride, vocab_size, num_chunks,
            CHUNKS: tl.constexpr, CAPACITY: tl.constexpr, TILE: tl.constexpr):
    """One row's cut: first by top-k, then, among what that left, by top-p."""
    row = tl.program_id(0).to(tl.int64)
    by_k, k, by_p, p = _asked(ks, ps, row, vocab_size)
    cut = tl.full([], LOWEST_KEY, tl.int64)     # all stay
    if by_k | by_p:
        low, high, above_low, above_high, mass_low, mass_high, total, highest, inside = _between(
            ks, ps, pivots, counts, masses, highests, row, vocab_size, num_chunks, CHUNKS)
        in_buffer = above_low - above_high <= CAPACITY
        size = tl.where(in_buffer, above_low - above_high, vocab_size)
        cut, left, mass_left = _halve(low, high, above_low, above_high, mass_low, mass_high, by_k, k, _target(p, total), buffer + row * CAPACITY,
                                      logits + row * row_stride, size, in_buffer, highest, ps is not None, TILE)
        if ps is not None:
            if by_k & by_p:
                in_buffer = in_buffer & (above_high == 0)     # else the best tokens of the row are not in the buffer
                size = tl.where(in_buffer, size, vocab_size)
                none, nothing = tl.full([], 0, tl.int32), tl.full([], 0, tl.float32)
                cut, left, mass_left = _halve(cut, _cut_below(highest), left, none, mass_left, nothing, False, k, _target(p, mass_left),
                                              buffer + row * CAPACITY, logits + row * row_stride, size, in_buffer, highest, True, TILE)
    tl.store(cuts + row, cut)


@triton.jit
def _mask(logits, cuts, out, row_stride, out_stride, vocab_size, CHUNK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    token_id = tl.program_id(1) * CHUNK + tl.arange(0, CHUNK)
    value = tl.load(logits + row * row_stride + token_id, mask=token_id < vocab_size, other=0.0)
    keep = order_key(value.to(tl.float32), token_id) > tl.load(cuts + row)
    tl.store(out + row * out_stride + token_id, tl.where(keep, value, float("-inf")), mask=token_id < vocab_size)


def top_k_top_p(logits: torch.Tensor, k: torch.Tensor | None, p: torch.Tensor | None, out: torch.Tensor | None = None, *, chunk: int = CHUNK,
                sample: int = SAMPLE, capacity: int = CAPACITY, survey_warps: int = 8, gather_tile: int = 2048, gather_warps: int = 8,
                bisect_tile: int = 2048, bisect_warps: int = 8, mask_chunk: int = 4096, mask_warps: int = 4) -> torch.Tensor:
    """`logits` [rows, vocabulary], with -inf for each token that does not stay. Any float type, any row stride, no NaN and no +inf.

    `k`: int32 [rows]; 0, or the size of the vocabulary, is off. `p`: float32 [rows]; 1 is off. None is off for all rows. Top-k comes first.
    `out`: like `logits`, where to write; `logits` itself will do. The mass of a token is computed in float32: where the cut depends
    on more than its precision, it may be the neighbouring token's.
    """
    check_logits(logits, k=(k, torch.int32), p=(p, torch.float32))
    rows, vocab_size = logits.shape
    out = torch.empty_like(logits, memory_format=torch.contiguous_format) if out is None else out
    if out.shape != logits.shape or out.dtype != logits.dtype or out.stride(1) != 1:
        raise ValueError(f"out must be {logits.dtype} {list(logits.shape)} with rows in one piece, and is {out.dtype} {list(out.shape)}")
    if not rows or k is None and p is None:
        return out if out is logits else out.copy_(logits)

    def empty(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        return torch.empty(rows, *shape, dtype=dtype, device=logits.device)

    num_chunks = triton.cdiv(vocab_size, chunk)
    chunks = triton.next_power_of_2(num_chunks)
    pivots, cuts, buffer = empty(PIVOTS.value), empty(dtype=torch.int64), empty(capacity, dtype=torch.int64)
    survey = empty(num_chunks, PIVOTS.value, dtype=torch.int32), empty(num_chunks, PIVOTS.value), empty(num_chunks)
    stride = logits.stride(0)
    _sample[(rows,)](logits, k, p, pivots, stride, vocab_size, SAMPLE=sample, num_warps=8)
    _survey[(rows, num_chunks)](logits, k, p, pivots, *survey, stride, vocab_size, CHUNK=chunk, num_warps=survey_warps)
    _gather[(rows, num_chunks)](logits, k, p, pivots, *survey, buffer, stride, vocab_size, num_chunks,
                                CHUNK=chunk, CHUNKS=chunks, CAPACITY=capacity, TILE=min(chunk, gather_tile), num_warps=gather_warps)
    _bisect[(rows,)](logits, k, p, pivots, *survey, buffer, cuts, stride, vocab_size, num_chunks,
                     CHUNKS=chunks, CAPACITY=capacity, TILE=bisect_tile, num_warps=bisect_warps)
    _mask[(rows, triton.cdiv(vocab_size, mask_chunk))](logits, cuts, out, stride, out.stride(0), vocab_size, CHUNK=mask_chunk, num_warps=mask_warps)
    return out


def bytes_min(rows: int, vocab_size: int, element: int = 4) -> int:
    """Each logit once in and once out; k and p of a row. `element`: bytes of a logit."""
    return rows * (2 * vocab_size * element + 8)
