"""The token budget: how many tokens a step computes, and for whom."""
from spec.bench import claim, workload

SCHEDULE = "v1/core/sched/scheduler.py::Scheduler.schedule"

# A budget of 8: `a` decodes, `b` takes what is left, and nothing is left for `c`.
thin = (workload(num_blocks=12, max_num_batched_tokens=8, max_num_seqs=4)
        .request("a", prompt=4, max_tokens=6)
        .request("b", prompt=12, max_tokens=2, arrives=1)
        .request("c", prompt=4, max_tokens=2, arrives=1))

# `long` comes first and gets 4 tokens a step, so that `b` and `c` decode behind it.
slow_long = (workload(num_blocks=8, max_num_batched_tokens=12, max_num_seqs=4, long_prefill_token_threshold=4)
             .request("long", prompt=20, max_tokens=2)
             .request("b", prompt=4, max_tokens=6)
             .request("c", prompt=4, max_tokens=6))

shared_prefix = (workload(num_blocks=12, max_num_batched_tokens=9)
                 .request("a", prompt="system:8 a:1", max_tokens=1)
                 .request("b", prompt="system:8 b:4", max_tokens=2, arrives=1)
                 .request("c", prompt="system:8 c:4", max_tokens=2, arrives=1))

one_token = workload(num_blocks=4, max_num_batched_tokens=1).request("a", prompt=3, max_tokens=2)

# `low` is served first in step 2, then preempted by `high`, and `mid` still wants tokens.
served_then_preempted = (workload(num_blocks=6, max_num_batched_tokens=8, max_num_seqs=4, policy="priority",
                                  enable_prefix_caching=False, scheduler_reserve_full_isl=False)
                         .request("low", prompt=7, max_tokens=4, priority=9)
                         .request("high", prompt=4, max_tokens=3, priority=0, arrives=1)
                         .request("mid", prompt=16, max_tokens=2, priority=1, arrives=1))


def given(step):
    return [(share.request_id, share.num_tokens) for share in step.scheduled]


def is_decode(run, share):
    prompt = next(spec.num_prompt_tokens for spec in run.workload.requests if spec.request_id == share.request_id)
    return share.num_computed_tokens >= prompt


@claim("With chunked prefill, a step spends its token budget to the last token as long as somebody wants tokens.",
       on=thin, about="chunk", vllm=SCHEDULE)
def test_a_step_spends_its_whole_budget(run):
    assert [step.num_tokens for step in run.steps] == [4, 8, 8, 4, 2, 1]


@claim("Running requests are served first, in the order of their admission, and only then is anybody admitted.",
       on=thin, about=("admission", "decode"), vllm=SCHEDULE)
def test_running_requests_are_served_first(run):
    assert [(share.request_id, share.kind) for share in run.steps[2].scheduled] == [("a", "running"), ("b", "running"), ("c", "new")]
    for step in run.steps:
        assert step.running + step.admitted == list(step.scheduled)


@claim("The request at which the budget runs out gets what is left of it, and those behind it wait.",
       on=thin, about=("chunk", "waiting"), vllm=SCHEDULE)
def test_the_budget_runs_out_in_the_middle_of_a_prompt(run):
    assert given(run.steps[1]) == [("a", 1), ("b", 7)]
    assert run.steps[1].scheduled_state.waiting == ("c",)


# V0's scheduler and mini-engines plan a step for one or the other. Since V1 each request
# just has tokens that are not computed yet, and a step mixes them as they come.
@claim("A step computes either prompts or decodes, never both.",
       on=thin, about=("chunk", "decode"), vllm=SCHEDULE, misconception=True)
def test_a_step_is_either_prefill_or_decode(run):
    for step in run.steps:
        decodes = {is_decode(run, share) for share in step.scheduled}
        assert len(decodes) == 1, f"step {step.index} computes {given(step)}"


# vLLM's guide to chunked prefill says that decodes are prioritized. They come first because
# they were admitted first, mostly; a long prompt that was admitted before them is served before them.
@claim("Within a step, decodes are served before prompts in progress.",
       on=slow_long, about=("chunk", "decode"), vllm=SCHEDULE, misconception=True)
def test_decodes_are_served_before_prompts_in_progress(run):
    for step in run.steps:
        decodes = [is_decode(run, share) for share in step.running]
        assert decodes == sorted(decodes, reverse=True), f"step {step.index} serves {given(step)} in this order"


# The same belief, as to memory: the order of admission decides here too.
@claim("A prompt in progress never takes blocks away from a decode.",
       on=slow_long, about=("preemption", "chunk"), vllm=SCHEDULE, misconception=True)
def test_a_prompt_in_progress_spares_the_decodes(run):
    for before, step in zip(run.block_tables, run.steps[1:]):
        lost = {block_id for victim in step.preempted for block_id in before[victim]}
        for share in step.running:
            assert is_decode(run, share) or not lost & set(share.new_block_ids), \
                f"step {step.index}: {share.request_id} took a block of {step.preempted}"


@claim("A prompt in progress keeps its place in the order of service, before all who were admitted after it.",
       on=slow_long, about="chunk", vllm=SCHEDULE)
def test_a_prompt_in_progress_keeps_its_place(run):
    assert [given(step) for step in run.steps[:4]] == [
        [("long", 4), ("b", 4), ("c", 4)], [("long", 4), ("b", 1), ("c", 1)], [("long", 4), ("b", 1), ("c", 1)], [("long", 4), ("b", 1)]]


@claim("Tokens found in the prefix cache cost nothing of the budget.", on=shared_prefix, about="cache hit", vllm=SCHEDULE)
def test_cached_tokens_need_no_budget(run):
    assert [(share.request_id, share.num_computed_tokens, share.num_tokens) for share in run.steps[1].scheduled] == [
        ("b", 8, 4), ("c", 8, 4)]


@claim("Under a budget of one token a prompt is computed token by token, like a decode.",
       on=one_token, about="admission", vllm=SCHEDULE)
def test_a_budget_of_one_token(run):
    assert [(share.num_computed_tokens, share.num_tokens) for share in run.shares("a")] == [(0, 1), (1, 1), (2, 1), (3, 1)]
    assert [len(step.outputs) for step in run.steps] == [0, 0, 1, 1]


@claim("Under the priority policy, a request that is preempted after it was served gives its tokens back to the budget.",
       on=served_then_preempted, about="preemption", vllm=SCHEDULE)
def test_a_preempted_request_gives_its_tokens_back(run):
    step = run.steps[2]
    assert step.preempted == ("low",)
    assert given(step) == [("high", 1), ("mid", 7)]
