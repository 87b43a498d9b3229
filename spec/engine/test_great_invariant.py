"""A scheduling decision may change when a token comes, and never which: whatever the batch, the chunks, the preemptions and the
cache hits, a request says what it says alone. Each claim plays the same requests twice: once under the limits it is about, and
once one by one, with nothing shared."""
from reference.prompts import Prompts, prompts
from spec.bench import claim
from spec.engine.many_prompts import own_text
from spec.engine.random_prompts import alone, at_random

SCHEDULE = "v1/core/sched/scheduler.py::Scheduler.schedule"
SAID = own_text("qwen3")


def many(some: Prompts, count: int = 8, **params) -> Prompts:
    for number in range(count):
        beginning = SAID[50 * number:50 * number + 5 + 9 * number]
        some = some.ask(str(number), beginning, arrives=number // 3, **{"max_tokens": 30, "logprobs": 2} | params)
    return some


def assert_the_same_is_said(run, by_itself):
    for request_id, output in by_itself.requests.items():
        assert run.tokens(request_id) == output.outputs[0].token_ids, (
            f"{request_id} says {run.text(request_id)!r} here and {output.outputs[0].text!r} alone")


TOGETHER = many(prompts())


@claim("What a request says does not depend on its batch mates.", on=(TOGETHER, alone(TOGETHER)), about=("greedy", "decode"), vllm=SCHEDULE)
def test_batch_mates_change_nothing(run, by_itself):
    assert max(len(step.scheduled) for step in run.steps) == 8 and all(len(step.scheduled) <= 1 for step in by_itself.steps)
    assert_the_same_is_said(run, by_itself)


CHUNKED = many(prompts(max_num_batched_tokens=16))


@claim("A prompt computed in chunks is answered as one computed at once.", on=(CHUNKED, alone(CHUNKED)), about=("greedy", "chunk"), vllm=SCHEDULE)
def test_chunks_change_nothing(run, by_itself):
    assert_the_same_is_said(run, by_itself)


CROWDED = many(prompts(num_gpu_blocks_override=8, max_model_len=128), max_tokens=60)


@claim("A request that was preempted and computed again goes on as if nothing had happened.", on=(CROWDED, alone(CROWDED)),
       about=("greedy", "preemption", "resumption"), vllm="v1/core/sched/scheduler.py::Scheduler._preempt_request")
def test_preemption_changes_nothing_that_is_said(run, by_itself):
    assert_the_same_is_said(run, by_itself)


SHARING = prompts()
for number in range(6):
    SHARING = SHARING.ask(str(number), SAID[:70] + SAID[200 + number:204 + number], arrives=2 * number, max_tokens=24, logprobs=2)


@claim("A request served from the prefix cache says what one says that computed everything.", on=(SHARING, alone(SHARING)),
       about=("greedy", "cache hit"), vllm="v1/core/kv_cache_manager.py::KVCacheManager.get_computed_blocks")
def test_cache_hits_change_nothing_that_is_said(run, by_itself):
    assert sum(output.num_cached_tokens for output in run.requests.values()) == 5 * 64
    assert all(output.num_cached_tokens == 0 for output in by_itself.requests.values())
    assert_the_same_is_said(run, by_itself)


@claim("A prompt of less than a block is computed anew each time, and says the same each time.", about="greedy",
       on=prompts().ask("first", "Elizabeth was", max_tokens=80, ignore_eos=True).ask("again", "Elizabeth was", arrives=90, max_tokens=80, ignore_eos=True),
       vllm="v1/core/kv_cache_manager.py::KVCacheManager.allocate_slots")
def test_a_repetition_says_the_same(run):
    assert run.text("first") == run.text("again")
    assert run.requests["again"].num_cached_tokens == 0, "what was generated behind the prompt is cached, and not asked for"


URGENT = many(prompts(num_gpu_blocks_override=8, max_model_len=128, scheduling_policy="priority"), max_tokens=40)
URGENT = URGENT.ask("urgent", SAID[300:330], arrives=6, priority=-1, max_tokens=40, logprobs=2)


@claim("An urgent request that takes the place of others changes nothing they say.", on=(URGENT, alone(URGENT)),
       about=("greedy", "preemption"), vllm=SCHEDULE)
def test_urgency_changes_nothing_that_is_said(run, by_itself):
    assert_the_same_is_said(run, by_itself)


LARGE_BLOCKS = many(prompts(block_size=64, num_gpu_blocks_override=25))


@claim("The size of a block changes nothing that is said.", on=(LARGE_BLOCKS, alone(many(prompts()))), about=("greedy", "decode"),
       vllm="v1/worker/block_table.py::BlockTable.compute_slot_mapping")
def test_the_block_size_changes_nothing(run, by_itself):
    assert_the_same_is_said(run, by_itself)


MIXED = (many(prompts(), 4).ask("s", "Elizabeth was", temperature=1.0, seed=5, max_tokens=30)
         .ask("t", "Mr. Darcy", temperature=0.7, top_k=20, seed=6, max_tokens=30).ask("p", "She", repetition_penalty=1.3, max_tokens=30))


@claim("Greedy, seeded and penalised requests share a batch and leave each other alone.", on=(MIXED, alone(MIXED)),
       about=("greedy", "sampling"), vllm="v1/sample/sampler.py::Sampler.sample")
def test_mixed_sampling_changes_nothing(run, by_itself):
    assert_the_same_is_said(run, by_itself)


RANDOM = [at_random(seed) for seed in range(10)]


@claim("Under limits, arrivals, priorities and aborts drawn at random, each request says what it says alone.",
       on=(*RANDOM, *map(alone, RANDOM)), about=("greedy", "preemption", "cache hit", "chunk", "eviction", "abort"), vllm=SCHEDULE)
def test_random_workloads_say_what_each_says_alone(*runs):
    for run, by_itself in zip(runs[:len(RANDOM)], runs[len(RANDOM):], strict=True):
        for request_id, output in by_itself.requests.items():
            said, told = run.tokens(request_id) if request_id in run.requests else [], output.outputs[0].token_ids
            shorter = min(len(said), len(told))     # an abort cuts it off sooner here than there
            assert said[:shorter] == told[:shorter], f"{request_id} of {run.workload.source()}"
