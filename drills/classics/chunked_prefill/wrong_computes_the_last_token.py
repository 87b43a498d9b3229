"""Computes the last token of the output too, though nothing is sampled from it any more: a step too many."""
from drills.classics.chunked_prefill import solution

FAILS = {"test_one_token_from_one": "everybody had finished before this step", "test_a_prompt_in_one_step": "everybody had finished",
         "test_the_output_follows_token_by_token": "everybody had finished", "test_a_long_prompt_is_cut": "everybody had finished",
         "test_prompts_share_a_step": "have finished", "test_outputs_go_on_beside_a_prompt": "finished",
         "test_more_requests_than_budget": "finished|should get",
         "test_the_threshold": "finished|should get", "test_a_request_alone_is_not_held_back": "finished", "test_any_requests": "finished|should get"}


def plan(prompt_lens, output_lens, token_budget, long_prefill_token_threshold=0):
    return solution.plan(prompt_lens, [number + 1 for number in output_lens], token_budget, long_prefill_token_threshold)
