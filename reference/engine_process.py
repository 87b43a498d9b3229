"""An engine in a process of its own, asked through a pipe: ours, or vLLM as it comes.

As it comes means: its own processes, threads, compilation and block size. What the rest of the lab sets to keep
vLLM quiet is taken out of the environment. Only its memory is bounded: it would take all there is.
"""
import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from contextlib import suppress
from importlib import import_module
from time import perf_counter

from reference.served_load import LoadPlayer
from reference.vllm_scheduler import QUIET, installed_device

KV_CACHE_BYTES = 1 << 30
START_S, ANSWER_S = 400, 180    # a process that takes longer hangs; vLLM's first start on a busy CPU takes 150 s
SAMPLER = {"VLLM_USE_FLASHINFER_SAMPLER": "0"}      # without FlashInfer, which not every GPU host has, vLLM samples with its own kernels
KEPT = ("VLLM_LOGGING_LEVEL", "VLLM_NO_USAGE_STATS", "HF_HUB_OFFLINE")
FLOAT32 = ("TRITON_F32_DEFAULT", "TRITON_CACHE_DIR")    # of ours: Triton is not to round to TF32


class EngineProcess:
    """The asking side. `engine`: "vllm" or "impl". `ready` tells the seconds it took to start: all, and of these "build" for the engine itself.

    Raises `EngineProcessError` when it dies, hangs, or cannot answer; after the last it can be asked again.

    door: "LLM" takes what `generate` asks, "AsyncLLM" what `serve` does.
    arguments: those of the door; None: float32, and a KV cache of a gigabyte.
    patience: seconds in which it must have started.
    Between two questions the process is stopped, so that it takes nothing from the engine that is asked.
    """

    def __init__(self, engine: str, model: str, door: str = "LLM", arguments: dict | None = None, patience: float = START_S):
        if arguments is None:
            arguments = {"dtype": "float32", "kv_cache_memory_bytes": KV_CACHE_BYTES} | ({"device": installed_device()} if engine == "impl" else {})
        quiet = {name: QUIET[name] for name in KEPT + (FLOAT32 if arguments.get("dtype") == "float32" and engine == "impl" else ())}
        environment = {name: value for name, value in os.environ.items() if name not in QUIET} | quiet | SAMPLER
        self.process = subprocess.Popen([sys.executable, "-m", "reference.engine_process", engine, door, model, json.dumps(arguments)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True, env=environment)
        try:
            self.ready = self._answer(patience)
        except EngineProcessError:
            self.__exit__()     # what it has started as well
            raise

    def generate(self, prompts: list[list[int]], max_tokens: int | list[int], logprobs: int | None = None, **params) -> dict:
        """Past the end of sequence, and greedily unless `params` say otherwise, each a value for all or a list: what `_generate` returns."""
        def one_each(value):
            return value if isinstance(value, list) else [value] * len(prompts)

        given = {"temperature": 0, "max_tokens": max_tokens, "logprobs": logprobs} | params
        params = [dict(zip(given, values), ignore_eos=True) for values in zip(*map(one_each, given.values()))]
        return self._ask({"prompts": prompts, "params": params})

    def serve(self, requests: list[dict]) -> dict:
        """Play a load: what `LoadPlayer.play` returns."""
        return self._ask({"requests": requests})

    def __enter__(self) -> "EngineProcess":
        return self

    def __exit__(self, *_) -> None:
        """End the process and its children."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def _ask(self, question: dict) -> dict:
        with suppress(ProcessLookupError, BrokenPipeError):     # it has died: its answer says so
            os.killpg(self.process.pid, signal.SIGCONT)
            self.process.stdin.write(json.dumps(question) + "\n")
            self.process.stdin.flush()
        return self._answer(ANSWER_S)

    def _answer(self, patience: float) -> dict:
        impatient = threading.Timer(patience, os.killpg, (self.process.pid, signal.SIGKILL))
        impatient.start()
        line = self.process.stdout.readline()
        impatient.cancel()
        if not line:
            raise EngineProcessError(f"the engine's process ended with status {self.process.wait()}, or was ended as it took {patience:.0f} s; what it said is above")
        os.killpg(self.process.pid, signal.SIGSTOP)
        answer = json.loads(line)
        if "error" in answer:
            raise EngineProcessError(f"the engine could not answer: {answer['error']}")
        return answer


class EngineProcessError(RuntimeError):
    """The process of an engine has ended before it was told to, or could not answer."""


def main() -> None:
    """The asked side: one line of JSON for each line of JSON. Whatever else wants to print has the standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    engine, door, model, arguments = sys.argv[1:]
    started = perf_counter()
    lab = import_module(engine)
    served = {"impl": LoadPlayer.ours, "vllm": LoadPlayer.vllms}
    make, answer = (lab.LLM, _generate) if door == "LLM" else (served[engine], LoadPlayer.play)
    imported = perf_counter()
    llm = make(model, **json.loads(arguments))
    built = perf_counter()
    print(json.dumps({"seconds": built - started, "build": built - imported}), file=answers, flush=True)
    for line in sys.stdin:
        try:
            told = answer(llm, lab.SamplingParams, **json.loads(line))
        except Exception as error:      # the next question may be another's
            traceback.print_exc()
            told = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(told), file=answers, flush=True)


def _generate(llm, sampling_params: type, prompts: list[list[int]], params: list[dict]) -> dict:
    """{"seconds", and per prompt "token_ids", "logprobs" and "prompt_logprobs", each position's by token id}. An output without text is an error."""
    params = [sampling_params(**each) for each in params]
    started = perf_counter()
    outputs = llm.generate([{"prompt_token_ids": prompt} for prompt in prompts], params, use_tqdm=False)
    seconds = perf_counter() - started
    completions = [output.outputs[0] for output in outputs]
    assert all(done.text for done in completions if len(done.token_ids) > 1), "no text: the detokenizer has not run"    # one may be half a character
    return {"seconds": seconds, "token_ids": [list(done.token_ids) for done in completions], "logprobs": [_plain(done.logprobs) for done in completions],
            "prompt_logprobs": [_plain(output.prompt_logprobs) for output in outputs]}


def _plain(positions) -> list[dict]:
    return [{token_id: entry.logprob for token_id, entry in (position or {}).items()} for position in positions or []]


if __name__ == "__main__":      # vLLM starts its processes by importing this file again
    main()
