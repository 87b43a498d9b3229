"""The real `LLM` in this process, behind the doors of `reference.generate`, speaking our value types.

One engine per model and limits, shared by the whole process: engines live side by
side, and an old one that is destroyed breaks its successor, so none ever is.
"""
import functools
import inspect
import json
import logging
import os
import re
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import fields

from impl.request_output import CompletionOutput, Logprob, RequestOutput
from impl.sampling_params import SamplingParams
from reference.generate import Generation, Watcher, generate
from reference.prompts import Ask, Prompts
from reference.trace import State, Step
from reference.vllm_ngram import import_numba
from reference.vllm_scheduler import QUIET, VllmEyes, installed_build, installed_device, installed_version

# Set here, not when vLLM is asked for: torch reads some of it when it is imported, and our engine imports torch too.
# With dynamo on, the first generate alone takes minutes.
for name, value in QUIET.items():
    os.environ.setdefault(name, value)

BLOCK_SIZE = 32     # vLLM's CPU attention wants multiples of 32
# Many engines share one GPU, and each believes it is to have nearly all of it. Warming up takes longer than what follows.
ON_GPU = {"gpu_memory_utilization": 0.02, "kv_cache_memory_bytes": 1 << 30, "disable_cascade_attn": True,
          "kernel_config": {"enable_jit_warmup": False, "enable_flashinfer_autotune": False}}
RANDOM_SUFFIX = re.compile(r"-[0-9a-f]{8}$")    # vLLM appends one to each request's id


def vllm_generation(prompts: Prompts, attach: Callable[[object], None] | None = None) -> Generation:
    """What the real vLLM makes of `prompts`, here and now. `attach` is called with its scheduler, before anything happens."""
    return generate(prompts, functools.partial(VllmGenerator, attach=attach), "vllm")


class NoGpuError(RuntimeError):
    """The installed vLLM is the build for GPUs, and there is none that it could use."""


@functools.cache
def _vllm():
    if installed_build() == "cuda" and installed_device() == "cpu":
        raise NoGpuError(f"vLLM {installed_version()} is installed as the build for NVIDIA GPUs, and no GPU can be used here, so that its engine cannot start "
                         "(its scheduler can). Does `nvidia-smi` see one? On a machine without: LAB=cpu make setup")
    logging.getLogger("vllm").setLevel(logging.ERROR)
    import vllm
    return vllm


ENGINES: dict[tuple, object] = {}
CRASHED: list = []      # not used any more, and kept all the same


def _llm(model: str, limits: dict):
    """The engine for a checkpoint and limits, one step at a time: built once per process (3 s, then 0.3 s each), and kept."""
    key = (model, json.dumps(limits, sort_keys=True))
    if key not in ENGINES:
        if "speculative_config" in limits:
            import_numba()
        on_gpu = ON_GPU if installed_device() == "cuda" else {}
        ENGINES[key] = _vllm().LLM(model=model, enforce_eager=True, async_scheduling=False, use_tqdm_on_load=False, **(on_gpu | limits))
    return ENGINES[key]


class VllmLLM:
    """`generate` of the real one, on our parameters. Raises what vLLM raises."""

    def __init__(self, model: str, **limits):
        self.llm = _llm(model, {"dtype": "float32", "block_size": BLOCK_SIZE, **limits})

    def generate(self, prompts: list, params: list[SamplingParams] | SamplingParams) -> list[RequestOutput]:
        """`prompts`: texts, or `{"prompt_token_ids": [...]}`."""
        all_params = [params] * len(prompts) if isinstance(params, SamplingParams) else params
        outputs = self.llm.generate(prompts, [_params(each) for each in all_params], use_tqdm=False)
        return [_output(output) for output in outputs]


@functools.cache
def vllm_llm(model: str, **limits) -> VllmLLM:
    """The engine for a checkpoint and limits: built once per process, and kept."""
    return VllmLLM(model, **limits)


def _params(params: SamplingParams):
    named = {spec.name: getattr(params, spec.name) for spec in fields(params)}
    known = inspect.signature(_vllm().SamplingParams).parameters
    return _vllm().SamplingParams(**{name: list(value) if isinstance(value, tuple) else value
                                     for name, value in named.items() if name in known and value not in ((), {}, None)})


