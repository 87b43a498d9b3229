"""Top-k and top-p without sorting the row: find where it must be cut, then write -inf below.

Which tokens stay: put all in order, by logit, and of equals the lower id first. The first k stay; of these, with their
softmax, the shortest beginning that has a mass of at least p, so at least one token. Hence of tokens that tie at the cut
those with the lower ids stay, and exactly k in all. So does `v1/sample/ops/topk_topp_triton.py::apply_top_k_top_p_triton`, vLLM's
on a GPU; `v1/sample/ops/topk_topp_sampler.py::apply_top_k_top_p_pytorch`, its rule where there is no Triton, keeps all that
tie with the k-th, and of those that tie at p, which ones its sort says.

With `order_key` no two tokens are equal, and a row's cut is one integer: whoever is above stays. It is found in
five launches that read the logits twice; a sixth reads and writes them once more:

1. `_range` looks at a small sample of the row, and lays bins of equal width where the cut may be.
2. `_histogram` (the row, in chunks) counts the tokens of each bin, and adds up the mass of all, and that of the lowest bin, which has no edge.
3. `_choose` names the bins that the cut must be in: one if it is by top-k, for their tokens are counted; a few if it is by top-p, for a token
   weighs no less than one edge of its bin and no more than the other.
4. `_gather` (the row, in chunks) copies the tokens in these, usually a few thousand of 152k, to a buffer, and adds up the mass above.
5. `_bisect` halves the interval until the cut is found, counting in the buffer. Should the buffer be too small (most logits are equal, say,
   or the sample was not like the row), it counts in the row itself: slowly, but rightly.
6. `_mask` (the row, in chunks) writes the result.

The sample decides how long it takes, and not what comes out. All is counted in a fixed order and in chunks of a fixed size:
a row's result depends neither on the rows beside it nor on luck.
"""
import torch
import triton
import triton.language as tl

from kernels.greedy import check_logits, order_key, ordered_bits

CHUNK = 4096        # logits a program looks at: a row of 152k is 38 programs
SAMPLE = 1024       # logits of a row, in runs of RUN, spread evenly
BINS = 64           # the more, the fewer tokens to gather; but each bit of a bin's number costs when counting
CAPACITY = 16384    # tokens that fit the buffer
RUN = tl.constexpr(8)
LUCKY = tl.constexpr(8)         # of a sample's best: any of them may by chance weigh more than the others together
WIDEST = tl.constexpr(1e6)      # range of the bins: some write -1e30 where they mean -inf
HIGHEST_KEY = tl.constexpr(0x7FFFFFFFFFFFFFFF)
ALL_STAY = tl.constexpr(-0x7F800001 << 32 | 0xFFFFFFFF)     # the key of a token that is -inf, the first: the cut below all others
FORBIDDEN = tl.constexpr(-0x800000 << 32)                   # that token as `_gather` packs it
LOWEST_FLOAT = tl.constexpr(torch.finfo(torch.float32).min)     # in place of a maximum of -inf, which would make NaN of all differences


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
    """What a row asks for: (whether top-k, k, whether top-p, p). The p is more than 0, so that the best token stays."""
    k, p = 0, 1.0
    if ks is not None:
        k = tl.load(ks + row)
    if ps is not None:
        p = tl.maximum(tl.load(ps + row), 1e-30)
    return (k > 0) & (k < vocab_size), k, p < 1.0, p


@triton.jit
def _position(value, ranges, row, BINS: tl.constexpr):
    """Where a logit lies among the bins: bin i is [i, i + 1), but the first, 1, has all below, too. Never falls where the logit grows."""
    return tl.minimum((value - tl.load(ranges + row * 2)) * tl.load(ranges + row * 2 + 1), BINS - 1.0)


