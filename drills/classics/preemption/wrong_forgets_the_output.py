"""Begins anew from the prompt alone: the user has seen the output already, and would now see another one."""
from drills.classics.preemption import solution
from drills.classics.preemption.solution import resume  # noqa: F401

FAILS = {"test_what_is_kept": r"after the preemption they are \[1, 2, 3\]", "test_it_finds_its_prefix_again": "12 of its 13 tokens",
         "test_any_sequence": "had the tokens"}


def preempt(request, running, waiting, pool):
    solution.preempt(request, running, waiting, pool)
    del request.token_ids[request.num_prompt_tokens:]
