"""How much the engines' contest on a GPU does: the standard benchmark, and a rehearsal of it for the CPU."""
import random
from dataclasses import dataclass

from reference.checkpoint.random_model import QWEN3_600M
from spec.bench.agreement import NOISE
from spec.benchmarks.scale import Scale

KV_CACHE_BYTES = 24 << 30   # of each engine: what the standard benchmark holds at its fullest is 20 GB; both fit into 80 GB
ON_GPU = {"dtype": "bfloat16", "max_model_len": 4096, "kv_cache_memory_bytes": KV_CACHE_BYTES}
ON_CPU = {"dtype": "float32", "max_model_len": 256, "kv_cache_memory_bytes": 1 << 26}
OURS = {"async_scheduling": True, "max_num_seqs": 256}


@dataclass(frozen=True, kw_only=True)
class EngineScale(Scale):
    """`arguments`: by engine, those of `LLM` and `AsyncLLM`. `most_apart`: of 2,800 positions of the standard model, torch in bfloat16 chose another token
    than float32 at 292, the worst of them 0.30 below; its logprobs were up to 0.33 off.
    """

    lengths: tuple[int, int]            # of prompts and of outputs
    rates: tuple[int, ...]              # arrivals a second
    load_seconds: float
    fewest_arrivals: int
    load_outputs: tuple[int, int]

    def standard(self) -> tuple[list[list[int]], list[int]]:
        """Prompts, and the length of each one's output. Drawn in the order of nano-vllm's bench.py, so that the standard's are 133,966 tokens."""
        rng = random.Random(0)
        prompts = [self.prompt(rng, rng.randint(*self.lengths)) for _ in range(self.num_requests)]
        return prompts, [rng.randint(*self.lengths) for _ in prompts]

    def like(self, prompts: list[list[int]], number: int) -> list[list[int]]:
        """Other prompts of the same lengths, so that no prefix is found in a cache; by number 0 the same. Each part of the contest has numbers of its own."""
        return [self.prompt(random.Random(f"{number}.{index}"), len(prompt)) for index, prompt in enumerate(prompts)] if number else prompts

    def load(self, rate: int, count: int | None = None) -> list[dict]:
        """Requests as `LoadPlayer.play` takes them, whose arrivals are a Poisson process. One in ten leaves when it has read half."""
        rng, now, requests = random.Random(rate), 0.0, []
        for number in range(count or max(self.fewest_arrivals, int(rate * self.load_seconds))):
            max_tokens = rng.randint(*self.load_outputs)
            requests.append({"arrives": now, "prompt": self.prompt(rng, rng.randint(*self.lengths)), "max_tokens": max_tokens,
                             "leaves_after": max_tokens // 2 if number % 10 == 9 else None})
            now += rng.expovariate(rate)
        return requests


STANDARD = EngineScale(
    shape=QWEN3_600M, num_requests=256, lengths=(100, 1024), last_token_id=10_000, rounds=3, alone=(100, 512), first_token=1024, first_token_rounds=9,
    checked=(8, 64), most_apart=NOISE["bfloat16"], rates=(5, 15, 30, 60), load_seconds=5, fewest_arrivals=40, load_outputs=(100, 200),
    arguments={"vllm": ON_GPU | {"gpu_memory_utilization": 0.42},
               "impl": ON_GPU | OURS | {"device": "cuda", "max_num_batched_tokens": 16_384},
               "float32": {"dtype": "float32", "device": "cuda", "kernels": True, "enforce_eager": True, "max_model_len": 4096, "kv_cache_memory_bytes": 1 << 30}})

REHEARSAL = EngineScale(
    shape=None, num_requests=12, lengths=(8, 24), last_token_id=1000, rounds=2, alone=(10, 16), first_token=64, first_token_rounds=3,
    checked=(3, 8), most_apart=2 * NOISE["float32"], rates=(20, 80), load_seconds=0.25, fewest_arrivals=10, load_outputs=(8, 16),
    arguments={"vllm": ON_CPU, "impl": ON_CPU | OURS | {"max_num_batched_tokens": 1024}, "float32": ON_CPU})
