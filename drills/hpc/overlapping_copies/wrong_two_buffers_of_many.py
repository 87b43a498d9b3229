"""Double buffering, however many buffers there are: a slow copy cannot be prepared earlier."""
FAILS = {"test_copies_hide_behind_computing": "s are enough"}


def run(streams, chunks):
    used, buffers = [], min(streams.buffers, 2)
    for chunk in range(chunks):
        if chunk >= buffers:
            streams.copies.wait(used[chunk - buffers])
        streams.copies.copy(chunk % buffers, chunk)
        streams.computes.wait(streams.copies.record())
        streams.computes.compute(chunk % buffers)
        used.append(streams.computes.record())
