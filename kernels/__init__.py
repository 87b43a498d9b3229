"""Triton kernels, one a file. Without an NVIDIA GPU, Triton's interpreter runs them on the CPU.

Triton must be told so before it is imported, by whomever: hence here, and at the top of `conftest.py`.
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


class InterpreterError(RuntimeError):
    """Triton was imported before it could be told that there is no GPU."""


if "TRITON_INTERPRET" not in os.environ and not has_gpu():
    if "triton" in sys.modules:
        raise InterpreterError("there is no GPU, and triton was imported before it could be told to interpret: "
                               "import kernels first, or set TRITON_INTERPRET=1")
    os.environ["TRITON_INTERPRET"] = "1"
