"""An engine in a process of its own, asked through a pipe: ours, or vLLM as it comes.

As it comes means: its own processes, threads, compilation and block size. What the rest of the lab sets to keep
vLLM quiet is taken out of the environment. Only the memory for its KV cache is bounded: it would take all there is.
"""
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from importlib import import_module
from time import perf_counter

from reference.vllm_scheduler import QUIET, installed_device

KV_CACHE_BYTES = 1 << 30


class EngineProcess:
    """The asking side. `engine`: "vllm" or "impl". `ready` tells how it was started; it raises when it dies.

    Between two questions the process is stopped, so that it takes nothing from the engine that is asked.
    """

    def __init__(self, engine: str, model: str):
        environment = {name: value for name, value in os.environ.items() if name not in QUIET}
        quiet = {name: QUIET[name] for name in ("VLLM_LOGGING_LEVEL", "VLLM_NO_USAGE_STATS", "HF_HUB_OFFLINE")}
        self.process = subprocess.Popen([sys.executable, "-m", "reference.engine_process", engine, model], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, start_new_session=True, env=environment | quiet)
        self.ready = self._answer()

    def generate(self, prompts: list[list[int]], max_tokens: int, logprobs: int | None = None) -> dict:
        """Greedy, past the end of sequence: {"seconds", "token_ids" and "logprobs" per prompt}."""
        os.killpg(self.process.pid, signal.SIGCONT)
        self.process.stdin.write(json.dumps({"prompts": prompts, "max_tokens": max_tokens, "logprobs": logprobs}) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def __enter__(self) -> "EngineProcess":
        return self

    def __exit__(self, *_) -> None:
        """End the process and its children."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def _answer(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the engine's process ended with status {self.process.wait()}; what it said is above")
        os.killpg(self.process.pid, signal.SIGSTOP)
        return json.loads(line)


def main() -> None:
    """The asked side: one line of JSON for each line of JSON. Whatever else wants to print has the standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    engine, model = sys.argv[1:]
    started = perf_counter()
    lab, where = import_module(engine), {"device": installed_device()} if engine == "impl" else {}
    llm = import_module(f"{engine}.llm" if engine == "impl" else engine).LLM(model, dtype="float32", kv_cache_memory_bytes=KV_CACHE_BYTES, **where)
    print(json.dumps({"seconds": perf_counter() - started}), file=answers, flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        params = lab.SamplingParams(temperature=0, ignore_eos=True, max_tokens=question["max_tokens"], logprobs=question["logprobs"])
        started = perf_counter()
        outputs = llm.generate([{"prompt_token_ids": prompt} for prompt in question["prompts"]], params, use_tqdm=False)
        seconds = perf_counter() - started
        completions = [output.outputs[0] for output in outputs]
        assert all(done.text for done in completions), "no text: the detokenizer has not run"
        print(json.dumps({"seconds": seconds, "token_ids": [list(done.token_ids) for done in completions], "logprobs": [
            [{token_id: entry.logprob for token_id, entry in position.items()} for position in done.logprobs or []] for done in completions]}),
            file=answers, flush=True)


if __name__ == "__main__":      # vLLM starts its processes by importing this file again
    main()
