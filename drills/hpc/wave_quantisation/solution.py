"""Programs run in waves, and the last wave takes as long as a full one."""


def waves(programs: int, sms: int, per_sm: int) -> int:
    """How many rounds the programs need when `per_sm` of them run on each SM at the same time."""
    return -(-programs // (sms * per_sm))


def efficiency(programs: int, sms: int, per_sm: int) -> float:
    """Share of the places in all waves that hold a program; 1.0 if there is nothing to do."""
    return programs / (waves(programs, sms, per_sm) * sms * per_sm) if programs else 1.0


def decode_time(pairs: int, blocks: int, splits: int, sms: int, per_sm: int, merge: float = 0.0) -> float:
    """Time of split-KV decode attention, in the time that a program needs for one block.

    Each of the `pairs` of a request and a KV head has `blocks` blocks, which `splits` programs share as evenly as whole
    blocks allow; `merge` is what each split costs to be merged, if there are several.
    """
    longest = -(-blocks // splits)
    return waves(pairs * splits, sms, per_sm) * longest + (merge * splits if splits > 1 else 0)


def best_splits(pairs: int, blocks: int, sms: int, per_sm: int, merge: float = 0.0, most: int = 128) -> int:
    """The number of splits, from 1 to `most` and not above `blocks`, that takes the least time; the smallest of those."""
    return min(range(1, min(blocks, most) + 1), key=lambda splits: decode_time(pairs, blocks, splits, sms, per_sm, merge))
