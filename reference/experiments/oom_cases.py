"""The ways in which a vLLM runs out of memory: how to bring each about, and what to expect of it beforehand.

A case says what to ask for (`ask`) and, when the process has ended, what was expected and what was seen (`compare`: quantity,
expected, seen). `known` is what the healthy run of this host has told: the two figures that no configuration tells,
what libraries hold beside the weights and what a process takes of the device before it has done anything.
"""
import re
from collections.abc import Callable
from typing import NamedTuple

from reference.experiments import memory
from reference.experiments.memory import GIB, Shape

Rows = list[tuple[str, float | None, float | None]]
MANY = 65_536       # tokens of a long step
WORDS_OF_CUDA = r"out of memory|CUDA error"


class Case(NamedTuple):
    name: str
    why: str                                        # what is done, in a sentence
    ask: Callable[[Shape, dict], dict]              # (shape, known) -> see memory_case
    compare: Callable[[Shape, dict, dict], Rows]    # (shape, known, seen)
    words: str | None                               # what its error must say; None: it must not fail


def gib(words: str, pattern: str) -> float | None:
    """The number of GiB at the group of a pattern, in bytes; vLLM rounds it to two places. None where it is not said."""
    found = re.search(pattern, words)
    return float(found[1]) * GIB if found else None


def number(words: str, pattern: str) -> float | None:
    found = re.search(pattern, words)
    return float(found[1]) if found else None


def _llm(**limits) -> dict:
    return {"dtype": "bfloat16", "enforce_eager": True, "max_num_seqs": 16, "max_model_len": 4096, "async_scheduling": False, **limits}


def one_sequence(max_model_len: int, block_size: int, **limits) -> Case:
    """A cache of 1 GiB, and one sequence that may need more."""
    def compare(shape: Shape, known: dict, seen: dict) -> Rows:
        words = seen.get("words", "")
        return [("cache needed", memory.one_sequence(shape, block_size, max_model_len), gib(words, r"\(([\d.]+) GiB KV cache is needed")),
                ("cache available", GIB - memory.block(shape, block_size), gib(words, r"available KV cache memory \(([\d.]+) GiB")),
                ("longest sequence [tokens]", memory.longest_sequence(shape, block_size, GIB), number(words, r"estimated maximum model length is (\d+)"))]

    return Case("pool too small for one sequence", f"1 GiB of cache, max_model_len={max_model_len:,}",
                lambda shape, known: {"llm": _llm(max_model_len=max_model_len, max_num_batched_tokens=256, kv_cache_memory_bytes=GIB, block_size=block_size, **limits)},
                compare, "To serve at least one request")


# On a GPU.

def _on_gpu(**limits) -> dict:
    """Without the warming up, which takes longer than what follows."""
    return _llm(kernel_config={"enable_jit_warmup": False, "enable_flashinfer_autotune": False}, **limits)


def _libraries(seen: dict) -> float:
    return seen["total_consumed"] - seen["weights"]


