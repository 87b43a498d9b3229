"""Speculative decoding: drafts are scheduled like tokens, and taken back where they were wrong."""
from reference.workload import WRONG_DRAFT
from spec.bench import claim, workload

SCHEDULE = "v1/core/sched/scheduler.py::Scheduler.schedule"
UPDATE = "v1/core/sched/scheduler.py::Scheduler.update_from_output"
PREEMPT = "v1/core/sched/scheduler.py::Scheduler._preempt_request"
DRAFTS = "v1/core/sched/scheduler.py::Scheduler.update_draft_token_ids"
ALLOCATE = "v1/core/kv_cache_manager.py::KVCacheManager.allocate_slots"
STATS = "v1/spec_decode/metrics.py::SpecDecodingStats.observe_draft"
PLACEHOLDER = -1

# Of twelve output tokens the third and the eighth are drafted wrongly.
alone = workload(num_blocks=12, num_speculative_tokens=3).request("a", prompt=6, max_tokens=12, misdrafts=(3, 8))
hopeless = workload(num_blocks=12, num_speculative_tokens=3).request("a", prompt=6, max_tokens=6, misdrafts=tuple(range(2, 10)))

# The budget of a step is too small for two requests with their drafts; or only enough for one.
tight = (workload(num_blocks=12, num_speculative_tokens=3, max_num_batched_tokens=6, max_num_seqs=3)
         .request("a", prompt=3, max_tokens=9)
         .request("b", prompt=3, max_tokens=9))
starved = (workload(num_blocks=12, num_speculative_tokens=3, max_num_batched_tokens=4, max_num_seqs=3)
           .request("a", prompt=2, max_tokens=9)
           .request("b", prompt=2, max_tokens=9))

# Five tokens are said; the last four of them in one step, and they fill the second block.
conversation = (workload(num_blocks=12, num_speculative_tokens=3)
                .request("a", prompt=4, max_tokens=5)
                .request("b", prompt="a:4 a.out:5", arrives=6, max_tokens=2))
# At step 1 the drafts of the first need the only free block and one more.
crowded = (workload(num_blocks=6, num_speculative_tokens=5)
           .request("a", prompt=7, max_tokens=8, misdrafts=(2,))
           .request("b", prompt=8, max_tokens=3, drafts=(5, None)))

# At step 1 the second finds its prompt cached but for one token.
late = (workload(num_blocks=12, num_speculative_tokens=3)
        .request("a", prompt=4, max_tokens=12)
        .request("b", prompt="a:4 b:1", arrives=1, max_tokens=6))
# A long prompt comes after the second, and before a third which is cached as far.
beside_a_prefill = (late.with_config(long_prefill_token_threshold=5)
                    .request("long", prompt=12, arrives=1, max_tokens=2)
                    .request("c", prompt="a:4 c:1", arrives=2, max_tokens=2))
# The budget is smaller than a token and all drafts.
too_tight = (workload(num_blocks=12, num_speculative_tokens=3, max_num_batched_tokens=3)
             .request("a", prompt=3, max_tokens=6)
             .request("b", prompt="a:3 a.out:1 b:1", arrives=4, max_tokens=6))


def without_drafts(asked):
    """The same requests, one token at a time."""
    limits = {name: value for name, value in asked.config.items() if name != "num_speculative_tokens"}
    built = workload(**limits)
    for spec in asked.requests:
        built = built.request(spec.request_id, spec.prompt, arrives=spec.arrives, max_tokens=spec.max_tokens)
    return built


def drafts(run, request_id):
    """By step, the drafts of a request."""
    return [share.spec_token_ids for share in run.shares(request_id)]


@claim("A decoding request takes a token of the budget for its last token and one for each draft.",
       on=alone, about="draft", vllm=SCHEDULE)
def test_drafts_are_paid_for(run):
    prompt, *decodes = run.shares("a")
    assert prompt.spec_token_ids == ()
    assert all(share.num_tokens == 1 + len(share.spec_token_ids) == 4 for share in decodes)


@claim("A step gives the drafts that were right up to the first wrong one, and one token more.",
       on=alone, about=("accepted draft", "rejected draft"), vllm=UPDATE)