@triton.jit
def _range(logits, ks, ps, ranges, row_stride, vocab_size, SAMPLE: tl.constexpr, BINS: tl.constexpr):
    row, index = tl.program_id(0).to(tl.int64), tl.arange(0, SAMPLE)
    by_k, k, by_p, p = _asked(ks, ps, row, vocab_size)
    if by_k | by_p:
        token_id = index // RUN * (vocab_size // (SAMPLE // RUN)) + index % RUN
        value = tl.load(logits + row * row_stride + token_id, mask=token_id < vocab_size, other=float("-inf")).to(tl.float32)
        highest, lowest = tl.max(value), tl.min(tl.where(value > float("-inf"), value, float("inf")))
        highest, lowest = tl.where(highest > float("-inf"), highest, 0.0), tl.where(highest > float("-inf"), lowest, 0.0)
        ordered = tl.sort(value)
        if by_k:
            # As a share of the sample, the cut is at k * SAMPLE / vocab_size from the top, hardly twice as far down.
            rank = (SAMPLE - 1 - tl.minimum(2.0 * k * SAMPLE / vocab_size + 16.0, SAMPLE - 1.0)).to(tl.int32)
        else:
            # The cut is above those who together weigh less than what is to go.
            mass = tl.cumsum(tl.exp(ordered - highest))
            rank = tl.sum((mass <= (1.0 - p) / 2 * tl.max(tl.where(index < SAMPLE - LUCKY, mass, 0.0))).to(tl.int32)) - 1
        bottom = tl.max(tl.where(index == rank, ordered, float("-inf")))
        bottom = tl.maximum(tl.maximum(bottom, lowest), highest - WIDEST)
        scale = (BINS - 3) / tl.maximum(highest - bottom, 1e-30)    # `bottom` is at 2, `highest` at the last bin
        tl.store(ranges + row * 2, tl.maximum(bottom - 2.0 / scale, LOWEST_FLOAT))
        tl.store(ranges + row * 2 + 1, scale)


@triton.jit
def _histogram(logits, ks, ps, ranges, counts, highests, masses, row_stride, vocab_size, CHUNK: tl.constexpr, BINS: tl.constexpr):
    """For one chunk of a row: the tokens in each bin; its highest logit; and, relative to that, its mass and the lowest bin's."""
    row, chunk = tl.program_id(0).to(tl.int64), tl.program_id(1)
    by_k, k, by_p, p = _asked(ks, ps, row, vocab_size)
    if by_k | by_p:
        token_id = chunk * CHUNK + tl.arange(0, CHUNK)
        value = tl.load(logits + row * row_stride + token_id, mask=token_id < vocab_size, other=float("-inf")).to(tl.float32)
        position = _position(value, ranges, row, BINS)
        bin = tl.where(value > float("-inf"), tl.maximum(position, 1.0), 0.0).to(tl.int32)
        place = row * tl.num_programs(1) + chunk
        tl.store(counts + place * BINS + tl.arange(0, BINS), tl.histogram(bin, BINS))
        highest = tl.maximum(tl.max(value), LOWEST_FLOAT)
        tl.store(highests + place, highest)
        if ps is not None:
            if by_k == 0:       # else only what top-k leaves has a mass
                weight = tl.exp(value - highest)
                tl.store(masses + place * 2, tl.sum(weight))
                tl.store(masses + place * 2 + 1, tl.sum(tl.where(position < 2.0, weight, 0.0)))


