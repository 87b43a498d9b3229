"""The engines of the step budget behind the same few doors, with a clock around the phases of their steps."""
from kernels import has_gpu
from reference.experiments.step_clock import Clock

DEVICE_NAME = "cuda" if has_gpu() else "cpu"
MAX_SEQS = 256
FULL = {"dtype": "bfloat16", "max_num_batched_tokens": 8192, "max_num_seqs": MAX_SEQS, "kv_cache_memory_bytes": 32 << 30, "max_model_len": 4096}
TINY = {"dtype": "float32", "max_num_batched_tokens": 128, "max_num_seqs": 8, "kv_cache_memory_bytes": 64 << 20, "max_model_len": 512}
LIMITS = {"full": FULL, "tiny": TINY}
# Of vLLM's graphs those of the two batches that decode here: the others take long to capture and are never run. The same goes for warming up.
ONLY_VLLMS = {"full": {"gpu_memory_utilization": 0.6, "compilation_config": {"cudagraph_capture_sizes": [1, 2, 4, 8, MAX_SEQS]},
                       "kernel_config": {"enable_jit_warmup": False, "enable_flashinfer_autotune": False}},
              "tiny": {"enforce_eager": DEVICE_NAME == "cpu"}}


class Ours:
    """`impl`, by the doors of its engine. `asynchronous`: the next step is decided while this one is computed."""

    def __init__(self, folder: str, size: str, clock: Clock, asynchronous: bool):
        from impl.llm import LLM
        from impl.sampling_params import SamplingParams
        self.params = SamplingParams
        self.engine = engine = LLM(folder, device=DEVICE_NAME, async_scheduling=asynchronous, **LIMITS[size]).engine
        self.facts = {"scheduler": type(engine.scheduler).__name__, "model runner": type(engine.model_runner).__module__}
        clock.watch(engine.scheduler, "schedule", "schedule")
        clock.watch(engine.scheduler, "update_from_output", "update_from_output")
        clock.watch(engine.output_processor, "process note_admitted", "process outputs")
        if hasattr(engine.model_runner, "hand_out"):    # on a GPU
            clock.watch(engine.model_runner.states, "follow", "prepare inputs")
            clock.watch(engine.model_runner, "hand_out", "launch")
            return
        clock.watch(engine.model_runner, "_follow _prepare", "prepare inputs")
        clock.watch(engine.model_runner, "execute", "launch")
        if asynchronous:
            clock.watch(engine.worker, "hand_out", "launch")

    def add(self, request_id: str, prompt: list[int], temperature: float, max_tokens: int) -> None:
        self.engine.add_request(request_id, prompt, self.params(temperature=temperature, max_tokens=max_tokens, ignore_eos=True))

    def step(self) -> int:
        """Of how many requests a token is told."""
        return len(self.engine.step())

    def busy(self) -> bool:
        return self.engine.has_unfinished_requests()


class Vllm:
    """The real one in this process, as it comes on a GPU: asynchronous, compiled, decode steps in CUDA graphs."""

    def __init__(self, folder: str, size: str, clock: Clock):
        from vllm import LLM, SamplingParams
        from vllm.v1.executor import uniproc_executor
        self.params = SamplingParams
        self.engine = engine = LLM(folder, use_tqdm_on_load=False, **LIMITS[size], **ONLY_VLLMS[size]).llm_engine
        core = engine.engine_core.engine_core
        executor = core.model_executor
        runner = executor.driver_worker.worker.model_runner
        self.facts = {"scheduler": type(core.scheduler).__name__, "model runner": type(runner).__module__,
                      "CUDA graphs": str(core.vllm_config.compilation_config.cudagraph_mode), "steps in flight": core.batch_queue_size - 1}
        clock.watch(core.scheduler, "schedule", "schedule")
        clock.watch(core.scheduler, "update_from_output", "update_from_output")
        clock.watch(engine.output_processor, "process_outputs", "process outputs")
        if hasattr(runner, "prepare_inputs"):       # Model Runner V2
            clock.watch(runner, "finish_requests free_states add_requests update_requests gather_batch_req_state prepare_inputs prepare_attn", "prepare inputs")
            clock.watch(runner.block_tables, "apply_staged_writes", "prepare inputs")
            clock.watch(runner.model_state, "prepare_attn", "prepare inputs")
        else:
            clock.watch(runner, "_update_states _prepare_inputs", "prepare inputs")
        clock.watch(executor, "execute_model", "launch")
        clock.watch(executor, "sample_tokens", "launch sampling")
        clock.watch(uniproc_executor.AsyncOutputFuture, "result", "take the tokens over")

    def add(self, request_id: str, prompt: list[int], temperature: float, max_tokens: int) -> None:
        self.engine.add_request(request_id, {"prompt_token_ids": prompt}, self.params(temperature=temperature, max_tokens=max_tokens, ignore_eos=True))

    def step(self) -> int:
        return len(self.engine.step())

    def busy(self) -> bool:
        return self.engine.has_unfinished_requests()


BUILD = {"impl": lambda *told: Ours(*told, asynchronous=True), "vllm": Vllm, "impl, one step at a time": lambda *told: Ours(*told, asynchronous=False)}