def _sampling_params(params: dict):
    """vLLM's, of an ask's: of the kinds of structured output it makes an object."""
    if rules := params.get("structured_outputs"):
        from vllm.sampling_params import StructuredOutputsParams
        params = params | {"structured_outputs": StructuredOutputsParams(**rules)}
    return _vllm().SamplingParams(**params)


class VllmGenerator:
    """Raises what vLLM raises."""

    def __init__(self, prompts: Prompts, attach: Callable[[object], None] | None = None):
        self.engine = _llm(str(prompts.folder), prompts.limits).llm_engine
        self.scheduler = self.engine.engine_core.engine_core.scheduler
        self.crashed = False
        self._restore_free_queue()
        if attach:
            attach(self.scheduler)
        self.watcher = _Renaming(self.scheduler, VllmEyes(self.scheduler))

    def add(self, ask: Ask) -> None:
        prompt = ask.prompt if isinstance(ask.prompt, str) else {"prompt_token_ids": list(ask.prompt)}
        self.engine.add_request(ask.request_id, prompt, _sampling_params(ask.params), priority=ask.priority)
        wait([asked._grammar for request in self.scheduler.requests.values()    # how fast a grammar is compiled is nobody's decision
              if (asked := request.structured_output_request) and isinstance(asked._grammar, Future)])

    def abort(self, request_id: str) -> None:
        self.engine.abort_request([request_id])

    def step(self) -> list[RequestOutput]:
        try:
            return [_output(output) for output in self.engine.step()]
        except Exception:
            self.crashed = True
            raise

    def has_unfinished_requests(self) -> bool:
        return self.engine.has_unfinished_requests()

    def close(self) -> None:
        """Leave the engine as it was built: nobody in it, nothing cached."""
        if self.crashed:
            return _bury(self.engine)
        self.watcher.remove()   # and whatever was attached: what follows is no step of the run
        for request_id in [request.request_id for request in self.scheduler.requests.values()]:
            self.engine.abort_request([request_id], internal=True)
        self.engine.engine_core.get_output()    # the workers are told who has finished
        self.engine.reset_prefix_cache()

    def _restore_free_queue(self) -> None:
        """Ids are given out as in a new engine, or they could not be compared."""
        queue = self.scheduler.kv_cache_manager.block_pool.free_block_queue
        queue.append_n(sorted(queue.popleft_n(queue.num_free_blocks), key=lambda block: block.block_id))


def _bury(engine) -> None:
    """Never use an engine again."""
    for key, llm in list(ENGINES.items()):
        if llm.llm_engine is engine:
            CRASHED.append(ENGINES.pop(key))


class _Renaming(Watcher):
    """Requests have the names they were given again."""

    def take(self) -> list[Step]:
        return [_renamed(step) for step in super().take()]


def _renamed(step: Step) -> Step:
    step.scheduled = tuple(share._replace(request_id=_name(share.request_id)) for share in step.scheduled)
    step.outputs = tuple(done._replace(request_id=_name(done.request_id)) for done in step.outputs)
    step.preempted, step.finished = (tuple(sorted(map(_name, ids))) for ids in (step.preempted, step.finished))
    step.scheduled_state, step.updated_state = map(_renamed_state, (step.scheduled_state, step.updated_state))
    return step


def _renamed_state(state: State) -> State:
    return state._replace(running=tuple(map(_name, state.running)), waiting=tuple(map(_name, state.waiting)))


def _name(internal_id: str) -> str:
    return RANDOM_SUFFIX.sub("", internal_id)


def _output(output) -> RequestOutput:
    completions = [CompletionOutput(done.index, done.text, list(done.token_ids), done.cumulative_logprob, _positions(done.logprobs),
                                    done.finish_reason, done.stop_reason) for done in output.outputs]
    return RequestOutput(request_id=output.request_id, prompt=output.prompt, prompt_token_ids=list(output.prompt_token_ids),
                         prompt_logprobs=_positions(output.prompt_logprobs), outputs=completions, finished=output.finished,
                         num_cached_tokens=output.num_cached_tokens)


def _positions(logprobs) -> list[dict[int, Logprob] | None] | None:
    """Logprobs by position, in our type."""
    return None if logprobs is None else [position and {
        token_id: Logprob(value.logprob, value.rank, value.decoded_token) for token_id, value in position.items()} for position in logprobs]
