"""A Qwen3 of random weights, of any shape: for measurements, which do not care what it says."""
import json
import shutil
from pathlib import Path

import reference.checkpoint

QWEN3 = Path(reference.checkpoint.__file__).parent / "qwen3"
SCALE = 0.05    # large enough that the model does not repeat one token for ever, and that chance hardly ever makes two tokens equally good


def write_random_model(folder: Path, shape: dict, dtype: str = "float32", device: str = "cpu") -> int:
    """Write a checkpoint with the tokenizer of the tiny one, made larger; returns how many weights it has.

    `shape`: the entries of config.json that are not the tiny model's. `device`: where chance is made; a GPU does it sooner.
    """
    import torch
    from safetensors.torch import save_file

    from impl.models import model_config
    config = json.loads((QWEN3 / "config.json").read_text()) | shape | {"dtype": dtype}
    config["layer_types"] = ["full_attention"] * config["num_hidden_layers"]
    filled = model_config(config)
    with torch.device("meta"):
        wanted = {name: parameter.shape for name, parameter in filled["class"](filled).named_parameters()}
    generator, kind = torch.Generator(device).manual_seed(0), getattr(torch, dtype)
    weights = {name: torch.ones(size, dtype=kind) if len(size) == 1 else
               (torch.randn(size, generator=generator, device=device) * SCALE).to(kind).cpu() for name, size in wanted.items()}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer = json.loads((QWEN3 / "tokenizer.json").read_text())
    # Every id says something, or there were nothing to detokenise.
    known = len(tokenizer["model"]["vocab"])
    tokenizer["model"]["vocab"] |= {f"Ġword{token_id}": token_id for token_id in range(known, config["vocab_size"])}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    for name in ("generation_config.json", "tokenizer_config.json"):
        shutil.copy(QWEN3 / name, folder)
    return sum(tensor.numel() for tensor in weights.values())
