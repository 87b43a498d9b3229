"""Qwen3: `Qwen3ForCausalLM`. A Llama whose queries and keys are normalised, per head, before they are turned.

The modules have the names of the checkpoint. Mirrors `model_executor/models/qwen3.py`.
"""
import torch

from impl.attention import AttentionBatch, paged_attention, write_kv
from impl.layers import RMSNorm, RotaryEmbedding
from impl.models import llama


class Attention(llama.Attention):
    def __init__(self, config: dict):
        super().__init__(config)
        self.q_norm = RMSNorm(self.head_dim, config["rms_norm_eps"])
        self.k_norm = RMSNorm(self.head_dim, config["rms_norm_eps"])

    def forward(self, x: torch.Tensor, positions: torch.Tensor, rotary: RotaryEmbedding, cache: torch.Tensor,
                batch: AttentionBatch) -> torch.Tensor:
        queries = rotary(self.q_norm(self.q_proj(x).unflatten(-1, (self.num_heads, self.head_dim))), positions)
        keys = rotary(self.k_norm(self.k_proj(x).unflatten(-1, (self.num_kv_heads, self.head_dim))), positions)
        values = self.v_proj(x).unflatten(-1, (self.num_kv_heads, self.head_dim))
        write_kv(cache, keys, values, batch.slot_mapping)
        return self.o_proj(paged_attention(queries, cache, batch).flatten(1))


class Qwen3ForCausalLM(llama.LlamaForCausalLM):
    def __init__(self, config: dict):
        super().__init__(config)
        for layer in self.model.layers:
            layer.self_attn = Attention(config)
