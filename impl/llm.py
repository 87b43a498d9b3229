"""`LLM`: prompts in, texts out. Mirrors `entrypoints/llm.py::LLM`."""
from collections.abc import Sequence

from impl.config import SchedulerConfig
from impl.engine import Engine
from impl.request_output import RequestOutput
from impl.sampling_params import SamplingParams


class LLM:
    """A model to generate with. `limits`: the fields of `SchedulerConfig`."""

    def __init__(self, model: str, *, dtype: str = "float32", device: str = "cpu", **limits):
        limits = {"max_model_len": 1024, "block_size": 16} | limits
        limits.setdefault("num_blocks", 1 + 8 * -(-limits["max_model_len"] // limits["block_size"]))
        self.engine = Engine(model, SchedulerConfig(**limits), dtype=dtype, device=device)
        self.num_requests = 0

    def generate(self, prompts: str | Sequence, params: SamplingParams | Sequence[SamplingParams] = SamplingParams()) -> list[RequestOutput]:
        """Generate for each prompt (a text, or `{"prompt_token_ids": [...]}`), in their order."""
        prompts = [prompts] if isinstance(prompts, (str, dict)) else list(prompts)
        all_params = [params] * len(prompts) if isinstance(params, SamplingParams) else list(params)
        request_ids = []
        for prompt, each in zip(prompts, all_params, strict=True):
            request_ids.append(str(self.num_requests))
            self.num_requests += 1
            self.engine.add_request(request_ids[-1], prompt if isinstance(prompt, str) else prompt["prompt_token_ids"], each)
        finished: dict[str, RequestOutput] = {}
        while self.engine.has_unfinished_requests():
            finished |= {output.request_id: output for output in self.engine.step() if output.finished}
        return [finished[request_id] for request_id in request_ids]
