"""Window, soft cap and sinks: your answer. The problem is in drills/kernels/window_softcap_sinks/README.md."""
import torch
import triton
import triton.language as tl


@triton.jit
def window_attention_kernel(q, k, v, sinks, out, new_tokens, length, window, scale, softcap,
                            CAPPED: tl.constexpr, D: tl.constexpr, PADDED_D: tl.constexpr, TILE: tl.constexpr):
    """TILE queries of one head. CAPPED: whether softcap is to be used."""


def window_attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, window: int = 0, softcap: float = 0.0,
                     sinks: torch.Tensor | None = None) -> torch.Tensor:
    """Causal attention of the last tokens of a sequence, with scale 1 / sqrt(D): like `q`.

    `q`: [heads, new tokens, D], float32 or float16; `k`, `v`: [heads, length, D], of the same dtype; the queries are those of the
    last tokens. `window`: a token sees itself and the window - 1 tokens before it; 0: all before it. `softcap`: a scaled score s
    becomes softcap * tanh(s / softcap); 0: it stays. `sinks`: float32 [heads], a score per head that takes part in the softmax, as it is,
    and has no value; None: there is none. All contiguous; D up to 128.
    """
    raise NotImplementedError("window_softcap_sinks: window_attention is not written yet")
