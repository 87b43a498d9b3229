"""A dozen classic situations, as tables to read: what vLLM does, once our engine is known to do the same."""
import pytest

from spec.bench import EOS, workload
from spec.bench.table import table

CLASSICS = {
    "a prompt, then one token a step": workload(num_blocks=5).request("a", prompt=6, max_tokens=4),
    "continuous batching": (
        workload(num_blocks=10, max_num_seqs=2).request("a", prompt=5, max_tokens=2).request("b", prompt=5, max_tokens=4)
        .request("c", prompt=5, max_tokens=3)),
    "a long prompt in chunks beside a decode": (
        workload(num_blocks=12, max_num_batched_tokens=8).request("a", prompt=4, max_tokens=6).request("b", prompt=20, arrives=1, max_tokens=2)),
    "chunked prefill turned off": (
        workload(num_blocks=9, max_num_batched_tokens=32, enable_chunked_prefill=False)
        .request("a", prompt=20, max_tokens=2).request("b", prompt=14, max_tokens=2).request("c", prompt=2, max_tokens=2)),
    "the last admitted is preempted and comes back first": (
        workload(num_blocks=6).request("a", prompt=7, max_tokens=6).request("b", prompt=7, max_tokens=4)
        .request("c", prompt=3, arrives=2, max_tokens=2)),
    "a request that preempts itself": (
        workload(num_blocks=5, max_model_len=40).request("a", prompt=14, max_tokens=6)),
    "under the priority policy the least urgent goes": (
        workload(num_blocks=7, policy="priority").request("a", prompt=7, priority=2, max_tokens=5)
        .request("b", prompt=7, priority=0, max_tokens=5).request("c", prompt=7, priority=1, max_tokens=5)),
    "a shared prefix is computed once": (
        workload(num_blocks=10).request("a", prompt="system:8 a:3", max_tokens=2)
        .request("b", prompt="system:8 b:3", max_tokens=2).request("c", prompt="system:8", arrives=1, max_tokens=2)),
    "a conversation goes on": (
        workload(num_blocks=8).request("a", prompt=6, max_tokens=6).request("b", prompt="a:6 a.out:5 b:3", arrives=7, max_tokens=2)),
    "the least recently used block is evicted": (
        workload(num_blocks=5).request("a", prompt=9, max_tokens=1).request("b", prompt=9, arrives=1, max_tokens=1)
        .request("c", prompt="a:9", arrives=2, max_tokens=1)),
    "an abort between schedule and update": (
        workload(num_blocks=8).request("a", prompt=6, max_tokens=9).request("b", prompt=6, max_tokens=3).abort("a", at=1, between=True)),
    "one stops, one is cut": (
        workload(num_blocks=8).request("a", prompt=4, max_tokens=9, says={3: EOS}).request("b", prompt=4, max_tokens=4)),
    "the cache is reset while requests run": (
        workload(num_blocks=8).request("a", prompt=9, max_tokens=5).request("b", prompt=5, max_tokens=5).reset_prefix_cache(at=2, running=True)),
}


@pytest.mark.parametrize("situation", CLASSICS)
def test_classic(situation, bench, snapshot):
    run = bench.same_run(CLASSICS[situation])
    assert table(run) == snapshot
