"""What the ideas buy: counted by hand for one small workload, the same as vLLM's recorded runs, and as the text says."""
from pathlib import Path

import pytest

from reference.choose import Reference
from reference.workload import Workload, workload
from spec.bench.divergence import first_divergence
from spec.peers.ideas import IDEAS, Figures, figures, run_of
from spec.peers.tables import in_short, markdown, what_ideas_buy
from spec.peers.workloads import SITUATIONS, long_prompt, many_lengths, shared_prompt, small_pool

README = Path(__file__).parents[2] / "README.md"
STATIC, CONTINUOUS, ON_DEMAND, CACHING, CHUNKS = IDEAS

# Two seats, blocks of four tokens. `a` ends in the step that computes its prompt.
tiny = (workload(num_blocks=9, max_num_seqs=2, enable_chunked_prefill=False)
        .request("a", prompt=4, max_tokens=1)
        .request("b", prompt=4, max_tokens=3)
        .request("c", prompt=4, max_tokens=2))


def test_static_batching_by_hand():
    """Steps a4 b4, b1, b1, c4, c1. Slabs of 2 blocks each: 4 are held, and from the second step on 2 of them by nobody."""
    assert figures(run_of(STATIC, tiny)) == Figures(
        served="3 of 3", steps=5, tokens=15, prompt_tokens=12, largest_step=8, peak_blocks=4, idle_blocks=2,
        mean_wait=10.0, longest_wait=14, longest_gap=1)     # waits 8, 8 and 8 + 1 + 1 + 4


def test_continuous_batching_by_hand():
    """Steps a4 b4, b1 c4, b1 c1. `b` waits 5 tokens for its second one, because `c` comes in."""
    assert figures(run_of(CONTINUOUS, tiny)) == Figures(
        served="3 of 3", steps=3, tokens=15, prompt_tokens=12, largest_step=8, peak_blocks=4, idle_blocks=2,
        mean_wait=9.7, longest_wait=13, longest_gap=5)      # waits 8, 8 and 8 + 5


def test_blocks_on_demand_by_hand():
    """The same steps. Blocks held: 1 + 1, then 2 + 1, then 2 + 2, each with tokens in it."""
    assert figures(run_of(ON_DEMAND, tiny)) == figures(run_of(CONTINUOUS, tiny))._replace(peak_blocks=4, idle_blocks=0)


def test_a_preemption_is_paid_for_by_hand():
    """Both fill their 2 blocks of 4 and want a third: `b` goes, and computes 8 tokens again, 7 of them its prompt."""
    crowded = (workload(num_blocks=5, enable_chunked_prefill=False).request("a", prompt=7, max_tokens=3).request("b", prompt=7, max_tokens=3))
    run = run_of(ON_DEMAND, crowded)
    assert run.preemptions == ["b"]
    assert figures(run) == Figures(
        served="2 of 2", steps=4, tokens=14 + 2 + 1 + 9, prompt_tokens=21, largest_step=14, peak_blocks=4, idle_blocks=0,
        mean_wait=14.0, longest_wait=14, longest_gap=10)    # b: 14, 2, then 1 for `a` and 9 of its own


def test_an_empty_step_costs_nothing():
    late = workload(num_blocks=9, enable_chunked_prefill=False).request("a", prompt=4, max_tokens=1).request("b", prompt=5, arrives=7, max_tokens=1)
    cost = figures(run_of(ON_DEMAND, late))
    assert (cost.steps, cost.mean_wait, cost.longest_wait, cost.longest_gap) == (2, 4.5, 5, 0)


def test_who_is_not_served_is_seen():
    """Slabs of 4 blocks in a pool of 3: the naive engine waits for ever, the old one refuses."""
    asked = workload(num_blocks=4, max_model_len=16).request("a", prompt=4, max_tokens=12)
    assert [figures(run_of(idea, asked)).served for idea in (STATIC, CONTINUOUS)] == ["0 of 1", "0 of 1"]
    assert [run_of(idea, asked).ended for idea in (STATIC, CONTINUOUS)] == ["finished", "stalled"]


@pytest.mark.parametrize("idea", [ON_DEMAND, CACHING, CHUNKS], ids=lambda idea: idea.name)
@pytest.mark.parametrize("situation", SITUATIONS)
def test_vllm_was_recorded_doing_the_same(situation, idea):
    theirs = Reference("recorded").run(idea.limits(SITUATIONS[situation])).run
    ours = run_of(idea, SITUATIONS[situation])
    assert first_divergence(ours, theirs) is None and figures(ours) == figures(theirs)


def all_figures(situation: Workload) -> list[Figures]:
    return [figures(run_of(idea, situation)) for idea in IDEAS]


@pytest.mark.parametrize("situation", SITUATIONS)
def test_everybody_is_served_by_every_engine(situation):
    total = len(SITUATIONS[situation].requests)
    assert {each.served for each in all_figures(SITUATIONS[situation])} == {f"{total} of {total}"}


def test_each_idea_buys_something_and_some_cost_something():
    static, continuous, on_demand, caching, chunks = range(5)
    lengths, shared, long, pool = map(all_figures, (many_lengths, shared_prompt, long_prompt, small_pool))
    assert lengths[continuous].steps < lengths[static].steps / 2
    assert pool[on_demand].steps < pool[continuous].steps and pool[on_demand].idle_blocks == 0 < pool[continuous].idle_blocks
    assert pool[on_demand].tokens > pool[continuous].tokens                 # what was preempted is computed again
    assert shared[caching].prompt_tokens * 3 < shared[on_demand].prompt_tokens and shared[caching].peak_blocks < shared[on_demand].peak_blocks
    assert long[chunks].longest_gap * 3 < long[caching].longest_gap
    assert long[chunks].mean_wait > long[caching].mean_wait                 # the long prompt takes longer
    assert long[static].longest_gap < long[chunks].longest_gap              # in a closed batch nobody disturbs


def test_the_table_has_vllm_in_its_last_column():
    rows = what_ideas_buy(many_lengths, Reference("recorded"))
    assert rows[0] == ["", *(idea.name for idea in IDEAS), "vLLM 0.32.0"]
    assert all(row[-1] == row[-2] for row in rows[1:])
    assert what_ideas_buy(tiny, Reference("recorded"))[0][-1] == IDEAS[-1].name     # nobody has recorded this one


def test_the_readme_shows_it():
    assert markdown(in_short(Reference("recorded"))) in README.read_text(), \
        "paste the table 'In short' of 'python -m spec.peers --markdown' into README.md"
