"""The engine: scheduler, model and output processor, turned by `step()`.

Mirrors `v1/engine/llm_engine.py::LLMEngine` and `v1/engine/core.py::EngineCore`.
"""
from collections import deque
from types import ModuleType
from typing import get_args

import torch
from tokenizers import Tokenizer

from impl import torch_ops
from impl.async_scheduler import AsyncScheduler
from impl.checkpoint import end_tokens, find, read_config
from impl.config import SchedulerConfig
from impl.errors import DuplicateRequestError, InferLabError, InvalidConfigError
from impl.grammar_compiler import GrammarCompiler, InvalidGrammarError
from impl.input_processor import InputProcessor, Prompt
from impl.logprobs import LogprobsMode
from impl.multiproc_executor import MultiprocExecutor
from impl.ngram_proposer import NgramProposer
from impl.output_processor import OutputProcessor
from impl.outputs import EngineCoreOutput, SchedulerOutput
from impl.parallel_sampling import fan_out
from impl.request import Request
from impl.request_output import RequestOutput
from impl.runner_setup import RunnerSetup
from impl.sampler import Sampled
from impl.sampling_params import SamplingParams
from impl.scheduler import Scheduler
from impl.speculative_config import SpeculativeConfig
from impl.structured_output import Grammar
from impl.tensor_parallel import Group
from impl.worker import Worker


class Engine:
    """Requests come in at any time; each `step()` computes some tokens and returns what is new.

    Raises `CheckpointError`, `InvalidConfigError` or `PoolTooSmallError` when it is built.
    """

    def __init__(self, model: str, config: SchedulerConfig, *, dtype: str = "float32", device: str = "cpu", kernels: bool | None = None,
                 kv_cache_dtype: str = "auto", enforce_eager: bool = False, max_logprobs: int = 20, logprobs_mode: LogprobsMode = "raw_logprobs",
                 seed: int = 0, speculative_config: SpeculativeConfig | None = None, tensor_parallel_size: int = 1,
                 distributed_timeout_seconds: float = 60.0):
        config.require_pool_for_one_sequence()
        _require_drafts(config, speculative_config)
        folder = find(model)
        _require_known_positions(config.max_model_len, read_config(folder))
        _require_logprobs(max_logprobs, logprobs_mode)
        setup = RunnerSetup(folder=folder, config=config, dtype=dtype, device=device, kernels=kernels, kv_cache_dtype=kv_cache_dtype,
                            enforce_eager=enforce_eager, logprobs_mode=logprobs_mode, seed=seed)
        ops = setup.ops
        _require_ranks(tensor_parallel_size, distributed_timeout_seconds, device)
        group = Group(0, tensor_parallel_size, device) if tensor_parallel_size > 1 else None
        loaded, self.model_config = setup.load(group)
        _require_window(config.sliding_window, self.model_config["sliding_window"], ops)
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json")) if (folder / "tokenizer.json").exists() else None
        self.input_processor = InputProcessor(self.tokenizer, self.model_config["vocab_size"], max_logprobs,
                                              *end_tokens(folder, self.model_config, self.tokenizer), drafts=bool(speculative_config))
        self.grammar_compiler = GrammarCompiler(self.tokenizer, self.model_config["vocab_size"])
        self.scheduler = AsyncScheduler(config) if config.async_scheduling else Scheduler(config)
        self.model_runner = (MultiprocExecutor(setup, group, loaded, self.model_config, distributed_timeout_seconds) if group else
                             setup.runner(loaded, self.model_config, group))
        self.output_processor = OutputProcessor(self.tokenizer, self.scheduler.abort)
        self.proposer = NgramProposer(speculative_config, config.max_model_len) if speculative_config else None
        self.worker = self.model_runner if ops is not torch_ops else Worker(self.model_runner)      # it computes while the engine goes on
        self.in_flight: deque[tuple[SchedulerOutput, object]] = deque()     # steps that are handed out and not taken in

    def add_request(self, request_id: str, prompt: Prompt, params: SamplingParams = SamplingParams(), *,
                    priority: int = 0, cache_salt: str | None = None) -> None:
        """Queue a prompt, as text or as token ids.

        Raises what `InputProcessor` and `Scheduler.add_request` raise; nothing has changed then, also not for one of a family of `n`.
        """
        try:
            self.input_processor.require_types(request_id, params, priority, cache_salt)
            text, token_ids = self.input_processor.tokens(prompt)
            params = self.input_processor.params(params)
            rules = params.structured_outputs and self.grammar_compiler.parse(params.structured_outputs)
            if rules:
                self._require_one_chooser()
        except InferLabError as error:
            raise type(error)(f"request {request_id!r}: {error}") from None
        children = fan_out(Request(request_id, token_ids, params, priority=priority, cache_salt=cache_salt,
                                   grammar=Grammar() if rules else None))
        taken = {request_id} & self.output_processor.families.keys() or {child.request_id for child in children} & self.scheduler.requests.keys()
        if taken:
            raise DuplicateRequestError(f"request {min(taken)!r} is already here; choose another id or wait until it has finished")
        for child in children:      # whatever else the scheduler refuses, it refuses the first
            self.scheduler.add_request(child)
            if rules:
                self.grammar_compiler.compile(rules, child.grammar, sorted(params.all_stop_token_ids))
        self.output_processor.add(request_id, text, children)

    def _require_one_chooser(self) -> None:
        if self.scheduler.config.async_scheduling:
            raise InvalidGrammarError("structured_outputs needs the token before the next step is decided; build the engine with async_scheduling=False")
        if self.worker is self.model_runner and isinstance(self.model_runner, MultiprocExecutor):
            raise InvalidGrammarError("structured_outputs: with kernels each rank chooses the tokens, and a grammar is known to one; "
                                      "build the engine with tensor_parallel_size=1")

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
        if self.scheduler.config.async_scheduling:
            return self._overlapped_step()
        output = self.scheduler.schedule()
        self.output_processor.note_admitted(output)
        outputs = self._take_in(output, self.model_runner.execute(output, self.scheduler.requests))
        if self.proposer:
            self.scheduler.update_draft_token_ids(self.proposer.propose(output.scheduled, self.scheduler.requests))
        return outputs

    def _overlapped_step(self) -> list[RequestOutput]:
        """Decide a step and hand it out, and only then take in the one before: the device finds work when it is done with that.

        What is new is told one step later, so the first step tells nothing.
        Mirrors `v1/engine/core.py::EngineCore.step_with_batch_queue`.
        """
        if len(self.in_flight) < 2:     # two: somebody interrupted the waiting for the older one
            output = self.scheduler.schedule()
            self.output_processor.note_admitted(output)
            self.in_flight.append((output, self.worker.hand_out(output, self.scheduler.requests)))
        if len(self.in_flight) < 2:
            return []
        before, handed = self.in_flight[0]
        try:
            sampled = handed.result()
        except Exception:       # what is in flight behind it begins with tokens that will never come
            while self.in_flight:
                self.scheduler.update_from_output(self.in_flight.popleft()[0], {})
            raise
        self.in_flight.popleft()
        return self._take_in(before, sampled)

    def _take_in(self, output: SchedulerOutput, sampled: dict[str, Sampled]) -> list[RequestOutput]:
        outputs = self.scheduler.update_from_output(output, {request_id: new.token_ids for request_id, new in sampled.items()})
        return self.output_processor.process(outputs + self._end_failed(sampled), sampled)

    def _end_failed(self, sampled: dict[str, Sampled]) -> list[EngineCoreOutput]:
        """End the requests for which no token could be chosen; the others go on. One that has ended meanwhile has nothing to end."""
        failed = [request_id for request_id, new in sampled.items() if new.error and request_id in self.scheduler.requests]
        for request_id in failed:
            self.scheduler.abort(request_id)
        return [EngineCoreOutput(request_id, (), "error", sampled[request_id].error) for request_id in failed]


