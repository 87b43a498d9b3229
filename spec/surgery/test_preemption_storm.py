"""What a pool that is too small costs. The whole experiment: `python -m reference.experiments.preemption_storm`."""
from reference.experiments.both import generated_tokens, recomputed_tokens
from reference.experiments.preemption_storm import peak_demand, storm
from spec.bench import claim

SCHEDULE = "v1/core/sched/scheduler.py::Scheduler.schedule"
ALLOCATE = "v1/core/kv_cache_manager.py::KVCacheManager.allocate_slots"
PEAK = 84       # blocks that the eight requests hold at once where there are enough

roomy, one_short, just_enough = (storm(num_blocks, num_requests=8) for num_blocks in (200, PEAK, PEAK + 1))
half, quarter = (storm(PEAK // share + 1, num_requests=8) for share in (2, 4))
quarter_without_cache = quarter.with_config(enable_prefix_caching=False)
quarter_with_watermark = quarter.with_config(watermark=0.2)


@claim("The first pool without a preemption is the peak of the demand and the null block; one block less, and somebody is preempted.",
       on=(roomy, one_short, just_enough), about="decode", vllm=SCHEDULE)
def test_the_peak_of_the_demand_tells_the_pool(roomy, one_short, just_enough):
    assert peak_demand(roomy) == PEAK and not roomy.preemptions
    assert not just_enough.preemptions and len(one_short.preemptions) == 1


# Whoever is left goes on decoding: preemptions are a symptom of a small batch, not its cause.
@claim("Below the peak of the demand throughput falls off a cliff: half of the pool gives far less than half of the tokens per step.",
       on=(just_enough, half), about="preemption", vllm=SCHEDULE, misconception=True)
def test_there_is_a_cliff(enough, half):
    before, after = (generated_tokens(run) / len(run.steps) for run in (enough, half))
    assert after < 0.4 * before, f"{before:.2f} tokens per step became {after:.2f}, and {recomputed_tokens(half)} tokens were computed twice"


@claim("Prefix caching spares a preempted request part of what it had computed, and hardly a step.",
       on=(quarter, quarter_without_cache), about=("preemption", "resumption"), vllm=ALLOCATE)
def test_prefix_caching_spares_recomputation(cached, uncached):
    assert 0 < recomputed_tokens(cached) < recomputed_tokens(uncached)
    assert abs(len(cached.steps) - len(uncached.steps)) <= 0.01 * len(uncached.steps)


@claim("A watermark trades steps for recomputation: fewer tokens are computed twice, and there are more steps.",
       on=(quarter, quarter_with_watermark), about="preemption", vllm=ALLOCATE)
def test_a_watermark_trades_steps_for_recomputation(without, with_watermark):
    assert recomputed_tokens(with_watermark) < recomputed_tokens(without)
    assert len(with_watermark.preemptions) < len(without.preemptions)
    assert len(with_watermark.steps) > len(without.steps)
