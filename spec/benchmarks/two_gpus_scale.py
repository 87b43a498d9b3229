"""How much the contest on two GPUs does: with a model that is large enough to gain, and a rehearsal of it for the CPU. `two_gpus.md` has the arithmetic."""
import random
from dataclasses import dataclass

from reference.checkpoint.random_model import DEVIATION, QWEN3_8B
from spec.bench.agreement import NOISE
from spec.benchmarks.scale import Scale

ONE, TWO, VLLM = "ours on one", "ours on two", "vLLM on two"
# The KV cache of one GPU; on two, each rank has half of both. At their fullest the 96 requests hold 9.5 GiB. All three live on the first GPU at the same
# time: 31 GiB of weights, 20 of cache, and of 80 there are 28 left for graphs, activations and what CUDA itself takes.
KV_CACHE_BYTES = 10 << 30
SMALL_CACHE_BYTES = 1 << 26
ON_GPU = {"dtype": "bfloat16", "max_model_len": 2048}
ON_CPU = {"dtype": "float32", "max_model_len": 256}
OURS = {"async_scheduling": True, "max_num_seqs": 96}
ON_TWO = {"tensor_parallel_size": 2}
PATIENT = {"distributed_timeout_seconds": 60}       # the clock goes on while a rank is stopped, and the others have their turns


@dataclass(frozen=True, kw_only=True)
class TwoGpusScale(Scale):
    """`arguments`: those of `LLM`.

    deviation: of the model's weights, such that its activations are as large as those of the model of Qwen3-0.6B's shape, whose noise is known. (With four
        layers, logprobs in bfloat16 were 0.020 off in the mean with the 0.6B's width, 0.024 with the 8B's and half the deviation; with twelve layers 0.034.
        So with 36 in place of 28, a third more.)
    seconds: of the whole contest. No round begins that would end later, so that what is measured is also written.
    patience: seconds in which a contestant must have started.
    """

    deviation: float
    prompt_lengths: tuple[int, int]
    output_lengths: tuple[int, int]
    seconds: float
    patience: float

    def lengths(self) -> tuple[list[int], list[int]]:
        """Of the prompts and of the outputs of the requests that come together."""
        rng = random.Random(0)
        prompts = [rng.randint(*self.prompt_lengths) for _ in range(self.num_requests)]
        return prompts, [rng.randint(*self.output_lengths) for _ in prompts]

    def prompts(self, lengths: list[int], number: int) -> list[list[int]]:
        """Of these lengths; others for each number, so that no prefix is found in a cache. Each part of the contest has numbers of its own."""
        return [self.prompt(random.Random(f"{number}.{index}"), length) for index, length in enumerate(lengths)]


STANDARD = TwoGpusScale(
    shape=QWEN3_8B, deviation=DEVIATION / 2, num_requests=96, prompt_lengths=(100, 1024), output_lengths=(100, 512), last_token_id=10_000, rounds=3,
    alone=(100, 256), first_token=1024, first_token_rounds=7, checked=(8, 64), most_apart=NOISE["bfloat16"], seconds=480, patience=240,
    arguments={VLLM: ON_GPU | ON_TWO | {"kv_cache_memory_bytes": KV_CACHE_BYTES // 2, "gpu_memory_utilization": 0.42},
               ONE: ON_GPU | OURS | {"kv_cache_memory_bytes": KV_CACHE_BYTES, "device": "cuda", "max_num_batched_tokens": 16_384},
               TWO: ON_GPU | OURS | ON_TWO | PATIENT | {"kv_cache_memory_bytes": KV_CACHE_BYTES // 2, "device": "cuda", "max_num_batched_tokens": 16_384},
               "float32": {"dtype": "float32", "device": "cuda", "kernels": True, "enforce_eager": True, "max_model_len": 2048, "max_num_seqs": 16,
                           "max_num_batched_tokens": 1024, "kv_cache_memory_bytes": 4 << 30}})

REHEARSAL = TwoGpusScale(
    shape=None, deviation=DEVIATION, num_requests=8, prompt_lengths=(8, 24), output_lengths=(8, 16), last_token_id=1000, rounds=2,
    alone=(10, 12), first_token=64, first_token_rounds=2, checked=(3, 8), most_apart=2 * NOISE["float32"], seconds=480, patience=400,
    arguments={VLLM: ON_CPU | ON_TWO | {"kv_cache_memory_bytes": SMALL_CACHE_BYTES // 2},
               ONE: ON_CPU | OURS | {"kv_cache_memory_bytes": SMALL_CACHE_BYTES},
               TWO: ON_CPU | OURS | ON_TWO | PATIENT | {"kv_cache_memory_bytes": SMALL_CACHE_BYTES // 2}, "float32": ON_CPU})
