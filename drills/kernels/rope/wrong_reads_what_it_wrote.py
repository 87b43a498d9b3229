"""Stores the first half, then loads it again for the second: the old a is gone."""
import triton
import triton.language as tl

FAILS = {"test_one_point": "one point, query", "test_number_i_turns_with_number_i_plus_half": "1 2 3 4 at position 1, query",
         "test_the_position_chooses_the_angle": "positions 7, 0, 3, 3, 30, query", "test_any_number_of_heads_and_any_size": "D = .*, query",
         "test_half_precision": "float16, query"}


@triton.jit
def rope_kernel(positions, x, cos_sin_cache, NUM_HEADS: tl.constexpr, HALF: tl.constexpr, HEADS: tl.constexpr, COLUMNS: tl.constexpr):
    token = tl.program_id(0)
    heads, columns = tl.arange(0, HEADS)[:, None], tl.arange(0, COLUMNS)[None, :]
    angles = cos_sin_cache + tl.load(positions + token) * 2 * HALF + columns
    mask = (heads < NUM_HEADS) & (columns < HALF)
    at = x + token * NUM_HEADS * 2 * HALF + heads * 2 * HALF + columns
    cos, sin = tl.load(angles, mask=columns < HALF).to(tl.float32), tl.load(angles + HALF, mask=columns < HALF).to(tl.float32)
    tl.store(at, (tl.load(at, mask=mask) * cos - tl.load(at + HALF, mask=mask) * sin).to(x.dtype.element_ty), mask=mask)
    tl.store(at + HALF, (tl.load(at + HALF, mask=mask) * cos + tl.load(at, mask=mask) * sin).to(x.dtype.element_ty), mask=mask)


def rope(positions, query, key, cos_sin_cache):
    for x in (query, key):
        if len(x):
            heads, half = x.shape[1], x.shape[2] // 2
            rope_kernel[(len(x),)](positions, x, cos_sin_cache, NUM_HEADS=heads, HALF=half,
                                   HEADS=triton.next_power_of_2(heads), COLUMNS=triton.next_power_of_2(half))
