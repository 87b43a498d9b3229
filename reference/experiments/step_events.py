"""What a profile says about the device: how long it was busy, with what, and who launched it. Plain events in, numbers out.

An event is one of the Chrome trace that `torch.profiler` writes: `name`, `cat`, `ts` and `dur` in microseconds.
"""
from reference.experiments.memory import Shape, block, weights

DEVICE = ("kernel", "gpu_memcpy", "gpu_memset")
WINDOW = "profiled steps"       # the mark around the steps that count

# The first that has a word of a kernel's name says what it is for. The order matters: `reshape_and_cache_flash` is a cache write, FlashAttention's
# kernels are instances of cutlass's (and one of them prepares its work), and what `_get_num_sampled` counts is for the next step.
KINDS = {
    "norms, positions, cache, activation": ("rms_norm", "rmsnorm", "rsqrt", "rotary", "rope_", "reshape_and_cache", "write_cache", "silu", "act_and_mul"),
    "attention": ("flash", "attention", "fmha", "reduce_segments", "_attend", "_merge", "_plan"),
    "input preparation": ("prepare", "decode_inputs", "block_table", "slot_mapping", "post_update", "apply_write", "expand_idx", "combine_sampled", "num_sampled"),
    "matrix products": ("gemm", "gemv", "nvjet", "cublas", "splitk", "cutlass", "xmma"),
    "sampling": ("gumbel", "sampl", "temperature", "penal", "topk", "top_k", "topp", "min_p", "argmax", "best_of", "softmax", "sort", "ranks_kernel",
                 "histogram", "logits", "_draw_from"),
}
OURS = {"_range", "_histogram", "_gather", "_choose", "_bisect", "_mask"}      # kernels/top_k_top_p.py: words too short to look for in other names
COPIES = {"gpu_memcpy": "copies", "gpu_memset": "copies"}
OTHER = "other"
ALL_KINDS = (*KINDS, "copies", OTHER)

KERNEL_LAUNCHES = ("cudaLaunchKernel", "cudaLaunchKernelExC", "cuLaunchKernel", "cuLaunchKernelEx", "cudaLaunchCooperativeKernel")
GRAPH_LAUNCHES = ("cudaGraphLaunch", "cuGraphLaunch")


def window(events: list[dict]) -> tuple[float, float]:
    """From when to when the marked steps ran. Raises `ValueError` without a mark."""
    for event in events:
        if event.get("cat") == "user_annotation" and event["name"] == WINDOW:
            return event["ts"], event["ts"] + event["dur"]
    raise ValueError(f"the profile has no mark {WINDOW!r}: it ended before the steps did")


def within(events: list[dict], categories: tuple[str, ...], span: tuple[float, float]) -> list[dict]:
    """The events of some categories that begin in a span."""
    return [event for event in events if event.get("cat") in categories and span[0] <= event["ts"] < span[1]]


def union(events: list[dict]) -> float:
    """How long at least one of them ran, in microseconds: what runs beside another counts once."""
    covered, until = 0.0, float("-inf")
    for begins, ends in sorted((event["ts"], event["ts"] + event["dur"]) for event in events):
        covered += max(0.0, ends - max(begins, until))
        until = max(until, ends)
    return covered


def kind(event: dict) -> str:
    """What a kernel or a copy is for, by its name."""
    if event["cat"] in COPIES:
        return COPIES[event["cat"]]
    if event["name"] in OURS:
        return "sampling"
    name = event["name"].lower()
    return next((kind for kind, words in KINDS.items() if any(word in name for word in words)), OTHER)


def by_kind(events: list[dict]) -> dict[str, float]:
    """Microseconds of each kind; what runs at the same time counts twice here."""
    found = dict.fromkeys(ALL_KINDS, 0.0)
    for event in events:
        found[kind(event)] += event["dur"]
    return found


def copies(events: list[dict]) -> dict[str, int]:
    """How many of each direction, "HtoD", "DtoH" and "DtoD"."""
    return {way: sum(event["cat"] == "gpu_memcpy" and way in event["name"] for event in events) for way in ("HtoD", "DtoH", "DtoD")}


def calls(events: list[dict], names: tuple[str, ...]) -> int:
    return sum(event["name"] in names for event in events)


def waiting(events: list[dict]) -> float:
    """Microseconds that the host spent in calls whose purpose is to wait, on all threads together."""
    return sum(event["dur"] for event in events if "Synchronize" in event["name"])


def busiest(events: list[dict], count: int) -> list[tuple[str, str, int, float]]:
    """The names that took most: name, kind, calls, microseconds."""
    taken: dict[tuple, list] = {}
    for event in events:
        row = taken.setdefault((event["name"], kind(event)), [0, 0.0])
        row[0], row[1] = row[0] + 1, row[1] + event["dur"]
    return [(*told, *row) for told, row in sorted(taken.items(), key=lambda each: -each[1][1])[:count]]


def told_by(events: list[dict], steps: int, categories: tuple[str, ...] = DEVICE) -> dict:
    """All of the above, of the marked steps: milliseconds and counts of one step.

    A kernel that still runs when the mark ends counts whole, and one from before the mark not at all: a window of equal steps loses nothing.
    """
    span = window(events)
    device, host = within(events, categories, span), within(events, ("cuda_runtime", "cuda_driver"), span)
    return {"wall": (span[1] - span[0]) / steps / 1e3, "busy": union(device) / steps / 1e3,
            "kinds": {name: taken / steps / 1e3 for name, taken in by_kind(device).items()},
            "kernels": sum(event["cat"] == "kernel" for event in device) / steps,
            "kernel launches": calls(host, KERNEL_LAUNCHES) / steps, "graph launches": calls(host, GRAPH_LAUNCHES) / steps,
            "copies": {way: number / steps for way, number in copies(device).items()}, "host waits": waiting(host) / steps / 1e3,
            "busiest": [[name, what, number / steps, taken / steps / 1e3] for name, what, number, taken in busiest(device, 14)]}


def must_move(shape: Shape, num_cached_tokens: float) -> tuple[float, float]:
    """Bytes that a decode step must read: each weight once, and the keys and values of each token before, once.

    The table of rotary positions is not read whole, and of the embedding, which is tied, every row is: as the last product.
    """
    rotary = shape.max_position_embeddings * shape.head_dim * shape.item
    return weights(shape) - rotary, num_cached_tokens * block(shape, 1)
