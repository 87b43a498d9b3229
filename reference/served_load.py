"""Requests that arrive at their own time, asked of an `AsyncLLM` as a server would: ours, or vLLM's.

When a token has come is seen where a server would see it: by who reads the stream. A request's
clock starts when it should have arrived, so an event loop that is late is not forgiven.
"""
import asyncio
from contextlib import aclosing
from importlib import import_module
from time import perf_counter

PATIENCE = 10.0     # seconds that blocks have to come back after the last request


class LoadPlayer:
    """An asynchronous engine and the event loop it lives in. `how`: what a stream is asked with beside the usual."""

    def __init__(self, llm, runner: asyncio.Runner, how: dict):
        self.llm, self.runner, self.how = llm, runner, how
        self.played = 0     # loads; request ids must be new ones

    @classmethod
    def ours(cls, model: str, **arguments) -> "LoadPlayer":
        runner = asyncio.Runner()
        return cls(runner.run(_inside(import_module("impl").AsyncLLM, model, **arguments)), runner, {})

    @classmethod
    def vllms(cls, model: str, **arguments) -> "LoadPlayer":
        """With the limits that `vllm serve` has, streamed as it streams, and without its statistics, as ours keeps none."""
        from vllm import AsyncEngineArgs
        from vllm.sampling_params import RequestOutputKind
        from vllm.usage.usage_lib import UsageContext
        from vllm.v1.engine.async_llm import AsyncLLM
        runner, limits = asyncio.Runner(), AsyncEngineArgs(model=model, disable_log_stats=True, **arguments)
        llm = runner.run(_inside(AsyncLLM.from_engine_args, limits, usage_context=UsageContext.OPENAI_API_SERVER))
        return cls(llm, runner, {"output_kind": RequestOutputKind.DELTA})

    def play(self, sampling_params: type, requests: list[dict]) -> dict:
        """All requests, each {"arrives" (seconds), "prompt", "max_tokens", "leaves_after" (tokens, or None)}.

        Returns {"seconds", "answers": one a request, {"first" and "last" (seconds after its arrival, of a token), "tokens", "has_text"},
        "lost_blocks": what is missing in the pool when all is over, or None where nobody can look}.
        """
        self.played += 1
        started = perf_counter()
        answers = self.runner.run(self._play(sampling_params, requests))
        seconds = perf_counter() - started
        return {"seconds": seconds, "answers": answers, "lost_blocks": self.runner.run(self._lost_blocks())}

    async def _play(self, sampling_params: type, requests: list[dict]) -> list[dict]:
        begin = perf_counter()
        return await asyncio.gather(*(self._read(sampling_params, number, request, begin + request["arrives"]) for number, request in enumerate(requests)))

    async def _read(self, sampling_params: type, number: int, request: dict, arrival: float) -> dict:
        await asyncio.sleep(arrival - perf_counter())
        params = sampling_params(temperature=0.6, ignore_eos=True, max_tokens=request["max_tokens"], **self.how)
        answer = {"first": None, "last": None, "tokens": 0, "has_text": False}
        async with aclosing(self.llm.generate({"prompt_token_ids": request["prompt"]}, params, f"{self.played}-{number}")) as stream:
            async for output in stream:
                done = output.outputs[0]
                tokens = len(done.token_ids) + (answer["tokens"] if self.how else 0)    # ours gives all so far, theirs what is new
                if tokens > answer["tokens"]:
                    answer["last"] = perf_counter() - arrival
                    answer["first"] = answer["first"] or answer["last"]
                answer |= {"tokens": tokens, "has_text": answer["has_text"] or bool(done.text)}
                if request["leaves_after"] and tokens >= request["leaves_after"]:
                    break       # whoever stops reading ends the request
        return answer

    async def _lost_blocks(self) -> int | None:
        """Of ours, whose scheduler is in this process. A finished request's blocks may come back a step later."""
        scheduler = getattr(getattr(self.llm, "engine", None), "scheduler", None)
        if scheduler is None:
            return None
        deadline = perf_counter() + PATIENCE
        while (lost := scheduler.config.num_blocks - 1 - len(scheduler.block_manager.free_blocks)) and perf_counter() < deadline:
            await asyncio.sleep(0.05)
        return lost


async def _inside(make, *arguments, **more):
    """Made inside the event loop, where vLLM's wants to be made."""
    return make(*arguments, **more)
