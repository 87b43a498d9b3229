"""Lets each copy wait for the computation before it, not for the one that used its buffer: two buffers, and no use of it."""
FAILS = {"test_copies_hide_behind_computing": "s are enough"}


def run(streams, chunks):
    for chunk in range(chunks):
        streams.copies.wait(streams.computes.record())
        streams.copies.copy(chunk % streams.buffers, chunk)
        streams.computes.wait(streams.copies.record())
        streams.computes.compute(chunk % streams.buffers)
