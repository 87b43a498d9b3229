"""The architectures, one file each."""
from pathlib import Path
from types import ModuleType

import torch

from impl import torch_ops
from impl.checkpoint import CheckpointError, load_weights, read_config, read_weights
from impl.layers import Linear
from impl.models.llama import LlamaForCausalLM
from impl.models.qwen3 import Qwen3ForCausalLM
from impl.tensor_parallel import Group, parallelize, part_of

ARCHITECTURES = {"LlamaForCausalLM": LlamaForCausalLM, "Qwen3ForCausalLM": Qwen3ForCausalLM}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
REQUIRED = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "intermediate_size",
            "rms_norm_eps", "max_position_embeddings")


def load_model(folder: Path, dtype: str, device: str, ops: ModuleType = torch_ops, group: Group | None = None) -> tuple[torch.nn.Module, dict]:
    """The model of a checkpoint, with its weights, built with `ops` (see `impl/ops.py`), and its configuration. Raises `CheckpointError`.

    `group`: of both, only this rank's part.
    """
    config = model_config(read_config(folder)) | {"ops": ops}
    keep = {"part": group.part} if group else {}
    if dtype not in DTYPES:
        raise CheckpointError(f"dtype {dtype!r}: choose one of {', '.join(DTYPES)}")
    with torch.device("meta"):      # no memory is filled only to be replaced
        model = config["class"](config := part_of(config, group.size) if group else config)
        if group:
            parallelize(model, group)
    load_weights(model, read_weights(folder, device, DTYPES[dtype], **keep), config["tie_word_embeddings"])
    model = model.to(device, DTYPES[dtype]).requires_grad_(False).eval()
    for module in list(model.modules()):
        if hasattr(module, "prepare"):
            module.prepare()
    for module in model.modules():
        if isinstance(module, Linear):
            module.pack(ops)
    return model, config


def model_config(config: dict) -> dict:
    """config.json with its optional parts filled in, and the class of its architecture."""
    name = (config.get("architectures") or ["none"])[0]
    if name not in ARCHITECTURES:
        raise CheckpointError(f"architecture {name}: there are {', '.join(ARCHITECTURES)}; a new one is a file in impl/models")
    config = {"num_key_value_heads": config.get("num_attention_heads"), "tie_word_embeddings": False} | config
    missing = [key for key in REQUIRED if config.get(key) is None]
    if missing:
        raise CheckpointError(f"config.json lacks {', '.join(missing)}")
    config["head_dim"] = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    # transformers 5 keeps everything on rotary positions in one place, older ones in two.
    rope = config.get("rope_parameters") or (config.get("rope_scaling") or {}) | {"rope_theta": config.get("rope_theta", 10000.0)}
    if rope.get("rope_type", "default") not in ("default", "llama3"):
        raise CheckpointError(f"rope_type {rope['rope_type']!r}: there are default and llama3")
    config["sliding_window"] = _window(config)
    return config | {"rope": rope, "class": ARCHITECTURES[name], "ops": torch_ops}


def _window(config: dict) -> int | None:
    """The sliding window of all layers, in tokens; None if they see everything."""
    layer_types = config.get("layer_types") or ["sliding_attention" if config.get("use_sliding_window", True) else "full_attention"]
    if not config.get("sliding_window") or "sliding_attention" not in layer_types:
        return None
    if set(layer_types) != {"sliding_attention"}:
        raise CheckpointError("only some layers have a sliding window: the scheduler knows such models (kv_cache_groups), the model runner does not yet")
    return config["sliding_window"]