def _compare_healthy(shape: Shape, known: dict, seen: dict) -> Rows:
    peak = memory.activation_peak(shape, MANY)
    cache = memory.for_the_cache(seen["before"]["total"], 0.5, memory.weights(shape), peak)
    return [("weights", memory.weights(shape), seen.get("weights")), (f"activations of {MANY:,} tokens", peak, seen.get("peak_activation_memory")),
            ("cache", cache, seen.get("cache")), ("blocks", cache // memory.block(shape, 16), seen.get("num_blocks"))]


HEALTHY = Case("healthy", f"half of the device, steps of {MANY:,} tokens",
               lambda shape, known: {"llm": _on_gpu(gpu_memory_utilization=0.5, max_num_batched_tokens=MANY)}, _compare_healthy, None)


def _compare_beyond(shape: Shape, known: dict, seen: dict) -> Rows:
    expected = memory.weights(shape) + known["libraries"] + memory.activation_peak(shape, MANY)
    return [("needed beside the cache", expected, seen.get("total_consumed", 0) + seen.get("peak_activation_memory", 0)),
            ("left for the cache", memory.requested(seen["before"]["total"], seen["utilization"]) - expected, seen.get("cache"))]


BEYOND = Case("weights and activations beyond the share", "a share that ends 1 GiB below what weights and a long step need",
              lambda shape, known: {"llm": _on_gpu(max_num_batched_tokens=MANY),
                                     "share": memory.weights(shape) + known["libraries"] + memory.activation_peak(shape, MANY) - GIB},
              _compare_beyond, "No available memory for the cache blocks")

FLOOD = 1 << 18     # tokens of a step that does not fit on what is left of the device


def _flood_room(shape: Shape, known: dict) -> int:
    """Free bytes with which a step of FLOOD tokens fails at its first queries, keys and values: embedding and norm fit, these do not.

    It may be half as much or twice as much as these take. The share has no say: a step is measured before anything is compared with it.
    """
    return memory.weights(shape) + int(known["libraries"]) + FLOOD * shape.qkv * shape.item


def _compare_flood(shape: Shape, known: dict, seen: dict) -> Rows:
    return [("the allocation that fails", FLOOD * shape.qkv * shape.item, gib(seen.get("words", ""), r"Tried to allocate ([\d.]+) GiB"))]


ACTIVATIONS = Case("activations beyond the device", f"another process leaves a few GiB; a step may have {FLOOD:,} tokens",
                   lambda shape, known: {"when": "before", "other": {"leave": _flood_room(shape, known)}, "share": GIB,
                                         "llm": _on_gpu(max_model_len=32_768, max_num_batched_tokens=FLOOD)},
                   _compare_flood, WORDS_OF_CUDA)

# Few words, so that the sampler leaves no memory to graphs; and graphs without the minute of compiling.
FEW_WORDS = {"vocab_size": 8192}
GRAPHS = {"enforce_eager": False, "max_num_seqs": 256, "max_num_batched_tokens": 512, "max_model_len": 512,
          "compilation_config": {"mode": 0, "cudagraph_mode": "FULL_DECODE_ONLY"}}


def _compare_graphs(shape: Shape, known: dict, seen: dict) -> Rows:
    return [("graphs, as vLLM estimates before it captures them", seen.get("cudagraph_memory_estimate"), seen.get("graphs"))]


CAPTURE = Case("graphs counted in", "decode graphs up to 256 requests", lambda shape, known: {"config": FEW_WORDS, "llm": _on_gpu(gpu_memory_utilization=0.5, **GRAPHS)},
               _compare_graphs, None)


def _compare_uncounted(shape: Shape, known: dict, seen: dict) -> Rows:
    return [("missing for the graphs", seen["cudagraph_memory_estimate"] - _UNCOUNTED - seen["peak_activation_memory"], None)]


_UNCOUNTED = 8 << 20
UNCOUNTED = Case("graphs not counted in", "all of the device but 8 MiB, and VLLM_MEMORY_PROFILER_ESTIMATE_CUDAGRAPHS=0",
                 lambda shape, known: {"config": FEW_WORDS, "leave": _UNCOUNTED, "llm": _on_gpu(**GRAPHS), "environment": {"VLLM_MEMORY_PROFILER_ESTIMATE_CUDAGRAPHS": "0"}},
                 _compare_uncounted, WORDS_OF_CUDA)

HELD = 20 * GIB


def _compare_before(shape: Shape, known: dict, seen: dict) -> Rows:
    words, total = seen.get("words", ""), seen["before"]["total"]
    return [("free at the start", seen["alone"]["free"] - HELD - known["context"], gib(words, r"\(([\d.]+)/[\d.]+ GiB\) on startup")),
            ("wanted", memory.requested(total, 0.92), gib(words, r"utilization \([\d.]+, ([\d.]+) GiB\)"))]


BEFORE = Case("another process, before the start", f"another process holds {HELD // GIB} GiB; gpu_memory_utilization stays 0.92",
              lambda shape, known: {"when": "before", "other": {"bytes": HELD}, "llm": _on_gpu(max_num_batched_tokens=4096, gpu_memory_utilization=0.92)},
              _compare_before, "Free memory on device")


def _compare_during(shape: Shape, known: dict, seen: dict) -> Rows:
    taken = memory.weights(shape) + known["libraries"]
    cache = memory.for_the_cache(seen["before"]["total"], 0.5, int(taken), memory.activation_peak(shape, 4096))
    return [("the allocation that fails", cache, gib(seen.get("words", ""), r"Tried to allocate ([\d.]+) GiB"))]


DURING = Case("another process, after the measuring", "another process takes all but 4 GiB between vLLM's measuring and its cache",
              lambda shape, known: {"when": "during", "other": {"leave": 4 * GIB}, "llm": _on_gpu(max_num_batched_tokens=4096, gpu_memory_utilization=0.5)},
              _compare_during, WORDS_OF_CUDA)


# On a CPU. The share is of the host's memory, and what is taken is what the process itself holds: nobody measures a step.

CPU = {"block_size": 32, "max_num_batched_tokens": 256, "max_model_len": 256}
SHARE = 3 * GIB // 2


def _compare_cpu_healthy(shape: Shape, known: dict, seen: dict) -> Rows:
    return [("blocks", seen.get("cache", 0) // memory.block(shape, 32), seen.get("num_blocks"))]


CPU_HEALTHY = Case("healthy", "a share of 1.5 GiB", lambda shape, known: {"share": SHARE, "llm": _llm(**CPU)},
                   _compare_cpu_healthy, None)


def _compare_cpu_beyond(shape: Shape, known: dict, seen: dict) -> Rows:
    share = seen["utilization"] * seen["before"]["total"]
    return [("left for the cache", share - known["held"], gib(seen.get("words", ""), r"requested memory for kv \((-?[\d.]+)/"))]


CPU_BEYOND = Case("the process itself beyond the share", "a share of 256 MiB, less than Python and its libraries hold",
                  lambda shape, known: {"share": 256 << 20, "llm": _llm(**CPU)}, _compare_cpu_beyond,
                  "less than requested memory for kv")


def _compare_cpu_space(shape: Shape, known: dict, seen: dict) -> Rows:
    return [("wanted", 100_000 * GIB, gib(seen.get("words", ""), r"requested memory for kv \(([\d.]+) GiB\)"))]


CPU_SPACE = Case("VLLM_CPU_KVCACHE_SPACE beyond the host", "VLLM_CPU_KVCACHE_SPACE=100000",
                 lambda shape, known: {"llm": _llm(**CPU), "environment": {"VLLM_CPU_KVCACHE_SPACE": "100000"}}, _compare_cpu_space,
                 "Decrease --kv-cache-memory-bytes, VLLM_CPU_KVCACHE_SPACE")


def _compare_cpu_before(shape: Shape, known: dict, seen: dict) -> Rows:
    words, total = seen.get("words", ""), seen["before"]["total"]
    # What others leave of a host's memory moves while vLLM is imported: seen, and not foretold.
    return [("free at the start", None, gib(words, r"\(([\d.]+)/[\d.]+ GiB\) on startup")),
            ("wanted", seen["utilization"] * total, gib(words, r"utilization \([\d.e-]+, ([\d.]+) GiB\)"))]


CPU_BEFORE = Case("another process, before the start", "another process holds 1 GiB; the share ends half a GiB below what was free without it",
                  lambda shape, known: {"when": "before", "other": {"bytes": GIB}, "llm": _llm(**CPU), "leave": -GIB // 2}, _compare_cpu_before,
                  "less than desired CPU memory utilization")

SMALL = Shape(num_hidden_layers=4, vocab_size=8192, max_position_embeddings=1 << 18)     # quick to make up on a CPU
ON_CPU = [CPU_HEALTHY, one_sequence(131_072, 32), CPU_SPACE, CPU_BEYOND, CPU_BEFORE]
ON_GPU = [HEALTHY, one_sequence(40_960, 16), BEYOND, BEFORE, DURING, ACTIVATIONS, CAPTURE, UNCOUNTED]


GUESSED = {"libraries": GIB // 2, "context": GIB // 2, "held": GIB}       # for as long as no healthy run has told


def known_after(device: str, seen: dict) -> dict:
    """What the healthy run told."""
    if device == "cpu":
        return {"held": seen["requested_cpu_memory"] - seen["cache"]}
    return {"libraries": _libraries(seen), "context": seen["before"]["total"] - seen["before"]["free"]}
