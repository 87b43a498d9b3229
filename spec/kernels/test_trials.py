"""What was tried for the kernels, and what the profiler shows of them, as far as it can be judged without a GPU."""
import pytest

torch = pytest.importorskip("torch", reason="needs torch: make setup")

from spec.benchmarks import profiled, trials  # noqa: E402
from spec.benchmarks.contest import Case, Contest, Contestant  # noqa: E402
from spec.benchmarks.gpu_time import Ceilings, Rehearsal  # noqa: E402
from spec.benchmarks.kernel_cases import CASES  # noqa: E402
from spec.kernels.exactness import DEVICE  # noqa: E402


class Script(Rehearsal):
    """Shows each contestant, in the order they come, the seconds that it is told."""

    ceilings = Ceilings(1e12, 1e12, 1e12, 1e12)

    def __init__(self, *seconds):
        self.told = [iter(each) for each in seconds]

    def contestant(self, launches, restore=None, capture=True):
        mine = self.told.pop(0)
        return lambda: next(mine)


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(trials, "ROUNDS", 3)
    monkeypatch.setattr(trials, "WARM_UP", 1)


def doubled(x, by=2, off=0.0):
    return x * by + off


def right(result):
    assert torch.equal(result, torch.full((3,), 2.0)), "not twice as much"


CASE = Case("a kernel", "a shape", "", lambda clock: Contest(Contestant(doubled, [(torch.ones(3),)]), 10**6, check=right, rivals={
    "vLLM": lambda: Contestant(torch.add, [(torch.ones(3), torch.ones(3))])}), {}, {})


def test_trials_stand_beside_what_is_chosen_fastest_first():
    clock = Script([9, 2e-6, 4e-6, 8e-6], [9, 3e-6, 3e-6, 9e-6], [9, 1e-6, 2e-6, 4e-6])
    rows = trials.tried(CASE, clock, [dict(off=0.0)], compare=True)
    assert [(row.trial, row.seconds) for row in rows] == [("vLLM", 2e-6), ("off 0.0", 3e-6), ("as it is", 4e-6)]
    assert [row.slower for row in rows] == pytest.approx([-0.5, 0.125, 0.0]), "compared round by round: of the medians alone it would be faster"
    assert rows[-1].of_ceiling == pytest.approx(0.25)
    table = list(trials.table(rows))
    assert table[0] == "a kernel, a shape" and [line[2] for line in table[1:]] == [" ", " ", ">"] and "+12.5%" in table[2]


def test_without_vllm_only_ours_are_tried():
    assert len(trials.tried(CASE, Script([1] * 4, [1] * 4), [dict(off=0.0)], compare=False)) == 2


def test_a_trial_that_computes_something_else_is_an_error():
    with pytest.raises(AssertionError, match="not twice as much"):
        trials.tried(CASE, Script([1] * 4, [1] * 4), [dict(by=3)], compare=False)


@pytest.mark.skipif(DEVICE == "cuda", reason="rehearses what a GPU does: run where there is none")
@pytest.mark.parametrize("kernel", [kernel for kernel in trials.TRIALS if kernel != "top-k and top-p"])   # whose tiles take the interpreter four minutes
def test_every_trial_runs(kernel):
    case = next(case for case in CASES if case.kernel == kernel)
    rows = trials.tried(case, Rehearsal(), trials.TRIALS[kernel], compare=False)
    assert len({row.trial for row in rows}) == len(rows) >= 1 + len(trials.TRIALS[kernel])


def test_kernels_are_chosen_by_the_beginning_of_their_name():
    assert {case.kernel for case in trials.cases_of(["SiLU", "add"])} == {"SiLU and mul", "add and RMS norm"}
    assert {case.kernel for case in trials.cases_of([])} == set(trials.TRIALS)
    with pytest.raises(ValueError, match="nothing was tried for 'relu': give the beginning of one of 'RMS norm'"):
        trials.cases_of(["relu"])


@pytest.mark.skipif(DEVICE == "cuda", reason="is about a machine without a GPU: run it there")
@pytest.mark.parametrize("module, says", [(trials, "trials need an NVIDIA GPU"), (profiled, "the profiler needs an NVIDIA GPU")])
def test_without_a_gpu_they_say_what_is_missing(module, says, capsys):
    assert module.main([]) == 1 and says in capsys.readouterr().err


NCU = """==PROF== Connected to process 7
fewest bytes: {}
==PROF== Disconnected from process 7
"ID","Kernel Name","gpu__time_duration.sum","dram__bytes_read.sum","dram__bytes_write.sum","dram__throughput.avg.pct_of_peak_sustained_elapsed",\
"smsp__issue_active.avg.pct_of_peak_sustained_active","sm__warps_active.avg.pct_of_peak_sustained_active","launch__registers_per_thread",\
"smsp__average_warps_issue_stalled_long_scoreboard_per_issue_active.ratio","smsp__average_warps_issue_stalled_barrier_per_issue_active.ratio"
"","","ns","Mbyte","Kbyte","%","%","%","register/thread","inst","inst"
"0","SiLU, a shape: ours/silu_and_mul_kernel","1,393.5","805.3","402.1","90.5","24.0","61.2","30","6.7","0.1"
"1","SiLU, a shape: vLLM/void vllm::act_and_mul_kernel<c10::BFloat16, (bool)1>(T1 *, const T1 *, int)","1,400","805.3","402.1","90.1","24.0","61.2","30","6.7","0.1"
"""


def test_what_the_profiler_says_is_read_with_its_units():
    ours, theirs = profiled.profiles(NCU.splitlines(keepends=True))
    assert (ours.launch, ours.kernel, theirs.kernel) == ("SiLU, a shape: ours", "silu_and_mul_kernel", "act_and_mul_kernel") and ours.us == pytest.approx(1.3935) and ours.read == pytest.approx(805.3e6)
    assert ours.written == pytest.approx(402.1e3) and (ours.memory, ours.registers, ours.waiting) == (90.5, 30, 6.7)
    header, first, _ = profiled.table({ours.launch: 8 * 10**8, theirs.launch: 8 * 10**8}, [ours, theirs])
    assert "1.007" in first and "bytes" in header


def test_a_profiler_that_saw_nothing_is_named():
    with pytest.raises(profiled.NoProfiler, match="profiled nothing.*\n.*ERR_NVGPUCTRPERM"):
        profiled.profiles(["==ERROR== ERR_NVGPUCTRPERM: no permission\n"])


def test_a_profiler_that_is_missing_is_named(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(profiled.NoProfiler, match="ncu is not on the PATH: install"):
        profiled.profile([])
