"""Llama: `LlamaForCausalLM`, as in Llama 3.2.

The modules have the names of the checkpoint, until `prepare` stacks those that
have the same input. Mirrors `model_executor/models/llama.py`.
"""
import torch
from torch import nn

from impl.layers import Embedding, GatedMLP, Linear, RMSNorm, RotaryEmbedding


class Attention(nn.Module):
    def __init__(self, config: dict):
        super().__init__()
        self.num_heads, self.num_kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
        self.head_dim, self.ops = config["head_dim"], config["ops"]
        hidden = config["hidden_size"]
        self.q_proj = Linear(hidden, self.num_heads * self.head_dim)
        self.k_proj = Linear(hidden, self.num_kv_heads * self.head_dim)
        self.v_proj = Linear(hidden, self.num_kv_heads * self.head_dim)
        self.o_proj = Linear(self.num_heads * self.head_dim, hidden)

    def prepare(self) -> None:
        """Once the weights are there."""
        self.qkv_proj = Linear.stack(self.q_proj, self.k_proj, self.v_proj)
        self.qk_norm: RMSNorm | None = None
        del self.q_proj, self.k_proj, self.v_proj

    def forward(self, x: torch.Tensor, turn: torch.Tensor, cache: torch.Tensor, batch) -> torch.Tensor:
        """`batch`: an `ops.Batch`, where the tokens belong; `turn`: what the rotary embedding says of their positions."""
        queries = self.ops.norm_rotate_write(self.qkv_proj(x), self.qk_norm, turn, cache, batch)
        return self.o_proj(self.ops.paged_attention(queries, cache, batch).flatten(1))


class Layer(nn.Module):
    def __init__(self, config: dict):
        super().__init__()
        self.input_layernorm = RMSNorm(config["hidden_size"], config["rms_norm_eps"], config["ops"])
        self.self_attn = Attention(config)
        self.post_attention_layernorm = RMSNorm(config["hidden_size"], config["rms_norm_eps"], config["ops"])
        self.mlp = GatedMLP(config["hidden_size"], config["intermediate_size"], config["ops"])

    def forward(self, x, residual, turn, cache, batch):
        """`residual`: the sum of what came before; `x`: what is to be added to it. The norm does both in one go."""
        x, residual = self.input_layernorm(x, residual)
        x, residual = self.post_attention_layernorm(self.self_attn(x, turn, cache, batch), residual)
        return self.mlp(x), residual


class Decoder(nn.Module):
    def __init__(self, config: dict):
        super().__init__()
        self.embed_tokens = Embedding(config["vocab_size"], config["hidden_size"])
        self.layers = nn.ModuleList(Layer(config) for _ in range(config["num_hidden_layers"]))
        self.norm = RMSNorm(config["hidden_size"], config["rms_norm_eps"], config["ops"])
        self.rotary = RotaryEmbedding(config["head_dim"], config["max_position_embeddings"], config["rope"], config["ops"])


class LlamaForCausalLM(nn.Module):
    def __init__(self, config: dict):
        super().__init__()
        self.model = Decoder(config)
        self.lm_head = Linear(config["hidden_size"], config["vocab_size"])
        if config["tie_word_embeddings"]:
            self.lm_head.weight = self.model.embed_tokens.weight

    def forward(self, token_ids: torch.Tensor, caches: list[torch.Tensor], batch) -> torch.Tensor:
        """Hidden states [tokens, hidden] of `token_ids` [tokens] at the places of `batch`; `caches`: one per layer."""
        x, residual = self.model.embed_tokens(token_ids), None
        turn = self.model.rotary(batch.positions)
        for layer, cache in zip(self.model.layers, caches):
            x, residual = layer(x, residual, turn, cache, batch)
        return self.model.norm(x, residual)[0]

    def compute_logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits [rows, vocabulary] of hidden states [rows, hidden]."""
        return self.lm_head(hidden)
