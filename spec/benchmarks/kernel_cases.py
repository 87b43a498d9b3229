"""The rows of the kernels' table: which shapes, against whom, and how fast ours should be.

A row's contestants get the same random numbers, vLLM's attention in the cache layout that vLLM itself uses, and the
same permuted block tables. What vLLM prepares once a step, and we too, is prepared before.
"""
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from kernels import cache_write, decode_attention, greedy, gumbel, penalties, prefill_attention, qk_norm_rope_cache, rms_norm, rope, silu_and_mul, top_k_top_p
from reference import vllm_kernels
from spec.kernels.exactness import assert_as_exact_as_torch

BLOCK_SIZE = 16
EPS = 1e-6
CHECKED = 16    # rows that are compared with the twin: in float64 it is slow


@dataclass
class Contestant:
    """`launch` is called with each of `sets`, one after the other: as many launches as a replay has.

    `in_place` says which arguments it changes, so that they are put back before each round. `seen` makes of the
    arguments and what was returned the tensors that are compared, or None of what cannot be.
    """

    launch: Callable
    sets: list[tuple]
    in_place: tuple[int, ...] = ()
    seen: Callable[[tuple, object], tuple | None] = lambda arguments, returned: (returned,)
    capture: bool = True

    def __post_init__(self):
        self.untouched = [self.sets[0][index].clone() for index in self.in_place]

    def restore(self) -> None:
        for arguments in self.sets:
            for index, untouched in zip(self.in_place, self.untouched):
                arguments[index].copy_(untouched)

    def launches(self) -> list[Callable[[], object]]:
        return [lambda arguments=arguments: self.launch(*arguments) for arguments in self.sets]

    def result(self) -> tuple | None:
        """Of the first set, launched once more."""
        self.restore()
        arguments = self.sets[0]
        return self.seen(arguments, self.launch(*arguments))


@dataclass
class Contest:
    """`rivals` are made when it is their turn, since some may be missing; those of vLLM by the names that begin so.

    `check` gets ours's result, and asserts that it is right; `disagreement` is a share, 0 for equal results, and
    must stay within `tolerance`.
    """

    ours: Contestant
    num_bytes: int
    flops: int = 0
    rivals: dict[str, Callable[[], Contestant]] = field(default_factory=dict)
    check: Callable[..., None] = lambda *result: None
    disagreement: Callable[[tuple, tuple], float] = lambda ours, theirs: 0.0
    tolerance: float = 0.01
    rate: str = "TB/s"      # or TFLOP/s: what the ceiling is made of


@dataclass(frozen=True)
class Case:
    """`bars`: how many times as fast as whom ("vLLM": the best of them), or which share of the ceiling. `tiny`: the arguments where there is no GPU."""

    kernel: str
    shape: str
    details: str
    build: Callable[..., Contest]
    arguments: dict
    tiny: dict
    bars: dict[str, float] = field(default_factory=dict)

    def contest(self, clock) -> Contest:
        torch.manual_seed(0)
        return self.build(clock, **(self.tiny if clock.is_rehearsal else self.arguments))


def relative(ours: tuple, theirs: tuple) -> float:
    """The norm of the difference, as a share of the norm."""
    return max(((a.double() - b.double()).norm() / b.double().norm()).item() for a, b in zip(ours, theirs, strict=True))


def exactly(twin: Callable[..., tuple], *arguments: object) -> Callable[..., None]:
    """A check: the result, or its part that `arguments` are about, is as exact as the twin's."""
    def check(*result) -> None:
        wide = [each.double() if isinstance(each, torch.Tensor) and each.is_floating_point() else each for each in arguments]
        for ours, torchs, exact in zip(result, twin(*arguments), twin(*wide), strict=True):
            assert_as_exact_as_torch(ours[:len(exact)], torchs, exact)
    return check


def randn(clock, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=clock.dtype, device=clock.device)


def empty(clock, *shape: int) -> torch.Tensor:
    return torch.empty(*shape, dtype=clock.dtype, device=clock.device)


# Attention.

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


# Norms, activation, rotary positions, the cache.

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


# Sampling. Logits are float32, as an engine's are by then.

def logits_of(clock, rows, vocabulary) -> torch.Tensor:
    return 3 * torch.randn(rows, vocabulary, device=clock.device)


