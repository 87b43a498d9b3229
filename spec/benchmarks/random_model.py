"""A model of a hundred million random weights, written anew for each run."""
from pathlib import Path

from reference import random_model
from reference.random_model import QWEN3    # noqa: F401 (the tiny one)

VOCABULARY = 32_000
SHAPE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "num_key_value_heads": 4, "head_dim": 64,
         "intermediate_size": 2048, "vocab_size": VOCABULARY, "max_position_embeddings": 1024, "max_window_layers": 12}


def write_random_model(folder: Path) -> int:
    """A Qwen3 in float32; returns how many weights it has."""
    return random_model.write_random_model(folder, SHAPE)
