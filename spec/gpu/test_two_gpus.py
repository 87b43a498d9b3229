"""Two ranks on two GPUs say what one GPU says, with CUDA graphs and steps in flight; and a rank that fails is named. `-s` shows what is seen on the way.

Without two GPUs the same is rehearsed, by `nccl_rehearsal.py`. What ranks on the CPU do is in `spec/engine/test_tensor_parallel.py`.
"""
import json
import os
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.version import Version

torch = pytest.importorskip("torch", reason="needs torch: make setup")

ROOT = Path(__file__).parents[2]
RECORDED = json.loads((ROOT / "spec/engine/vllm_two_ranks.json").read_text())
LIMIT = 100         # seconds, after which a scenario tells where it hangs, and ends
ROUNDED = 0.5       # logprobs that far apart are a near-tie in bfloat16: `test_dtypes.py` sees them move by as much
TWO_GPUS = torch.cuda.device_count() > 1

def interprets_loops() -> bool:
    """Triton's interpreter, until 3.7, turns arrays of one number into integers, which numpy does no more."""
    return Version(version("triton")) >= Version("3.7") or Version(version("numpy")) < Version("2.4")


needs_two_gpus = pytest.mark.skipif(not TWO_GPUS, reason="needs two NVIDIA GPUs: run this on a machine that has them")


def played(scenario: str, model: str, dtype: str = "float32", ends: int = 0) -> dict:
    """What a scenario of `two_gpus.py` ends with. It must end by itself, rank 1 as well, with the exit code `ends`."""
    module, environment = ("two_gpus", {"NCCL_DEBUG": "WARN"}) if TWO_GPUS else ("nccl_rehearsal", {"CUDA_VISIBLE_DEVICES": "", "TRITON_INTERPRET": "1"})
    if not TWO_GPUS and not interprets_loops():
        pytest.skip(f"Triton {version('triton')} cannot interpret a loop beside numpy {version('numpy')}: run this on two GPUs, or with what 'make setup' installs")
    process = subprocess.Popen([sys.executable, "-m", f"spec.gpu.{module}", scenario, model, dtype, str(LIMIT)], cwd=ROOT, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True, env=os.environ | environment)
    try:
        said, late = process.communicate(timeout=LIMIT + 15)[0], False
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, late = process.communicate()[0], True
    print(said)
    assert not late, f"{scenario} {model} {dtype}: a process did not even end when told to, and was killed:\n{said}"
    assert process.returncode == ends, f"{scenario} {model} {dtype} ended with {process.returncode}:\n{said}"
    return json.loads(next(line for line in said.splitlines() if line.startswith("{")))


@pytest.mark.parametrize("model", [pytest.param("llama", marks=needs_two_gpus), "qwen3"])
def test_the_same_tokens_as_one_gpu_and_as_vllm_with_two_ranks(model):
    result = played("same", model)
    assert bool(result["graphs"]) == TWO_GPUS and result["differ"] == result.get("plainly differ", []) == []
    if TWO_GPUS:
        assert result["as vllm"] == [said["token_ids"] for said in RECORDED[model]["said"]][::2]       # every other one is greedy
    if model == "qwen3":
        assert [result["collectives"]] * 2 == RECORDED[model]["collectives"]


@needs_two_gpus
def test_in_bfloat16_the_same_or_a_near_tie():
    result = played("same", "qwen3", "bfloat16")
    assert result["graphs"] and all(each["gap"] < ROUNDED for each in result["differ"]) and len(result["differ"]) < result["requests"]


def test_a_killed_rank_is_named_and_the_gpus_are_free_for_the_next_engine_until_one_says_other_tokens():
    result = played("killed", "llama")
    assert result["killed"]["error"] == result["killed"]["again"] == "WorkerDiedError" and "rank 1" in result["killed"]["says"] and "-9" in result["killed"]["says"]
    assert result["killed"]["seconds"] < 15 and not result["killed"]["lives"] and result["bytes"] < 1 << 29      # cuBLAS keeps some
    assert result["other tokens"]["error"] == "StepMismatchError" and "rank 1 has sampled other tokens" in result["other tokens"]["says"]
    assert not result["other tokens"]["lives"]


def test_a_rank_that_hangs_is_named_after_the_timeout_and_the_process_can_end():
    result = played("hung", "llama")
    assert result["error"] == result["again"] == "WorkerHungError" and "rank 1 let the others wait for more than 6 s" in result["says"]
    assert result["seconds"] < 25 and not result["lives"]


def test_a_rank_ends_with_rank_0():
    """Or it would keep open what it prints to, and `played` would fail."""
    assert played("orphaned", "llama", ends=-signal.SIGKILL)["pid"]
