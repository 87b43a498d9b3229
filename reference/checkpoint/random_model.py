"""A Qwen3 of any shape with random weights, as a checkpoint that both engines load. For timing: what it writes means nothing."""
import json
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
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
# The shape of Qwen3-8B, for two GPUs: 8.2 thousand million weights, 16.4 GB.
QWEN3_8B = QWEN3_600M | {"hidden_size": 4096, "num_hidden_layers": 36, "num_attention_heads": 32, "intermediate_size": 12_288, "max_window_layers": 36,
                         "tie_word_embeddings": False}


def write_random_model(folder: Path, config: dict, dtype: str = "float32", *, deviation: float = DEVIATION, device: str = "cpu", num_shards: int = 1) -> int:
    """`config`: what differs from the tiny Qwen3's config.json; its "dtype" goes before `dtype`. The tokenizer is the tiny one's, made larger.

    deviation: of the weights. A product's outputs grow with the root of its inputs, so a model four times as wide wants half of it.
    device: where the weights are drawn. A processor's core draws 25 million a second; a GPU all there are in less than one.
    num_shards: files, written at the same time; more than one have an index.
    Returns how many weights there are.
    """
    import torch

    config = json.loads((QWEN3 / "config.json").read_text()) | {"dtype": dtype} | config
    config["layer_types"] = ["full_attention"] * config["num_hidden_layers"]
    wanted, stored = _weights_of(config), getattr(torch, config["dtype"])

    def weight(seed: int, size: tuple[int, ...]) -> torch.Tensor:
        if len(size) == 1:
            return torch.ones(size, dtype=stored)
        return torch.empty(size, dtype=stored, device=device).normal_(0, deviation, generator=torch.Generator(device).manual_seed(seed)).cpu()

    with ThreadPoolExecutor() as threads:
        _save({name: threads.submit(weight, seed, size) for seed, (name, size) in enumerate(wanted.items())}, folder, num_shards)
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer = json.loads((QWEN3 / "tokenizer.json").read_text())
    # Every id says something, or there were nothing to detokenise.
    tokenizer["model"]["vocab"] |= {f"Ġword{token_id}": token_id for token_id in range(len(tokenizer["model"]["vocab"]), config["vocab_size"])}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    for name in ("generation_config.json", "tokenizer_config.json"):
        shutil.copy(QWEN3 / name, folder)
    return sum(size.numel() for size in wanted.values())


def _save(weights: dict[str, Future], folder: Path, num_shards: int) -> None:
    """Each shard in a thread of its own, about equally large."""
    from safetensors.torch import save_file
    shards: list[dict] = [{} for _ in range(num_shards)]
    sizes = [0] * num_shards
    for name, drawn in weights.items():
        lightest = sizes.index(min(sizes))
        shards[lightest][name] = drawn
        sizes[lightest] += drawn.result().nbytes
    names = [f"model-{number:05}-of-{num_shards:05}.safetensors" for number in range(1, num_shards + 1)] if num_shards > 1 else ["model.safetensors"]
    with ThreadPoolExecutor(num_shards) as threads:
        list(threads.map(lambda name, shard: save_file({each: drawn.result() for each, drawn in shard.items()}, folder / name, {"format": "pt"}), names, shards))
    if num_shards > 1:
        weight_map = {name: file for file, shard in zip(names, shards) for name in shard}
        (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {"total_size": sum(sizes)}, "weight_map": weight_map}))


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
