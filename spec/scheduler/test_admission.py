"""Admission: who may join the running requests, and when."""
from spec.bench import claim, workload

SCHEDULE = "v1/core/sched/scheduler.py::Scheduler.schedule"
ALLOCATE = "v1/core/kv_cache_manager.py::KVCacheManager.allocate_slots"
LIMITS = "config/scheduler.py::SchedulerConfig"

# Two seats for four requests.
two_seats = (workload(num_blocks=20, max_num_seqs=2)
             .request("d", prompt=2, max_tokens=2)
             .request("b", prompt=2, max_tokens=4)
             .request("c", prompt=2, max_tokens=2)
             .request("a", prompt=2, max_tokens=1))
one_active = two_seats.with_config(max_num_active_seqs=1)

# big needs four blocks when two are free; small would fit at once.
big_before_small = (workload(num_blocks=6)
                    .request("a", prompt=8, max_tokens=4)
                    .request("big", prompt=16, max_tokens=2, arrives=1)
                    .request("small", prompt=2, max_tokens=2, arrives=1))

# At step 1 three blocks are free. long needs two for its first chunk and four for its whole prompt.
reserved = (workload(num_blocks=7, max_num_batched_tokens=8)
            .request("a", prompt=8, max_tokens=4)
            .request("long", prompt=16, max_tokens=1, arrives=1))
unreserved = reserved.with_config(scheduler_reserve_full_isl=False)

# long fits into the empty pool of four blocks, and takes two at first.
promised = (workload(num_blocks=5, long_prefill_token_threshold=8)
            .request("long", prompt=15, max_tokens=1)
            .request("b", prompt=2, max_tokens=2)
            .request("c", prompt=2, max_tokens=2))

# b has computed 6 of its 8 tokens when a needs one of its blocks.
contested = (workload(num_blocks=5, max_num_batched_tokens=14)
             .request("a", prompt=8, max_tokens=3)
             .request("b", prompt=8, max_tokens=2))

# The budget of 8 tokens is shared by a prompt of 11 that came first and one of 6.
budget = (workload(num_blocks=9, max_num_batched_tokens=8)
          .request("a", prompt=11, max_tokens=3)
          .request("b", prompt=6, max_tokens=1)
          .request("c", prompt=3, max_tokens=1, arrives=1))

# The watermark is 2 of 9 blocks (of 8 it would be 1). At step 1 five are free, and b needs four.
kept_free = (workload(num_blocks=9, watermark=0.24)
             .request("a", prompt=8, max_tokens=3)
             .request("b", prompt=16, max_tokens=1, arrives=1))
not_kept_free = kept_free.with_config(watermark=0.0)

# Six blocks are needed, seven are free: too few with the watermark of 2, if a counts as running.
same_step = (workload(num_blocks=9, watermark=0.25)
             .request("a", prompt=4, max_tokens=1)
             .request("b", prompt=24, max_tokens=1))

# A single prompt that takes all eight blocks.
whole_pool = workload(num_blocks=9, watermark=0.25).request("a", prompt=30, max_tokens=2)

# a grows from two blocks to all four, while b waits for one.
growing = (workload(num_blocks=5, watermark=0.25)
           .request("a", prompt=8, max_tokens=7)
           .request("b", prompt=8, max_tokens=1))

# At step 5 c has lost its blocks, needs two again and finds two free.
coming_back = (workload(num_blocks=5, watermark=0.2)
               .request("a", prompt=4, max_tokens=5)
               .request("b", prompt=2, max_tokens=6)
               .request("c", prompt=2, max_tokens=5))

# The pool of 100 blocks is filled to the last by a second request.
hundred = (workload(num_blocks=101, max_num_batched_tokens=400)
           .request("a", prompt=4, max_tokens=2)
           .request("b", prompt=396, max_tokens=1))


def admissions(run):
    """When each request was admitted first."""
    return {spec.request_id: run.first_step(spec.request_id).index for spec in run.workload.requests}


@claim("Under FCFS requests are admitted in the order in which they were queued.",
       on=two_seats, about=("admission", "waiting"), vllm=SCHEDULE)
