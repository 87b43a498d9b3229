"""The rows of the kernels' table: which shapes, against whom, and how fast ours should be.

A row's contestants get the same random numbers, vLLM's attention in the cache layout that vLLM itself uses, and the
same permuted block tables. What vLLM prepares once a step, and we too, is prepared before.
"""
from spec.benchmarks.attention_contests import decode, prefill
from spec.benchmarks.contest import Case
from spec.benchmarks.layer_contests import activation, add_norm, fused, norm, rotate, store
from spec.benchmarks.sampling_contests import choose, draw, penalise, thin_out

HEADS = "32 heads, 8 KV heads, D 128, bfloat16"
PAGED = f"{HEADS}, blocks of 16"

CASES = [
    *(Case("decode attention", shape, details, decode, arguments, dict(requests=2, length=20, heads=4, kv_heads=2, head_dim=16, **more), bars)
      for shape, details, arguments, more, bars in [
          ("64 x 4,096", PAGED, dict(requests=64, length=4096), {}, {"vLLM": 1.10, "of ceiling": 0.85}),
          ("256 x 2,048", PAGED.replace("32", "16"), dict(requests=256, length=2048, heads=16), {}, {"vLLM": 1.03, "of ceiling": 0.90}),
          ("8 x 32,768", PAGED, dict(requests=8, length=32_768), {}, {"vLLM": 1.10, "of ceiling": 0.85}),
          ("1 x 131,072", PAGED, dict(requests=1, length=131_072), {}, {"vLLM": 1.10}),
          ("64 x 4,096 fp8", PAGED + ", cache float8_e4m3fn", dict(requests=64, length=4096, float8=True), {"float8": True}, {})]),
    *(Case("prefill attention", shape, PAGED, prefill, arguments, dict(requests=2, new=17, heads=4, kv_heads=2, head_dim=16, **more), bars)
      for shape, arguments, more, bars in [
          ("4 x 4,096", dict(requests=4, new=4096), {}, {"vLLM FA3": 0.60}),
          ("1 x 16,384", dict(requests=1, new=16_384), {}, {"vLLM FA3": 0.60}),
          ("8 x 512 after 3,584", dict(requests=8, new=512, cached=3584), {"cached": 15}, {})]),
    *(Case(kernel, f"{rows:,} x {size:,}", "bfloat16", build, dict(rows=rows, size=size), dict(rows=5, size=48), {"vLLM": 1.0, "of ceiling": 0.90})
      for kernel, build, sizes in [("RMS norm", norm, (4096, 1024)), ("add and RMS norm", add_norm, (4096, 1024)),
                                   ("SiLU and mul", activation, (12_288, 3072))]
      for rows, size in zip((16_384, 65_536), sizes)),
    *(Case(kernel, "16,384 tokens", details, build, dict(tokens=16_384), dict(tokens=9, kv_heads=2, head_dim=16, **more), bars)
      for kernel, details, build, more, bars in [
          ("rope", HEADS, rotate, {"heads": 4}, {"vLLM": 1.5}),
          ("cache write", "8 KV heads, D 128, bfloat16, blocks of 16, random slots", store, {}, {"vLLM": 1.5}),
          ("norm, rope and cache write in one", PAGED, fused, {"heads": 4}, {})]),
    *(Case("top-k and top-p", which, "256 x 151,936, float32", thin_out, dict(rows=256, vocabulary=151_936, **how),
           dict(rows=1, vocabulary=300, k=50, p=0.95), {"torch.sort": 3.0})
      for which, how in [("k 50, p 0.95", dict(k=50, p=0.95)), ("p 0.95", dict(k=None, p=0.95))]),
    *(Case(kernel, "256 x 151,936", "float32", build, dict(rows=256, vocabulary=151_936), dict(rows=2, vocabulary=600))
      for kernel, build in [("greedy", choose), ("Gumbel sampling", draw), ("penalties", penalise)]),
]


def shapes(kernel: str) -> list[str]:
    return [case.shape for case in CASES if case.kernel == kernel]


def case_of(kernel: str, shape: str) -> Case:
    return next(case for case in CASES if (case.kernel, case.shape) == (kernel, shape))


def cases_named(beginnings: list[str], cases: list[Case]) -> list[Case]:
    """Those of `cases` whose kernels' names begin so; all, if no beginning is given. Raises `ValueError` of a beginning that none has."""
    for beginning in beginnings:
        if not any(case.kernel.startswith(beginning) for case in cases):
            raise ValueError(f"no kernel here begins with {beginning!r}: give the beginning of one of {', '.join(repr(name) for name in dict.fromkeys(case.kernel for case in cases))}")
    return [case for case in cases if not beginnings or case.kernel.startswith(tuple(beginnings))]
