"""Wave quantisation: your answer. The problem is in drills/hpc/wave_quantisation/README.md."""


def waves(programs: int, sms: int, per_sm: int) -> int:
    """How many rounds the programs need when `per_sm` of them run on each SM at the same time."""
    raise NotImplementedError("wave_quantisation: waves is not written yet")


def efficiency(programs: int, sms: int, per_sm: int) -> float:
    """Share of the places in all waves that hold a program; 1.0 if there is nothing to do."""
    raise NotImplementedError("wave_quantisation: efficiency is not written yet")


def decode_time(pairs: int, blocks: int, splits: int, sms: int, per_sm: int, merge: float = 0.0) -> float:
    """Time of split-KV decode attention, in the time that a program needs for one block.

    Each of the `pairs` of a request and a KV head has `blocks` blocks, which `splits` programs share as evenly as whole
    blocks allow; `merge` is what each split costs to be merged, if there are several.
    """
    raise NotImplementedError("wave_quantisation: decode_time is not written yet")


def best_splits(pairs: int, blocks: int, sms: int, per_sm: int, merge: float = 0.0, most: int = 128) -> int:
    """The number of splits, from 1 to `most` and not above `blocks`, that takes the least time; the smallest of those."""
    raise NotImplementedError("wave_quantisation: best_splits is not written yet")
