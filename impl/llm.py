"""`LLM`: prompts in, texts out. Mirrors `entrypoints/llm.py::LLM`."""
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields

from impl.chat import render
from impl.checkpoint import default_sampling, find, read_config
from impl.config import SchedulerConfig
from impl.engine import Engine
from impl.errors import InvalidConfigError, InvalidSamplingParamsError
from impl.gpu_memory import kv_cache_memory
from impl.input_processor import Prompt
from impl.logprobs import LogprobsMode
from impl.models import model_config
from impl.ops import FP8, choose
from impl.request_output import RequestOutput
from impl.sampling_params import SamplingParams
from impl.speculative_config import SpeculativeConfig
from impl.tensor_parallel import part_of

SHORT_DTYPES = {"half": "float16", "float": "float32"}
BYTES = {"float32": 4, FP8: 1}      # of a number; of all other dtypes 2


class LLM:
    """A model to generate with. All arguments but `device` and `kernels` have vLLM's names.

    dtype: "auto" is the checkpoint's own. (vLLM's turns float32 into bfloat16.)
    kernels: whether the layers and the sampler are Triton's (`kernels/`) or torch's; None: Triton's on a GPU. On the CPU an interpreter runs them.
    enforce_eager: on a GPU, launch each kernel by itself: no CUDA graphs, which take some seconds to capture.
    kv_cache_dtype: "auto" is the model's, "fp8" is float8_e4m3fn, half of bfloat16, and needs the kernels.
    max_model_len: tokens of one sequence, prompt and output; None: as many as the model knows positions and the KV cache has room for.
    num_gpu_blocks_override: blocks of the KV cache; None: what fits into `kv_cache_memory_bytes`, but at least one sequence, and no more than can be used.
    kv_cache_memory_bytes: of each rank; None is 1 GiB on the CPU, and on a GPU what the rest leaves of `gpu_memory_utilization`, a share of its memory.
    seed: of the chance that all requests without a seed of their own share.
    speculative_config: who drafts, such as `{"method": "ngram", "num_speculative_tokens": 3, "prompt_lookup_max": 4}`; see `SpeculativeConfig`.
    tensor_parallel_size: ranks, each with a part of every matrix and of the KV cache, and on GPUs each with its own; all but the first in processes of
        their own (spawned: build the engine under `if __name__ == "__main__":`).
    distributed_timeout_seconds: how long a rank may let the others wait, and on GPUs how long a step may take, before the engine ends with an error
        that names the rank.
    limits: other fields of `SchedulerConfig`, such as `max_num_seqs`, `max_num_batched_tokens`, `enable_prefix_caching`, `async_scheduling`.
    """

    def __init__(self, model: str, *, dtype: str = "auto", device: str = "cpu", kernels: bool | None = None, kv_cache_dtype: str = "auto",
                 enforce_eager: bool = False, max_model_len: int | None = None, block_size: int = 16, num_gpu_blocks_override: int | None = None,
                 kv_cache_memory_bytes: int | None = None, gpu_memory_utilization: float = 0.92, max_logprobs: int = 20,
                 logprobs_mode: LogprobsMode = "raw_logprobs", scheduling_policy: str = "fcfs", seed: int = 0,
                 speculative_config: Mapping[str, object] | None = None, tensor_parallel_size: int = 1,
                 distributed_timeout_seconds: float = 60.0, **limits):
        self.folder = find(model)
        config = model_config(read_config(self.folder))
        dtype = _dtype(dtype, config)
        _require_known(limits)
        choose(device, dtype, kernels, kv_cache_dtype)      # refuses what nobody can compute, before its memory is planned
        part = part_of(config, tensor_parallel_size)
        drafting = SpeculativeConfig.of(speculative_config)
        if kv_cache_memory_bytes is None and num_gpu_blocks_override is None:
            kv_cache_memory_bytes = 1 << 30
            if device.startswith("cuda"):
                sizes = SchedulerConfig(num_blocks=1, **limits)
                kv_cache_memory_bytes = kv_cache_memory(self.folder, part, BYTES.get(dtype, 2), sizes.max_num_batched_tokens, sizes.max_num_seqs,
                                                        gpu_memory_utilization, tensor_parallel_size)
        fitting = (kv_cache_memory_bytes or 0) // _bytes_of_a_block(part, kv_cache_dtype if kv_cache_dtype != "auto" else dtype, block_size)
        if max_model_len is None:
            max_model_len = min(config["max_position_embeddings"], max(num_gpu_blocks_override or 0, fitting) * block_size)
        limits |= {"block_size": block_size, "max_model_len": max_model_len, "policy": scheduling_policy, "sliding_window": config["sliding_window"],
                   "num_speculative_tokens": drafting.num_speculative_tokens if drafting else 0}
        limits["num_blocks"] = num_gpu_blocks_override or _pool(SchedulerConfig(num_blocks=1, **limits), fitting)
        self.engine = Engine(str(self.folder), SchedulerConfig(**limits), dtype=dtype, device=device, kernels=kernels, kv_cache_dtype=kv_cache_dtype,
                             enforce_eager=enforce_eager, max_logprobs=max_logprobs, logprobs_mode=logprobs_mode, seed=seed, speculative_config=drafting,
                             tensor_parallel_size=tensor_parallel_size, distributed_timeout_seconds=distributed_timeout_seconds)
        self.num_requests = 0

    def generate(self, prompts: Prompt | Sequence[Prompt], sampling_params: SamplingParams | Sequence[SamplingParams] | None = None, *,
                 use_tqdm: bool = True, priority: int | Sequence[int] = 0) -> list[RequestOutput]:
        """Generate for each prompt (a text, token ids, or `{"prompt_token_ids": [...]}`), in their order.

        Without `sampling_params`, as the checkpoint recommends. Progress is shown if the
        standard error is a terminal. If one prompt is refused, none is generated for.
        """
        prompts = [prompts] if isinstance(prompts, (str, Mapping)) or (prompts and isinstance(prompts[0], int)) else list(prompts)
        sampling_params = self.get_default_sampling_params() if sampling_params is None else sampling_params
        finished: dict[str, RequestOutput] = {}
        request_ids: list[str] = []
        try:
            for prompt, params, urgency in zip(prompts, _one_each(sampling_params, prompts), _one_each(priority, prompts)):
                self.engine.add_request(str(self.num_requests), prompt, params, priority=urgency)
                request_ids.append(str(self.num_requests))
                self.num_requests += 1
            for output in _progress(self._run(), len(prompts), use_tqdm):
                finished[output.request_id] = output
        finally:    # a prompt was refused, or somebody has had enough: nothing is left behind
            for request_id in request_ids:
                self.engine.abort(request_id)
        return [finished[request_id] for request_id in request_ids]

    def chat(self, messages: Sequence, sampling_params: SamplingParams | Sequence[SamplingParams] | None = None, use_tqdm: bool = True, *,
             chat_template: str | None = None, add_generation_prompt: bool = True) -> list[RequestOutput]:
        """Answer a conversation, `[{"role": "user", "content": "..."}, ...]`, or each of several."""
        conversations = [messages] if messages and isinstance(messages[0], Mapping) else messages
        prompts = [self.chat_prompt(conversation, chat_template, add_generation_prompt) for conversation in conversations]
        return self.generate(prompts, sampling_params, use_tqdm=use_tqdm)

    def chat_prompt(self, messages: Sequence[Mapping], chat_template: str | None = None, add_generation_prompt: bool = True) -> Prompt:
        """The prompt of one conversation. The template has put in the special tokens, so none are added."""
        text = render(self.folder, messages, chat_template, add_generation_prompt)
        return {"prompt": text, "prompt_token_ids": self.engine.tokenizer.encode(text, add_special_tokens=False).ids}

    def get_default_sampling_params(self) -> SamplingParams:
        """What the checkpoint's generation_config.json recommends."""
        return SamplingParams(**default_sampling(self.folder))

    def _run(self) -> Iterable[RequestOutput]:
        """Step until all is done; yields each request when it has finished, with all of its sequences."""
        sequences: dict[str, dict[int, object]] = {}
        while self.engine.has_unfinished_requests():
            for output in self.engine.step():
                family = sequences.setdefault(output.request_id, {})
                family |= {completion.index: completion for completion in output.outputs}
                if output.finished:
                    output.outputs = [family[index] for index in sorted(family)]
                    yield output


