"""Races of attention kernels. vLLM's get the cache in the layout that vLLM itself uses, and the same permuted block tables."""
from dataclasses import dataclass

import torch

from kernels import decode_attention, prefill_attention
from reference import vllm_kernels
from spec.benchmarks.contest import BLOCK_SIZE, CHECKED, Contest, Contestant, empty, exactly, randn, relative


@dataclass
class Pages:
    """One launch's cache, once in our layout and once, if asked for, in vLLM's. All requests have `length` tokens."""

    keys: torch.Tensor
    values: torch.Tensor
    block_tables: torch.Tensor
    seq_lens: torch.Tensor

    @classmethod
    def random(cls, clock, requests: int, length: int, num_kv_heads: int, head_dim: int, dtype: torch.dtype) -> "Pages":
        blocks = -(-length // BLOCK_SIZE)
        both = randn(clock, requests * blocks, BLOCK_SIZE, 2, num_kv_heads, head_dim).to(dtype)
        tables = torch.randperm(requests * blocks, device=clock.device).to(torch.int32).view(requests, blocks)
        return cls(both[:, :, 0], both[:, :, 1], tables, torch.full((requests,), length, dtype=torch.int32, device=clock.device))

    def vllms(self) -> "Pages":
        keys, values = vllm_kernels.kv_cache(*self.keys.shape, self.keys.dtype, self.keys.device)
        return Pages(keys.copy_(self.keys), values.copy_(self.values), self.block_tables, self.seq_lens)

    def first(self) -> "Pages":
        """A copy of the first request's, its blocks in order."""
        blocks = self.block_tables[0].long()
        return Pages(self.keys[blocks], self.values[blocks], torch.arange(len(blocks), dtype=torch.int32, device=blocks.device)[None], self.seq_lens[:1])

    def __iter__(self):
        return iter((self.keys, self.values, self.block_tables, self.seq_lens))


def decode(clock, requests, length, heads=32, kv_heads=8, head_dim=128, float8=False) -> Contest:
    dtype = torch.float8_e4m3fn if float8 else clock.dtype
    one = torch.ones(1, device=clock.device) if float8 else None
    num_bytes = decode_attention.bytes_min([length] * requests, heads, kv_heads, head_dim, clock.dtype.itemsize, dtype.itemsize)
    count = clock.num_sets(num_bytes)
    pages = [Pages.random(clock, requests, length, kv_heads, head_dim, dtype) for _ in range(count)]
    queries = [randn(clock, requests, heads, head_dim) for _ in range(count)]
    outs = [empty(clock, requests, heads, head_dim) for _ in range(count)]
    plan = decode_attention.make_plan(pages[0].seq_lens, kv_heads)

    def ours(queries, pages, out):
        return decode_attention.decode_attention(queries, *pages, plan=plan, k_scale=one, v_scale=one, out=out)

    def rival(attend, plan_of, **how):
        # Where the cache is float8, vLLM quantises the queries as well, in a kernel before.
        theirs = [each.to(dtype) for each in queries]
        copies = vllms_pages()
        plan = plan_of(theirs[0], copies[0].keys, copies[0].block_tables, copies[0].seq_lens, **how)

        def launch(queries, pages, out):
            return attend(queries, *pages, plan=plan, k_scale=one, v_scale=one, out=out)

        return Contestant(launch, list(zip(theirs, copies, [torch.empty_like(out) for out in outs])))

    def vllms_pages(made=[]):      # noqa: B006  one copy for all rivals
        made.extend(() if made else [each.vllms() for each in pages])
        return made

    first = pages[0].first()
    rivals = {"vLLM FA3": lambda: rival(vllm_kernels.decode_attention_fa3, vllm_kernels.fa3_plan),
              "vLLM Triton 2D": lambda: rival(vllm_kernels.decode_attention_triton, vllm_kernels.triton_plan, mode="2d"),
              "vLLM Triton 3D": lambda: rival(vllm_kernels.decode_attention_triton, vllm_kernels.triton_plan, mode="3d")}

    def twin(queries, keys, values):
        return (decode_attention.decode_attention_twin(queries, keys, values, first.block_tables, first.seq_lens, k_scale=one, v_scale=one),)

    return Contest(Contestant(ours, list(zip(queries, pages, outs))), num_bytes, decode_attention.flops([length] * requests, heads, head_dim),
                   rivals, exactly(twin, queries[0][:1], first.keys, first.values), relative, 0.1 if float8 else 0.01)


def prefill(clock, requests, new, cached=0, heads=32, kv_heads=8, head_dim=128) -> Contest:
    lengths, news = [cached + new] * requests, [new] * requests
    num_bytes = prefill_attention.bytes_min(news, lengths, heads, kv_heads, head_dim, clock.dtype.itemsize, clock.dtype.itemsize)
    flops = prefill_attention.flops(news, lengths, heads, head_dim)
    count = clock.num_sets(num_bytes, flops)
    pages = [Pages.random(clock, requests, cached + new, kv_heads, head_dim, clock.dtype) for _ in range(count)]
    queries = [randn(clock, requests * new, heads, head_dim) for _ in range(count)]
    outs = [torch.empty_like(each) for each in queries]
    query_start = torch.arange(requests + 1, dtype=torch.int32, device=clock.device) * new

    def ours(queries, pages, out):
        return prefill_attention.prefill_attention(queries, *pages, query_start, out=out)

    def rival(attend, plan_of):
        copies = [each.vllms() for each in pages]
        plan = plan_of(queries[0], copies[0].keys, copies[0].block_tables, copies[0].seq_lens, query_start, new)

        def launch(queries, pages, out):
            return attend(queries, *pages, query_start, out=out, plan=plan)

        return Contestant(launch, list(zip(queries, copies, [torch.empty_like(out) for out in outs])))

    first, last = pages[0].first(), min(CHECKED, new)

    def twin(queries, keys, values):
        start = torch.tensor([0, last], dtype=torch.int32, device=queries.device)
        return (prefill_attention.prefill_attention_twin(queries, keys, values, first.block_tables, first.seq_lens, start),)

    def check(result) -> None:
        exactly(twin, queries[0][new - last:new], first.keys, first.values)(result[new - last:new])

    return Contest(Contestant(ours, list(zip(queries, pages, outs))), num_bytes, flops,
                   {"vLLM FA3": lambda: rival(vllm_kernels.prefill_attention_fa3, vllm_kernels.fa3_plan),
                    "vLLM Triton": lambda: rival(vllm_kernels.prefill_attention_triton, vllm_kernels.triton_plan)},
                   check, relative, rate="TFLOP/s")
