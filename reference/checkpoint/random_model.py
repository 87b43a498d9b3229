"""A Qwen3 of any shape with random weights, as a checkpoint that both engines load. For timing: what it writes means nothing."""
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

QWEN3 = Path(__file__).parent / "qwen3"
DEVIATION = 0.05    # large enough that the model does not repeat one token for ever, and that chance hardly ever makes two tokens equally good
# A hundred million weights, for a CPU.
QWEN3_100M = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "num_key_value_heads": 4, "head_dim": 64,
              "intermediate_size": 2048, "vocab_size": 32_000, "max_position_embeddings": 1024, "max_window_layers": 12}
# The shape of Qwen3-0.6B, for a GPU.
QWEN3_600M = {"hidden_size": 1024, "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128,
              "intermediate_size": 3072, "vocab_size": 151_936, "max_position_embeddings": 40_960, "max_window_layers": 28,
              "rope_parameters": {"rope_theta": 1e6, "rope_type": "default"}, "dtype": "bfloat16"}


def write_random_model(folder: Path, config: dict, dtype: str = "float32") -> int:
    """`config`: what differs from the tiny Qwen3's config.json; its "dtype" goes before `dtype`. The tokenizer is the tiny one's, made larger.

    Returns how many weights there are.
    """
    import torch
    from safetensors.torch import save_file

    config = json.loads((QWEN3 / "config.json").read_text()) | {"dtype": dtype} | config
    config["layer_types"] = ["full_attention"] * config["num_hidden_layers"]
    wanted, stored = _weights_of(config), getattr(torch, config["dtype"])

    def weight(seed: int, size: tuple[int, ...]) -> torch.Tensor:
        if len(size) == 1:
            return torch.ones(size, dtype=stored)
        return torch.empty(size, dtype=stored).normal_(0, DEVIATION, generator=torch.Generator().manual_seed(seed))

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
