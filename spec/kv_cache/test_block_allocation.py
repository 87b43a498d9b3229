"""Block allocation: which blocks a request gets, how many, and when."""
from spec.bench import claim, workload

ALLOCATE = "v1/core/kv_cache_manager.py::KVCacheManager.allocate_slots"
NEW_BLOCKS = "v1/core/block_pool.py::BlockPool.get_new_blocks"
POOL = "v1/core/block_pool.py::BlockPool.__init__"
COUNT = "v1/core/single_type_kv_cache_manager.py::SingleTypeKVCacheManager.get_num_blocks_to_allocate"

# b ends at step 3 and leaves its blocks to a; c comes when a needs its third block.
growing = (workload(num_blocks=12, block_size=4)
           .request("a", prompt=8, max_tokens=6)
           .request("b", prompt=6, max_tokens=4)
           .request("c", prompt=5, max_tokens=2, arrives=1))
growing_without_cache = growing.with_config(enable_prefix_caching=False)

in_chunks = (workload(num_blocks=8, block_size=4, max_num_batched_tokens=6)
             .request("a", prompt=17, max_tokens=2))

# Five blocks in all: either prompt fits, both do not.
two_long_prompts = (workload(num_blocks=6, block_size=4, max_num_batched_tokens=8, long_prefill_token_threshold=4)
                    .request("a", prompt=16, max_tokens=1)
                    .request("b", prompt=12, max_tokens=1))

to_the_last_block = workload(num_blocks=4, block_size=4).request("a", prompt=11, max_tokens=1)
one_block_too_long = workload(num_blocks=4, block_size=4, max_model_len=16).request("a", prompt=13, max_tokens=1)


def given_out(step):
    """The blocks that a step without cache hits gave out, in order of service."""
    return tuple(block_id for share in step.scheduled for block_id in share.new_block_ids)


def free_before(run, step):
    """The free queue as a step found it."""
    if step.index == 0:
        return tuple(range(1, run.workload.config["num_blocks"]))
    return run.steps[step.index - 1].updated_state.free_blocks


@claim("Blocks are taken from the front of the free queue, in its order, by the requests in the order of service.",
       on=(growing, growing_without_cache), about=("admission", "decode", "finish"), vllm=NEW_BLOCKS)
def test_blocks_are_taken_from_the_front(*runs):
    for run in runs:
        for step in run.steps:
            before, given = free_before(run, step), given_out(step)
            assert before == given + step.scheduled_state.free_blocks, f"step {step.index} gives out {given} of {before}"


@claim("A pool that has not been used yet gives out its blocks by their ids, from block 1 on.",
       on=growing, about="admission", vllm=POOL)
def test_a_fresh_pool_starts_with_block_1(run):
    assert run.steps[0].of("a").new_block_ids == (1, 2)
    assert run.steps[0].of("b").new_block_ids == (3, 4)
    assert run.steps[0].scheduled_state.free_blocks == (5, 6, 7, 8, 9, 10, 11)


@claim("Block 0, the null block, is never free and never given to a request.",
       on=(growing, to_the_last_block), about="admission", vllm=POOL)
def test_the_null_block_is_never_given_out(*runs):
    for run in runs:
        for step, tables in zip(run.steps, run.block_tables):
            assert 0 not in step.scheduled_state.free_blocks + step.updated_state.free_blocks
            assert all(0 not in table for table in tables.values())
    assert runs[1].block_tables[0] == {"a": (1, 2, 3)}


# Who counts blocks and multiplies by the block size, as mini-engines without a null block may, is one block out.
@claim("A pool of four blocks holds four blocks of tokens.",
       on=one_block_too_long, about="stall", vllm=POOL, misconception=True)
def test_a_pool_holds_as_many_blocks_as_it_has(run):
    assert run.ended == "finished", "a prompt of thirteen tokens is never admitted"


@claim("A running request gets a block when all its blocks are full, and then exactly one.",
       on=(growing, growing_without_cache), about="decode", vllm=COUNT)
def test_a_new_block_only_when_the_last_is_full(*runs):
    for run in runs:
        for step in run.steps:
            for share in step.running:
                assert len(share.new_block_ids) == (share.num_computed_tokens % 4 == 0)


@claim("A request holds as many blocks as its tokens up to this step fill, rounded up.",
       on=(growing, growing_without_cache, in_chunks), about=("decode", "chunk"), vllm=COUNT)