def _dtype(dtype, config: dict) -> str:
    dtype = str(dtype).removeprefix("torch.")
    if dtype == "auto":
        dtype = config.get("dtype") or config.get("torch_dtype") or "float32"
    return SHORT_DTYPES.get(dtype, dtype)


def _require_known(limits: dict) -> None:
    own = ("num_blocks", "policy", "sliding_window", "kv_cache_groups", "num_speculative_tokens", "num_lookahead_tokens")
    names = [spec.name for spec in fields(SchedulerConfig) if spec.name not in own]
    unknown = sorted(limits.keys() - set(names))
    if unknown:
        raise InvalidConfigError(f"LLM has no argument {unknown[0]!r}; besides its own, such as num_gpu_blocks_override and speculative_config, "
                                 f"there are {', '.join(names)}")


def _bytes_of_a_block(config: dict, dtype: str, block_size: int) -> int:
    return 2 * config["num_hidden_layers"] * config["num_key_value_heads"] * config["head_dim"] * BYTES.get(dtype, 2) * block_size


def _pool(limits: SchedulerConfig, fitting: int) -> int:
    """How many blocks the KV cache gets if nobody says so, the null block included."""
    a_sequence = sum(map(limits.max_blocks, limits.kinds))
    return 1 + max(a_sequence, min(fitting, limits.max_num_seqs * a_sequence))


def _one_each(value, prompts: list) -> Sequence:
    """A value for each prompt: the same one, or those given."""
    if not isinstance(value, Sequence):
        return [value] * len(prompts)
    if len(value) != len(prompts):
        raise InvalidSamplingParamsError(f"{len(prompts)} prompts, but {len(value)} sampling_params or priorities; give one, or as many")
    return value


def _progress(outputs: Iterable[RequestOutput], total: int, shown: bool) -> Iterable[RequestOutput]:
    if not shown:
        return outputs
    from tqdm import tqdm
    return tqdm(outputs, "Processed prompts", total, dynamic_ncols=True, disable=None)     # None: unless it is a terminal
