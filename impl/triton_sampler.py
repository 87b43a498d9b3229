"""The sampler on a GPU, by kernels: a seed gives the tokens that it gives with vLLM on a GPU, which are others than on a CPU.

Mirrors `v1/worker/gpu/sample/sampler.py::Sampler` and `v1/worker/gpu/sample/states.py::SamplingStates`.
"""
import torch

from impl import sampler
from impl.logits_processors import keep_min_p
from impl.logprobs import LogprobsMode
from impl.request import Request
from impl.sampling_params import SamplingParams
from kernels.greedy import greedy
from kernels.gumbel import gumbel
from kernels.top_k_top_p import top_k_top_p


class Sampler(sampler.Sampler):
    """Who has no seed gets one by chance, and keeps it."""

    def __init__(self, logprobs_mode: LogprobsMode = "raw_logprobs", seed: int = 0):
        super().__init__(logprobs_mode, seed)
        self.seeds: dict[str, int] = {}     # by request, of those without their own

    def forget(self, request_ids: list[str]) -> None:
        super().forget(request_ids)
        for request_id in request_ids:
            self.seeds.pop(request_id, None)

    def remember(self, request: Request) -> None:
        """Nothing: what a seed draws for rejected drafts takes nothing from what comes."""

    def _best(self, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        token_ids = greedy(logits)
        return logits.gather(1, token_ids[:, None])[:, 0], token_ids

    def _thin_out(self, logits: torch.Tensor, all_params: list[SamplingParams]) -> torch.Tensor:
        """As `logits_processors.py::thin_out`, but of tokens that tie at the edge, those with the lower ids stay."""
        def column(name: str, dtype: torch.dtype = torch.float32) -> torch.Tensor:
            return torch.tensor([getattr(params, name) for params in all_params], dtype=dtype, device=logits.device)

        logits = logits / column("temperature")[:, None]
        if any(params.min_p for params in all_params):
            logits = keep_min_p(logits, column("min_p")[:, None])
        if any(params.top_k > 0 or params.top_p < 1 for params in all_params):
            top_k_top_p(logits, column("top_k", torch.int32), column("top_p"), out=logits)
        return logits

    def _draw(self, logits: torch.Tensor, requests: list[Request]) -> list[int]:
        """A token for each row: seed and position alone decide, so that nothing has to be remembered but the seed."""
        seeds = torch.tensor([self.seed_of(request) for request in requests], device=logits.device)
        positions = torch.tensor([request.num_tokens - 1 for request in requests], device=logits.device)     # of the last token there is
        temperature = torch.ones(len(requests), device=logits.device)       # is in the logits already
        return gumbel(logits, temperature, seeds, positions).tolist()

    def draw(self, logits: torch.Tensor, sampling: dict[str, torch.Tensor], rows: torch.Tensor, positions: torch.Tensor, thinned: bool) -> torch.Tensor:
        """What `__call__` chooses for requests that ask for nothing it does not know, left on the device: int64 [requests], -1 where none can be chosen.

        `sampling`, `rows`: how each samples, see `gpu_request_states.py`. `positions`: of the last token there is. `thinned`: some want not all tokens.
        """
        temperature = sampling["temperature"][rows]
        if thinned:
            random = temperature > 0
            logits = logits.float() / torch.where(random, temperature, 1)[:, None]
            logits = keep_min_p(logits, sampling["min_p"][rows, None])
            top_k_top_p(logits, sampling["top_k"][rows], sampling["top_p"][rows], out=logits)
            temperature = random.float()
        token_ids = gumbel(logits, temperature, sampling["seed"][rows], positions)
        best = logits.gather(1, token_ids[:, None])[:, 0]
        return torch.where(best.isfinite(), token_ids, -1)

    def seed_of(self, request: Request) -> int:
        """64 bits, signed."""
        seed = request.sampling_params.seed
        if seed is not None:
            return (seed + 2**63) % 2**64 - 2**63       # the same 64 bits, as a signed number
        if request.request_id not in self.seeds:
            self.seeds[request.request_id] = int(torch.randint(-2**63, 2**63 - 1, (), generator=self.chance))
        return self.seeds[request.request_id]
