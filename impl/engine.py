"""The engine: scheduler, model and output processor, turned by `step()`.

Mirrors `v1/engine/llm_engine.py::LLMEngine` and `v1/engine/core.py::EngineCore`.
"""
from typing import get_args

import torch
from tokenizers import Tokenizer

from impl.checkpoint import end_tokens, find, read_config
from impl.config import SchedulerConfig
from impl.errors import DuplicateRequestError, InferLabError, InvalidConfigError
from impl.input_processor import InputProcessor, Prompt
from impl.logprobs import LogprobsMode
from impl.model_runner import ModelRunner
from impl.models import load_model
from impl.ops import FP8, choose
from impl.output_processor import OutputProcessor
from impl.outputs import EngineCoreOutput
from impl.parallel_sampling import fan_out
from impl.request import Request
from impl.request_output import RequestOutput
from impl.sampler import Sampled
from impl.sampling_params import SamplingParams
from impl.scheduler import Scheduler


class Engine:
    """Requests come in at any time; each `step()` computes some tokens and returns what is new.

    Raises `CheckpointError`, `InvalidConfigError` or `PoolTooSmallError` when it is built.
    """

    def __init__(self, model: str, config: SchedulerConfig, *, dtype: str = "float32", device: str = "cpu", kernels: bool | None = None,
                 kv_cache_dtype: str = "auto", max_logprobs: int = 20, logprobs_mode: LogprobsMode = "raw_logprobs", seed: int = 0):
        config.require_pool_for_one_sequence()
        _require_no_drafts(config)
        folder = find(model)
        _require_known_positions(config.max_model_len, read_config(folder))
        _require_logprobs(max_logprobs, logprobs_mode)
        ops = choose(device, dtype, kernels, kv_cache_dtype)
        loaded, self.model_config = load_model(folder, dtype, device, ops)
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json")) if (folder / "tokenizer.json").exists() else None
        self.input_processor = InputProcessor(self.tokenizer, self.model_config["vocab_size"], max_logprobs,
                                              *end_tokens(folder, self.model_config, self.tokenizer))
        self.scheduler = Scheduler(config)
        self.model_runner = ModelRunner(loaded, self.model_config, config.num_blocks, config.block_size,
                                        ops.Sampler(logprobs_mode, seed), torch.float8_e4m3fn if kv_cache_dtype == FP8 else None)
        self.output_processor = OutputProcessor(self.tokenizer, self.scheduler.abort)

    def add_request(self, request_id: str, prompt: Prompt, params: SamplingParams = SamplingParams(), *,
                    priority: int = 0, cache_salt: str | None = None) -> None:
        """Queue a prompt, as text or as token ids.

        Raises what `InputProcessor` and `Scheduler.add_request` raise; nothing has changed then, also not for one of a family of `n`.
        """
        try:
            text, token_ids = self.input_processor.tokens(prompt)
            params = self.input_processor.params(params)
        except InferLabError as error:
            raise type(error)(f"request {request_id!r}: {error}") from None
        children = fan_out(Request(request_id, token_ids, params, priority=priority, cache_salt=cache_salt))
        taken = {request_id} & self.output_processor.families.keys() or {child.request_id for child in children} & self.scheduler.requests.keys()
        if taken:
            raise DuplicateRequestError(f"request {min(taken)!r} is already here; choose another id or wait until it has finished")
        for child in children:      # whatever else the scheduler refuses, it refuses the first
            self.scheduler.add_request(child)
        self.output_processor.add(request_id, text, children)

    def abort(self, request_id: str) -> list[RequestOutput]:
        """End a request, all of its sequences, and take back its blocks; returns what they have come to.

        Nothing, if it is not (or no longer) here: whoever aborts cannot know that it has just finished.
        """
        last = self.output_processor.abort_request(request_id)
        for child_id in last:
            self.scheduler.abort(child_id)
        return list(last.values())

    def has_unfinished_requests(self) -> bool:
        return bool(self.scheduler.requests)

    def step(self) -> list[RequestOutput]:
        """One step of everything."""
        output = self.scheduler.schedule()
        self.output_processor.note_admitted(output)
        sampled = self.model_runner.execute(output, self.scheduler.requests)
        outputs = self.scheduler.update_from_output(output, {request_id: new.token_ids for request_id, new in sampled.items()})
        return self.output_processor.process(outputs + self._end_failed(sampled), sampled)

    def _end_failed(self, sampled: dict[str, Sampled]) -> list[EngineCoreOutput]:
        """End the requests for which no token could be chosen; the others go on."""
        failed = [request_id for request_id, new in sampled.items() if new.error]
        for request_id in failed:
            self.scheduler.abort(request_id)
        return [EngineCoreOutput(request_id, (), "error", sampled[request_id].error) for request_id in failed]


def _require_known_positions(max_model_len: int, config: dict) -> None:
    """Positions that the model was not made for have no meaning. Mirrors `config/model.py::_get_and_verify_max_len`."""
    known = config.get("max_position_embeddings") or max_model_len
    if max_model_len > known:
        raise InvalidConfigError(f"max_model_len={max_model_len}: the model knows {known} positions (max_position_embeddings); lower it")


def _require_no_drafts(config: SchedulerConfig) -> None:
    for name in ("num_speculative_tokens", "num_lookahead_tokens"):
        if getattr(config, name):
            raise InvalidConfigError(f"{name}={getattr(config, name)}: the scheduler knows drafts, the model runner does not; leave it at 0")


def _require_logprobs(max_logprobs: int, logprobs_mode: str) -> None:
    if max_logprobs < -1:
        raise InvalidConfigError(f"max_logprobs={max_logprobs}: must be -1 (the whole vocabulary) or not negative")
    if logprobs_mode not in get_args(LogprobsMode):
        raise InvalidConfigError(f"logprobs_mode={logprobs_mode!r}: choose one of {', '.join(get_args(LogprobsMode))}")
