"""A model of a hundred million random weights, written anew for each run."""
import json
import shutil
from pathlib import Path

import reference.checkpoint

QWEN3 = Path(reference.checkpoint.__file__).parent / "qwen3"
VOCABULARY = 32_000
SHAPE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "num_key_value_heads": 4, "head_dim": 64,
         "intermediate_size": 2048, "vocab_size": VOCABULARY, "max_position_embeddings": 1024, "max_window_layers": 12,
         "layer_types": ["full_attention"] * 12}


def write_random_model(folder: Path) -> int:
    """A Qwen3 in float32 with the tokenizer of the tiny one, made larger; returns how many weights it has."""
    import torch
    from safetensors.torch import save_file

    from impl.models import model_config
    config = json.loads((QWEN3 / "config.json").read_text()) | SHAPE
    filled = model_config(config)
    with torch.device("meta"):
        wanted = {name: parameter.shape for name, parameter in filled["class"](filled).named_parameters()}
    generator = torch.Generator().manual_seed(0)
    # Large enough that the model does not repeat one token for ever, and that chance hardly ever makes two tokens equally good.
    weights = {name: torch.ones(shape) if len(shape) == 1 else torch.randn(shape, generator=generator) * 0.05 for name, shape in wanted.items()}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer = json.loads((QWEN3 / "tokenizer.json").read_text())
    # Every id says something, or there were nothing to detokenise.
    tokenizer["model"]["vocab"] |= {f"Ġword{token_id}": token_id for token_id in range(len(tokenizer["model"]["vocab"]), VOCABULARY)}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    for name in ("generation_config.json", "tokenizer_config.json"):
        shutil.copy(QWEN3 / name, folder)
    return sum(tensor.numel() for tensor in weights.values())
