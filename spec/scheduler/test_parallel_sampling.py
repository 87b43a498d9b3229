"""Parallel sampling: one prompt, several children (n > 1)."""
from spec.bench import claim, workload

CHILD = "v1/engine/parallel_sampling.py::ParentRequest.get_child_info"
SCHEDULE = "v1/core/sched/scheduler.py::Scheduler.schedule"
ADD = "v1/core/sched/scheduler.py::Scheduler.add_request"
FINISH = "v1/core/sched/scheduler.py::Scheduler.finish_requests"
LESS_THAN = "v1/request.py::Request.__lt__"
CACHED = "v1/core/kv_cache_manager.py::KVCacheManager.get_computed_blocks"

# The prompt fills two blocks and half of a third.
family = (workload(num_blocks=10, max_num_seqs=4)
          .request("p", prompt=10, n=3, max_tokens=2)
          .request("q", prompt=4, max_tokens=2))
family_without_cache = family.with_config(enable_prefix_caching=False)

seats = (workload(num_blocks=8, max_num_seqs=2)
         .request("p", prompt=5, n=3, max_tokens=2)
         .request("q", prompt=4, max_tokens=2))

in_chunks = (workload(num_blocks=8, max_num_batched_tokens=8)
             .request("p", prompt=10, n=2, max_tokens=2))

one_aborted = (workload(num_blocks=8)
               .request("p", prompt=10, n=2, max_tokens=4)
               .abort("0_p", at=1))

parent_aborted = (workload(num_blocks=8)
                  .request("p", prompt=10, n=2, max_tokens=3)
                  .abort("p", at=1))

name_taken = (workload(num_blocks=8)
              .request("0_p", prompt=4, max_tokens=3)
              .request("p", prompt=4, n=2, max_tokens=2, arrives=1))

tight = (workload(num_blocks=6)
         .request("p", prompt=6, n=3, max_tokens=4))
tight_by_priority = tight.with_config(policy="priority")

eleven = (workload(num_blocks=13, max_num_seqs=6)
          .request("p", prompt=2, n=11, max_tokens=1))
eleven_by_priority = eleven.with_config(policy="priority")


def blocks(step):
    return [(share.request_id, share.num_computed_tokens, share.num_tokens, share.new_block_ids) for share in step.scheduled]


def admitted(run):
    return [share.request_id for step in run.steps for share in step.admitted]


@claim("The children of request p are the requests 0_p, 1_p, 2_p, and the scheduler serves them in this order.",
       on=family, about="admission", vllm=CHILD)
def test_the_names_of_the_children(run):
    assert run.steps[0].scheduled_state.running == ("0_p", "1_p", "2_p", "q")
    assert all(len(run.outputs[child]) == 2 for child in ("0_p", "1_p", "2_p")) and "p" not in run.outputs


@claim("Children share the full blocks of their prompt even within the step that computes them.",
       on=family, about="sharing within a step", vllm=CACHED)
def test_children_share_the_full_blocks_of_their_prompt(run):
    assert blocks(run.steps[0])[:3] == [("0_p", 0, 10, (1, 2, 3)), ("1_p", 8, 2, (1, 2, 4)), ("2_p", 8, 2, (1, 2, 5))]


# V0 computed the prompt once and forked the sequence, blocks and all, with a copy when one wrote.
# Since V1 children are requests of their own: what does not fill a block is computed by each.
@claim("The prompt of a request with several children is computed once.",
       on=family, about="sharing within a step", vllm=CHILD, misconception=True)
def test_the_prompt_is_computed_once(run):
    computed = sum(share.num_tokens for share in run.steps[0].scheduled if share.request_id != "q")
    assert computed == 10, f"step 0 computes {computed} tokens for a prompt of 10"


# The family is known to the front end only; it is the prefix cache that brings the children together.
@claim("Children share their prompt's blocks whether or not prefix caching is enabled.",
       on=family_without_cache, about="admission", vllm=CACHED, misconception=True)
def test_children_share_without_prefix_caching(run):
    tables = [set(share.new_block_ids) for share in run.steps[0].scheduled if share.request_id != "q"]
    assert len(set.union(*tables)) < sum(map(len, tables)), f"they are on {[sorted(table) for table in tables]}"


@claim("Every child takes a seat of its own, so a family may be split by max_num_seqs.", on=seats, about="waiting", vllm=SCHEDULE)
def test_every_child_takes_a_seat(run):
    assert run.steps[0].scheduled_state[:2] == (("0_p", "1_p"), ("2_p", "q"))
    assert [share.request_id for share in run.steps[2].admitted] == ["2_p", "q"]


@claim("A child that is admitted late finds the prompt in the cache, as any other request would.",
       on=seats, about="cache hit", vllm=CACHED)
def test_a_late_child_finds_the_prompt_in_the_cache(run):
    assert blocks(run.steps[2])[0] == ("2_p", 4, 1, (1, 3))


@claim("A child takes over the chunks that its sibling has computed, before the sibling has finished the prompt.",
       on=in_chunks, about=("chunk", "cache hit"), vllm=CACHED)
def test_a_child_takes_over_the_chunks_of_its_sibling(run):
    assert run.steps[0].scheduled_state.waiting == ("1_p",)
    assert blocks(run.steps[1]) == [("0_p", 8, 2, (3,)), ("1_p", 8, 2, (1, 2, 4))]


@claim("Aborting one child leaves its siblings running on the shared blocks, and frees only what was its own.",
       on=one_aborted, about="abort", vllm=FINISH)
def test_aborting_one_child(run):
    assert run.steps[0].updated_state.free_blocks == (5, 6, 7) and run.steps[1].scheduled_state.free_blocks == (3, 5, 6, 7)
    assert run.finish_reasons == {"1_p": "length"} and len(run.outputs["1_p"]) == 4


# The front end translates the name; to the scheduler the parent is nobody.
@claim("Aborting the parent's id in the scheduler ends its children.",
       on=parent_aborted, about="abort call", vllm=FINISH, misconception=True)
def test_aborting_the_parent_ends_its_children(run):
    going_on = run.steps[1].updated_state.running
    assert not going_on, f"{going_on} go on"


@claim("A request that is named like a child makes the whole family fail to arrive.",
       on=name_taken, about="refusal", vllm=ADD)
def test_a_request_named_like_a_child(run):
    assert run.steps[1].refused == ("request p",)
    assert run.steps[1].scheduled_state.running == ("0_p",) and run.finish_reasons == {"0_p": "length"}


@claim("First come, first served: of the children of one prompt, the last is preempted first.",
       on=tight, about="preemption", vllm=SCHEDULE)
def test_the_last_child_is_preempted(run):
    assert run.preemptions[0] == "2_p"


# The victim is the first maximum by priority and arrival time, and all children arrived at the same time.
@claim("By priority too, the last child is preempted first.",
       on=tight_by_priority, about="preemption", vllm=SCHEDULE, misconception=True)
def test_by_priority_the_last_child_is_preempted(run):
    assert run.preemptions[0] == "2_p", f"step 3 preempts {run.preemptions[0]}"


@claim("First come, first served: children are admitted by their number.", on=eleven, about="waiting", vllm=SCHEDULE)
def test_children_are_admitted_by_number(run):
    assert admitted(run) == [f"{number}_p" for number in range(11)]


@claim("By priority, children are admitted in the order of their names as text: 10_p goes before 1_p.",
       on=eleven_by_priority, about="waiting", vllm=LESS_THAN)
def test_by_priority_children_are_admitted_by_name(run):
    assert admitted(run) == ["0_p", "10_p"] + [f"{number}_p" for number in range(1, 10)]
