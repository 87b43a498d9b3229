"""vLLM's kernels where there is no GPU, for rehearsals: in a process of its own, since vLLM is talked into using Triton.

Its Triton kernels then run in Triton's interpreter, its C++ kernels are those of the CPU build, and what it has for CUDA
alone is stood in for by our twins, behind the very signatures that vLLM's source gives.
"""
import ast
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import kernels  # noqa: F401  before triton
import torch
import triton.backends
from kernels import top_k_top_p
from kernels.cache_write import write_cache
from kernels.prefill_attention import prefill_attention_twin

from reference import vllm_kernels
from reference.source import vllm_folder


def with_vllms_signature(path: str, name: str, body):
    """A function that takes what vLLM's `path::name` takes, by its source, and hands it to `body` by name."""
    found = next(node for node in ast.walk(ast.parse(Path(vllm_folder(), path).read_text())) if isinstance(node, ast.FunctionDef) and node.name == name)
    arguments = found.args
    for each in [*arguments.args, *arguments.kwonlyargs]:
        each.annotation = None
    source = f"def {name}({ast.unparse(arguments)}):\n    return body(**locals())"
    scope = {"torch": torch, "DEFAULT_FA_VERSION": 2, "body": body}
    exec(source, scope)
    return scope[name]


def stand_in() -> None:
    """FlashAttention 3, the cache's update and the fused norm are not in vLLM's CPU build; its top-k kernel is too much for the interpreter."""
    triton.backends.backends = {"cpu": SimpleNamespace(driver=SimpleNamespace(is_active=lambda: True))}
    interface = "vllm_flash_attn/flash_attn_interface.py"
    flash = ModuleType("vllm.vllm_flash_attn")

    def attend(q, k, v, out, block_table, seqused_k, cu_seqlens_q, softmax_scale, k_descale, v_descale, fa_version, causal, **rest):
        assert fa_version == 3 and causal and rest["scheduler_metadata"] == "metadata" and q.dtype == k.dtype
        assert (k_descale is None) == (k.dtype != torch.float8_e4m3fn)
        assert k_descale is None or k_descale.shape == v_descale.shape == rest["q_descale"].shape == (len(seqused_k), k.shape[2])
        wide = torch.float32 if k.dtype == torch.float8_e4m3fn else q.dtype
        out.copy_(prefill_attention_twin(q.to(wide), k, v, block_table, seqused_k, cu_seqlens_q, softmax_scale))

    flash.flash_attn_varlen_func = with_vllms_signature(interface, "flash_attn_varlen_func", attend)
    flash.get_scheduler_metadata = with_vllms_signature(interface, "get_scheduler_metadata", lambda **asked: "metadata")
    sys.modules["vllm.vllm_flash_attn"] = flash
    vllm_kernels._torch()
    from vllm import _custom_ops
    from vllm.v1.sample.ops import topk_topp_triton

    def store(key, value, key_cache, value_cache, slot_mapping, kv_cache_dtype, k_scale, v_scale):
        assert kv_cache_dtype == "auto" and k_scale.numel() == v_scale.numel() == 1
        write_cache(key, value, key_cache, value_cache, slot_mapping)

    def norm_and_turn(qkv, num_heads_q, num_heads_k, num_heads_v, head_dim, eps, q_weight, k_weight, cos_sin_cache, is_neox, position_ids, **rest):
        assert is_neox and num_heads_k == num_heads_v
        heads = qkv.view(len(qkv), -1, head_dim)
        queries, keys = heads[:, :num_heads_q].clone(), heads[:, num_heads_q:num_heads_q + num_heads_k].clone()
        queries, keys = vllm_kernels.rms_norm(queries, q_weight, eps), vllm_kernels.rms_norm(keys, k_weight, eps)
        vllm_kernels.rope(queries, keys, position_ids, cos_sin_cache)
        heads[:, :num_heads_q], heads[:, num_heads_q:num_heads_q + num_heads_k] = queries, keys

    of_cpu = _custom_ops.rms_norm
    _custom_ops.rms_norm = lambda out, x, weight, eps: of_cpu(out, x.contiguous(), weight, eps)    # CUDA's takes any strides
    for name, body in (("reshape_and_cache_flash", store), ("fused_qk_norm_rope", norm_and_turn)):
        setattr(_custom_ops, name, with_vllms_signature("_custom_ops.py", name, body))
    topk_topp_triton.apply_top_k_top_p_triton = with_vllms_signature(
        "v1/sample/ops/topk_topp_triton.py", "apply_top_k_top_p_triton", lambda logits, k, p, **rest: logits.copy_(top_k_top_p.top_k_top_p_twin(logits, k, p)))