def draw(clock, rows, vocabulary) -> Contest:
    num_bytes = gumbel.bytes_min(rows, vocabulary)
    temperature = torch.full((rows,), 0.8, device=clock.device)
    seeds, positions = (torch.randint(2**31, (rows,), device=clock.device) for _ in range(2))
    sets = [(logits_of(clock, rows, vocabulary), temperature, seeds, positions) for _ in range(clock.num_sets(num_bytes))]

    def check(tokens) -> None:
        some = slice(0, CHECKED)
        values = gumbel.noisy(sets[0][0][some].double(), temperature[some].double(), seeds[some], positions[some])
        behind = values.amax(-1) - values.gather(1, tokens[some, None])[:, 0]
        assert behind.max() < 1e-4, f"a token was drawn that is worse than another by {behind.max():.3g}"

    return Contest(Contestant(gumbel.gumbel, sets), num_bytes, 0, {"vLLM": lambda: Contestant(vllm_kernels.gumbel, sets)}, check, other_tokens, 0.01)


def choose(clock, rows, vocabulary) -> Contest:
    num_bytes = greedy.bytes_min(rows, vocabulary)
    sets = [(logits_of(clock, rows, vocabulary),) for _ in range(clock.num_sets(num_bytes))]
    nothing = torch.zeros(rows, device=clock.device), *(torch.zeros(rows, dtype=torch.int64, device=clock.device) for _ in range(2))

    def check(tokens) -> None:
        assert torch.equal(sets[0][0].gather(1, tokens[:, None])[:, 0], sets[0][0].amax(-1)), "a token is not the best of its row"

    return Contest(Contestant(greedy.greedy, sets), num_bytes, 0,
                   {"vLLM": lambda: Contestant(vllm_kernels.gumbel, [(logits, *nothing) for logits, in sets]),
                    "torch.argmax": lambda: Contestant(greedy.greedy_twin, sets)}, check, other_tokens, 0.0)


def other_tokens(ours: tuple, theirs: tuple) -> float:
    """The share of rows that got another token."""
    return (ours[0] != theirs[0]).double().mean().item()


def thin_out(clock, rows, vocabulary, k, p) -> Contest:
    """The bar is torch's sort, which is what it takes to do this by sorting; vLLM's kernel works in place."""
    num_bytes = top_k_top_p.bytes_min(rows, vocabulary)
    ks = None if k is None else torch.full((rows,), k, dtype=torch.int32, device=clock.device)
    ps = torch.full((rows,), p, device=clock.device)
    sets = [(logits, ks, ps, torch.empty_like(logits)) for logits in (logits_of(clock, rows, vocabulary) for _ in range(clock.num_sets(num_bytes)))]

    def by_sorting(logits, *rest):
        return torch.sort(logits, dim=-1, descending=True)

    def check(result) -> None:
        expected = top_k_top_p.top_k_top_p_twin(sets[0][0][:CHECKED], None if k is None else ks[:CHECKED], ps[:CHECKED])
        parted = other_cut((result[:CHECKED],), (expected,))
        assert parted <= 0.01, f"{parted:.2%} of the tokens that stay are others than the twin's"

    return Contest(Contestant(top_k_top_p.top_k_top_p, sets), num_bytes, 0,
                   {"vLLM": lambda: Contestant(vllm_kernels.top_k_top_p, [(arguments[0].clone(), ks, ps) for arguments in sets], in_place=(0,)),
                    # Each takes milliseconds, and torch's sort may refuse to be captured.
                    "torch.sort": lambda: Contestant(by_sorting, sets[:2], seen=lambda arguments, returned: None, capture=False)},
                   check, other_cut, 0.02)


def other_cut(ours: tuple, theirs: tuple) -> float:
    """Of the tokens that stay in one or the other, the share that stays in one alone, or was changed."""
    ours, theirs = ours[0], theirs[0]
    stay = (ours > float("-inf")) | (theirs > float("-inf"))
    return ((ours != theirs) & stay).sum().item() / stay.sum().item()


def penalise(clock, rows, vocabulary) -> Contest:
    num_bytes = penalties.bytes_min(rows, vocabulary)
    prompt_mask = penalties.pack(torch.rand(rows, vocabulary, device=clock.device) < 0.01)
    output_counts = torch.randint(-50, 3, (rows, vocabulary), device=clock.device).clamp(min=0).to(torch.int32)
    numbers = tuple(torch.full((rows,), number, device=clock.device) for number in (1.1, 0.5, 0.25))
    begin = logits_of(clock, rows, vocabulary)

    def contestant(launch):
        # The masks and the counts must be cold as well.
        sets = [(begin.clone(), prompt_mask.clone(), output_counts.clone(), *numbers) for _ in range(clock.num_sets(num_bytes))]
        return Contestant(launch, sets, in_place=(0,))

    some = slice(0, CHECKED)

    def twin(logits):
        return (penalties.penalties_twin(logits, prompt_mask[some], output_counts[some], *(number[some] for number in numbers)),)

    return Contest(contestant(penalties.penalties), num_bytes, 0, {"vLLM": lambda: contestant(vllm_kernels.penalties)},
                   exactly(twin, begin[some]), relative, 1e-5)


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
