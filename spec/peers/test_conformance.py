"""The conformance table: each outcome where it belongs, impl beside vLLM, and a broken engine found out."""
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

import impl
import impl.naive
import impl.static_batching
from reference.choose import Reference
from reference.play import OurEngine, play
from reference.workload import workload
from reports import peers_page
from spec.bench.claim import Claim
from spec.bench.known_divergences import KNOWN_DIVERGENCES
from spec.museum.load import load
from spec.museum.mutants import MUTANTS
from spec.peers.__main__ import main
from spec.peers.conformance import Outcome, claims, conformance, recorded, weigh
from spec.peers.tables import by_outcome, by_theme, markdown, plain

ROOT = Path(__file__).parents[2]
CROWDED = workload(num_blocks=6).request("a", prompt=7, max_tokens=6).request("b", prompt=7, max_tokens=6)


def run_of(engine, asked=CROWDED):
    return play(asked, partial(OurEngine, engine), engine.__name__)


def finding(holds, engine=impl.naive, about=("finish",), asked=CROWDED, misconception=False):
    claim = Claim("A sentence.", (asked,), about, "file::name", holds, misconception)
    return weigh(claim, [run_of(engine, asked)], [run_of(impl, asked)])


def all_end(run):
    assert len(run.finish_reasons) == 2


def nobody_is_preempted(run):
    assert not run.preemptions, "somebody is preempted"


def test_a_sentence_may_be_true_where_the_decisions_differ():
    assert (finding(all_end).outcome, finding(all_end).same) == (Outcome.TRUE, False)
    assert (finding(all_end, engine=impl).outcome, finding(all_end, engine=impl).same) == (Outcome.TRUE, True)


def test_decisions_are_the_same_only_in_all_workloads_of_a_claim():
    alone = workload(num_blocks=6, enable_prefix_caching=False, enable_chunked_prefill=False).request("a", prompt=3, max_tokens=1)
    claim = Claim("A sentence.", (alone, CROWDED), ("finish",), "file::name", lambda first, second: None)
    theirs = [run_of(impl, alone), run_of(impl)]
    other = run_of(impl.naive)
    assert weigh(claim, theirs, theirs).same and not weigh(claim, [theirs[0], other], theirs).same and not weigh(claim, [theirs[0], theirs[1]], [theirs[0], other]).same


def test_a_misconception_has_to_be_false_of_an_engine_too():
    found = finding(nobody_is_preempted, misconception=True)
    assert found.outcome is Outcome.FALSE and found.why == "the misconception is true of it"
    assert finding(nobody_is_preempted, engine=impl, misconception=True).outcome is Outcome.TRUE


def test_what_never_happens_is_not_true():
    assert finding(all_end, about=("preemption",)).outcome is Outcome.NEVER
    assert finding(all_end, engine=impl, about=("preemption",)).outcome is Outcome.TRUE


def test_a_refusal_of_a_request_or_of_limits_is_counted():
    long = workload(num_blocks=9, max_num_batched_tokens=8).request("a", prompt=9, max_tokens=2).request("b", prompt=2)
    found = finding(lambda run: None, engine=impl.static_batching, asked=long)
    assert found.outcome is Outcome.REFUSES and "shorten it to 8" in found.why
    urgent = finding(all_end, engine=impl.static_batching, asked=CROWDED.with_config(policy="priority"))
    assert urgent.outcome is Outcome.REFUSES and "knows no urgency" in urgent.why


def test_a_crash_and_a_hang_and_no_answer_are_counted():
    assert "reset_prefix_cache" in finding(all_end, asked=CROWDED.reset_prefix_cache(at=1)).why
    large = finding(lambda run: None, about=(), asked=CROWDED.request("c", prompt=4, max_tokens=99))
    assert large.outcome is Outcome.BREAKS and large.why.startswith("stalled")
    lost = finding(lambda run: run.steps[99])
    assert lost.outcome is Outcome.BREAKS and "IndexError" in lost.why


@pytest.fixture(scope="module")
def asked():
    """Every recorded claim, with vLLM's runs."""
    return list(recorded(claims(), Reference("recorded")))


def test_impl_is_vllm_but_for_what_is_registered(asked):
    found = conformance(impl, asked)
    assert {each.claim.name for each in found if not (each.same and each.outcome is Outcome.TRUE)} == \
        set(KNOWN_DIVERGENCES) & {claim.name for claim, _ in asked}


