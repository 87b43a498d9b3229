"""A checkpoint that cannot be used is refused by name, with what to do."""
import json
from importlib.util import find_spec

import pytest

pytestmark = pytest.mark.skipif(find_spec("torch") is None, reason="there is no torch here to load weights with; 'make spec' installs it")

CONFIG = {"architectures": ["Qwen3ForCausalLM"], "vocab_size": 32, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
          "num_key_value_heads": 1, "head_dim": 8, "intermediate_size": 24, "rms_norm_eps": 1e-6, "max_position_embeddings": 64,
          "tie_word_embeddings": True, "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}}


def weights(config=CONFIG):
    """Random weights of the right names and shapes."""
    import torch
    from impl.models import model_config
    filled = model_config(config)
    with torch.device("meta"):
        model = filled["class"](filled)
    return {name: torch.rand(parameter.shape) for name, parameter in model.named_parameters()}


@pytest.fixture
def checkpoint(tmp_path):
    """Writes a checkpoint: `checkpoint(config, {file name: tensors})`."""
    from safetensors.torch import save_file

    def write(config=CONFIG, files=None):
        (tmp_path / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
        for name, tensors in (files or {"model.safetensors": weights()}).items():
            save_file(tensors, tmp_path / name)
        return tmp_path

    return write


def load(folder, dtype="float32"):
    from impl.models import load_model
    return load_model(folder, dtype, "cpu")


def test_shards_are_read_through_their_index(checkpoint):
    import torch
    tensors = weights()
    names = sorted(tensors)
    first, second = names[:3], names[3:]
    folder = checkpoint(files={"a.safetensors": {name: tensors[name] for name in first}, "b.safetensors": {name: tensors[name] for name in second}})
    index = dict.fromkeys(first, "a.safetensors") | dict.fromkeys(second, "b.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    from impl.checkpoint import read_weights
    read = read_weights(folder)
    assert read.keys() == tensors.keys() and all(torch.equal(read[name], tensors[name]) for name in tensors)
    load(folder)


def test_a_tied_output_layer_may_be_in_the_file(checkpoint):
    tensors = weights()
    folder = checkpoint(files={"model.safetensors": tensors | {"lm_head.weight": tensors["model.embed_tokens.weight"].clone()}})
    model, _ = load(folder)
    assert model.lm_head.weight.data_ptr() == model.model.embed_tokens.weight.data_ptr()


@pytest.mark.parametrize("change, advice", [
    ({"architectures": ["GPT2LMHeadModel"]}, "a file in impl/models"),
    ({"hidden_size": None}, "config.json lacks hidden_size"),
    ({"intermediate_size": 23}, "has the shape"),
    ({"num_hidden_layers": 2}, "missing"),
    ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1.0}}, "rope_type"),
], ids=lambda value: "-".join(value) if isinstance(value, dict) else "")
def test_a_configuration_that_does_not_fit(checkpoint, change, advice):
    from impl.checkpoint import CheckpointError
    with pytest.raises(CheckpointError, match=advice):
        load(checkpoint(CONFIG | change))


def test_a_file_cut_short(checkpoint):
    from impl.checkpoint import CheckpointError
    folder = checkpoint()
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="download it again"):
        load(folder)


def test_pickled_weights_are_not_read(checkpoint):
    from impl.checkpoint import CheckpointError
    folder = checkpoint()
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="only safetensors are read"):
        load(folder)


def test_an_unreadable_configuration_and_an_unknown_dtype(checkpoint):
    from impl.checkpoint import CheckpointError
    with pytest.raises(CheckpointError, match="cannot be read"):
        load(checkpoint("{"))
    with pytest.raises(CheckpointError, match="float32, bfloat16, float16"):
        load(checkpoint(), dtype="int3")


def test_a_folder_without_a_checkpoint(tmp_path):
    from impl.checkpoint import CheckpointError, find
    with pytest.raises(CheckpointError, match="no config.json"):
        find(str(tmp_path))
