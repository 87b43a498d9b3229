"""How much of a GPU's memory the KV cache gets: all but what is needed for the rest, told before anything is loaded.

vLLM runs the largest step and looks at what was used (`v1/worker/gpu_worker.py::Worker.determine_available_memory`); here it is
arithmetic, from shapes alone, which also explains where memory goes.
"""
from pathlib import Path

import torch

from impl.cuda_graphs import LARGEST, sizes
from impl.errors import InvalidConfigError

RESERVE = 1 << 30       # for the workspaces of products, kernels, graphs themselves, and what the allocator cannot use
COLLECTIVES = 1 << 30   # if there are several ranks: for the buffers through which they send


def kv_cache_memory(folder: Path, config: dict, element: int, max_num_batched_tokens: int, max_num_seqs: int, gpu_memory_utilization: float,
                    num_ranks: int = 1) -> int:
    """Bytes, of each rank; all have GPUs like the first. `config`: of a rank's part of the model; `element`: bytes of a weight.

    Raises `InvalidConfigError` if nothing is left.
    """
    if not 0 < gpu_memory_utilization <= 1:
        raise InvalidConfigError(f"gpu_memory_utilization={gpu_memory_utilization}: a share of the GPU's memory, in (0, 1]")
    free, total = torch.cuda.mem_get_info()
    others = total - free
    needed = {"others": others, "weights": weights(folder, config, element) // num_ranks, "the largest step": largest_step(config, element, max_num_batched_tokens),
              "logits": logits(config, element, max_num_seqs), "CUDA graphs": graphs(config, element, max_num_batched_tokens, max_num_seqs),
              "reserve": RESERVE + (COLLECTIVES if num_ranks > 1 else 0)}
    left = int(total * gpu_memory_utilization) - sum(needed.values())
    if left <= 0:
        told = ", ".join(f"{name} {size / 2**30:.2f}" for name, size in needed.items())
        raise InvalidConfigError(f"gpu_memory_utilization={gpu_memory_utilization} of {total / 2**30:.2f} GiB leaves nothing for the KV cache "
                                 f"({told} GiB); raise it, lower max_num_batched_tokens or max_num_seqs, or end what else uses the GPU")
    return left


def weights(folder: Path, config: dict, element: int) -> int:
    """As many numbers as the checkpoint's files hold, in the type the model gets."""
    stored = 4 if str(config.get("dtype") or config.get("torch_dtype") or "float32").endswith("float32") else 2
    return sum(file.stat().st_size for file in folder.glob("*.safetensors")) * element // stored


def largest_step(config: dict, element: int, num_tokens: int) -> int:
    """A layer's numbers for each token: what flows past it and three of its size; queries, keys and values before and after; the gates."""
    heads = config["head_dim"] * (3 * config["num_attention_heads"] + 2 * config["num_key_value_heads"])
    return num_tokens * element * (4 * config["hidden_size"] + heads + 3 * config["intermediate_size"])


def logits(config: dict, element: int, num_requests: int) -> int:
    """Of all requests, as they are computed and, for top-k and its like, in three float32 versions."""
    return num_requests * config["vocab_size"] * (element + 3 * 4)


def graphs(config: dict, element: int, max_num_batched_tokens: int, max_num_seqs: int) -> int:
    """The largest step that is one, in memory that they share, and of each decode step the logits, which stay where they are."""
    return largest_step(config, element, min(LARGEST, max_num_batched_tokens)) + sum(sizes(max_num_seqs)) * config["vocab_size"] * element
