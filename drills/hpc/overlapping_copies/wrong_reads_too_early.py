"""Forgets that the compute stream has to wait for the copy."""
FAILS = {"test_nothing_is_read_before_it_has_arrived": "nothing has arrived yet", "test_nothing_is_overwritten_while_it_is_read": "while computation"}


def run(streams, chunks):
    used = []
    for chunk in range(chunks):
        if chunk >= streams.buffers:
            streams.copies.wait(used[chunk - streams.buffers])
        streams.copies.copy(chunk % streams.buffers, chunk)
        streams.computes.compute(chunk % streams.buffers)
        used.append(streams.computes.record())