def test_vllm_itself_has_every_claim(asked):
    assert all(weigh(claim, theirs, theirs).outcome is Outcome.TRUE and weigh(claim, theirs, theirs).same for claim, theirs in asked)


def test_the_columns_add_up(asked):
    found = {engine.__name__: conformance(engine, asked) for engine in (impl.naive, impl.static_batching)}
    themes, outcomes = by_theme(found), by_outcome(found)
    assert themes[-1][1] == str(len(asked)) == str(sum(int(row[1]) for row in themes[1:-1]))
    for column in (1, 2):
        assert sum(int(row[column]) for row in outcomes[1:]) == len(asked)
        assert themes[-1][column + 1].split(" / ")[1] == outcomes[1][column]


def test_the_baseline_is_not_vllm(asked):
    """Claims that are true of vLLM and not of static batching; the misconceptions among them were true once."""
    found = {each.claim.name: each for each in conformance(impl.static_batching, asked)}
    own = {name: str(each.outcome) for name, each in found.items() if each.claim.theme == "scheduler/static_batching"}
    assert Outcome.TRUE not in own.values() and len(own) >= 6
    for name in ("test_a_batch_is_closed", "test_admission_reserves_the_output"):
        assert found[name].claim.misconception and found[name].why == "the misconception is true of it"


def test_a_broken_engine_changes_its_column(asked):
    sound = Counter(each.outcome for each in conformance(impl, asked))
    broken = Counter(each.outcome for each in conformance(load(MUTANTS[0]), asked))
    assert broken[Outcome.TRUE] < sound[Outcome.TRUE]


def test_a_broken_baseline_changes_its_column(asked, monkeypatch):
    def column():
        return Counter(each.outcome for each in conformance(impl.static_batching, asked))

    sound = column()
    monkeypatch.setattr(impl.static_batching.Slabs, "release_all", lambda slabs: None)
    assert column()[Outcome.BREAKS] > sound[Outcome.BREAKS]     # batches that find no room any more


def test_what_is_not_recorded_is_left_out_and_said(asked, monkeypatch, capsys):
    mine = replace(asked[0][0], on=(workload(num_blocks=77).request("mine", prompt=3),))
    monkeypatch.setattr("spec.peers.__main__.claims", lambda: [asked[0][0], mine])
    assert main(["impl"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("1 claims") and "; 1 more are not recorded" in told


def test_an_engine_that_is_none_is_refused(capsys):
    for name in ("impl.config", "nowhere"):
        with pytest.raises(SystemExit) as stopped:
            main([name])
        assert stopped.value.code == 2 and "name packages with a Scheduler" in capsys.readouterr().err


def test_why_says_what_an_engine_does_not_keep(capsys):
    assert main(["impl.static_batching", "--why"]) == 0
    told = capsys.readouterr().out
    assert ("(a misconception) Admission sets blocks aside for max_tokens.\n"
            "                             not true of it: the misconception is true of it") in told


def test_the_page_shows_the_same_tables(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(peers_page, "PAGE", tmp_path / "peers.html")
    assert main(["--page"]) == 0
    shown, told = (tmp_path / "peers.html").read_text(), capsys.readouterr().out
    cells = re.findall(r'<td class="number">(.*?)</td>', shown)
    assert {"0 / 17", "12 of 12", "109.0"} <= set(cells) and all(cell in told for cell in cells)
    assert "<script" not in peers_page.page("<script>", {"<script>": [["", "<script>"], ["<script>", "<script>"]]})


def test_a_table_for_a_terminal_and_for_a_readme():
    rows = [["", "a long head", "b"], ["x", "1", "22"]]
    assert plain(rows, width=6) == "   a long\n     head   b\nx       1  22"
    assert markdown(rows) == "|  | a long head | b |\n| --- | ---: | ---: |\n| x | 1 | 22 |"


def test_neither_vllm_nor_torch_is_needed():
    code = "import sys; sys.modules.update(torch=None, vllm=None, triton=None)\nfrom spec.peers.__main__ import main; raise SystemExit(main([]))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    widest = max(map(len, done.stdout.splitlines()))
    assert widest <= 125 and "scheduler/static_batching" in done.stdout
