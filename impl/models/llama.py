"""Llama: `LlamaForCausalLM`, as in Llama 3.2.

The modules have the names of the checkpoint. Mirrors `model_executor/models/llama.py`.
"""
import torch
from torch import nn

from impl.attention import AttentionBatch, paged_attention, write_kv
from impl.layers import GatedMLP, RMSNorm, RotaryEmbedding


class Attention(nn.Module):
    def __init__(self, config: dict):
        super().__init__()
        self.num_heads, self.num_kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
        self.head_dim = config["head_dim"]
        hidden = config["hidden_size"]
        self.q_proj = nn.Linear(hidden, self.num_heads * self.head_dim, bias=False)
        self.k_proj = nn.Linear(hidden, self.num_kv_heads * self.head_dim, bias=False)
        self.v_proj = nn.Linear(hidden, self.num_kv_heads * self.head_dim, bias=False)
        self.o_proj = nn.Linear(self.num_heads * self.head_dim, hidden, bias=False)

    def forward(self, x: torch.Tensor, positions: torch.Tensor, rotary: RotaryEmbedding, cache: torch.Tensor,
                batch: AttentionBatch) -> torch.Tensor:
        queries = rotary(self.q_proj(x).unflatten(-1, (self.num_heads, self.head_dim)), positions)
        keys = rotary(self.k_proj(x).unflatten(-1, (self.num_kv_heads, self.head_dim)), positions)
        values = self.v_proj(x).unflatten(-1, (self.num_kv_heads, self.head_dim))
        write_kv(cache, keys, values, batch.slot_mapping)
        return self.o_proj(paged_attention(queries, cache, batch).flatten(1))


class Layer(nn.Module):
    def __init__(self, config: dict):
        super().__init__()
        self.input_layernorm = RMSNorm(config["hidden_size"], config["rms_norm_eps"])
        self.self_attn = Attention(config)
        self.post_attention_layernorm = RMSNorm(config["hidden_size"], config["rms_norm_eps"])
        self.mlp = GatedMLP(config["hidden_size"], config["intermediate_size"])

    def forward(self, x, positions, rotary, cache, batch):
        x = x + self.self_attn(self.input_layernorm(x), positions, rotary, cache, batch)
        return x + self.mlp(self.post_attention_layernorm(x))


class Decoder(nn.Module):
    def __init__(self, config: dict):
        super().__init__()
        self.embed_tokens = nn.Embedding(config["vocab_size"], config["hidden_size"])
        self.layers = nn.ModuleList(Layer(config) for _ in range(config["num_hidden_layers"]))
        self.norm = RMSNorm(config["hidden_size"], config["rms_norm_eps"])
        self.rotary = RotaryEmbedding(config["head_dim"], config["max_position_embeddings"], config["rope"])


class LlamaForCausalLM(nn.Module):
    def __init__(self, config: dict):
        super().__init__()
        self.model = Decoder(config)
        if not config["tie_word_embeddings"]:
            self.lm_head = nn.Linear(config["hidden_size"], config["vocab_size"], bias=False)

    def forward(self, token_ids: torch.Tensor, positions: torch.Tensor, caches: list[torch.Tensor], batch: AttentionBatch) -> torch.Tensor:
        """Hidden states [tokens, hidden] of `token_ids` [tokens] at `positions` [tokens]; `caches`: one per layer."""
        x = self.model.embed_tokens(token_ids)
        for layer, cache in zip(self.model.layers, caches):
            x = layer(x, positions, self.model.rotary, cache, batch)
        return self.model.norm(x)

    def compute_logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits [rows, vocabulary] of hidden states [rows, hidden]."""
        output = self.lm_head if hasattr(self, "lm_head") else self.model.embed_tokens
        return nn.functional.linear(hidden, output.weight)
