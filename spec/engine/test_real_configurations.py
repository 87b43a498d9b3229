"""The exact configurations of two real checkpoints, with random weights: no download, and every size as large as life."""
import json
import math
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import reference.checkpoint
from spec.engine.side_by_side import DEVICE, needs_vllm

ROOT = Path(__file__).parents[2]
COMMON = {"attention_bias": False, "attention_dropout": 0.0, "hidden_act": "silu", "initializer_range": 0.02, "tie_word_embeddings": True,
          "torch_dtype": "bfloat16", "use_cache": True}
QWEN3 = COMMON | {      # Qwen/Qwen3-0.6B
    "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "bos_token_id": 151643, "eos_token_id": 151645, "head_dim": 128,
    "hidden_size": 1024, "intermediate_size": 3072, "max_position_embeddings": 40960, "max_window_layers": 28, "num_attention_heads": 16,
    "num_hidden_layers": 28, "num_key_value_heads": 8, "rms_norm_eps": 1e-06, "rope_scaling": None, "rope_theta": 1000000,
    "sliding_window": None, "transformers_version": "4.51.0", "use_sliding_window": False, "vocab_size": 151936}
LLAMA = COMMON | {      # meta-llama/Llama-3.2-1B
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "bos_token_id": 128000, "eos_token_id": 128001, "head_dim": 64,
    "hidden_size": 2048, "intermediate_size": 8192, "max_position_embeddings": 131072, "mlp_bias": False, "num_attention_heads": 32,
    "num_hidden_layers": 16, "num_key_value_heads": 8, "pretraining_tp": 1, "rms_norm_eps": 1e-05,
    "rope_scaling": {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0, "original_max_position_embeddings": 8192, "rope_type": "llama3"},
    "rope_theta": 500000.0, "transformers_version": "4.45.0.dev0", "vocab_size": 128256}
CONFIGURATIONS = {"Qwen3-0.6B": QWEN3, "Llama-3.2-1B": LLAMA}
PROMPTS = [[1 + (17 * index * index + start) % 100_000 for index in range(length)] for start, length in ((5, 3), (77, 40), (4242, 130))]
NOISE = 1e-4    # twice what the small models get: sums are up to 64 times as long

ASK = """
import json, sys
engine, folder, prompts = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
from impl.sampling_params import SamplingParams
if engine == "vllm":
    from reference.vllm_llm import VllmLLM as LLM
    where = {}
else:
    from impl.llm import LLM
    where = {"device": sys.argv[4]}
llm = LLM(folder, dtype="float32", num_gpu_blocks_override=20, max_model_len=512, block_size=32, **where)
outputs = llm.generate([{"prompt_token_ids": prompt} for prompt in prompts], SamplingParams(temperature=0, max_tokens=4, ignore_eos=True, logprobs=4))
print(json.dumps([[output.outputs[0].token_ids, [{token_id: entry.logprob for token_id, entry in position.items()}
                                                 for position in output.outputs[0].logprobs]] for output in outputs]))
"""


def write_checkpoint(folder: Path, config: dict) -> None:
    """Two shards of random bfloat16 weights and an index. The layers share one stock of noise, from which each tensor cuts its own piece."""
    import shutil

    import torch
    from safetensors.torch import save_file

    from impl.models import model_config
    filled = model_config(config)
    with torch.device("meta"):
        shapes = {name: parameter.shape for name, parameter in filled["class"](filled).named_parameters()}
    generator = torch.Generator().manual_seed(0)
    stock = (torch.randn(1 << 25, generator=generator) * config["initializer_range"]).bfloat16()
    names = sorted(shapes)
    shards = {"model-00001-of-00002.safetensors": names[:len(names) // 2], "model-00002-of-00002.safetensors": names[len(names) // 2:]}
    for shard, members in shards.items():
        tensors = {}
        for name in members:
            size = math.prod(shapes[name])
            if len(shapes[name]) == 1:
                tensors[name] = torch.ones(size, dtype=torch.bfloat16)
            elif size > len(stock):     # the embedding: no two tokens may be the same
                tensors[name] = (torch.randn(size, generator=generator) * config["initializer_range"]).bfloat16().view(shapes[name])
            else:
                start = int(torch.randint(len(stock) - size + 1, (), generator=generator))
                tensors[name] = stock[start:start + size].clone().view(shapes[name])
        save_file(tensors, folder / shard, {"format": "pt"})
    weight_map = {name: shard for shard, members in shards.items() for name in members}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(Path(reference.checkpoint.__file__).parent / "qwen3" / name, folder)


def ask(engine: str, folder: Path) -> list:
    """The answers of one engine, in a process that is gone before the next begins."""
    done = subprocess.run([sys.executable, "-c", ASK, engine, str(folder), json.dumps(PROMPTS), DEVICE], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"{engine} did not answer:\n{done.stderr[-3000:]}"
    return json.loads(done.stdout.splitlines()[-1])


@needs_vllm
@pytest.mark.parametrize("model", CONFIGURATIONS)
def test_a_real_configuration_gives_vllms_tokens_and_logprobs(model, tmp_path):
    write_checkpoint(tmp_path, CONFIGURATIONS[model])
    try:
        mine, real = ask("impl", tmp_path), ask("vllm", tmp_path)
    finally:
        for path in tmp_path.glob("*.safetensors"):     # gigabytes, which pytest would keep
            path.unlink()
    for (token_ids, logprobs), (expected, real_logprobs) in zip(mine, real, strict=True):
        assert token_ids == expected
        for ranked, real_ranked in zip(logprobs, real_logprobs, strict=True):
            assert ranked == pytest.approx(real_ranked, abs=NOISE)


@pytest.mark.skipif(find_spec("torch") is None, reason="there is no torch here; 'make spec' installs it")
@pytest.mark.parametrize("model", CONFIGURATIONS)
def test_old_and_new_names_of_rotary_parameters_mean_the_same(model):
    """transformers 5 has everything in `rope_parameters`, and `dtype` for `torch_dtype`."""
    from impl.models import model_config
    old = CONFIGURATIONS[model]
    new = {name: value for name, value in old.items() if name not in ("rope_theta", "rope_scaling", "torch_dtype")}
    new |= {"dtype": "bfloat16", "rope_parameters": {"rope_type": "default"} | (old["rope_scaling"] or {}) | {"rope_theta": old["rope_theta"]}}
    assert {"rope_type": "default"} | model_config(old)["rope"] == model_config(new)["rope"]
