"""The judge of overlapping copies: it looks for hazards in what the engines did, and compares with the shortest time there is."""
import random

from drills.hpc.fakes import FakeStreams


def cases():
    """Seconds of the copies, of the computations, and a number of buffers; the easiest first."""
    yield [], [], 2
    yield [1], [1], 2
    yield [1, 1], [1, 1], 2
    yield [1] * 6, [3] * 6, 2       # computing takes longer
    yield [3] * 6, [1] * 6, 2       # copying takes longer
    yield [1] * 6, [1] * 6, 1       # a single buffer: nothing can overlap
    yield [2] * 9, [2] * 9, 3
    yield [1, 1, 1, 9, 1, 1, 1, 1], [4] * 8, 4      # one slow copy, for which there is time if copies run ahead
    random.seed(2)
    for _ in range(60):
        chunks = random.randint(1, 12)
        yield [random.randint(1, 9) for _ in range(chunks)], [random.randint(1, 9) for _ in range(chunks)], random.randint(1, 4)


def queued(answer, copies, computes, buffers):
    streams = FakeStreams(copies, computes, buffers)
    answer.run(streams, len(copies))
    return streams.work, f"copies of {copies} s, computations of {computes} s, {buffers} buffers"


def test_each_chunk_is_copied_and_computed(answer):
    for case in cases():
        work, about = queued(answer, *case)
        for kind, what in (("copy", "copied"), ("compute", "computed on")):
            chunks = sorted(chunk for each, _, chunk, _, _ in work if each == kind)
            assert chunks == list(range(len(case[0]))), f"{about}: each chunk is to be {what} once; you have {chunks}"


def test_nothing_is_read_before_it_has_arrived(answer):
    for case in cases():
        work, about = queued(answer, *case)
        for _, buffer, chunk, start, _ in (each for each in work if each[0] == "compute"):
            arrived = [(end, other) for kind, place, other, _, end in work if (kind, place) == ("copy", buffer) and end <= start]
            there = max(arrived)[1] if arrived else None
            assert there == chunk, (f"{about}: computation {chunk} begins at {start} s in buffer {buffer}, where " + (
                "nothing has arrived yet" if there is None else f"chunk {there} is") + ": the compute stream has to wait for the event of the copy")


def test_nothing_is_overwritten_while_it_is_read(answer):
    for case in cases():
        work, about = queued(answer, *case)
        for _, buffer, chunk, start, end in (each for each in work if each[0] == "compute"):
            for kind, place, other, begin, done in work:
                assert kind == "compute" or place != buffer or done <= start or begin >= end, (
                    f"{about}: chunk {other} is copied into buffer {buffer} from {begin} to {done} s, while computation {chunk} reads it from {start} to "
                    f"{end} s: the copy stream has to wait until the buffer has been used")


def test_copies_hide_behind_computing(answer):
    for case in cases():
        work, about = queued(answer, *case)
        copies, computes, buffers = case
        copied, computed = [], []
        for i, (copy, compute) in enumerate(zip(copies, computes)):
            room = computed[i - buffers] if i >= buffers else 0
            copied.append(max(copied[-1] if copied else 0, room) + copy)
            computed.append(max(computed[-1] if computed else 0, copied[-1]) + compute)
        took, shortest = max((end for *_, end in work), default=0), max(computed, default=0)
        assert took <= shortest, f"{about}: yours takes {took} s, {shortest} s are enough (one after the other: {sum(copies) + sum(computes)} s)"
