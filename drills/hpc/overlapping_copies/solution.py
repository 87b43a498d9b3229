"""Two events per chunk: it has arrived, and it has been used."""
from drills.hpc.fakes import FakeStreams


def run(streams: FakeStreams, chunks: int) -> None:
    """Queue the copies of all chunks and the computation on each, in order, so that both engines work at the same time."""
    used = []       # events, by chunk
    for chunk in range(chunks):
        buffer = chunk % streams.buffers
        if chunk >= streams.buffers:
            streams.copies.wait(used[chunk - streams.buffers])      # what was in the buffer before is still needed until then
        streams.copies.copy(buffer, chunk)
        streams.computes.wait(streams.copies.record())
        streams.computes.compute(buffer)
        used.append(streams.computes.record())
