"""What vLLM does that static batching (`impl/static_batching.py`) does not: one claim for each idea in between, and what it costs.

That the baseline holds to none of them is tested in spec/peers.
"""
from spec.bench import claim
from spec.peers.workloads import SITUATIONS, long_prompt, many_lengths, shared_prompt, small_pool, with_chunks, without_caching

SCHEDULE = "v1/core/sched/scheduler.py::Scheduler.schedule"
ALLOCATE = "v1/core/kv_cache_manager.py::KVCacheManager.allocate_slots"
COMPUTED = "v1/core/kv_cache_manager.py::KVCacheManager.get_computed_blocks"

# Each situation as it is, without the prefix cache, and with chunks.
everything = tuple(limits(asked) for asked in SITUATIONS.values() for limits in (without_caching, lambda asked: asked, with_chunks))


def waits(run, request_id):
    """Tokens computed by the engine before each further token of a request."""
    told = [step.index for step in run.steps for done in step.outputs if done.request_id == request_id]
    return [sum(step.num_tokens for step in run.steps[before + 1:after + 1]) for before, after in zip(told, told[1:])]


@claim("Nobody is admitted before all requests of the batch have ended.",
       on=many_lengths, about=("admission", "finish", "waiting"), vllm=SCHEDULE, misconception=True)
def test_a_batch_is_closed(run):
    for step in run.steps:
        assert not (step.new and step.running), f"step {step.index} admits {step.new[0].request_id} beside {step.running[0].request_id}"


# The price of not setting blocks aside: those who were let in may have to leave, and come back.
@claim("No token is computed twice.", on=without_caching(small_pool), about="preemption", vllm=ALLOCATE, misconception=True)
def test_no_token_is_computed_twice(run):
    for spec in run.workload.requests:
        shares = run.shares(spec.request_id)
        computed = [token for share in shares for token in range(share.num_computed_tokens, share.num_computed_tokens + share.num_tokens)]
        assert len(computed) == len(set(computed)), f"{spec.request_id} computes {len(computed) - len(set(computed))} tokens again"


@claim("With the prefix cache a system prompt is computed for the first request only; without, for each.",
       on=(shared_prompt, without_caching(shared_prompt)), about="cache hit", vllm=COMPUTED)
def test_a_system_prompt_is_computed_once(cached, computed):
    def prompt_tokens(run):
        return [run.shares(spec.request_id)[0].num_tokens for spec in run.workload.requests]

    assert prompt_tokens(cached) == [38] + 7 * [6]
    assert prompt_tokens(computed) == 8 * [38]


@claim("With chunked prefill a decode waits for no more than one budget of tokens; without, for the whole prompt of another.",
       on=(with_chunks(long_prompt), long_prompt), about=("chunk", "decode"), vllm=SCHEDULE)
def test_chunks_spare_the_decodes(chunked, whole):
    budget = chunked.workload.config["max_num_batched_tokens"]
    assert max(waits(chunked, "a") + waits(chunked, "b")) == budget
    assert max(waits(whole, "a") + waits(whole, "b")) == 56 + 2     # the prompt of `long`, and a token for each of `a` and `b`


# Chunks are for the others: the prompt itself shares its steps with their decodes, and takes longer.
@claim("Chunked prefill brings the first token of a long prompt sooner.",
       on=(with_chunks(long_prompt), long_prompt), about=("chunk", "decode"), vllm=SCHEDULE, misconception=True)
def test_chunks_speed_up_the_long_prompt(chunked, whole):
    def spent(run):
        first = next(step.index for step in run.steps for done in step.outputs if done.request_id == "long")
        return sum(step.num_tokens for step in run.steps[4:first + 1])

    assert spent(chunked) < spent(whole), f"the engine computes {spent(chunked)} tokens until then, and {spent(whole)} without chunks"


@claim("Caching, chunks and preemption change when a request says something, never what.",
       on=everything, about=("cache hit", "chunk", "preemption"), vllm=SCHEDULE)
def test_ideas_change_when_and_not_what(*runs):
    for without, cached, chunked in zip(runs[::3], runs[1::3], runs[2::3]):
        assert without.outputs == cached.outputs == chunked.outputs
        assert without.finish_reasons == cached.finish_reasons == chunked.finish_reasons
        assert len(without.finish_reasons) == len(without.workload.requests)