def test_first_come_first_served(run):
    assert [share.request_id for step in run.steps for share in step.admitted] == ["d", "b", "c", "a"]


@claim("A waiting request that does not fit blocks all behind it, even one that would fit.",
       on=big_before_small, about=("admission", "waiting"), vllm=SCHEDULE)
def test_nobody_overtakes(run):
    for step in run.steps[1:4]:
        assert step.scheduled_state.waiting == ("big", "small")
        assert len(step.scheduled_state.free_blocks) == 2 and step.num_tokens < 64
    assert [share.request_id for share in run.steps[4].admitted] == ["big", "small"]


@claim("At most max_num_seqs requests run, and a seat that becomes free is taken in the next step.",
       on=two_seats, about=("admission", "waiting"), vllm=SCHEDULE)
def test_there_are_max_num_seqs_seats(run):
    assert max(len(step.scheduled_state.running) for step in run.steps) == 2
    # d ends in step 1, b and c both in step 3.
    assert admissions(run) == {"d": 0, "b": 0, "c": 2, "a": 4}


@claim("max_num_active_seqs lowers the number of seats below max_num_seqs.",
       on=(one_active, two_seats), about=("admission", "waiting"), vllm=LIMITS)
def test_max_num_active_seqs_lowers_the_seats(one, two):
    assert one.workload.config["max_num_seqs"] == two.workload.config["max_num_seqs"] == 2
    assert all(len(step.scheduled_state.running) == 1 for step in one.steps)
    assert admissions(one) == {"d": 0, "b": 2, "c": 6, "a": 8} and admissions(two)["b"] == 0


@claim("A prompt is admitted only if all of it would fit into the free blocks, though its first chunk would.",
       on=reserved, about=("admission", "waiting", "chunk"), vllm=ALLOCATE)
def test_the_whole_prompt_must_fit(run):
    for step in run.steps[1:4]:
        assert step.scheduled_state.waiting == ("long",)
        assert len(step.scheduled_state.free_blocks) == 3 and step.num_tokens == 1
    assert run.steps[4].of("long").num_tokens == 8 and len(run.steps[4].of("long").new_block_ids) == 2


@claim("With scheduler_reserve_full_isl off a prompt is admitted as soon as its first chunk fits, and may have to be preempted for the next.",
       on=unreserved, about=("admission", "preemption", "chunk"), vllm=ALLOCATE)
def test_without_reservation_a_chunk_is_enough(run):
    assert admissions(run)["long"] == 1 and run.steps[1].of("long").num_tokens == 7
    assert run.steps[2].preempted == ("long",), "the second chunk needs two blocks, and one is free"


@claim("The room for a whole prompt is looked at but not held: the same step gives it to others.",
       on=promised, about=("admission", "several preemptions"), vllm=ALLOCATE)
def test_the_reservation_is_not_held(run):
    assert [(share.request_id, len(share.new_block_ids)) for share in run.steps[0].admitted] == [("long", 2), ("b", 1), ("c", 1)]
    assert run.steps[0].scheduled_state.free_blocks == (), "and long still needs two"
    assert run.steps[1].preempted == ("b", "c") and run.steps[1].of("long").num_tokens == 7


@claim("Running requests get their tokens first, and a newcomer gets what is left of the budget.",
       on=budget, about=("admission", "chunk"), vllm=SCHEDULE)
def test_the_running_are_served_before_the_waiting(run):
    served = [[(share.request_id, share.kind, share.num_tokens) for share in step.scheduled] for step in run.steps[:3]]
    assert served == [[("a", "new", 8)],
                      [("a", "running", 3), ("b", "new", 5)],
                      [("a", "running", 1), ("b", "running", 1), ("c", "new", 3)]]


@claim("Nobody is admitted once the budget of the step is used up.",
       on=budget, about=("admission", "waiting"), vllm=SCHEDULE)
def test_an_empty_budget_admits_nobody(run):
    for step in run.steps[:2]:
        assert step.num_tokens == 8 and step.scheduled_state.waiting and step.scheduled_state.free_blocks
    assert admissions(run) == {"a": 0, "b": 1, "c": 2}


