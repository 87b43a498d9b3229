"""Races of what a layer does besides products and attention: norms, activation, rotary positions, the cache's writes."""
from collections.abc import Callable

import torch

from kernels import cache_write, qk_norm_rope_cache, rms_norm, rope, silu_and_mul
from reference import vllm_kernels
from spec.benchmarks.contest import BLOCK_SIZE, CHECKED, EPS, Contest, Contestant, empty, exactly, randn, relative


def norm(clock, rows, size) -> Contest:
    num_bytes = rms_norm.bytes_min(rows, size, clock.dtype)
    weight = randn(clock, size)
    sets = [(randn(clock, rows, size), weight, EPS, empty(clock, rows, size)) for _ in range(clock.num_sets(num_bytes))]
    return Contest(Contestant(rms_norm.rms_norm, sets), num_bytes, rms_norm.flops(rows, size),
                   {"vLLM": lambda: Contestant(vllm_kernels.rms_norm, [(*arguments[:3], torch.empty_like(arguments[3])) for arguments in sets])},
                   exactly(lambda x, weight: (rms_norm.rms_norm_twin(x, weight, EPS),), sets[0][0][:CHECKED], weight), relative)


def add_norm(clock, rows, size) -> Contest:
    num_bytes = rms_norm.bytes_min(rows, size, clock.dtype, residual=True)
    weight = randn(clock, size)

    def contestant(launch, source=None):
        sets = [(randn(clock, rows, size), randn(clock, rows, size), weight, EPS) for _ in range(clock.num_sets(num_bytes))]
        if source:      # the first decides what all begin with
            for target, value in zip(sets[0][:2], source.untouched):
                target.copy_(value)
        return Contestant(launch, sets, in_place=(0, 1), seen=lambda arguments, returned: arguments[:2])

    ours = contestant(rms_norm.add_rms_norm)
    x, residual = (each[:CHECKED] for each in ours.untouched)
    return Contest(ours, num_bytes, rms_norm.flops(rows, size, residual=True), {"vLLM": lambda: contestant(vllm_kernels.add_rms_norm, ours)},
                   exactly_rounded(x, residual, weight), relative)


def exactly_rounded(x, residual, weight) -> Callable[..., None]:
    """The norm is of the sum as it was rounded, in our kernel as in the twin and vLLM: so it is checked of that sum."""
    def check(normed, summed) -> None:
        assert torch.equal(summed[:len(x)], x + residual), "the residual is not the sum"
        exactly(lambda x, weight: (rms_norm.rms_norm_twin(x, weight, EPS),), x + residual, weight)(normed)
    return check


def activation(clock, rows, size) -> Contest:
    num_bytes = silu_and_mul.bytes_min(rows, size, clock.dtype)
    sets = [(randn(clock, rows, 2 * size), empty(clock, rows, size)) for _ in range(clock.num_sets(num_bytes))]
    return Contest(Contestant(silu_and_mul.silu_and_mul, sets), num_bytes, silu_and_mul.flops(rows, size),
                   {"vLLM": lambda: Contestant(vllm_kernels.silu_and_mul, [(x, torch.empty_like(out)) for x, out in sets])},
                   exactly(lambda x: (silu_and_mul.silu_and_mul_twin(x),), sets[0][0][:CHECKED]), relative)


def angles(clock, tokens, head_dim) -> torch.Tensor:
    """Cosines and sines of each position, as vLLM keeps them: in the precision of the queries."""
    inverse = 1e6 ** (-torch.arange(0, head_dim, 2, dtype=torch.float32, device=clock.device) / head_dim)
    turned = torch.arange(tokens, dtype=torch.float32, device=clock.device)[:, None] * inverse
    return torch.cat((turned.cos(), turned.sin()), dim=-1).to(clock.dtype)


def rotate(clock, tokens, heads=32, kv_heads=8, head_dim=128) -> Contest:
    num_bytes = rope.bytes_min(tokens, heads, kv_heads, head_dim, clock.dtype)
    cos_sin, positions = angles(clock, tokens, head_dim), torch.randperm(tokens, device=clock.device)

    def contestant(launch, source=None):
        sets = [(randn(clock, tokens, heads, head_dim), randn(clock, tokens, kv_heads, head_dim), positions, cos_sin)
                for _ in range(clock.num_sets(num_bytes))]
        if source:
            for target, value in zip(sets[0][:2], source.untouched):
                target.copy_(value)
        return Contestant(launch, sets, in_place=(0, 1), seen=lambda arguments, returned: arguments[:2])

    ours = contestant(rope.rope)
    some = positions[:CHECKED]

    def twin(queries, keys, cos_sin):
        return rope.rope_twin(queries, keys, some, cos_sin)

    return Contest(ours, num_bytes, rope.flops(tokens, heads, kv_heads, head_dim), {"vLLM": lambda: contestant(vllm_kernels.rope, ours)},
                   exactly(twin, *(each[:CHECKED] for each in ours.untouched), cos_sin), relative)


