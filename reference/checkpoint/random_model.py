"""A Qwen3 of any shape with random weights, as a checkpoint that both engines load. For timing: what it writes means nothing."""
import json
import shutil
from pathlib import Path

QWEN3 = Path(__file__).parent / "qwen3"
DEVIATION = 0.05    # large enough that the model does not repeat one token for ever, and that chance hardly ever makes two tokens equally good


def write_random_model(folder: Path, config: dict, dtype: str = "float32") -> int:
    """`config`: what differs from the tiny Qwen3's config.json. The tokenizer is the tiny one's, made larger. Returns how many weights there are."""
    import torch
    from safetensors.torch import save_file

    from impl.models import model_config
    config = json.loads((QWEN3 / "config.json").read_text()) | {"dtype": dtype} | config
    filled = model_config(config)
    with torch.device("meta"):
        wanted = {name: parameter.shape for name, parameter in filled["class"](filled).named_parameters()}
    generator, as_stored = torch.Generator().manual_seed(0), getattr(torch, dtype)
    weights = {name: (torch.ones(shape) if len(shape) == 1 else torch.randn(shape, generator=generator) * DEVIATION).to(as_stored)
               for name, shape in wanted.items()}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer = json.loads((QWEN3 / "tokenizer.json").read_text())
    # Every id says something, or there were nothing to detokenise.
    tokenizer["model"]["vocab"] |= {f"Ġword{token_id}": token_id for token_id in range(len(tokenizer["model"]["vocab"]), config["vocab_size"])}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    for name in ("generation_config.json", "tokenizer_config.json"):
        shutil.copy(QWEN3 / name, folder)
    return sum(tensor.numel() for tensor in weights.values())
