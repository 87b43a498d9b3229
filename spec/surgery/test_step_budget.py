"""The arithmetic of the step budget, on events that are made up. The whole experiment: `python -m reference.experiments.step_budget`."""
import ast
import json
from pathlib import Path

import pytest

from reference.experiments import step_budget, step_clock, step_events
from reference.experiments.memory import Shape
from reference.experiments.record import Record
from reference.experiments.step_events import OTHER, WINDOW, kind, told_by, union
from reports.experiments import read_record

NORMS, ATTENTION, PREPARATION, PRODUCTS, SAMPLING = step_events.KINDS
KERNELS = Path(__file__).parents[2] / "kernels"


def event(name: str, begins: float, lasts: float, category: str = "kernel") -> dict:
    return {"name": name, "cat": category, "ts": begins, "dur": lasts}


@pytest.mark.parametrize("spans, covered", [
    ([], 0), ([(0, 10)], 10), ([(0, 10), (20, 5)], 15), ([(0, 10), (10, 10)], 20), ([(0, 10), (5, 10)], 15),
    ([(0, 100), (10, 5), (20, 5)], 100), ([(20, 5), (0, 100), (99, 2)], 101), ([(5, 10), (5, 10)], 10)])
def test_what_runs_beside_another_counts_once(spans, covered):
    assert union([event("k", begins, lasts) for begins, lasts in spans]) == covered


# As a profiler shows them, shortened: vLLM's own, those of its compiler, of cuBLAS, and ours.
@pytest.mark.parametrize("name, what", [
    ("void cutlass::device_kernel<flash::enable_sm90_or_later<flash::FlashAttnFwdSm90<flash::CollectiveMainloopFwdSm90<2>>>>", ATTENTION),
    ("void flash::prepare_varlen_num_blocks_kernel<1, true>(int, int)", ATTENTION), ("kernel_unified_attention", ATTENTION), ("reduce_segments", ATTENTION),
    ("_attend", ATTENTION), ("_merge", ATTENTION), ("_plan", ATTENTION),
    ("void vllm::reshape_and_cache_flash_kernel<__nv_bfloat16, __nv_bfloat16>", NORMS), ("void vllm::fused_add_rms_norm_kernel<c10::BFloat16, 8>", NORMS),
    ("triton_red_fused__to_copy_add_mean_mul_pow_rsqrt_2", NORMS), ("void vllm::act_and_mul_kernel<c10::BFloat16>", NORMS),
    ("qk_norm_rope_cache_kernel", NORMS), ("silu_and_mul_kernel", NORMS),
    ("nvjet_tst_128x64_64x8_2x1_v_bz_TNT", PRODUCTS), ("void cublasLt::splitKreduce_kernel<32, 16>", PRODUCTS), ("void gemv2T_kernel_val<int>", PRODUCTS),
    ("sm90_xmma_gemm_bf16bf16_bf16f32_f32_tn_n_tilesize64x64x64_cublas", PRODUCTS), ("cutlass_80_wmma_tensorop_bf16_s161616gemm_bf16", PRODUCTS),
    ("_gumbel_sample_kernel", SAMPLING), ("_temperature_kernel", SAMPLING), ("best_of_row", SAMPLING), ("_draw_from_chunk", SAMPLING),
    ("_prepare_pos_seq_lens_kernel", PREPARATION), ("_get_num_sampled_and_rejected_kernel", PREPARATION), ("_gather_block_tables_kernel", PREPARATION),
    ("void at::native::vectorized_elementwise_kernel<4, at::native::FillFunctor<int>>", OTHER)])
def test_a_kernel_is_known_by_its_name(name, what):
    assert kind(event(name, 0, 1)) == what


def launched(path: Path) -> set[str]:
    """The kernels that a file launches: `name[grid](...)`, where the file has a function of that name."""
    tree = ast.parse(path.read_text())
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    called = {node.func.value.id for node in ast.walk(tree)
              if isinstance(node, ast.Call) and isinstance(node.func, ast.Subscript) and isinstance(node.func.value, ast.Name)}
    return own & called


