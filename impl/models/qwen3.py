"""Qwen3: `Qwen3ForCausalLM`. A Llama whose queries and keys are normalised, per head, before they are turned.

Mirrors `model_executor/models/qwen3.py`.
"""
import torch
from torch import nn

from impl.layers import RMSNorm
from impl.models import llama


class Attention(llama.Attention):
    def __init__(self, config: dict):
        super().__init__(config)
        self.q_norm = RMSNorm(self.head_dim, config["rms_norm_eps"], self.ops)
        self.k_norm = RMSNorm(self.head_dim, config["rms_norm_eps"], self.ops)

    def prepare(self) -> None:
        super().prepare()
        self.qk_norm = self.q_norm      # one for both, with a row of weights for each head
        self.qk_norm.weight = nn.Parameter(torch.cat((self.q_norm.weight.expand(self.num_heads, -1), self.k_norm.weight.expand(self.num_kv_heads, -1))),
                                           requires_grad=False)
        del self.q_norm, self.k_norm


class Qwen3ForCausalLM(llama.LlamaForCausalLM):
    def __init__(self, config: dict):
        super().__init__(config)
        for layer in self.model.layers:
            layer.self_attn = Attention(config)
