"""The kernels' benchmark, as far as it can be judged without a GPU: what it makes of times, and that all of it runs."""
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs torch: make setup")

from reference import vllm_kernels  # noqa: E402
from reference.source import vllm_folder  # noqa: E402
from reports import benchmark_runs, gpu_results  # noqa: E402
from spec.benchmarks import contest, gpu_time, kernel_race  # noqa: E402
from spec.benchmarks.gpu_time import Ceilings, GpuClock, Rehearsal, TooFast  # noqa: E402
from spec.benchmarks.contest import Case, Contest, Contestant  # noqa: E402
from spec.benchmarks.kernel_cases import CASES  # noqa: E402
from spec.benchmarks.kernel_race import Turns, WrongResult, race  # noqa: E402
from spec.kernels.exactness import DEVICE  # noqa: E402

ROOT = Path(__file__).parents[2]


class Script(Rehearsal):
    """A clock that shows what it is told: for each contestant, in the order they come, the seconds of each round."""

    ceilings = Ceilings(1e12, 1e12, 1e12, 1e12)

    def __init__(self, *times):
        self.times, self.turns = list(map(list, times)), []

    def contestant(self, launches, restore=None, capture=True):
        for launch in launches:     # as a capture does, so that what fails fails here
            launch()
        mine, name = self.times.pop(0), len(self.turns)
        self.turns.append([])
        rounds = iter(mine)

        def one_round():
            if restore:
                restore()
            for launch in launches:
                launch()
            self.turns[name].append(sum(map(len, self.turns)))
            return next(rounds)
        return one_round


def contest_of(ours, num_bytes=10**6, **rivals):
    """`ours`, and each rival, is a function of one tensor of ones."""
    made = {name.replace("_", " "): (lambda launch=launch: Contestant(launch, [(torch.ones(3),)])) for name, launch in rivals.items()}
    return Case("a kernel", "a shape", "", lambda clock: Contest(Contestant(ours, [(torch.ones(3),)]), num_bytes, rivals=made,
                                                           disagreement=contest.relative), {}, {}, {"vLLM": 1.5, "of ceiling": 0.4})


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(kernel_race, "ROUNDS", 3)
    monkeypatch.setattr(kernel_race, "WARM_UP", 1)


def run(case, clock, compare=True):
    return race(case, clock, Turns(), compare)


def same(x):
    return x * 2


def test_contestants_take_turns_and_what_is_said_is_the_median_of_each_round():
    # The rounds of warming up would spoil all. The machine is twice as slow in the second round, and in the third only for ours.
    clock = Script([9.0, 2e-6, 4e-6, 8e-6], [1e-9, 4e-6, 8e-6, 8e-6], [9.0, 6e-6, 6e-6, 6e-6])
    row = run(contest_of(same, vLLM_a=same, vLLM_b=same), clock)
    assert clock.turns == [[2, 5, 8, 11], [0, 3, 6, 9], [1, 4, 7, 10]]
    assert row.times == {"ours": [2e-6, 4e-6, 8e-6], "vLLM a": [4e-6, 8e-6, 8e-6], "vLLM b": [6e-6] * 3}
    assert row.median("ours") == 4e-6 and row.best_of_vllm == "vLLM b"
    assert row.ratio("vLLM a") == 2.0 and row.ratio("vLLM b") == 1.5
    # Of the medians it would be 9 / 5: but in two rounds of three they were equally fast.
    assert run(contest_of(same, vLLM=same), Script([1, 1e-6, 5e-6, 9e-6], [1, 9e-6, 5e-6, 9e-6])).ratio("vLLM") == 1.0


def test_figures_and_bars():
    row = run(contest_of(same, vLLM_a=same, vLLM_b=same), Script([2e-6] * 4, [5e-6] * 4, [4e-6] * 4))
    figures = row.figures()
    assert figures["ratio to vLLM"] == 2.0 and figures["best of vLLM"] == "vLLM b" and figures["times as fast as vLLM a"] == pytest.approx(2.5)
    assert figures["ours us"] == pytest.approx(2) and figures["ours TB/s"] == pytest.approx(0.5) and figures["ours of ceiling"] == pytest.approx(0.5)
    assert figures["vLLM us"] == pytest.approx(4) and figures["vLLM of ceiling"] == pytest.approx(0.25)
    assert figures["bar"] == "1.50x vLLM, 40% of ceiling" and figures["met"] == "met"
    assert run(contest_of(same, vLLM=same), Script([2e-6] * 4, [2.9e-6] * 4)).met() == "missed"
    assert run(contest_of(same, vLLM=same), Script([3e-6] * 4, [9e-6] * 4)).met() == "missed"
    json.dumps(figures)


