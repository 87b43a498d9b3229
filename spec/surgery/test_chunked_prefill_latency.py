"""How long those who decode wait for a long prompt. The whole experiment: `python -m reference.experiments.chunked_prefill_latency`."""
from reference.experiments.chunked_prefill_latency import DECODING, first_token, interrupted, measured
from spec.bench import claim

SCHEDULE = "v1/core/sched/scheduler.py::Scheduler.schedule"
PROMPT, BUDGET, THRESHOLD = 200, 32, 24

one_under_a_budget = interrupted(prompt=PROMPT, decodes=60, max_num_batched_tokens=BUDGET)
four_under_a_budget = interrupted(4, prompt=PROMPT, decodes=60, max_num_batched_tokens=BUDGET)
four_under_a_threshold = interrupted(4, prompt=PROMPT, decodes=60, long_prefill_token_threshold=THRESHOLD)


@claim("While prompts come in, those who decode wait for the whole budget of each step, and get a token in every one.",
       on=(one_under_a_budget, four_under_a_budget), about=("chunk", "decode"), vllm=SCHEDULE)
def test_a_decode_waits_for_the_budget(one, four):
    for run, steps in ((one, 9), (four, 34)):
        told = measured(run)
        assert told["longest wait"] == BUDGET
        assert told["steps to the last one's"] == steps == -(-sum(spec.num_prompt_tokens for spec in run.workload.requests if spec.arrives) // (BUDGET - DECODING))


# The name of the option sounds like a cap on the step.
@claim("long_prefill_token_threshold caps what prompts take of a step.",
       on=four_under_a_threshold, about=("chunk", "decode"), vllm=SCHEDULE, misconception=True)
def test_the_threshold_caps_the_step(run):
    longest = measured(run)["longest wait"]
    assert longest <= DECODING + THRESHOLD, f"four prompts took {longest - DECODING} tokens of a step: each has a cap of its own"


@claim("Under a budget prompts are computed one after the other, under a threshold side by side: the first has its token early or late.",
       on=(four_under_a_budget, four_under_a_threshold), about="chunk", vllm=SCHEDULE)
def test_one_after_the_other_or_side_by_side(budget, threshold):
    after, beside = ([first_token(run, f"long{number}") for number in range(4)] for run in (budget, threshold))
    assert after == sorted(set(after)) and len(set(beside)) == 1, f"{after} and {beside}"
