"""Gives the requests to the servers in turn: one waits behind a long request while another server is free."""
from drills.hpc.littles_law.solution import *  # noqa: F403

FAILS = {"test_a_queue": "begin and end are"}


def simulate(arrivals, services, servers):
    free, spans = [0] * servers, []
    for i, (arrival, service) in enumerate(zip(arrivals, services)):
        start = max(arrival, free[i % servers])
        free[i % servers] = start + service
        spans.append((start, start + service))
    return spans