def test_without_vllm_the_others_run_and_it_is_said():
    row = run(contest_of(same, vLLM=same, torch=same), Script([2e-6] * 4, [4e-6] * 4), compare=False)
    assert row.ratio("torch") == 2.0 and row.best_of_vllm is None and "pip install vllm" in row.figures()["absent"]
    assert "ratio to vLLM" not in row.figures() and row.bars()[0] == ("vLLM", 1.5, None)
    assert row.met() == "", "half of its bars were met, of the other half nobody knows"
    assert run(contest_of(same, vLLM=same), Script([3e-6] * 4), compare=False).met() == "missed"


def test_a_rival_that_fails_is_noted_and_the_others_run():
    def broken(x):
        raise RuntimeError("no kernel image is available\nand more")

    clock = Script([2e-6] * 4, [4e-6] * 4)
    clock.is_rehearsal = False
    row = run(contest_of(same, vLLM_a=broken, vLLM_b=same), clock)
    assert row.absent == {"vLLM a": "RuntimeError: no kernel image is available"} and row.ratio("vLLM b") == 2.0


def test_other_results_are_an_error():
    def wrong(x):
        return x * 2.1

    with pytest.raises(WrongResult, match="ours and vLLM differ"):
        run(contest_of(same, vLLM=wrong), Script([2e-6] * 4, [4e-6] * 4))
    with pytest.raises(WrongResult, match="differ by nan"):
        run(contest_of(same, vLLM=lambda x: x * float("nan")), Script([2e-6] * 4, [4e-6] * 4))


@pytest.mark.parametrize("name, place", [("ours", 0), ("vLLM", 1)])
def test_a_time_that_physics_forbids_is_an_error(name, place):
    times = [[2e-6] * 4, [2e-6] * 4]
    times[place] = [0.9e-6] * 4      # a megabyte at a terabyte a second takes 1 us
    with pytest.raises(TooFast, match=f"^{name}, a kernel a shape, took 0.90 us, .* at least 1.00 us"):
        run(contest_of(same, vLLM=same), Script(*times))


def test_the_physical_limit_is_the_datasheets_or_a_little_above_what_was_measured():
    h200 = Ceilings.of("NVIDIA H200", 4.2e12, 790e12)
    h200.check(1.01 / 4.8, 10**12, 0, "a copy")
    with pytest.raises(TooFast):
        h200.check(0.99 / 4.8, 10**12, 0, "a copy")
    with pytest.raises(TooFast):
        h200.check(0.99 / 989, 0, 10**12, "a product")
    unknown = Ceilings.of("a GPU of tomorrow", 4e12, 100e12)
    unknown.check(1.01 / (4 * gpu_time.MARGIN), 10**12, 0, "a copy")
    with pytest.raises(TooFast):
        unknown.check(0.99 / (4 * gpu_time.MARGIN), 10**12, 0, "a copy")
    assert h200.floor(42 * 10**11, 0) == 1.0 and h200.floor(1, 79 * 10**13) == 1.0


def test_a_replay_uses_three_times_the_cache_and_a_millisecond():
    clock = GpuClock.__new__(GpuClock)
    clock.l2_bytes, clock.ceilings = 60 << 20, Ceilings(4e12, 800e12, 5e12, 999e12)
    assert clock.num_sets(200 << 20) == 20              # 50 us each
    assert clock.num_sets(1 << 20, 8 * 10**12) == 180   # 10 ms each, and nothing of it would leave the cache
    assert clock.num_sets(8 << 30) == 1 and isinstance(clock.num_sets(1 << 30), int)


def test_what_is_changed_in_place_is_put_back_before_each_round():
    seen = []

    def changes(x):
        seen.append(x.tolist())
        return x.mul_(2)

    contestant = Contestant(changes, [(torch.ones(1),), (torch.ones(1),)], in_place=(0,), seen=lambda arguments, returned: arguments)
    case = Case("a kernel", "a shape", "", lambda clock: Contest(contestant, 1), {}, {})
    run(case, Script([1.0] * 4))
    assert seen == [[1.0]] * 11 and contestant.sets[0][0].tolist() == [2.0]    # captured, four rounds of two launches, and the result


def test_every_case_can_be_built_and_has_a_benchmark():
    for case in CASES:
        for arguments in (case.arguments, case.tiny):
            inspect.signature(case.build).bind(None, **arguments)
    benchmarks = (ROOT / "spec" / "benchmarks" / "bench_kernels.py").read_text()
    assert {case.kernel for case in CASES} == set(re.findall(r'shapes\("(.+)"\)', benchmarks)) == set(re.findall(r'measure\("(.+)", shape\)', benchmarks))
    assert len({(case.kernel, case.shape) for case in CASES}) == len(CASES)


def python(*arguments, **more):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")} | {"PYTHONPATH": str(ROOT), "TRITON_INTERPRET": "1"}
    return subprocess.run([sys.executable, "-W", "ignore", *arguments], capture_output=True, text=True, timeout=600, env=environment, **more)


