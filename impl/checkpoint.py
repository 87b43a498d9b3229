"""Reading a checkpoint in the Hugging Face layout: a folder with config.json and safetensors.

Mirrors `model_executor/model_loader/default_loader.py`. Pickled weights are never
read: loading them would run whatever they contain.
"""
import json
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from impl.errors import InferLabError

FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]


class CheckpointError(InferLabError):
    """A checkpoint that is missing, damaged, of the wrong shape, or of an architecture we do not have."""


def find(model: str) -> Path:
    """The folder of a checkpoint: a path, or a hub id such as `Qwen/Qwen3-0.6B`, which is downloaded once."""
    folder = Path(model)
    if (folder / "config.json").is_file():
        return folder
    if folder.exists():
        raise CheckpointError(f"{model}: no config.json in it; name the folder that holds the checkpoint")
    from huggingface_hub import snapshot_download
    try:
        return Path(snapshot_download(model, allow_patterns=FILES))
    except Exception as error:
        raise CheckpointError(f"{model}: neither a folder nor a checkpoint the hub has or lets us read ({type(error).__name__})") from error


def read_config(folder: Path) -> dict:
    """config.json as a dict."""
    try:
        return json.loads((folder / "config.json").read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{folder}/config.json cannot be read: {error}") from error


def end_tokens(folder: Path, config: dict, tokenizer) -> tuple[int | None, tuple[int, ...]]:
    """The token that ends a sequence, and others that generation_config.json ends one at.

    vLLM knows the first from the tokenizer and treats the others as stop tokens
    (`sampling_params.py::SamplingParams.update_from_generation_config`).
    """
    eos = _read_if_there(folder / "tokenizer_config.json").get("eos_token")
    eos = eos.get("content") if isinstance(eos, dict) else eos
    first = tokenizer.token_to_id(eos) if tokenizer and eos else None
    ids = _read_if_there(folder / "generation_config.json").get("eos_token_id", config.get("eos_token_id"))
    ids = [] if ids is None else [ids] if isinstance(ids, int) else list(ids)
    if first is None and ids:
        first = ids[0]
    return first, tuple(token_id for token_id in ids if token_id != first)


def default_sampling(folder: Path) -> dict:
    """The sampling parameters that generation_config.json recommends, under vLLM's names.

    Mirrors `config/model.py::ModelConfig.get_diff_sampling_param`.
    """
    recommended = _read_if_there(folder / "generation_config.json")
    names = {name: name for name in ("repetition_penalty", "temperature", "top_k", "top_p", "min_p")} | {"max_new_tokens": "max_tokens"}
    return {name: recommended[theirs] for theirs, name in names.items() if recommended.get(theirs) is not None}


def _read_if_there(path: Path) -> dict:
    return json.loads(path.read_text()) if path.is_file() else {}


def read_weights(folder: Path, device: str = "cpu", dtype: torch.dtype | None = None,
                 part: Callable[[str, torch.Tensor], torch.Tensor] = lambda name, tensor: tensor) -> dict[str, torch.Tensor]:
    """All tensors by name, from one file or from the shards that an index lists; each is converted before the next is read.

    `part`: what is kept of a tensor.
    """
    index = folder / "model.safetensors.index.json"
    shards = sorted(set(json.loads(index.read_text())["weight_map"].values())) if index.exists() else ["model.safetensors"]
    weights: dict[str, torch.Tensor] = {}
    for shard in shards:
        path = folder / shard
        if not path.is_file():
            raise CheckpointError(f"{path} is missing; only safetensors are read, so convert a checkpoint that has other files")
        try:
            with safe_open(path, framework="pt") as file:
                weights |= {name: part(name, file.get_tensor(name)).to(device, dtype) for name in file.keys()}
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{path} is damaged or cut short: {error}; download it again") from error
    return weights


def load_weights(model: torch.nn.Module, weights: dict[str, torch.Tensor], tied: bool) -> None:
    """Give `model`, whose parameters have the checkpoint's names, the tensors of `weights`.

    `tied`: the output layer is the embedding; a copy of it in the checkpoint is passed over.
    """
    wanted = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    weights = {name: tensor for name, tensor in weights.items() if not (tied and name == "lm_head.weight")}
    missing, unknown = sorted(wanted.keys() - weights.keys()), sorted(weights.keys() - wanted.keys())
    if missing or unknown:
        raise CheckpointError(f"the weights do not fit the architecture: missing {missing[:3]}, not expected {unknown[:3]} "
                              f"({len(missing)} and {len(unknown)} in all)")
    for name, shape in wanted.items():
        if tuple(weights[name].shape) != shape:
            raise CheckpointError(f"{name} has the shape {tuple(weights[name].shape)}, config.json asks for {shape}")
    model.load_state_dict(weights, assign=True, strict=not tied)
    if tied:
        model.lm_head.weight = model.model.embed_tokens.weight
