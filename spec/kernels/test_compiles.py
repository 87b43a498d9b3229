"""Every kernel compiles for an H200, on any machine: see `compile_for_gpu.py`."""
import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton", reason="needs torch and triton: make setup")

from spec.kernels.compile_for_gpu import SHARED, Compiled      # noqa: E402

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def kernels():
    """In a process of its own: this one's Triton interprets."""
    done = subprocess.run([sys.executable, "-m", "spec.kernels.compile_for_gpu", "--json"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [Compiled(**json.loads(line)) for line in done.stdout.splitlines()]


def test_all_are_there(kernels):
    """A kernel that nobody launches there would never be looked at."""
    written = {name for path in (ROOT / "kernels").glob("*.py") for name in _launched(path)}
    assert {each.kernel for each in kernels} >= written - {"naive_rms_norm_kernel"}, "add a call of its launcher to compile_for_gpu.py"


def test_no_register_spills(kernels):
    """A few bytes of stack are addresses; a tile that does not fit into the registers takes hundreds, or thousands. The largest of prefill
    attention fills all registers, keeps what its loop does not need in memory (Triton 3.6: 152 bytes, 3.7: 184), and is the fastest of those
    that were measured."""
    assert not [each for each in kernels if each.spilled > (192 if each.registers == 255 and each.tensor_cores == "wgmma" else 16)]


def test_the_shared_memory_is_there(kernels):
    assert not [each for each in kernels if each.shared > SHARED]


def test_attention_uses_the_tensor_cores(kernels):
    """Prefill in 16 bits the asynchronous ones of Hopper, which take 64 rows; decode, with 16 rows, the small ones."""
    used = {each.tensor_cores for each in kernels if each.kernel == "_attend" and each.label.startswith("bf16")}
    assert used == {"mma", "wgmma"}


def _launched(path: Path) -> set[str]:
    """The kernels in a file that are launched, `name[grid](...)`."""
    import ast
    return {node.func.value.id for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Subscript) and isinstance(node.func.value, ast.Name)}
