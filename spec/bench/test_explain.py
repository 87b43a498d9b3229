"""`python -m spec explain`: for every name it finds what is meant, both sources, and the claims."""
import subprocess
import sys
from pathlib import Path

import pytest

from reference.concepts import CONCEPTS
from reference.source import LONG_CLASS, OURS, locate, numbered, vllm_folder
from spec import explain
from spec.bench.collect import all_claims, node_id

needs_vllm = pytest.mark.skipif(vllm_folder() is None, reason="it is vLLM's source that is shown: 'make setup' installs it")
VICTIM = "test_a_preempting_step_admits_nobody"


def said(name, width=100):
    return explain.explain(explain.find(name), name, width)


@needs_vllm
@pytest.mark.parametrize("concept", CONCEPTS, ids=lambda concept: concept.name)
def test_each_concept_has_two_sources(concept):
    lines = said(concept.name).splitlines()
    for source, folder, prefix in ((concept.ours, OURS, ""), (concept.vllm, vllm_folder(), "vllm/")):
        (path, number), (file, _, name) = locate(source, folder), source.partition("::")
        heading = lines.index(f"{prefix}{file}:{number}  {name}")
        assert lines[heading + 1].split(maxsplit=1) == [str(number), path.read_text().splitlines()[number - 1].strip()]


@needs_vllm
def test_the_sources_stand_side_by_side_where_there_is_room():
    rows = [row.split(" │ ") for row in said("preemption", 160).splitlines() if " │ " in row]
    assert rows[0][0].startswith("impl/scheduler.py:") and rows[0][1].startswith("vllm/v1/core/sched/scheduler.py:")
    assert "def _preempt(" in rows[1][0] and "def _preempt_request(" in rows[1][1]
    assert max(len(row) for row in said("preemption", 160).splitlines()[2:20]) <= 160
    assert " │ " not in said("preemption", 149)
    told = "".join("".join(line.split()) for line in (row[1] for row in rows))
    assert "".join(numbered("v1/core/sched/scheduler.py::Scheduler._preempt_request", vllm_folder())[1][1].split()) in told, "a long line lost its end"


def test_without_vllm_its_place_is_told_and_how_to_get_it(monkeypatch):
    monkeypatch.setattr(explain, "vllm_folder", lambda: None)
    told = said("abort")
    assert "def abort(" in told and "vllm/v1/core/sched/scheduler.py::Scheduler.finish_requests" in told and "'make setup' installs it" in told
    assert "vllm/v1/engine/llm_engine.py  LLMEngine.abort_request" in told


def test_a_concept_has_the_claims_about_it():
    told = said("eviction")
    claims = {claim.name: claim for claim in all_claims() if "eviction" in claim.about or claim.vllm.endswith("._maybe_evict_cached_block")}
    assert len(claims) > 5
    for claim in claims.values():
        assert f'"{claim.sentence}"' in told and f"    {node_id(claim)}\n" in told
    assert f"{len(claims)} claims about it:" in told and told.endswith("    pytest $(python -m spec explain eviction --claims)")


def test_a_claim_is_shown_with_where_it_is_decided():
    told = said(VICTIM)
    assert told.startswith('"A step that preempts admits nobody') and "def schedule(self) -> SchedulerOutput:" in told
    assert f"    pytest spec/scheduler/test_preemption.py::{VICTIM}\n" in told and "python -m spec explain preemption" in told
    assert 'python -m spec explain "a step\'s decision"' in told
    assert told == said(f"spec/scheduler/test_preemption.py::{VICTIM}")


def test_a_claim_of_two_models_is_one():
    asked = next(claim for claim in all_claims() if any(getattr(asked, "model", None) == "llama" for asked in claim.on))
    assert said(asked.name).count(node_id(asked)) == 2 and "the claim about it:" in said(f"{asked.name}[llama]")


@pytest.mark.parametrize(("name", "ours", "vllm"), [
    ("Scheduler.schedule", "impl/scheduler.py::Scheduler.schedule", "v1/core/sched/scheduler.py::Scheduler.schedule"),
    ("schedule", "impl/scheduler.py::Scheduler.schedule", "v1/core/sched/scheduler.py::Scheduler.schedule"),
    ("KVCacheManager", "impl/block_manager.py::BlockManager", "v1/core/kv_cache_manager.py::KVCacheManager"),
    ("impl/gumbel.py::draw", "impl/gumbel.py::draw", "v1/sample/ops/topk_topp_sampler.py::TopKTopPSampler.forward_cpu"),
    ("Prefix cache HIT", "impl/block_manager.py::BlockManager.get_computed_blocks",
     "v1/core/single_type_kv_cache_manager.py::FullAttentionManager.find_longest_cache_hit"),
    ("resumption", "impl/scheduler.py::Scheduler._preempt", "v1/core/sched/scheduler.py::Scheduler._preempt_request"),
    ("Scheduler._choose_victim", "impl/scheduler.py::Scheduler._choose_victim", "v1/core/sched/scheduler.py::Scheduler"),
], ids=lambda value: value.rpartition("::")[2])
def test_a_name_finds_its_concept(name, ours, vllm):
    assert explain.find(name)[1:3] == (ours, vllm)


@pytest.mark.parametrize(("name", "nearest"), [("preemtion", "preemption"), ("blok pool", "block pool"), ("Scheduler.shedule", "Scheduler.schedule"),
                                               ("test_a_preempting_step_admits_nobdy", VICTIM)])
def test_an_unknown_name_gets_the_nearest(name, nearest):
    with pytest.raises(explain.Unknown) as told:
        explain.find(name)
    assert f"called {name!r}" in str(told.value) and nearest in str(told.value).split("\n    ")[1:4]


def test_a_name_of_several_is_asked_back():
    with pytest.raises(explain.Unknown, match="2 concepts go by 'unified_attention'; choose one:\n    paged decode attention\n    paged prefill attention"):
        explain.find("unified_attention")


def test_a_long_class_is_shown_in_outline():
    lines = numbered("impl/scheduler.py::Scheduler", OURS)
    source = (OURS / "impl/scheduler.py").read_text().splitlines()
    assert len(lines) < LONG_CLASS and all(source[number - 1] == text for number, text in lines)
    assert {"    def schedule(self) -> SchedulerOutput:", "class Scheduler:"} <= {text for _, text in lines}
    assert not any("token_budget =" in text for _, text in lines)


def test_as_a_command():
    def run(*arguments):
        return subprocess.run([sys.executable, "-m", "spec", *arguments], cwd=OURS, capture_output=True, text=True)

    listed = run("explain", "eviction", "--claims")
    assert listed.returncode == 0 and all(Path(OURS, line.partition("::")[0]).exists() for line in listed.stdout.split()) and listed.stdout.count("::") > 5
    unknown = run("explain", "nothing", "of", "the", "kind")
    assert unknown.returncode == 1 and "there is no concept, claim or code called 'nothing of the kind'" in unknown.stdout
    assert run().returncode == 1 and "python -m spec explain NAME" in run().stderr
