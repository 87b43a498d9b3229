"""What was tried for the kernels, and what the profiler shows of them, as far as it can be judged without a GPU."""
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="needs torch: make setup")

from spec.benchmarks import kernel_command, profiled, trials  # noqa: E402
from spec.benchmarks.contest import Case, Contest, Contestant  # noqa: E402
from spec.benchmarks.gpu_time import Rehearsal  # noqa: E402
from spec.benchmarks.kernel_cases import CASES, cases_named  # noqa: E402
from spec.benchmarks.kernel_race import Turns, race  # noqa: E402
from spec.kernels.exactness import DEVICE  # noqa: E402
from spec.kernels.test_benchmarks import Script, short  # noqa: E402,F401

KERNELS = Path(__file__).parents[2] / "kernels"
NOT_A_RACE = {"decode_inputs"}      # some numbers a request: nobody would feel it if it took twice as long


def doubled(x, by=2):
    if by > 8:
        raise RuntimeError("out of resource: shared memory\nand more")
    return x * by


def right(result):
    assert torch.equal(result, torch.full((3,), 2.0)), "not twice as much"


CASE = Case("a kernel", "a shape", "", lambda clock: Contest(Contestant(doubled, [(torch.ones(3),)]), 10**6, check=right, rivals={
    "vLLM": lambda: Contestant(lambda x: x * 2, [(torch.ones(3),)])}), {}, {})


def raced(case, trials_of_it, clock, compare=True):
    return race(trials.with_trials(case, trials_of_it), clock, Turns(), compare)


def test_trials_stand_beside_what_is_chosen_fastest_first():
    row = raced(CASE, [dict(by=2)], Script([9, 2e-6, 4e-6, 8e-6], [9, 3e-6, 3e-6, 9e-6], [9, 1e-6, 2e-6, 4e-6]))
    found = trials.fastest_first(row)
    assert [(each["trial"], each["us"]) for each in found] == [("vLLM", 2), ("by 2", 3), ("as it is", 4)]
    assert [each["slower"] for each in found] == pytest.approx([-0.5, 0.125, 0.0]), "compared round by round: of the medians alone it would be faster"
    assert found[-1]["of ceiling"] == pytest.approx(0.25)
    table = list(trials.table(row))
    assert table[0] == "a kernel, a shape" and [line[2] for line in table[1:]] == [" ", " ", ">"] and "+12.5%" in table[2]


def test_without_vllm_only_ours_are_tried_and_that_is_said():
    row = raced(CASE, [dict(by=2)], Script([2e-6] * 4, [3e-6] * 4), compare=False)
    assert list(row.times) == ["ours", "by 2"] and "vLLM: needs an NVIDIA GPU" in list(trials.table(row))[-1]


@pytest.mark.parametrize("seconds, wrong, says", [(2e-6, dict(by=3), "with by 3: not twice as much"), (1e-9, dict(by=2), "by 2, a kernel a shape, took 0.00 us")])
def test_a_trial_that_does_something_else_is_an_error(seconds, wrong, says):
    with pytest.raises(AssertionError, match=says):
        raced(CASE, [wrong], Script([2e-6] * 4, [seconds] * 4), compare=False)


def test_a_trial_that_does_not_run_is_noted_and_the_others_run():
    clock = Script([2e-6] * 4, [4e-6] * 4)
    clock.is_rehearsal = False
    row = raced(CASE, [dict(by=9), dict(by=2)], clock, compare=False)
    assert list(row.times) == ["ours", "by 2"] and list(trials.table(row))[3] == "    by 9: RuntimeError: out of resource: shared memory"


def test_what_is_changed_in_place_is_the_same_for_all():
    seen = []

    def added(x, much=1):
        seen.append(x.item())
        return x.add_(much)

    case = Case("a kernel", "a shape", "", lambda clock: Contest(Contestant(added, [(torch.zeros(1),)], in_place=(0,)), 10**6), {}, {})
    raced(case, [dict(much=1), dict(much=2)], Rehearsal(), compare=False)
    assert seen[3:] and set(seen[3:]) == {0.0}, "after the first launches, which compile"


