"""Holds back a long prompt by the threshold even if it is the only request: half of the step is wasted."""
from drills.classics.chunked_prefill.solution import Chunk

FAILS = {"test_the_threshold": "gets 4 tokens, should get",
         "test_a_request_alone_is_not_held_back": "request 0 gets 4 tokens, should get 8: .* 1 requests are there",
         "test_any_requests": "1 requests are there"}


def plan(prompt_lens, output_lens, token_budget, long_prefill_token_threshold=0):
    cap = long_prefill_token_threshold or token_budget
    known, computed, steps = list(prompt_lens), [0] * len(prompt_lens), []
    while unfinished := [i for i in range(len(known)) if known[i] < prompt_lens[i] + output_lens[i]]:
        step, budget = [], token_budget
        for i in unfinished:
            size = min(known[i] - computed[i], cap, budget)
            if size:
                step.append(Chunk(i, computed[i], computed[i] + size, computed[i] + size == known[i]))
                computed[i], budget = computed[i] + size, budget - size
        for chunk in step:
            known[chunk.request] += chunk.samples
        steps.append(step)
    return steps
