"""vLLM's own n-gram proposer, which numba compiles. Where that is missing, the same source is interpreted here; a whole engine needs it."""
import functools
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from importlib import util
from types import ModuleType

from reference import vllm_scheduler


def propose(token_ids: Sequence[int], min_n: int, max_n: int, num_speculative_tokens: int, max_model_len: int) -> tuple[int, ...]:
    """What vLLM drafts for these tokens."""
    import numpy as np
    found = _module()._find_longest_matched_ngram_and_propose_tokens(np.array(token_ids, dtype=np.int32), min_n, max_n, max_model_len, num_speculative_tokens)
    return tuple(map(int, found))


def has_numba() -> bool:
    return util.find_spec("numba") is not None


@functools.cache
def import_numba() -> None:
    """Import numba so that an engine with n-grams is fast, and further engines can be built behind it in the same process.

    vLLM asks for one thread; a second, which only waits, takes fifty times as long as the work on two busy cores. And
    each engine searches the names of all modules for kernels, where llvmlite's library has an answer to every name, `__dict__` included.
    """
    os.environ.setdefault("NUMBA_NUM_THREADS", "1")
    importlib.import_module("numba")
    library = type(importlib.import_module("llvmlite.binding.ffi").lib)
    answer = library.__getattr__
    library.__getattr__ = lambda self, name: _no_such(name) if name == "__dict__" else answer(self, name)


def _no_such(name: str) -> None:
    raise AttributeError(name)


@functools.cache
def _module() -> ModuleType:
    vllm_scheduler._vllm()
    if has_numba():
        import_numba()
    else:
        sys.modules["numba"] = _interpreted_numba()
    try:
        return importlib.import_module("vllm.v1.spec_decode.ngram_proposer")
    finally:
        if isinstance(sys.modules.get("numba"), _Interpreted):     # nobody else should take it for numba
            del sys.modules["numba"]


class _Interpreted(ModuleType):
    """The names that vLLM imports from numba, without a compiler behind them."""


def _interpreted_numba() -> ModuleType:
    numba = _Interpreted("numba")
    numba.jit = numba.njit = _as_it_is
    numba.prange, numba.get_num_threads, numba.set_num_threads = range, lambda: 1, lambda number: None
    return numba


def _as_it_is(*_, **__) -> Callable:
    return lambda function: function
