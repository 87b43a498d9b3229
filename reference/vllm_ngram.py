"""vLLM's own n-gram proposer. Where numba is missing, which compiles it, the same source is interpreted."""
import functools
import importlib
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


@functools.cache
def _module() -> ModuleType:
    vllm_scheduler._vllm()
    if util.find_spec("numba") is None:
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