@pytest.mark.skipif(DEVICE == "cuda", reason="rehearses what a GPU does: run where there is none")
@pytest.mark.parametrize("kernel", [kernel for kernel in trials.TRIALS if kernel != "top-k and top-p"])   # whose tiles take the interpreter four minutes
def test_every_trial_runs(kernel):
    case = next(case for case in CASES if case.kernel == kernel)
    row = raced(case, trials.TRIALS[kernel], Rehearsal(), compare=False)
    assert len(row.times) >= 1 + len(trials.TRIALS[kernel]) and list(row.absent) == [name for name in case.contest(Rehearsal()).rivals if name.startswith("vLLM")]


def test_kernels_are_chosen_by_the_beginning_of_their_name():
    assert {case.kernel for case in cases_named(["SiLU", "add"], CASES)} == {"SiLU and mul", "add and RMS norm"}
    assert cases_named([], CASES) == CASES and set(trials.TRIALS) < {case.kernel for case in CASES}
    with pytest.raises(ValueError, match="no kernel here begins with 'relu': give the beginning of one of 'decode attention', 'prefill attention', 'RMS"):
        cases_named(["relu"], CASES)


@pytest.mark.parametrize("module, name", [(trials, "decode attention"), (profiled, "relu")])
def test_a_kernel_that_is_not_there_is_named_at_the_door(module, name, capsys):
    with pytest.raises(SystemExit):
        module.main([name])
    assert f"no kernel here begins with {name!r}" in capsys.readouterr().err


@pytest.mark.skipif(DEVICE == "cuda", reason="is about a machine without a GPU: run it there")
@pytest.mark.parametrize("module", [trials, profiled])
def test_without_a_gpu_they_say_what_is_missing(module):
    with pytest.raises(SystemExit, match=f"^python -m {module.__name__} needs an NVIDIA GPU: run it on a machine that has one"):
        module.main([])