def test_each_kernel_of_ours_has_a_kind():
    ours = {name: path.stem for path in KERNELS.glob("*.py") for name in launched(path)}
    assert len(ours) > 10
    assert not {name: where for name, where in ours.items() if kind(event(name, 0, 1)) == OTHER}


def a_profile() -> list[dict]:
    """Two steps in 2,000 microseconds: a graph and a kernel a step, two streams, a copy each way, and what lies outside."""
    steps = [{"name": WINDOW, "cat": "user_annotation", "ts": 1000.0, "dur": 2000.0}, event("nvjet_before", 990, 15), event("nvjet_after", 3000, 50)]
    for begins in (1000.0, 2000.0):
        steps += [event("flash::FlashAttnFwdSm90", begins, 300), event("nvjet_tst", begins + 250, 150), event("mystery", begins + 500, 10),
                  event("Memcpy HtoD (Pinned -> Device)", begins + 600, 20, "gpu_memcpy"), event("Memcpy DtoH (Device -> Pageable)", begins + 700, 30, "gpu_memcpy"),
                  event("Memset (Device)", begins + 800, 5, "gpu_memset"), event("step", begins, 900, "gpu_user_annotation"),
                  event("cudaGraphLaunch", begins, 40, "cuda_runtime"), event("cudaLaunchKernel", begins + 50, 5, "cuda_runtime"),
                  event("cuLaunchKernelEx", begins + 60, 5, "cuda_driver"), event("cudaEventSynchronize", begins + 100, 700, "cuda_runtime")]
    return steps


def test_the_steps_of_a_window_are_told_by_the_step():
    told = told_by(a_profile(), steps=2)
    assert told["wall"] == 1.0 and told["busy"] == pytest.approx(0.400 + 0.010 + 0.020 + 0.030 + 0.005)
    assert {name: taken for name, taken in told["kinds"].items() if taken} == {
        ATTENTION: 0.3, PRODUCTS: 0.15, "copies": pytest.approx(0.055), OTHER: 0.01}
    assert (told["kernels"], told["kernel launches"], told["graph launches"], told["host waits"]) == (3, 2, 1, 0.7)
    assert told["copies"] == {"HtoD": 1, "DtoH": 1, "DtoD": 0}
    assert told["busiest"][:2] == [["flash::FlashAttnFwdSm90", ATTENTION, 1, 0.3], ["nvjet_tst", PRODUCTS, 1, 0.15]]


def test_a_profile_without_the_mark_is_refused():
    with pytest.raises(ValueError, match="has no mark 'profiled steps'"):
        told_by([event("nvjet", 0, 1)], steps=1)


def test_the_bytes_that_must_move():
    """Of Qwen3-0.6B: 596,049,920 weights, and for each token 8 keys and values of 128 numbers in 28 layers. Two bytes each."""
    assert step_events.must_move(Shape(), 256 * 820) == (2 * 596_049_920, 256 * 820 * 28 * 2 * 8 * 128 * 2)


def test_the_weights_are_those_of_the_model_that_is_written(tmp_path):
    pytest.importorskip("torch", reason="weights are written with torch, and there is none here: 'make setup' installs it")
    from reference.checkpoint.random_model import write_random_model
    shape = step_budget.SHAPES["tiny"]
    assert write_random_model(tmp_path, step_budget.own_config(shape)) * shape.item == step_events.must_move(shape, 0)[0]


def test_a_phase_within_another_is_taken_off_it(monkeypatch):
    now = iter([0, 1, 3, 6, 10, 11])      # outer from 0 to 10, twice something within: 1 to 3 is not timed apart, 3 is
    monkeypatch.setattr(step_clock, "perf_counter", lambda: next(now))

    class Engine:
        def execute(self): return self.prepare() + 1
        def prepare(self): return 1

    engine, clock = Engine(), step_clock.Clock()
    clock.watch(engine, "execute", "launch")
    clock.watch(engine, "prepare embellish", "prepare inputs")
    assert engine.execute() == 2        # execute begins at 0, prepare lasts from 1 to 3, execute ends at 6
    assert clock.seconds == {("main", "launch"): 4, ("main", "prepare inputs"): 2} and clock.absent == ["prepare inputs: embellish"]


