"""Triton kernels, one a file. Without an NVIDIA GPU, Triton's interpreter runs them on the CPU.

Triton must be told so before it is imported, by whomever: hence here, and at the top of `conftest.py`. To import this package
does no more: transformers does it too, looking for another package of this name.
"""
import ctypes
import os
import sys


def has_gpu() -> bool:
    """Whether an NVIDIA GPU can be used here. Asks the driver, since torch takes seconds to import."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int()
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0


TOO_LATE = False    # somebody has imported Triton without its interpreter, and there is no GPU: no kernel can run in this process
if "TRITON_INTERPRET" not in os.environ and not has_gpu():
    TOO_LATE = "triton" in sys.modules
    if not TOO_LATE:
        os.environ["TRITON_INTERPRET"] = "1"
