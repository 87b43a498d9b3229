"""Waits for the arrival only: when computing is slow, the copy after the next overwrites what is being read."""
FAILS = {"test_nothing_is_overwritten_while_it_is_read": "has to wait until the buffer has been used",
         "test_nothing_is_read_before_it_has_arrived": "where chunk"}


def run(streams, chunks):
    for chunk in range(chunks):
        streams.copies.copy(chunk % streams.buffers, chunk)
        streams.computes.wait(streams.copies.record())
        streams.computes.compute(chunk % streams.buffers)