def slots(clock, tokens) -> tuple[int, torch.Tensor]:
    """Blocks for four times the tokens, and a slot anywhere for each token."""
    blocks = -(-4 * tokens // BLOCK_SIZE)
    return blocks, torch.randperm(blocks * BLOCK_SIZE, device=clock.device)[:tokens]


def written(key_cache, value_cache, slot_mapping) -> tuple:
    return tuple(cache[slot_mapping // BLOCK_SIZE, slot_mapping % BLOCK_SIZE] for cache in (key_cache, value_cache))


def store(clock, tokens, kv_heads=8, head_dim=128) -> Contest:
    num_bytes = cache_write.bytes_min(tokens, kv_heads, head_dim, clock.dtype)
    blocks, slot_mapping = slots(clock, tokens)
    sets = []
    for _ in range(clock.num_sets(num_bytes)):
        both = randn(clock, blocks, BLOCK_SIZE, 2, kv_heads, head_dim)
        # Keys and values come out of one product: as in a model, they are views of wider rows.
        keys, values = randn(clock, tokens, 2 * kv_heads, head_dim).split(kv_heads, dim=1)
        sets.append((keys, values, both[:, :, 0], both[:, :, 1], slot_mapping))

    def theirs():
        return Contestant(vllm_kernels.write_cache, [(*arguments[:2], *vllm_kernels.kv_cache(blocks, BLOCK_SIZE, kv_heads, head_dim, clock.dtype, clock.device),
                                                      slot_mapping) for arguments in sets], seen=lambda arguments, returned: written(*arguments[2:]))

    def check(keys, values) -> None:
        assert torch.equal(keys, sets[0][0]) and torch.equal(values, sets[0][1]), "the cache does not hold what was written"

    return Contest(Contestant(cache_write.write_cache, sets, seen=lambda arguments, returned: written(*arguments[2:])), num_bytes, 0,
                   {"vLLM": theirs}, check, relative, 0.0)


def fused(clock, tokens, heads=32, kv_heads=8, head_dim=128) -> Contest:
    num_bytes = qk_norm_rope_cache.bytes_min(tokens, heads, kv_heads, head_dim, clock.dtype)
    (blocks, slot_mapping), cos_sin = slots(clock, tokens), angles(clock, tokens, head_dim)
    weights, positions = (randn(clock, head_dim), randn(clock, head_dim)), torch.randperm(tokens, device=clock.device)
    count = clock.num_sets(num_bytes)
    products = [randn(clock, tokens, (heads + 2 * kv_heads) * head_dim) for _ in range(count)]
    outs = [empty(clock, tokens, heads, head_dim) for _ in range(count)]
    rest = (slot_mapping, heads, kv_heads, None, None)

    def contestant(launch, caches, in_place=()):
        sets = [(product.clone() if in_place else product, *weights, EPS, positions, cos_sin, *cache, *rest, out)
                for product, cache, out in zip(products, caches, outs)]
        return Contestant(launch, sets, in_place, seen=lambda arguments, returned: (returned, *written(*arguments[6:9])))

    def theirs(launch, in_place=()):
        return contestant(launch, [vllm_kernels.kv_cache(blocks, BLOCK_SIZE, kv_heads, head_dim, clock.dtype, clock.device) for _ in range(count)], in_place)

    own = [randn(clock, blocks, BLOCK_SIZE, 2, kv_heads, head_dim).unbind(2) for _ in range(count)]

    def twin(product, q_weight, k_weight, cos_sin):
        caches = [torch.zeros(blocks, BLOCK_SIZE, kv_heads, head_dim, dtype=product.dtype, device=product.device) for _ in range(2)]
        queries, *caches = qk_norm_rope_cache.qk_norm_rope_cache_twin(product, q_weight, k_weight, EPS, positions[:CHECKED], cos_sin, *caches,
                                                                      slot_mapping[:CHECKED], heads, kv_heads)
        return queries, *written(*caches, slot_mapping[:CHECKED])

    return Contest(contestant(qk_norm_rope_cache.qk_norm_rope_cache, own), num_bytes, qk_norm_rope_cache.flops(tokens, heads, kv_heads, head_dim),
                   {"vLLM one by one": lambda: theirs(vllm_kernels.qk_norm_rope_cache),
                    "vLLM fused norm and rope": lambda: theirs(vllm_kernels.fused_qk_norm_rope_cache, in_place=(0,))},
                   exactly(twin, products[0][:CHECKED], *weights, cos_sin), relative, 0.02)
