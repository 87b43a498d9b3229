"""Which operations a model is built with: `torch_ops.py` or `triton_ops.py`, two files with the same names. Chosen once, here."""
from types import ModuleType

import torch

from impl import torch_ops
from impl.errors import InvalidConfigError
from kernels import TOO_LATE

FP8 = "fp8"     # of the KV cache alone; the model itself computes in `dtype`


def choose(device: str, dtype: str, kernels: bool | None, kv_cache_dtype: str) -> ModuleType:
    """`kernels`: None is on a GPU. Raises `InvalidConfigError` for what nobody can compute."""
    if device not in ("cpu", "cuda", "cuda:0"):
        raise InvalidConfigError(f"device={device!r}: choose 'cpu' or 'cuda', which is the first GPU; CUDA_VISIBLE_DEVICES says which one that is")
    on_gpu = device.startswith("cuda")
    if on_gpu and not torch.cuda.is_available():
        raise InvalidConfigError(f"device={device!r}: torch {torch.__version__} can use no GPU here; leave device out to compute on the CPU")
    kernels = on_gpu if kernels is None else kernels
    if kv_cache_dtype not in ("auto", FP8):
        raise InvalidConfigError(f"kv_cache_dtype={kv_cache_dtype!r}: choose auto (the model's own) or {FP8}")
    if not kernels:
        if kv_cache_dtype == FP8:
            raise InvalidConfigError("kv_cache_dtype='fp8' is for the kernels: torch's attention does not read it; use a GPU, or auto")
        return torch_ops
    if dtype == "bfloat16" and not on_gpu:
        raise InvalidConfigError("Triton's interpreter rounds bfloat16 wrongly: with kernels on the CPU, choose float32 or float16")
    if TOO_LATE:
        raise InvalidConfigError("without a GPU the kernels need Triton's interpreter, and triton was imported before it was told so: "
                                 "import kernels before vllm or triton, or set TRITON_INTERPRET=1")
    from impl import triton_ops     # imports triton, which takes its time and is not installed everywhere
    return triton_ops