def test_a_step_gives_one_more_than_was_right(run):
    right = [next((index for index, draft in enumerate(each) if draft == WRONG_DRAFT), len(each)) for each in drafts(run, "a")]
    given = [len(step.outputs[0].new_token_ids) for step in run.steps]
    assert right == [0, 1, 3, 0, 3] and given == [1, 2, 4, 1, 4]


@claim("What was computed for a rejected draft, and for all behind it, is computed again.",
       on=alone, about="rejected draft", vllm=UPDATE)
def test_a_rejection_rolls_back(run):
    shares = run.shares("a")
    for step, before, after in zip(run.steps, shares, shares[1:]):
        kept = before.num_tokens - len(before.spec_token_ids) + len(step.outputs[0].new_token_ids) - 1
        assert after.num_computed_tokens == before.num_computed_tokens + kept
    assert [share.num_computed_tokens for share in shares] == [0, 6, 8, 12, 13]


@claim("When drafts are rejected, the blocks that were allocated for them are given back.",
       on=hopeless, about="rejected draft", vllm=ALLOCATE, misconception=True)
def test_rejected_drafts_give_their_blocks_back(run):
    for step in run.steps[1:-1]:
        held = 11 - len(step.updated_state.free_blocks)
        known = 6 + sum(len(before.outputs[0].new_token_ids) for before in run.steps[:step.index + 1])
        assert held == -(-known // 4), f"after step {step.index} it holds {held} blocks for {known} tokens"


@claim("However bad the drafts are, no step gives less than one token.",
       on=(hopeless, without_drafts(hopeless)), about="rejected draft", vllm=UPDATE)
def test_bad_drafts_cost_no_steps(speculating, plain):
    assert len(speculating.steps) == len(plain.steps) == 6
    assert speculating.outputs == plain.outputs


@claim("With drafts a request says the same tokens, in fewer steps.",
       on=(alone, without_drafts(alone)), about=("accepted draft", "rejected draft"), vllm=UPDATE)
def test_drafts_change_no_token(speculating, plain):
    assert speculating.outputs == plain.outputs
    assert (len(speculating.steps), len(plain.steps)) == (5, 12)


@claim("A block filled by drafts is not in the prefix cache until the next step, when they have been verified.",
       on=alone, about=("accepted draft", "rejected draft"), vllm=ALLOCATE)
def test_drafts_are_not_cached(run):
    tables, known = run.block_tables, 6     # tokens whose values are certain when a step is scheduled
    for step in run.steps:
        assert set(step.scheduled_state.cached_blocks) == set(tables[step.index]["a"][:known // 4])
        known += len(step.outputs[0].new_token_ids)


@claim("The last blocks of a finished request are in the prefix cache as far as they are full and computed.",
       on=(conversation, without_drafts(conversation)), about="end inside drafts", vllm=ALLOCATE, misconception=True)
def test_the_end_of_a_conversation_is_cached(speculating, plain):
    assert plain.first_step("b").of("b").num_computed_tokens == 8, "token by token, both full blocks are"
    hit = speculating.first_step("b").of("b").num_computed_tokens
    assert hit == 8, f"of nine tokens, eight of them computed in full blocks, {hit} are found again"


@claim("Drafts for which the token budget has no room are forgotten, and never verified.",
       on=tight, about="truncated drafts", vllm=SCHEDULE)
def test_the_budget_cuts_drafts(run):
    step = run.steps[1]
    assert [(share.request_id, len(share.spec_token_ids)) for share in step.scheduled] == [("a", 3), ("b", 1)]
    assert step.num_tokens == 6
    # The next drafts follow the two tokens that came of it.
    assert run.steps[2].of("b").num_computed_tokens == step.of("b").num_computed_tokens + 2


@claim("Every running request gets its one token before anybody's drafts are computed.",
       on=starved, about="drafts left out", vllm=SCHEDULE, misconception=True)
def test_tokens_come_before_drafts(run):
    for step in run.steps:
        left_out = [name for name in step.scheduled_state.running if not step.of(name)]
        assert not left_out, f"step {step.index} computes {[len(share.spec_token_ids) for share in step.scheduled]} drafts, and {left_out} waits"


@claim("A request that gets no tokens in a step keeps its drafts for the next.",
       on=starved, about="drafts left out", vllm=DRAFTS)
def test_who_waits_keeps_its_drafts(run):
    steps = [step for step in run.steps if step.of("b")]
    assert [step.index for step in steps] == [0, 3, 4]
    assert len(steps[1].of("b").spec_token_ids) == 3


@claim("Drafts are for one step: where the proposer says nothing new, the next step has none.",
       on=workload(num_blocks=12, num_speculative_tokens=3).request("a", prompt=6, max_tokens=8, drafts=(3, None), misdrafts=(2, 4, 6)),
       about=("rejected draft", "nothing proposed"), vllm=SCHEDULE)
def test_drafts_are_for_one_step(run):
    assert [len(each) for each in drafts(run, "a")] == [0, 3, 0, 3, 0, 3, 0, 3]


@claim("What is proposed for a request in the middle of its prompt is ignored.",
       on=alone.with_config(max_num_batched_tokens=4, max_num_seqs=4), about=("chunk", "draft"), vllm=DRAFTS)
def test_no_drafts_within_a_prompt(run):
    assert [(share.num_tokens, len(share.spec_token_ids)) for share in run.shares("a")][:3] == [(4, 0), (2, 0), (4, 3)]


@claim("Near the end of the context, drafts are cut so that the token that comes on top fits as well.",
       on=alone.with_config(max_model_len=12), about="truncated drafts", vllm=SCHEDULE)
def test_the_context_cuts_drafts(run):
    assert [(share.num_computed_tokens, share.num_tokens) for share in run.shares("a")][1:] == [(6, 4), (8, 3)]
    assert all(share.num_computed_tokens + share.num_tokens < 12 for share in run.shares("a"))
    assert run.finish_reasons == {"a": "length"} and len(run.outputs["a"]) == 6


@claim("No drafts are computed beyond max_tokens.",
       on=conversation, about="end inside drafts", vllm=SCHEDULE, misconception=True)
def test_max_tokens_cuts_drafts(run):
    share = run.shares("b")[-1]
    still_wanted = 1    # of two tokens, one has been said
    assert len(share.spec_token_ids) < still_wanted, f"{len(share.spec_token_ids)} drafts are computed, for one token that may still be said"


@claim("A stop token among the drafts ends the request, and what was right behind it is not said.",
       on=workload(num_blocks=12, num_speculative_tokens=3).request("a", prompt=4, says={3: 7}, stop_token_ids=(7,)),
       about=("end inside drafts", "stop"), vllm="v1/core/sched/scheduler.py::Scheduler._update_request_with_output")
def test_a_stop_token_among_drafts(run):
    done = run.steps[-1].outputs[0]
    assert done.new_token_ids[-1] == done.stop_reason == 7 and done.finish_reason == "stop"
    assert len(done.new_token_ids) == 2 and run.spec_decoding["num_accepted_tokens"] == 3


@claim("Nobody is preempted for the sake of a draft.",
       on=crowded, about=("preempted drafts", "rejected draft"), vllm=SCHEDULE, misconception=True)
def test_drafts_preempt_nobody(run):
    step = next(step for step in run.steps if step.preempted)
    share, table = step.of("a"), run.block_tables[step.index - 1]["a"]
    room = 4 * (len(table) + len(run.steps[step.index - 1].updated_state.free_blocks))
    needed = share.num_computed_tokens + share.num_tokens - len(share.spec_token_ids)
    assert needed > room, f"{step.preempted} goes, though without drafts {needed} tokens have room in {room} slots; and none of the drafts is right"


@claim("A preempted request has lost its drafts when it comes back.",
       on=crowded, about=("preempted drafts", "resumption"), vllm=PREEMPT)
def test_a_victim_loses_its_drafts(run):
    before = next(step for step in run.steps if step.preempted)
    assert before.preempted == ("b",)
    back = next(step for step in run.steps if step.resumed).of("b")
    assert all(token == PLACEHOLDER for token in back.spec_token_ids)
    assert run.shares("b")[-1].spec_token_ids == (), "nobody has proposed anything since"


@claim("A request whose prompt is cached but for one token takes one token of its first step's budget.",
       on=late, about=("cache hit", "placeholders"), vllm=SCHEDULE, misconception=True)
def test_one_missing_token_costs_one(run):
    share = run.first_step("b").of("b")
    assert share.num_computed_tokens == 4 and share.num_tokens == 1, f"it takes {share.num_tokens}, with {share.spec_token_ids} for drafts"


@claim("Where nobody has drafted, a request that joins decodes is given placeholders, which are rejected and counted as bad drafts.",
       on=late, about="placeholders", vllm=SCHEDULE)
def test_placeholders_are_rejected(run):
    first, second = run.shares("b")[:2]
    assert first.spec_token_ids == (PLACEHOLDER,) * 3 and first.num_tokens == 4
    assert len(run.first_step("b").outputs[-1].new_token_ids) == 1 and second.num_computed_tokens == 5
    proposed = sum(token != PLACEHOLDER for share in run.shares("a") + run.shares("b") for token in share.spec_token_ids)
    assert run.spec_decoding["num_draft_tokens"] == proposed + 3 > run.spec_decoding["num_accepted_tokens"] == proposed


@claim("No placeholders are given beside a running request that is still at its prompt.",
       on=beside_a_prefill, about=("chunk", "cache hit", "placeholders"), vllm=SCHEDULE)
def test_a_running_prefill_wants_no_placeholders(run):
    b, c = run.first_step("b"), run.first_step("c")
    assert "long" in [share.request_id for share in b.new] and b.of("b").spec_token_ids == (PLACEHOLDER,) * 3, "long is only admitted here"
    assert "long" in [share.request_id for share in c.running] and c.of("c")[2:4] == (1, 4) and c.of("c").spec_token_ids == ()


@claim("With less budget than a token and all drafts take, a prompt that is cached but for one token waits for ever.",
       on=too_tight, about=("stall", "waiting"), vllm=SCHEDULE)
def test_a_cached_prompt_starves(run):
    assert run.finish_reasons == {"a": "length"}
    last = run.steps[-1]
    assert last.scheduled == () and last.updated_state.waiting == ("b",) and len(last.updated_state.free_blocks) == 11


@claim("The cap on long prefills cuts the drafts of a decode.",
       on=tight.with_config(max_num_batched_tokens=64, long_prefill_token_threshold=2), about="truncated drafts", vllm=SCHEDULE)
def test_the_prefill_cap_cuts_drafts(run):
    together = [share for step in run.steps for share in step.running if len(step.updated_state.running) == 2]
    assert together and all(share.num_tokens <= 2 for share in together)


@claim("A cap on long prefills that is smaller than a token and all drafts crashes the scheduler when placeholders are given.",
       on=late.with_config(long_prefill_token_threshold=2), about="crash", vllm=SCHEDULE)
def test_a_small_prefill_cap_crashes(run):
    assert run.ended == "crashed" and run.error.startswith("AssertionError")
    assert len(run.steps) == 1, "the step that would admit b is never decided"


@claim("A proposer with keys and values of its own gets its slots a step ahead, behind those of the drafts.",
       on=(alone, alone.with_config(num_lookahead_tokens=3)), about="draft", vllm=ALLOCATE)
def test_lookahead_slots(plain, ahead):
    for run, more in ((plain, 0), (ahead, 3)):
        held = 0
        for step in run.steps:
            share, table = step.of("a"), run.block_tables[step.index]["a"]
            held = max(held, -(-(share.num_computed_tokens + share.num_tokens + more) // 4))
            assert len(table) == held
    assert plain.outputs == ahead.outputs


@claim("The statistics count a draft that is right but behind the end of its request as accepted.",
       on=conversation, about="end inside drafts", vllm=STATS)
def test_accepted_is_not_said(run):
    said = sum(len(step.outputs[0].new_token_ids) - 1 for step in run.steps if step.outputs)
    assert said == 3 and run.spec_decoding["num_accepted_tokens"] == 6
    assert run.spec_decoding["num_accepted_tokens_per_pos"] == run.spec_decoding["num_draft_tokens_per_pos"] == [2, 2, 2]