def test_the_number_of_blocks_is_rounded_up(*runs):
    for run in runs:
        for step, tables in zip(run.steps, run.block_tables):
            for share in step.scheduled:
                num_tokens = share.num_computed_tokens + share.num_tokens
                assert len(tables[share.request_id]) == -(-num_tokens // 4)


@claim("The block for a token is allocated when the token is scheduled, one step after it was sampled.",
       on=growing, about="decode", vllm=ALLOCATE)
def test_allocation_is_for_the_scheduled_token(run):
    sampled, scheduled = run.steps[0], run.steps[1]
    assert sampled.of("a").new_block_ids == (1, 2) and sampled.outputs[0].request_id == "a"
    assert sampled.updated_state.free_blocks == sampled.scheduled_state.free_blocks
    assert scheduled.of("a").new_block_ids == (5,)


@claim("The last token of a request never gets a slot: eight tokens and a ninth fit into two blocks.",
       on=workload(num_blocks=4, block_size=4).request("a", prompt=4, max_tokens=5), about="length", vllm=ALLOCATE)
def test_the_last_token_gets_no_slot(run):
    assert len(run.outputs["a"]) == 5
    assert max(len(tables["a"]) for tables in run.block_tables) == 2


# Engines before paged attention did so, and a KV budget is often still computed that way.
@claim("Admission sets blocks aside for max_tokens.",
       on=growing, about="admission", vllm=ALLOCATE, misconception=True)
def test_admission_reserves_the_output(run):
    share = run.steps[0].of("a")
    assert len(share.new_block_ids) == 4, f"a may grow to 14 tokens, and gets blocks {share.new_block_ids}"


@claim("A prompt that is computed in chunks gets its blocks chunk by chunk.",
       on=in_chunks, about="chunk", vllm=ALLOCATE)
def test_blocks_come_chunk_by_chunk(run):
    assert [share.num_tokens for share in run.shares("a")] == [6, 6, 5, 1]
    assert [share.new_block_ids for share in run.shares("a")] == [(1, 2), (3,), (4, 5), ()]


@claim("That a whole prompt fits is looked at and not reserved: "
       "two prompts that do not fit together are both admitted, and one is preempted before its prompt is computed.",
       on=two_long_prompts, about=("chunk", "preemption"), vllm=ALLOCATE)
def test_the_whole_prompt_is_not_reserved(run):
    assert [share.request_id for share in run.steps[0].new] == ["a", "b"]
    preempting = next(step for step in run.steps if step.preempted)
    assert preempting.preempted == ("b",)
    assert sum(share.num_tokens for step in run.steps[:preempting.index] if (share := step.of("b"))) == 8


@claim("A step serves running requests with blocks before it admits anyone.",
       on=growing, about=("admission", "decode"), vllm="v1/core/sched/scheduler.py::Scheduler.schedule")
def test_running_requests_get_their_blocks_first(run):
    assert run.steps[1].of("a").new_block_ids == (5,)
    assert run.steps[1].of("c").new_block_ids == (6, 7)


@claim("As long as nothing hits, prefix caching changes nothing in how many blocks each request gets and when.",
       on=(growing, growing_without_cache), about="decode", vllm=ALLOCATE)
def test_without_hits_caching_changes_no_amount(with_cache, without_cache):
    def amounts(run):
        return [[(share.request_id, share.num_tokens, len(share.new_block_ids)) for share in step.scheduled] for step in run.steps]

    assert amounts(with_cache) == amounts(without_cache)
    assert with_cache.steps[0].updated_state.cached_blocks and not without_cache.steps[0].updated_state.cached_blocks


@claim("In every step, each block but the null block is either free or held by a running request.",
       on=(growing, growing_without_cache, in_chunks, two_long_prompts), about=("finish", "preemption"), vllm=POOL)
def test_no_block_is_lost(*runs):
    for run in runs:
        for step, tables in zip(run.steps, run.block_tables):
            free = step.scheduled_state.free_blocks
            held = {block_id for table in tables.values() for block_id in table}
            assert sorted(free) == sorted(set(range(1, run.workload.config["num_blocks"])) - held)
        assert len(run.steps[-1].updated_state.free_blocks) == run.workload.config["num_blocks"] - 1
