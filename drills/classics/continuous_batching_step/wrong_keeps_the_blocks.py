"""Sends a victim back to the queue without freeing its blocks, so that everybody has to go."""
from drills.classics.continuous_batching_step.solution import Step, _schedule_waiting, _share, _take

FAILS = {"test_the_last_is_preempted": "as few as possible", "test_who_lacks_nothing_is_preempted_as_well": "as few as possible",
         "test_several_are_preempted": "as few as possible",
         "test_a_request_preempts_itself": "still holds 1 blocks: they are lost", "test_the_preempted_go_to_the_front": "they are lost",
         "test_nobody_is_admitted_in_a_step_that_preempts": "as few as possible", "test_any_step": "as few as possible|they are lost",
         "test_a_whole_life": "as few as possible|they are lost"}


def schedule_step(running, waiting, blocks, token_budget, max_num_seqs, cap=None):
    step = Step()
    for request in list(running):
        share = _share(request.num_tokens - request.num_computed_tokens, token_budget, cap)
        if share == 0:
            continue
        while request in running and not blocks.allocate(request, share):
            victim = running.pop()
            victim.num_computed_tokens = 0
            waiting.appendleft(victim)
            step.preempted.append(victim.request_id)
        if request not in running:
            break
        _take(step, request, share)
        token_budget -= share
    if not step.preempted:
        _schedule_waiting(step, running, waiting, blocks, token_budget, max_num_seqs, cap)
    return step