def test_all_that_was_tried_is_written_down_with_where_and_when(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(kernel_command, "has_gpu", lambda: True)
    monkeypatch.setattr(trials, "GpuClock", Rehearsal)
    assert trials.main(["penalties", "-o", str(tmp_path / "new" / "found.json")]) == 0
    kept = json.loads((tmp_path / "new" / "found.json").read_text())
    assert kept["gpu"] == "no GPU" and kept["command"] == "python -m spec.benchmarks.trials 'penalties'" and {"commit", "torch", "date"} < set(kept)
    assert {each["trial"] for each in kept["trials"]} == {"as it is", *map(trials.label, trials.TRIALS["penalties"])}
    assert f"written to {tmp_path}" in capsys.readouterr().out


# What ncu 2025.3 said of one launch each, on an H100; of its 260 columns those that count.
NCU = """==PROF== Connected to process 1134 (/usr/bin/python3.12)
fewest bytes: {}
==PROF== Disconnected from process 1134
"ID","Kernel Name","dram__bytes_read.sum","dram__bytes_write.sum","dram__throughput.avg.pct_of_peak_sustained_elapsed","gpu__time_duration.sum",\
"launch__registers_per_thread","sm__warps_active.avg.pct_of_peak_sustained_active","smsp__average_warps_issue_stalled_barrier_per_issue_active.ratio",\
"smsp__average_warps_issue_stalled_long_scoreboard_per_issue_active.ratio","smsp__issue_active.avg.pct_of_peak_sustained_active"
"","","byte","byte","%","ns","register/thread","%","inst","inst","%"
"1","add and RMS norm, 16,384 x 4,096: ours/add_rms_norm_kernel","268,465,920","243,760,640","87.19","175,264","128","23.89","0.72","15.44","12.80"
"2","add and RMS norm, 16,384 x 4,096: vLLM/std::enable_if<(T2>(0)) && vllm::_typeConvert<T1>::exists, void>::type vllm::\
fused_add_rms_norm_kernel<c10::BFloat16, (int)8>(T1 *, long, T1 *, const T1 *, float, int, int)","268.47","243.86","86","177.9","28","91.3","8.7","43.5","24.1"
"""


def test_what_the_profiler_says_is_read_with_its_units():
    lines = NCU.splitlines(keepends=True)
    ours, theirs = profiled.profiles(lines)
    assert (ours.launch, ours.kernel, theirs.kernel) == ("add and RMS norm, 16,384 x 4,096: ours", "add_rms_norm_kernel", "fused_add_rms_norm_kernel")
    assert ours.us == pytest.approx(175.264) and (ours.read, ours.written) == (268465920, 243760640)
    assert (ours.memory, ours.registers, ours.warps, ours.waiting, ours.barriers, ours.issuing) == (87.19, 128, 23.89, 15.44, 0.72, 12.80)
    other, _ = profiled.profiles([line.replace('"byte","byte","%","ns"', '"Mbyte","Gbyte","%","ms"') for line in lines])
    assert other.us == pytest.approx(175264e3) and other.read == pytest.approx(268465920e6) and other.written == pytest.approx(243760640e9)


def test_bytes_are_those_of_all_kernels_of_a_launch_and_stand_in_its_first_line():
    ours, theirs = profiled.profiles(NCU.splitlines(keepends=True))
    merged = profiled.Profile(ours.launch, "merge", 5.0, 10.0, 20.0, 1, 1, 1, 1, 1, 1)
    header, first, second, third = profiled.table({ours.launch: 2 * 10**8, theirs.launch: 10**9}, [ours, merged, theirs])
    assert "bytes" in header and "2.561" in first and second.split()[:3] == ["merge", "5.0", "1.0%"] and theirs.launch in third


def test_what_is_profiled_was_run_before_and_put_back_and_stands_in_a_range_of_its_own(monkeypatch, capsys):
    told = []

    def launched(x):
        told.append(("runs with", x.tolist()))
        return x.mul_(2)

    case = Case("a kernel", "a shape", "", lambda clock: Contest(Contestant(launched, [(torch.ones(1),)], in_place=(0,)), 8, rivals={
        "vLLM": lambda: Contestant(launched, [(torch.full((1,), 5.0),)], in_place=(0,)), "torch.sort": lambda: pytest.fail("not asked for")}), {}, {})
    monkeypatch.setattr(profiled, "GpuClock", Rehearsal)
    monkeypatch.setattr(profiled, "NUMBERS", 1 << 10)
    monkeypatch.setattr(profiled.vllm_kernels, "available", lambda: True)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(torch.cuda, "cudart", lambda: SimpleNamespace(cudaProfilerStart=lambda: told.append("start"), cudaProfilerStop=lambda: told.append("stop")))
    monkeypatch.setattr(torch.cuda, "nvtx", SimpleNamespace(range_push=told.append, range_pop=lambda: told.append("pop")))
    profiled.launch([case])
    assert told[4:] == [("runs with", [1.0]), "start", "a kernel, a shape: ours", ("runs with", [1.0]), "pop", "stop",
                        ("runs with", [5.0]), "start", "a kernel, a shape: vLLM", ("runs with", [5.0]), "pop", "stop"]
    out, err = capsys.readouterr()
    assert json.loads(out.removeprefix(profiled.FEWEST)) == {"torch.neg, 1.9073486328125e-06 GiB": 4096, "a kernel, a shape: ours": 8, "a kernel, a shape: vLLM": 8}
    assert err.splitlines()[1:] == ["a kernel, a shape: ours", "a kernel, a shape: vLLM"]


def test_a_profiler_that_saw_nothing_is_named():
    with pytest.raises(profiled.NoProfiler, match="profiled nothing.*\n.*ERR_NVGPUCTRPERM"):
        profiled.profiles(["==ERROR== ERR_NVGPUCTRPERM: no permission\n"])


def test_a_profiler_that_is_missing_is_named(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(profiled.NoProfiler, match="ncu is not on the PATH: install"):
        profiled.profile([])


@pytest.mark.parametrize("kernel", sorted({path.stem for path in KERNELS.glob("*.py") if "def bytes_min(" in path.read_text(encoding="utf-8")} - NOT_A_RACE))
def test_beside_each_kernel_that_is_to_be_fast_lies_a_note(kernel):
    path = KERNELS / f"{kernel}.md"
    note = path.read_text(encoding="utf-8") if path.exists() else ""
    missing = [what for what in ("**Prediction", "tried", "µs") if what not in note]
    assert not missing, f"kernels/{kernel}.md: say what was predicted, tried and measured; {missing} is missing"
    assert "at the profiler shows" in note or kernel == "gemv", "vLLM has no kernel beside it that the benchmark would know"
