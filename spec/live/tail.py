"""Reading run files that grow, each reader at its own pace: nobody is told anything, so nobody can be waited for.

A place in them is `<file>:<lines read>`, for example `20261123-025058-12726:17`.
"""
import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

PIECE = 1 << 16     # bytes read at once; what has been read is held until the reader has taken it
LOOK_AGAIN_S = 0.03


async def follow(files: Sequence[Path], place: str, heartbeat_s: float) -> AsyncIterator[tuple[str, bytes] | None]:
    """Each line behind `place`, with its own place; None if nothing has come for `heartbeat_s`.

    An unknown place (of another server) is the beginning of the file that grows now.
    """
    number, skip = _find(files, place)
    while True:
        lines = 0
        async for line in _lines(files, number, heartbeat_s):
            if line is None:
                yield None
                continue
            lines += 1
            if lines > skip:
                yield f"{files[number].stem}:{lines}", line
        number, skip = number + 1, 0


def _find(files: Sequence[Path], place: str) -> tuple[int, int]:
    """Which file, and how many of its lines are known."""
    stem, _, lines = place.rpartition(":")
    known = [path.stem for path in files]
    return (known.index(stem), int(lines)) if stem in known and lines.isdecimal() else (len(known) - 1, 0)


async def _lines(files: Sequence[Path], number: int, heartbeat_s: float) -> AsyncIterator[bytes | None]:
    """The lines of one file, until it is complete: that is, until there is a next one, and this one has no more."""
    rest, silent_s = b"", 0.0
    with files[number].open("rb") as file:
        while True:
            complete = number + 1 < len(files)      # asked before reading: what was written before the next file began is read
            piece = file.read(PIECE)
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                yield line
            if piece:
                silent_s = 0.0
                continue
            if complete:
                return
            if silent_s >= heartbeat_s:
                silent_s = 0.0
                yield None
            await asyncio.sleep(LOOK_AGAIN_S)
            silent_s += LOOK_AGAIN_S
