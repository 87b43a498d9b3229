"""Statistics: what the prefix cache counts as asked and as found."""
from spec.bench import claim, workload

RECORD = "v1/core/kv_cache_manager.py::KVCacheManager.record_prefix_cache_stats"
LOOKUP = "v1/core/kv_cache_manager.py::KVCacheManager.get_computed_blocks"
STATS = "v1/metrics/stats.py::PrefixCacheStats.record"
SCHEDULE = "v1/core/sched/scheduler.py::Scheduler.schedule"

plain = (workload(num_blocks=12, block_size=4)
         .request("a", prompt="system:8 a:1", max_tokens=3)
         .request("b", prompt="system:8 b:5", max_tokens=3, arrives=1))

again_and_again = (workload(num_blocks=12, block_size=4)
                   .request("a", prompt="system:8", max_tokens=1)
                   .request("b", prompt="system:8", max_tokens=1, arrives=1)
                   .request("c", prompt="system:8", max_tokens=1, arrives=2))

# b hits blocks 1 and 2 at steps 1 and 2 and does not fit; it is admitted at step 3.
refused_twice = (workload(num_blocks=5, block_size=4)
                 .request("a", prompt="system:8", max_tokens=1)
                 .request("x", prompt=5, max_tokens=3)
                 .request("b", prompt="system:8 b:1", max_tokens=1, arrives=1))

# b is aborted while it waits for a block.
given_up = refused_twice.abort("b", at=2)

preempted = (workload(num_blocks=6, block_size=4)
             .request("a", prompt=8, max_tokens=3)
             .request("b", prompt=10, max_tokens=3))

in_chunks = workload(num_blocks=8, block_size=4, max_num_batched_tokens=6).request("a", prompt=17, max_tokens=2)

skipping = (workload(num_blocks=16, block_size=4)
            .request("a", prompt="system:9", max_tokens=1)
            .request("scored", prompt="system:9", prompt_logprobs=1, max_tokens=1, arrives=1)
            .request("skipping", prompt="system:9", skip_reading_prefix_cache=True, max_tokens=1, arrives=2))

family = workload(num_blocks=12, block_size=4).request("p", prompt=9, n=3, max_tokens=1)

reset = (workload(num_blocks=8, block_size=4)
         .request("a", prompt=9, max_tokens=3)
         .reset_prefix_cache(at=1, running=True))


def counts(run):
    """Requests, tokens asked for, tokens found; and the same of preempted requests."""
    stats = run.prefix_cache
    return ((stats["requests"], stats["queries"], stats["hits"]),
            (stats["preempted_requests"], stats["preempted_queries"], stats["preempted_hits"]))


NOTHING = (0, 0, 0)


@claim("The prefix cache counts tokens: all of a prompt as asked for, those of the blocks it hits as found.",
       on=plain, about="cache hit", vllm=STATS)
def test_tokens_are_counted(run):
    assert counts(run) == ((2, 9 + 13, 8), NOTHING)


# The first V1 releases did count blocks.
@claim("The prefix cache counts blocks.",
       on=plain, about="cache hit", vllm=STATS, misconception=True)
def test_blocks_are_counted(run):
    assert run.prefix_cache["hits"] == 2, f"two blocks are hit, {run.prefix_cache['hits']} are counted"


@claim("The hit rate of a prompt that is cached completely stays below 100 %: "
       "all its tokens are asked for, and the last block is never found.",
       on=again_and_again, about="cache hit", vllm=LOOKUP)
def test_the_last_block_is_asked_for_and_never_found(run):
    assert counts(run) == ((3, 24, 8), NOTHING)


@claim("A lookup is counted once it leads to an admission, not when the request has to go on waiting.",
       on=refused_twice, about=("waiting", "cache hit"), vllm=SCHEDULE)
def test_a_lookup_counts_at_admission(run):
    assert [step.scheduled_state.waiting for step in run.steps[1:3]] == [("b",), ("b",)]
    assert counts(run) == ((3, 8 + 5 + 9, 8), NOTHING)


@claim("A request that is aborted before it is admitted is not counted, though the cache was asked for it.",
       on=given_up, about=("waiting", "abort"), vllm=SCHEDULE)
def test_who_is_never_admitted_is_not_counted(run):
    assert run.steps[1].scheduled_state.waiting == ("b",)
    assert counts(run) == ((2, 8 + 5, 0), NOTHING)


@claim("A resumed request is counted apart, with its output so far among the tokens asked for.",
       on=preempted, about=("preemption", "resumption"), vllm=STATS)
def test_a_resumed_request_is_counted_apart(run):
    assert counts(run) == ((2, 8 + 10, 0), (1, 10 + 1, 8))


# It would flatter the rate: a resumed request finds what it computed itself.
@claim("What a preempted request finds of its own blocks when it resumes raises the hit rate.",
       on=preempted, about=("preemption", "cache hit"), vllm=STATS, misconception=True)
def test_a_resumption_raises_the_hit_rate(run):
    assert run.prefix_cache["hits"] > 0, "its eight tokens are counted apart"


@claim("A prompt computed in chunks is counted once, when it is admitted.",
       on=in_chunks, about="chunk", vllm=RECORD)
def test_chunks_are_counted_once(run):
    assert len(run.shares("a")) == 4 and counts(run) == ((1, 17, 0), NOTHING)


@claim("Requests that do not read the cache are not counted.",
       on=skipping, about="admission", vllm=RECORD)
def test_who_does_not_read_is_not_counted(run):
    assert counts(run) == ((1, 9, 0), NOTHING)


@claim("With prefix caching off nothing is counted.",
       on=plain.with_config(enable_prefix_caching=False), about="admission", vllm=RECORD)
def test_prefix_caching_off_counts_nothing(run):
    assert counts(run) == (NOTHING, NOTHING)


@claim("Each sequence of one prompt is counted as a request of its own, with what it hits of its sisters' blocks.",
       on=family, about="sharing within a step", vllm=STATS)
def test_every_child_is_counted(run):
    assert counts(run) == ((3, 27, 16), NOTHING)


@claim("A request that a reset has preempted is counted among the preempted ones, and finds nothing.",
       on=reset, about=("reset", "resumption"), vllm=STATS)
def test_a_reset_counts_as_a_preemption(run):
    assert counts(run) == ((1, 9, 0), (1, 10, 0))