def found(situation: str = "2 decode", **more) -> dict:
    """What an engine's process tells of a situation: 5 ms a step, of which 2 are known."""
    return {"situation": situation, "requests": 2, "cached": 2000, "walls": [4.0, 6.0], "absent": [], "facts": {"scheduler": "Scheduler"},
            "phases": [["main", "schedule", 0.5], ["main", "launch", 1.5], ["worker", "launch", 4.0]], "profile": told_by(a_profile(), 2)} | more


def test_what_fails_is_noted_and_the_others_are_told(tmp_path):
    """One engine has no profile, another nothing at all."""
    told = {"impl": {"situations": {"2 decode": found()}, "errors": [], "copy speed": 2e12, "built": 3.0},
            "impl, one step at a time": {"situations": {"2 decode": {name: value for name, value in found().items() if name != "profile"}}, "errors": ["the profile: no"]},
            "vllm": {"situations": {"2 decode": {"situation": "2 decode", "error": "gone"}}, "errors": ["2 decode: gone"]}}
    record = Record("step_budget", "Where?", "cpu")
    step_budget.fill(record, told, Shape())
    tables = {table["title"].split(",")[0].split(":")[0]: table for table in read_record(record.write(tmp_path))["tables"]}
    assert tables["What was not measured"]["rows"] == [["impl, one step at a time", "the profile: no"], ["vllm", "2 decode: gone"]]
    least = (2 * 596_049_920 + 2000 * 114_688) / 2e12 * 1e3
    by_engine = {row[0]: dict(zip(step_budget.STEP, row)) for row in tables["A step"]["rows"]}
    assert by_engine["impl"]["ms by the clock"] == 5 and by_engine["impl"]["tokens/s"] == 400 and by_engine["impl"]["times the limit"] == pytest.approx(5 / least)
    assert by_engine["impl"]["device idle"] == pytest.approx(5 - 0.465) and by_engine["impl, one step at a time"]["device idle"] is None
    host = {row[0]: dict(zip(["situation", *step_budget.PHASES], row[1:])) for row in tables["Milliseconds of the host in a step"]["rows"]}
    assert host["impl"]["rest"] == 3 and host["impl, worker"]["launch"] == 4 and host["impl, worker"]["schedule"] is None
    bars = {stack["title"]: stack for stack in json.loads((tmp_path / "experiment-step_budget-cpu.json").read_text())["bars"]}["The device, 2 decode"]
    ours, limit = dict(zip(bars["parts"], bars["rows"][0][1])), dict(zip(bars["parts"], bars["rows"][-1][1]))
    assert ours[ATTENTION] == 0.3 and ours["idle"] == pytest.approx(5 - 0.465)
    assert limit == dict.fromkeys(bars["parts"], 0) | {"what must be read": pytest.approx(least)}


def test_an_engine_that_cannot_begin_says_why(tmp_path, capfd):
    told = step_budget.asked_of("impl", str(tmp_path), "tiny", seconds=60)      # there is no model in the folder
    assert told == {"situations": {}, "errors": ["the process ended with status 1; what it said is above"]}
    assert "config.json" in capfd.readouterr().err


def test_ours_goes_through_the_whole_of_it(tmp_path):
    """The rehearsal: what the kinds say of a CPU means nothing, that each step is told does."""
    pytest.importorskip("torch", reason="an engine needs torch, and there is none here: 'make setup' installs it")
    from reference.checkpoint.random_model import write_random_model
    write_random_model(tmp_path, step_budget.own_config(step_budget.SHAPES["tiny"]))
    told = step_budget.asked_of("impl, one step at a time", str(tmp_path), "tiny", seconds=120)
    assert told["errors"] == [] and list(told["situations"]) == ["one alone", "8 decode"] and told["copy speed"] > 0
    for situation in told["situations"].values():
        assert len(situation["walls"]) == 4 and situation["absent"] == []
        assert {"schedule", "prepare inputs", "launch", "update_from_output", "process outputs"} <= {phase for _, phase, _ in situation["phases"]}
        assert situation["profile"]["kinds"][ATTENTION] > 0
    assert told["situations"]["8 decode"]["cached"] > 8 * 42
