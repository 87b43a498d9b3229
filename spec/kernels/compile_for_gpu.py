"""`python -m spec.kernels.compile_for_gpu`: compile the kernels for a GPU on a machine without one, and say what they would take of it.

The launchers are called as they are, with tensors of real shapes; a driver that only knows the name of the GPU stops
each kernel after the compiler. What the interpreter lets pass and the compiler does not is found this way, and so are
registers that spill and more shared memory than there is.
"""
import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

if __name__ == "__main__":
    os.environ["TRITON_INTERPRET"] = "0"

HOPPER = 90         # compute capability 9.0: H100, H200
SHARED = 227 << 10  # bytes of shared memory that a program can have there
D, BLOCK_SIZE = 128, 16


@dataclass(frozen=True)
class Compiled:
    kernel: str
    label: str
    registers: int      # of a thread, of 255
    spilled: int        # bytes of a thread's registers that live in memory
    shared: int         # bytes
    warps: int
    tensor_cores: str   # wgmma, mma or none


def launches() -> dict[str, list]:
    """Calls of the launchers by label, as an engine of today's shapes makes them."""
    import torch

    from kernels.cache_write import write_cache
    from kernels.decode_attention import decode_attention
    from kernels.decode_inputs import decode_inputs
    from kernels.gemv import gemv
    from kernels.greedy import greedy
    from kernels.gumbel import gumbel
    from kernels.penalties import penalties
    from kernels.prefill_attention import prefill_attention
    from kernels.qk_norm_rope_cache import qk_norm_rope_cache
    from kernels.rms_norm import add_rms_norm, rms_norm
    from kernels.rope import rope
    from kernels.silu_and_mul import silu_and_mul
    from kernels.top_k_top_p import top_k_top_p

    def ints(*shape, dtype=torch.int32):
        return torch.zeros(shape, dtype=dtype)

    def attention(dtype, cache_dtype, heads=32, block_size=BLOCK_SIZE, head_dim=D):
        keys, values = torch.zeros(8, block_size, 2, 8, head_dim, dtype=cache_dtype).unbind(2)
        scales = {} if cache_dtype == dtype else {"k_scale": torch.ones(1), "v_scale": torch.ones(1)}
        queries, tables = torch.zeros(64, heads, head_dim, dtype=dtype), ints(64, 16)
        return (lambda: decode_attention(queries, keys, values, tables, ints(64), **scales),
                lambda: prefill_attention(queries, keys, values, tables[:2], ints(2), ints(3), **scales))

    bf16, wide = torch.bfloat16, {"dtype": torch.bfloat16}
    keys, values = torch.zeros(8, BLOCK_SIZE, 2, 8, D, **wide).unbind(2)
    small, positions = torch.zeros(D, **wide), ints(16, dtype=torch.int64)
    logits = torch.zeros(4, 151936)
    cases = {"bf16": attention(bf16, bf16), "float32": attention(torch.float32, torch.float32), "bf16, fp8 cache": attention(bf16, torch.float8_e4m3fn),
             "bf16, D 80": attention(bf16, bf16, block_size=48, head_dim=80)}
    cases |= {f"size {size}": [lambda size=size: rms_norm(torch.zeros(64, size, **wide), torch.zeros(size, **wide), 1e-6),
                               lambda size=size: add_rms_norm(torch.zeros(64, size, **wide), torch.zeros(64, size, **wide), torch.zeros(size, **wide), 1e-6),
                               lambda size=size: silu_and_mul(torch.zeros(64, 2 * size, **wide))] for size in (1024, 4096)}
    cases |= {"rotary and cache": [
        lambda: rope(torch.zeros(16, 32, D, **wide), torch.zeros(16, 8, D, **wide), positions, torch.zeros(64, D, **wide)),
        lambda: write_cache(torch.zeros(16, 8, D, **wide), torch.zeros(16, 8, D, **wide), keys, values, positions),
        lambda: qk_norm_rope_cache(torch.zeros(16, 48 * D, **wide), small, small, 1e-6, positions, torch.zeros(64, D, **wide), keys, values, positions, 32, 8),
        lambda: qk_norm_rope_cache(torch.zeros(16, 48 * D, **wide), None, None, 1e-6, positions, torch.zeros(64, D, **wide), keys, values, positions, 32, 8)]}
    cases |= {"one row": [lambda size=size: gemv(torch.zeros(1, size, **wide), torch.zeros(64, size, **wide)) for size in (1024, 3072)],
              "inputs": [lambda: decode_inputs(ints(16), ints(16), ints(16), ints(17, dtype=torch.int64), ints(17, 256), BLOCK_SIZE)]}
    return cases | {"151,936 tokens": [
        lambda: greedy(logits), lambda: gumbel(logits, torch.ones(4), ints(4, dtype=torch.int64), ints(4, dtype=torch.int64)),
        lambda: top_k_top_p(logits, ints(4) + 50, torch.full((4,), 0.9)),
        lambda: penalties(logits, ints(4, 4748), ints(4, 151936), torch.ones(4), torch.zeros(4), torch.zeros(4))]}


def compiled(label: str, launch) -> list[Compiled]:
    """What `launch` would run on the GPU. Raises what the compiler raises."""
    from triton.runtime.jit import JITFunction
    found, run = [], JITFunction.run

    def stop_after_compiling(self, *args, grid, warmup, **named):
        kernel = run(self, *args, grid=grid, warmup=True, **named)
        found.append((self.__name__, kernel))
        return kernel

    JITFunction.run = stop_after_compiling
    try:
        launch()
    finally:
        JITFunction.run = run
    return [_described(name, label, kernel) for name, kernel in found]


def _described(name: str, label: str, kernel) -> Compiled:
    import triton
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(kernel.asm["cubin"])
        file.flush()
        tool = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
        usage = subprocess.run([tool, "-res-usage", file.name], capture_output=True, text=True, check=True).stdout
    registers, stack = re.search(r"REG:(\d+) STACK:(\d+)", usage).groups()
    cores = next((kind for kind, sign in (("wgmma", "wgmma.mma_async"), ("mma", "mma.sync")) if sign in kernel.asm["ptx"]), "none")
    return Compiled(name, label, int(registers), int(stack), kernel.metadata.shared, kernel.metadata.num_warps, cores)


class NameOnly:
    """A driver for a GPU that is not there."""

    def __init__(self, capability: int):
        from triton.backends.compiler import GPUTarget
        self.target = GPUTarget("cuda", capability, 32)

    def get_current_target(self):
        return self.target

    def get_current_device(self):
        return 0

    def get_current_stream(self, device):
        return 0


def compile_all(capability: int = HOPPER) -> list[Compiled]:
    from triton.runtime import driver
    driver.set_active(NameOnly(capability))
    return [each for label, cases in launches().items() for launch in cases for each in compiled(label, launch)]


if __name__ == "__main__":
    for each in compile_all():
        print(json.dumps(asdict(each)) if "--json" in sys.argv else
              f"{each.kernel:<28} {each.label:<18} {each.registers:>3} registers  {each.spilled:>4} B spilled  {each.shared / 1024:>6.1f} KiB shared  "
              f"{each.warps:>2} warps  {each.tensor_cores}")