@claim("While something runs, an admission must leave the watermark free: int(watermark * num_blocks), the null block counted.",
       on=(kept_free, not_kept_free), about=("admission", "waiting"), vllm=ALLOCATE)
def test_an_admission_leaves_the_watermark(kept, not_kept):
    # At step 1 five blocks are free and b needs four: one would be left, and int(0.24 * 9) is 2.
    assert len(kept.steps[1].scheduled_state.free_blocks) == 5
    assert admissions(not_kept)["b"] == 1 and len(not_kept.steps[1].scheduled_state.free_blocks) == 1
    assert admissions(kept)["b"] == 3, "when a has ended"


@claim("A request that leaves exactly the watermark free is admitted.",
       on=kept_free.with_config(num_blocks=10, max_model_len=32), about="admission", vllm=ALLOCATE)
def test_the_watermark_itself_may_be_reached(run):
    assert admissions(run)["b"] == 1
    assert len(run.steps[1].scheduled_state.free_blocks) == 2 == int(0.24 * 10)


@claim("Nothing is kept free while nothing runs: the only request may take the last block.",
       on=whole_pool, about="admission", vllm=ALLOCATE)
def test_an_empty_engine_has_no_watermark(run):
    assert [len(share.new_block_ids) for share in run.steps[0].admitted] == [8] and run.steps[0].scheduled_state.free_blocks == ()


@claim("Only the first admission into an empty engine is free of the watermark; the second, in the same step, is not.",
       on=same_step, about=("admission", "waiting"), vllm=ALLOCATE)
def test_the_watermark_holds_within_the_step(run):
    assert [share.request_id for share in run.steps[0].admitted] == ["a"]
    assert len(run.steps[0].scheduled_state.free_blocks) == 7 and admissions(run)["b"] == 1


@claim("A running request may use the blocks of the watermark, down to the last.",
       on=growing, about=("decode", "waiting"), vllm=ALLOCATE)
def test_the_running_may_use_the_watermark(run):
    assert run.steps[6].scheduled_state.free_blocks == () and len(run.block_tables[6]["a"]) == 4
    assert admissions(run)["b"] == 7 and not run.preemptions


@claim("The watermark holds for a preempted request too: it waits for more blocks than it needs.",
       on=(coming_back, coming_back.with_config(watermark=0.0)), about=("resumption", "waiting"), vllm=ALLOCATE)
def test_the_watermark_holds_for_the_resumed(kept, not_kept):
    for run in (kept, not_kept):
        assert run.preemptions == ["c"] and len(run.steps[4].updated_state.free_blocks) == 2
    assert [step.index for step in not_kept.steps if step.resumed] == [5]
    assert [step.index for step in kept.steps if step.resumed] == [6], "when b has ended, too"


# The V0 scheduler did so, and mini-engines after it: whoever generated stood still while prompts came in.
@claim("Waiting prompts are served before the running requests, for a short time to the first token.",
       on=budget, about=("admission", "decode"), vllm=SCHEDULE, misconception=True)
def test_prompts_come_first(run):
    for step in run.steps:
        kinds = [share.kind for share in step.scheduled]
        assert "running" not in kinds[:len(step.admitted)], f"step {step.index} serves {' '.join(kinds)}"


# The option's name says so. It is a look at the free blocks, after which they are anybody's.
@claim("With scheduler_reserve_full_isl a prompt that was admitted is computed to its end without being preempted.",
       on=contested, about=("admission", "preemption"), vllm=ALLOCATE, misconception=True)
def test_a_reserved_prompt_is_safe(run):
    for step in run.steps:
        for victim in step.preempted:
            began = run.first_step(victim).of(victim).num_tokens
            assert began >= 8, f"step {step.index} preempts {victim}, of whose 8 tokens {began} are computed"


# V0 kept 1 % free by default (`watermark=0.01`), and texts still say so. In 0.32.0 the default is 0.
@claim("By default an admission keeps one percent of the blocks free.",
       on=hundred, about="admission", vllm=LIMITS, misconception=True)
def test_one_percent_is_kept_free(run):
    for step in run.steps:
        assert len(step.scheduled_state.free_blocks) >= 1, f"after step {step.index} none of {run.workload.config['num_blocks'] - 1} is free"