def _require_known_positions(max_model_len: int, config: dict) -> None:
    """Positions that the model was not made for have no meaning. Mirrors `config/model.py::_get_and_verify_max_len`."""
    known = config.get("max_position_embeddings") or max_model_len
    if max_model_len > known:
        raise InvalidConfigError(f"max_model_len={max_model_len}: the model knows {known} positions (max_position_embeddings); lower it")


def _require_window(scheduled: int | None, window: int | None, ops: ModuleType) -> None:
    """Blocks are freed as the model stops to look at them, so the scheduler and the model must mean the same window."""
    if scheduled != window:
        raise InvalidConfigError(f"sliding_window={scheduled}: the model's config.json says {window}; give the scheduler the model's")
    if window and ops is not torch_ops:
        raise InvalidConfigError(f"the kernels know no sliding window, and the model has one of {window} tokens; choose kernels=False")


def _require_drafts(config: SchedulerConfig, speculative_config: SpeculativeConfig | None) -> None:
    """The scheduler and the proposer must mean the same number of drafts. An n-gram has no keys and values of its own."""
    if config.num_lookahead_tokens:
        raise InvalidConfigError(f"num_lookahead_tokens={config.num_lookahead_tokens}: no proposer here has keys and values of its own; leave it at 0")
    proposed = speculative_config.num_speculative_tokens if speculative_config else 0
    if config.num_speculative_tokens != proposed:
        raise InvalidConfigError(f"num_speculative_tokens={config.num_speculative_tokens}: the speculative_config proposes {proposed}; give the scheduler as many")


def _require_ranks(size: int, timeout: float, device: str) -> None:
    """A GPU for each rank: the first, the second, and so on."""
    if timeout <= 0:
        raise InvalidConfigError(f"distributed_timeout_seconds={timeout}: must be positive")
    if size > 1 and device not in ("cpu", "cuda"):
        raise InvalidConfigError(f"tensor_parallel_size={size}, device={device!r}: each rank has a GPU of its own; choose device='cuda', "
                                 "and with CUDA_VISIBLE_DEVICES, which")
    if size > 1 and device == "cuda" and torch.cuda.device_count() < size:
        raise InvalidConfigError(f"tensor_parallel_size={size}: there are {torch.cuda.device_count()} GPUs here, and each rank needs its own; lower it")


def _require_logprobs(max_logprobs: int, logprobs_mode: str) -> None:
    if max_logprobs < -1:
        raise InvalidConfigError(f"max_logprobs={max_logprobs}: must be -1 (the whole vocabulary) or not negative")
    if logprobs_mode not in get_args(LogprobsMode):
        raise InvalidConfigError(f"logprobs_mode={logprobs_mode!r}: choose one of {', '.join(get_args(LogprobsMode))}")
