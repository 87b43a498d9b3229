"""Models of random weights, written anew for each run: one of a hundred million, and one of Qwen3-0.6B's shape."""
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import reference.checkpoint

QWEN3 = Path(reference.checkpoint.__file__).parent / "qwen3"
VOCABULARY = 32_000
SHAPE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "num_key_value_heads": 4, "head_dim": 64,
         "intermediate_size": 2048, "vocab_size": VOCABULARY, "max_position_embeddings": 1024, "max_window_layers": 12,
         "layer_types": ["full_attention"] * 12}
QWEN3_600M = {"hidden_size": 1024, "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128,
              "intermediate_size": 3072, "vocab_size": 151_936, "max_position_embeddings": 40_960, "max_window_layers": 28,
              "layer_types": ["full_attention"] * 28, "rope_parameters": {"rope_theta": 1e6, "rope_type": "default"}, "dtype": "bfloat16"}


def write_random_model(folder: Path, shape: dict = SHAPE) -> int:
    """A Qwen3 with the tokenizer of the tiny one, made larger; returns how many weights it has.

    shape: what its config.json has other than the tiny one's. `dtype` is that of the weights.
    """
    import torch
    from safetensors.torch import save_file

    config = json.loads((QWEN3 / "config.json").read_text()) | shape
    wanted = _weights_of(config)
    dtype = getattr(torch, config["dtype"])

    def weight(seed: int, size: tuple) -> torch.Tensor:
        """Large enough that the model does not repeat one token for ever, and that chance hardly ever makes two tokens equally good."""
        if len(size) == 1:
            return torch.ones(size, dtype=dtype)
        return torch.empty(size, dtype=dtype).normal_(0, 0.05, generator=torch.Generator().manual_seed(seed))

    with ThreadPoolExecutor() as threads:       # one draws a hundred million numbers in four seconds
        weights = dict(zip(wanted, threads.map(weight, range(len(wanted)), wanted.values())))
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer = json.loads((QWEN3 / "tokenizer.json").read_text())
    # Every id says something, or there were nothing to detokenise.
    tokenizer["model"]["vocab"] |= {f"Ġword{token_id}": token_id for token_id in range(len(tokenizer["model"]["vocab"]), config["vocab_size"])}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    for name in ("generation_config.json", "tokenizer_config.json"):
        shutil.copy(QWEN3 / name, folder)
    return sum(tensor.numel() for tensor in weights.values())


def count_weights(folder: Path) -> int:
    """Of a checkpoint."""
    return sum(size.numel() for size in _weights_of(json.loads((folder / "config.json").read_text())).values())


def _weights_of(config: dict) -> dict:
    """The weights that a model has, by name: their sizes."""
    import torch

    from impl.models import model_config
    filled = model_config(config)
    with torch.device("meta"):
        return {name: parameter.shape for name, parameter in filled["class"](filled).named_parameters()}
