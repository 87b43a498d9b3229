"""Qwen3: `Qwen3ForCausalLM`. A Llama whose queries and keys are normalised, per head, before they are turned.

Mirrors `model_executor/models/qwen3.py`.
"""
import torch

from impl.attention import AttentionBatch, paged_attention, write_kv
from impl.layers import RMSNorm, rotate
from impl.models import llama


class Attention(llama.Attention):
    def __init__(self, config: dict):
        super().__init__(config)
        self.q_norm = RMSNorm(self.head_dim, config["rms_norm_eps"])
        self.k_norm = RMSNorm(self.head_dim, config["rms_norm_eps"])

    def forward(self, x: torch.Tensor, turn: tuple[torch.Tensor, torch.Tensor], cache: torch.Tensor, batch: AttentionBatch) -> torch.Tensor:
        heads = self.qkv_proj(x).unflatten(-1, (-1, self.head_dim))
        queries, keys, values = heads.split((self.num_heads, self.num_kv_heads, self.num_kv_heads), dim=1)
        queries, keys = rotate(self.q_norm(queries), *turn), rotate(self.k_norm(keys), *turn)
        write_kv(cache, keys, values, batch.slot_mapping)
        return self.o_proj(paged_attention(queries, cache, batch).flatten(1))


class Qwen3ForCausalLM(llama.LlamaForCausalLM):
    def __init__(self, config: dict):
        super().__init__(config)
        for layer in self.model.layers:
            layer.self_attn = Attention(config)
