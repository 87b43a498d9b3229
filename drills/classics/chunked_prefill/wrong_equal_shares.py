"""Divides the budget equally among the requests that are there, so that tokens which one does not need are wasted."""
from drills.classics.chunked_prefill.solution import Chunk

FAILS = {"test_prompts_share_a_step": "request 0 gets 2 tokens, should get 5", "test_outputs_go_on_beside_a_prompt": "should get",
         "test_the_threshold": "should get",
         "test_any_requests": "should get"}


def plan(prompt_lens, output_lens, token_budget, long_prefill_token_threshold=0):
    known, computed, steps = list(prompt_lens), [0] * len(prompt_lens), []
    while unfinished := [i for i in range(len(known)) if known[i] < prompt_lens[i] + output_lens[i]]:
        step, budget, cap = [], token_budget, max(1, token_budget // len(unfinished))
        if long_prefill_token_threshold and len(unfinished) > 1:
            cap = min(cap, long_prefill_token_threshold)
        for i in unfinished:
            size = min(known[i] - computed[i], cap, budget)
            if size:
                step.append(Chunk(i, computed[i], computed[i] + size, computed[i] + size == known[i]))
                computed[i], budget = computed[i] + size, budget - size
        for chunk in step:
            known[chunk.request] += chunk.samples
        steps.append(step)
    return steps
