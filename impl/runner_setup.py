"""What an engine computes with: a model, and a runner around it. Each rank sets up the same, for its part of the model."""
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch

from impl import torch_ops
from impl.config import SchedulerConfig
from impl.logprobs import LogprobsMode
from impl.model_runner import ModelRunner
from impl.models import load_model
from impl.ops import FP8, choose
from impl.request import Request
from impl.sampler import Sampled, Sampler
from impl.tensor_parallel import Group
from impl.threads import Threads


class Silent(Sampler):
    """On the CPU, rank 0 alone chooses tokens: the others take part in computing the logits."""

    def sample(self, logits: torch.Tensor, requests: list[Request]) -> list[Sampled]:
        return [Sampled([], prompt_logprobs=self.prompt_logprobs.pop(request)) for request in requests]


@dataclass(frozen=True, kw_only=True)
class RunnerSetup:
    """The arguments of `Engine` that a rank needs; it travels to the process of each. Mirrors what `VllmConfig` is to vLLM's workers."""

    folder: Path
    config: SchedulerConfig
    dtype: str
    device: str
    kernels: bool | None
    kv_cache_dtype: str
    enforce_eager: bool
    logprobs_mode: LogprobsMode
    seed: int

    @property
    def ops(self) -> ModuleType:
        return choose(self.device, self.dtype, self.kernels, self.kv_cache_dtype)

    def load(self, group: Group | None) -> tuple[torch.nn.Module, dict]:
        """The model of this rank and its configuration. Rank r computes on GPU r."""
        if group and group.device == "cuda":
            torch.cuda.set_device(group.rank)
        return load_model(self.folder, self.dtype, self.device, self.ops, group)

    def runner(self, model: torch.nn.Module, model_config: dict, group: Group | None) -> ModelRunner:
        """The runner of this rank. The ranks have met: they capture their CUDA graphs together."""
        first = group is None or group.rank == 0
        cache_dtype = torch.float8_e4m3fn if self.kv_cache_dtype == FP8 else None
        sampler = self.ops.Sampler(self.logprobs_mode, self.seed)
        if self.ops is torch_ops:
            runner = ModelRunner(model, model_config, self.config.num_blocks, self.config.block_size, sampler if first else Silent(), cache_dtype)
        else:
            from impl.gpu_model_runner import GPUModelRunner    # imports triton, as its operations do
            runner = GPUModelRunner(model, model_config, self.config, sampler, cache_dtype, self.enforce_eager, first)
        if group:
            runner.threads = Threads(1)
        return runner