@triton.jit
def _choose(ks, ps, ranges, counts, highests, masses, borders, numbers, starts, vocab_size, num_chunks,
            CHUNKS: tl.constexpr, BINS: tl.constexpr):
    """One row's bins to look into: from `low` on and below `high`. By top-k if that is asked for, else by top-p.

    Writes `borders`: low, high, the highest logit, and the mass of the row relative to it, unless by top-k; `numbers`: the tokens that are not -inf, those
    in these bins, and those above; `starts`: for each chunk, how many tokens the chunks before it have in these bins.
    """
    row = tl.program_id(0).to(tl.int64)
    by_k, k, by_p, p = _asked(ks, ps, row, vocab_size)
    if by_k | by_p:
        bin, chunk = tl.arange(0, BINS), tl.arange(0, CHUNKS)
        place, there = row * num_chunks + chunk, chunk < num_chunks
        # Who is -inf does not count.
        count = tl.load(counts + place[:, None] * BINS + bin[None, :], mask=there[:, None] & (bin > 0)[None, :], other=0)
        number = tl.sum(count, 0)
        above = tl.cumsum(number, reverse=True)
        chunk_highest = tl.load(highests + place, mask=there, other=LOWEST_FLOAT)
        highest, finite, total = tl.max(chunk_highest), tl.max(above), 0.0
        enough, too_few = above >= tl.minimum(k, finite), bin == BINS
        if ps is not None:
            factor, there = tl.exp(chunk_highest - highest), there & (by_k == 0)
            total = tl.sum(tl.load(masses + place * 2, mask=there, other=0.0) * factor)
            lowest = tl.sum(tl.load(masses + place * 2 + 1, mask=there, other=0.0) * factor)
            # A token weighs no less than its bin's lower edge and no more than its upper. A hundredth of a bin is for what was rounded.
            width = 1.0 / tl.load(ranges + row * 2 + 1)
            edge = tl.load(ranges + row * 2) - highest + bin * width
            known = tl.where(bin == 1, lowest, 0.0)
            least = tl.where(bin > 1, number * tl.exp(tl.minimum(edge - 0.01 * width, 0.0)), known)
            most = tl.where(bin > 1, number * tl.exp(tl.minimum(edge + 1.01 * width, 0.0)), known)
            spare = (1.0 - p) * total       # what those may weigh that go
            enough = tl.where(by_k, enough, (tl.cumsum(most) - most <= spare) | (above == finite))
            too_few = tl.where(by_k, too_few, tl.cumsum(least) - least > spare)
        low = tl.maximum(tl.max(tl.where(enough & (number > 0), bin, 1)), 1)     # has a token, however the masses were rounded
        # For top-p among what top-k leaves, all tokens that are better are needed.
        high = tl.where(by_k & (by_p == 0), low + 1, tl.maximum(tl.min(tl.where(too_few, bin, BINS)), low + 1))
        inside = tl.sum(tl.where(((bin >= low) & (bin < high))[None, :], count, 0), 1)
        tl.store(starts + place, tl.cumsum(inside) - inside, mask=chunk < num_chunks)
        tl.store(borders + row * 4, tl.where(low > 1, low.to(tl.float32), float("-inf")))
        tl.store(borders + row * 4 + 1, high.to(tl.float32))
        tl.store(borders + row * 4 + 2, highest)
        tl.store(borders + row * 4 + 3, total)
        tl.store(numbers + row * 3, finite)
        tl.store(numbers + row * 3 + 1, tl.sum(inside))
        tl.store(numbers + row * 3 + 2, tl.sum(tl.where(bin >= high, number, 0)))


