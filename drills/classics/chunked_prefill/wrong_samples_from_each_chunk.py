"""Takes a token from the logits of every chunk, also from the middle of a prompt."""
from drills.classics.chunked_prefill import solution

FAILS = {"test_a_long_prompt_is_cut": "request 0 samples after 8 of its 20 tokens", "test_prompts_share_a_step": "request 1 samples after 3 of its 6",
         "test_outputs_go_on_beside_a_prompt": "request 1 samples after 5 of its 30", "test_the_threshold": "request 0 samples after 4 of its 20",
         "test_a_request_alone_is_not_held_back": "request 0 samples after 8 of its 30", "test_any_requests": "samples after"}


def plan(prompt_lens, output_lens, token_budget, long_prefill_token_threshold=0):
    steps = solution.plan(prompt_lens, output_lens, token_budget, long_prefill_token_threshold)
    return [[chunk._replace(samples=True) for chunk in step] for step in steps]
