"""The engine: scheduler, model and output processor, turned by `step()`.

Mirrors `v1/engine/llm_engine.py::LLMEngine` and `v1/engine/core.py::EngineCore`.
"""
from collections.abc import Sequence
from dataclasses import replace

from tokenizers import Tokenizer

from impl.checkpoint import end_tokens, find
from impl.config import SchedulerConfig
from impl.errors import InferLabError
from impl.model_runner import ModelRunner
from impl.models import load_model
from impl.output_processor import OutputProcessor
from impl.parallel_sampling import fan_out
from impl.request import Request
from impl.request_output import RequestOutput
from impl.sampling_params import SamplingParams
from impl.scheduler import Scheduler


class UnknownTokenError(InferLabError):
    """A token id that the model's vocabulary does not have."""


class Engine:
    """Requests come in at any time; each `step()` computes some tokens and returns what is new.

    Raises `CheckpointError`, `InvalidConfigError` or `PoolTooSmallError` when it is built.
    """

    def __init__(self, model: str, config: SchedulerConfig, *, dtype: str = "float32", device: str = "cpu"):
        config.require_pool_for_one_sequence()
        folder = find(model)
        loaded, self.model_config = load_model(folder, dtype, device)
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json")) if (folder / "tokenizer.json").exists() else None
        self.eos_token_id, self.more_eos_token_ids = end_tokens(folder, self.model_config, self.tokenizer)
        self.scheduler = Scheduler(config)
        self.model_runner = ModelRunner(loaded, self.model_config, config.num_blocks, config.block_size)
        self.output_processor = OutputProcessor(self.tokenizer, self.scheduler.abort)

    def add_request(self, request_id: str, prompt: str | Sequence[int], params: SamplingParams = SamplingParams(), *,
                    priority: int = 0, cache_salt: str | None = None) -> None:
        """Queue a prompt, as text or as token ids. Raises what `Scheduler.add_request` raises, or `UnknownTokenError`."""
        text = prompt if isinstance(prompt, str) else None
        token_ids = self.tokenizer.encode(prompt).ids if text is not None else list(prompt)
        unknown = [token_id for token_id in token_ids if not 0 <= token_id < self.model_config["vocab_size"]]
        if unknown:
            raise UnknownTokenError(f"request {request_id!r}: token {unknown[0]} is not among the {self.model_config['vocab_size']} "
                                    "of the model; use the model's own tokenizer")
        if params.eos_token_id is None:
            more = () if params.ignore_eos else self.more_eos_token_ids
            params = replace(params, eos_token_id=self.eos_token_id, stop_token_ids=(*params.stop_token_ids, *more))
        children = fan_out(Request(request_id, token_ids, params, priority=priority, cache_salt=cache_salt))
        for child in children:
            self.scheduler.add_request(child)
        self.output_processor.add(request_id, text, children)

    def abort(self, request_id: str) -> None:
        """End a request and take back its blocks."""
        self.scheduler.abort(request_id)
        self.output_processor.forget(request_id)

    def has_unfinished_requests(self) -> bool:
        return bool(self.scheduler.requests)

    def step(self) -> list[RequestOutput]:
        """One step of everything."""
        output = self.scheduler.schedule()
        sampled = self.model_runner.execute(output, self.scheduler.requests)
        outputs = self.scheduler.update_from_output(output, {request_id: new.token_ids for request_id, new in sampled.items()})
        return self.output_processor.process(outputs, sampled)