@triton.jit
def _gather(logits, ks, ps, ranges, borders, numbers, starts, masses_above, buffer, row_stride, vocab_size, num_chunks,
            CHUNK: tl.constexpr, BINS: tl.constexpr, CAPACITY: tl.constexpr, COLUMNS: tl.constexpr):
    """Copies what one chunk has in the bins that `_choose` named, and adds up the mass above them."""
    # Last chunk first: what the histogram read last may still be in the L2 cache. The next to read, `_mask`, begins with the first.
    row, chunk = tl.program_id(0).to(tl.int64), num_chunks - 1 - tl.program_id(1)
    by_k, k, by_p, p = _asked(ks, ps, row, vocab_size)
    if (by_k | by_p) & (tl.load(numbers + row * 3 + 1) <= CAPACITY):
        low, high, highest = tl.load(borders + row * 4), tl.load(borders + row * 4 + 1), tl.load(borders + row * 4 + 2)
        # A column is one thread's, if it takes the logits one by one: then a scan along it needs no other, and one across all does the rest.
        # So tokens do not come in the order of their ids, and need not.
        column, step = tl.arange(0, COLUMNS), tl.arange(0, CHUNK // COLUMNS)
        token_id = tl.max_contiguous(chunk * CHUNK + column[:, None] + step[None, :] * COLUMNS, [1, 1])
        value = tl.load(logits + row * row_stride + token_id, mask=token_id < vocab_size, other=float("-inf")).to(tl.float32)
        position = _position(value, ranges, row, BINS)
        hit = (value > float("-inf")) & (position >= low) & (position < high)
        number = tl.sum(hit.to(tl.int32), 1)
        slot = tl.load(starts + row * num_chunks + chunk) + tl.cumsum(number) - number
        packed = (value.to(tl.int32, bitcast=True).to(tl.int64) << 32) | token_id     # a key is more work, and most would be for nothing
        tl.store(buffer + row * CAPACITY + (slot[:, None] + tl.cumsum(hit.to(tl.int32), 1) - 1), packed, mask=hit)
        if ps is not None:
            if high < BINS:
                mass = tl.where(position >= high, tl.exp(value - highest), 0.0)
                tl.store(masses_above + row * num_chunks + chunk, tl.sum(tl.sum(mass, 1)))


@triton.jit
def _halve(low, above_high, mass_high, by_k, k, target, buffer, row, size, in_buffer, highest, WEIGH: tl.constexpr, TILE: tl.constexpr):
    """Narrow the interval between `low`, below which the cut is not, and `highest`, until there is one token in it, the last to stay: then its
    lower end is the cut.

    Keys differ, so an interval with two tokens in it can be halved. Then the end that moves goes on to the next token: between
    tied tokens and others there is much room. Looks for tokens in the buffer, which has nothing else, or in the row, both
    of `size`. What is above the buffer's, `above_high` and `mass_high`, has been counted. Returns the cut and the mass above it.
    """
    high, above_top, mass_low = (ordered_bits(highest) << 32) | 0xFFFFFFFF, above_high, mass_high
    middle, above_low = low, above_high + 2     # to begin with, count those above `low`
    while above_low - above_high > 1:
        count = tl.zeros([TILE], tl.int32)
        mass = tl.zeros([TILE], tl.float32)
        next_above, next_below = tl.full([TILE], HIGHEST_KEY, tl.int64), tl.full([TILE], ALL_STAY, tl.int64)
        for begin in range(0, size, TILE):
            index = begin + tl.arange(0, TILE)
            if in_buffer:
                packed = tl.load(buffer + index, mask=index < size, other=FORBIDDEN)
                value, token_id = (packed >> 32).to(tl.int32).to(tl.float32, bitcast=True), packed.to(tl.int32)
            else:
                value, token_id = tl.load(row + index, mask=index < size, other=float("-inf")).to(tl.float32), index
            key = order_key(value, token_id)
            kept = key > middle
            count += kept.to(tl.int32)
            next_above = tl.minimum(next_above, tl.where(kept, key, HIGHEST_KEY))
            next_below = tl.maximum(next_below, tl.where(kept, ALL_STAY, key))
            if WEIGH:
                mass += tl.where(kept, tl.exp(value - highest), 0.0)
        above = above_top + tl.sum(count)
        weight = mass_high + tl.sum(mass)
        # The last to stay is one of these, however the masses were rounded.
        enough = (middle == low) | (above > above_top) & tl.where(by_k, above >= k, weight >= target)
        low, high = tl.where(enough, tl.min(next_above) - 1, low), tl.where(enough, high, tl.max(next_below))
        above_low, above_high = tl.where(enough, above, above_low), tl.where(enough, above_high, above)
        mass_low = tl.where(enough, weight, mass_low)
        middle = (low & high) + ((low ^ high) >> 1)     # the mean, rounded down: the sum could overflow
    return low, mass_low


@triton.jit
def _bisect(logits, ks, ps, borders, numbers, masses_above, buffer, cuts, row_stride, vocab_size, num_chunks,
            CHUNKS: tl.constexpr, CAPACITY: tl.constexpr, TILE: tl.constexpr):
    """One row's cut: first by top-k, then, among what that left, by top-p."""
    row = tl.program_id(0).to(tl.int64)
    by_k, k, by_p, p = _asked(ks, ps, row, vocab_size)
    cut = tl.full([], ALL_STAY, tl.int64)
    if by_k | by_p:
        finite, size, above_high = tl.load(numbers + row * 3), tl.load(numbers + row * 3 + 1), tl.load(numbers + row * 3 + 2)
        highest, total, mass_high = tl.load(borders + row * 4 + 2), tl.load(borders + row * 4 + 3), 0.0
        in_buffer = size <= CAPACITY
        size, above_high = tl.where(in_buffer, size, vocab_size), tl.where(in_buffer, above_high, 0)
        buffer += row * CAPACITY
        logits += row * row_stride
        if ps is not None:
            chunk = tl.arange(0, CHUNKS)
            mass_high = tl.sum(tl.load(masses_above + row * num_chunks + chunk, mask=(chunk < num_chunks) & (above_high > 0), other=0.0))
        cut, mass = _halve(cut, above_high, mass_high, by_k, tl.minimum(k, finite), p * total, buffer, logits, size, in_buffer, highest, ps is not None, TILE)
        if ps is not None:
            if by_k & by_p:     # then nothing is above the buffer
                none, nothing = tl.full([], 0, tl.int32), tl.full([], 0.0, tl.float32)
                cut, mass = _halve(cut, none, nothing, False, k, p * mass, buffer, logits, size, in_buffer, highest, True, TILE)
    tl.store(cuts + row, cut)


@triton.jit
def _mask(logits, cuts, out, row_stride, out_stride, vocab_size, CHUNK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    token_id = tl.program_id(1) * CHUNK + tl.arange(0, CHUNK)
    value = tl.load(logits + row * row_stride + token_id, mask=token_id < vocab_size, other=0.0)
    keep = order_key(value.to(tl.float32), token_id) > tl.load(cuts + row)
    tl.store(out + row * out_stride + token_id, tl.where(keep, value, float("-inf")), mask=token_id < vocab_size)


def top_k_top_p(logits: torch.Tensor, k: torch.Tensor | None, p: torch.Tensor | None, out: torch.Tensor | None = None, *, chunk: int = CHUNK,
                sample: int = SAMPLE, bins: int = BINS, capacity: int = CAPACITY, range_warps: int = 4, histogram_warps: int = 4, choose_warps: int = 4,
                gather_warps: int = 4, bisect_tile: int = 1024, bisect_warps: int = 4, mask_chunk: int = 4096, mask_warps: int = 4) -> torch.Tensor:
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
    ranges, borders, numbers, buffer, cuts = empty(2), empty(4), empty(3, dtype=torch.int32), empty(capacity, dtype=torch.int64), empty(dtype=torch.int64)
    histogram = empty(num_chunks, bins, dtype=torch.int32), empty(num_chunks), empty(num_chunks, 2)
    starts, masses_above = empty(num_chunks, dtype=torch.int32), empty(num_chunks)
    stride = logits.stride(0)
    _range[(rows,)](logits, k, p, ranges, stride, vocab_size, SAMPLE=sample, BINS=bins, num_warps=range_warps)
    _histogram[(rows, num_chunks)](logits, k, p, ranges, *histogram, stride, vocab_size, CHUNK=chunk, BINS=bins, num_warps=histogram_warps)
    _choose[(rows,)](k, p, ranges, *histogram, borders, numbers, starts, vocab_size, num_chunks, CHUNKS=chunks, BINS=bins, num_warps=choose_warps)
    _gather[(rows, num_chunks)](logits, k, p, ranges, borders, numbers, starts, masses_above, buffer, stride, vocab_size, num_chunks,
                                CHUNK=chunk, BINS=bins, CAPACITY=capacity, COLUMNS=min(chunk, 32 * gather_warps), num_warps=gather_warps)
    _bisect[(rows,)](logits, k, p, borders, numbers, masses_above, buffer, cuts, stride, vocab_size, num_chunks,
                     CHUNKS=chunks, CAPACITY=capacity, TILE=bisect_tile, num_warps=bisect_warps)
    _mask[(rows, triton.cdiv(vocab_size, mask_chunk))](logits, cuts, out, stride, out.stride(0), vocab_size, CHUNK=mask_chunk, num_warps=mask_warps)
    return out


def bytes_min(rows: int, vocab_size: int, element: int = 4) -> int:
    """Each logit once in and once out; k and p of a row. `element`: bytes of a logit."""
    return rows * (2 * vocab_size * element + 8)
