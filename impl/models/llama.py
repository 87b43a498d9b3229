"""Llama: `LlamaForCausalLM`, as in Llama 3.2.

The modules have the names of the checkpoint, until `prepare` stacks those that
have the same input. Mirrors `model_executor/models/llama.py`.
"""
import torch
from torch import nn

from impl.attention import AttentionBatch, paged_attention, write_kv
from impl.layers import GatedMLP, Linear, RMSNorm, RotaryEmbedding, rotate


class Attention(nn.Module):
    def __init__(self, config: dict):
        super().__init__()
        self.num_heads, self.num_kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
        self.head_dim = config["head_dim"]
        hidden = config["hidden_size"]
        self.q_proj = Linear(hidden, self.num_heads * self.head_dim)
        self.k_proj = Linear(hidden, self.num_kv_heads * self.head_dim)
        self.v_proj = Linear(hidden, self.num_kv_heads * self.head_dim)
        self.o_proj = Linear(self.num_heads * self.head_dim, hidden)

    def prepare(self) -> None:
        """Once the weights are there."""
        self.qkv_proj = Linear.stack(self.q_proj, self.k_proj, self.v_proj)
        self.qk_norm = nn.Identity()
        del self.q_proj, self.k_proj, self.v_proj

    def forward(self, x: torch.Tensor, turn: tuple[torch.Tensor, torch.Tensor], cache: torch.Tensor, batch: AttentionBatch) -> torch.Tensor:
        heads = self.qkv_proj(x).unflatten(-1, (-1, self.head_dim))     # those of the queries, then of the keys, then of the values
        turned, values = heads.tensor_split([self.num_heads + self.num_kv_heads], dim=1)
        queries, keys = rotate(self.qk_norm(turned), *turn).tensor_split([self.num_heads], dim=1)
        write_kv(cache, keys, values, batch.slot_mapping)
        return self.o_proj(paged_attention(queries, cache, batch).flatten(1))


class Layer(nn.Module):
    def __init__(self, config: dict):
        super().__init__()
        self.input_layernorm = RMSNorm(config["hidden_size"], config["rms_norm_eps"])
        self.self_attn = Attention(config)
        self.post_attention_layernorm = RMSNorm(config["hidden_size"], config["rms_norm_eps"])
        self.mlp = GatedMLP(config["hidden_size"], config["intermediate_size"])

    def forward(self, x, turn, cache, batch):
        x = x + self.self_attn(self.input_layernorm(x), turn, cache, batch)
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
        self.lm_head = Linear(config["hidden_size"], config["vocab_size"])
        if config["tie_word_embeddings"]:
            self.lm_head.weight = self.model.embed_tokens.weight

    def forward(self, token_ids: torch.Tensor, positions: torch.Tensor, caches: list[torch.Tensor], batch: AttentionBatch) -> torch.Tensor:
        """Hidden states [tokens, hidden] of `token_ids` [tokens] at `positions` [tokens]; `caches`: one per layer."""
        x = self.model.embed_tokens(token_ids)
        turn = self.model.rotary(positions, x.dtype)
        for layer, cache in zip(self.model.layers, caches):
            x = layer(x, turn, cache, batch)
        return self.model.norm(x)

    def compute_logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits [rows, vocabulary] of hidden states [rows, hidden]."""
        return self.lm_head(hidden)
