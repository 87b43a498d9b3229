"""Triton kernels, one a file. Without an NVIDIA GPU, Triton's interpreter runs them on the CPU.

Triton must be told so before it is imported, by whomever: hence here, and at the top of `conftest.py`. To import this package
does no more: transformers does it too, looking for another package of this name.
"""
import ctypes
import os
import sys


def has_gpu() -> bool:
    """Whether an NVIDIA GPU can be used here. Asks the driver's management library: torch takes seconds to import, and a process that has
    asked the driver itself (`cuInit`) has no children that could use the GPU."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0") in ("", "-1"):
        return False
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return False
    count = ctypes.c_uint()
    return library.nvmlInit_v2() == 0 and library.nvmlDeviceGetCount_v2(ctypes.byref(count)) == 0 and count.value > 0


TOO_LATE = False    # somebody has imported Triton without its interpreter, and there is no GPU: no kernel can run in this process
if "TRITON_INTERPRET" not in os.environ and not has_gpu():
    TOO_LATE = "triton" in sys.modules
    if not TOO_LATE:
        os.environ["TRITON_INTERPRET"] = "1"


def _is_hopper() -> bool:
    """Whether the first GPU is of compute capability 9.0 or later. Asks as `has_gpu` does."""
    library, device, major, minor = ctypes.CDLL("libnvidia-ml.so.1"), ctypes.c_void_p(), ctypes.c_int(), ctypes.c_int()
    return (library.nvmlInit_v2() == 0 and library.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(device)) == 0
            and library.nvmlDeviceGetCudaComputeCapability(device, ctypes.byref(major), ctypes.byref(minor)) == 0 and major.value >= 9)


HOPPER = os.environ.get("TRITON_INTERPRET") != "1" and has_gpu() and _is_hopper()