@pytest.mark.skipif(DEVICE == "cuda", reason="there is a GPU, and so no need to rehearse: make bench")
def test_all_of_it_runs_without_a_gpu():
    """Every kernel's benchmark, with vLLM's own kernels as far as they run here, and with stand-ins that take vLLM's arguments."""
    done = python("-m", "spec.kernels.rehearsal", cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"figures"')]
    assert {row["figures"]["kernel"] for row in rows} == {case.kernel for case in CASES}
    for row in rows:
        missing = row["figures"]["absent"]
        assert not missing if vllm_folder() else "pip install vllm" in missing, f"{row['figures']['kernel']}: {missing}"


INNER = """
import pytest
import torch

from kernels.rms_norm import rms_norm_twin
from reference import vllm_kernels
from spec.benchmarks.bench_kernels import measure
from spec.benchmarks.gpu_time import provenance
from spec.benchmarks.kernel_cases import shapes
from spec.benchmarks.kernel_race import STOPWATCH, command
from spec.kernels.test_benchmarks import Script

vllm_kernels.available = lambda: True
vllm_kernels.rms_norm = lambda x, weight, eps, out: rms_norm_twin(x, weight, eps)
pytestmark = pytest.mark.benchmark(timer=STOPWATCH)


@pytest.fixture
def clock():
    clock = Script([2.0] * 33, [3.0] * 33)
    clock.facts = {"gpu": "NVIDIA H200", **provenance(), "command": command(), "ceilings": {"copy TB/s": 4.3, "product TFLOP/s": 790.0}}
    return clock


@pytest.mark.parametrize("shape", shapes("RMS norm"))
def test_rms_norm(measure, shape):
    measure("RMS norm", shape)
"""


def test_from_the_command_to_the_readme(tmp_path, monkeypatch):
    """pytest-benchmark's file has the GPU's seconds, the terminal a table; the record is what the page and the README show."""
    (tmp_path / "test_inner.py").write_text(INNER)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    done = python("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "spec.benchmarks.conftest", "--benchmark-json=bench.json", "test_inner.py",
                  cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    line = next(line for line in done.stdout.splitlines() if "16,384 x 4,096" in line and "1.00x vLLM" in line)
    assert re.search(r"2,000,000\.0 .* 1\.50 .* missed", line), line
    assert "NVIDIA H200, driver" in done.stdout and "copy 4.30 TB/s" in done.stdout

    monkeypatch.setattr(gpu_results, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(gpu_results, "README", tmp_path / "README.md")
    (tmp_path / "README.md").write_text("above\n<!-- kernels:begin -->\nold\n<!-- kernels:end -->\nbelow\n")
    assert gpu_results.main([str(tmp_path / "bench.json"), "--commit", "abc123"]) == 0
    kept, = (tmp_path / "results").glob("nvidia-h200-20*.json")
    series, = benchmark_runs.series_of([benchmark_runs.read_session(kept)])
    assert {size: (each.ratio, each.median, each.rounds) for size, each in series.newest.items()} == {
        "16,384 x 4,096": (1.5, 2.0, 31), "65,536 x 1,024": (1.5, 2.0, 31)}
    readme = (tmp_path / "README.md").read_text()
    assert readme.startswith("above\n<!--") and readme.endswith("-->\nbelow\n") and "old" not in readme
    assert "commit abc123" in readme
    assert "| RMS norm | 16,384 × 4,096; bfloat16 | 2,000,000.0 | 0.00 TB/s | 0 % | 3,000,000.0 (its own) | 1.500 | 1.00 × vLLM, 90 % of ceiling | **missed** |" in readme
    assert kept.stat().st_size < 10_000 and "data" not in kept.read_text()


@vllm_kernels.needs_vllm_kernels
def test_vllms_kernels_are_here():
    """On a GPU host with vLLM's CUDA build, each group of its kernels can be imported."""
    x = torch.randn(4, 64, device="cuda", dtype=torch.bfloat16)
    assert vllm_kernels.rms_norm(x, x[0], 1e-6).shape == x.shape
    from kernels.decode_attention import decode_attention_twin
    keys, values = vllm_kernels.kv_cache(4, 16, 2, 64, torch.bfloat16)
    keys.normal_(), values.normal_()
    arguments = (torch.randn(2, 4, 64, device="cuda").bfloat16(), keys, values,
                 torch.arange(4, dtype=torch.int32, device="cuda").view(2, 2), torch.tensor([20, 32], dtype=torch.int32, device="cuda"))
    expected = decode_attention_twin(*arguments)
    for theirs in (vllm_kernels.decode_attention_fa3(*arguments), *(vllm_kernels.decode_attention_triton(*arguments, mode=mode) for mode in ("2d", "3d"))):
        torch.testing.assert_close(theirs, expected, atol=2e-2, rtol=2e-2)
