"""`AsyncLLM`: requests come and go while others run.

One task turns the engine, each step in a thread, so that the event loop stays
free. Who comes or goes during a step is seen to after it. Mirrors `v1/engine/async_llm.py::AsyncLLM`.
"""
import asyncio
from collections.abc import AsyncIterator

from impl.input_processor import Prompt
from impl.llm import LLM
from impl.request_output import RequestOutput
from impl.sampling_params import SamplingParams


class AsyncLLM:
    """The arguments are those of `LLM`. To be used from one event loop."""

    def __init__(self, model: str, **arguments):
        self.engine = LLM(model, **arguments).engine
        self.queues: dict[str, asyncio.Queue[RequestOutput | Exception]] = {}
        self.gone: set[str] = set()             # whose reader went away; the engine still has them
        self.between_steps = asyncio.Lock()     # held while the engine is at work
        self.turning: asyncio.Task | None = None

    async def generate(self, prompt: Prompt, sampling_params: SamplingParams, request_id: str, *, priority: int = 0) -> AsyncIterator[RequestOutput]:
        """What is new of a request, as it comes. Whoever stops reading ends the request.

        Raises what `Engine.add_request` raises, before anything has changed.
        """
        async with self.between_steps:
            self._drop_gone()
            self.engine.add_request(request_id, prompt, sampling_params, priority=priority)
            queue = self.queues[request_id] = asyncio.Queue()
        self._turn()
        try:
            finished = False
            while not finished:
                output = await queue.get()
                if isinstance(output, Exception):
                    raise output
                finished = output.finished
                yield output
        finally:    # finished, cancelled, or closed: nothing may be awaited here
            if self.queues.get(request_id) is queue:
                del self.queues[request_id]
                self.gone.add(request_id)
                self._turn()

    async def abort(self, request_id: str) -> None:
        """End a request from outside; its reader gets what it has come to, and no more."""
        async with self.between_steps:
            self._drop_gone()
            for output in self.engine.abort(request_id):
                self.queues[request_id].put_nowait(output)

    def _turn(self) -> None:
        """Have the engine turned, unless it is already."""
        if self.turning is None or self.turning.done():
            self.turning = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        """Step as long as there is something to do."""
        while True:
            async with self.between_steps:
                self._drop_gone()
                if not self.engine.has_unfinished_requests():
                    return
                try:
                    outputs = await asyncio.to_thread(self.engine.step)
                except Exception as error:      # of the engine itself: whoever waits must know
                    for queue in self.queues.values():
                        queue.put_nowait(error)
                    raise
            for output in outputs:
                if output.request_id in self.queues:
                    self.queues[output.request_id].put_nowait(output)
            await asyncio.sleep(0)      # the readers' turn

    def _drop_gone(self) -> None:
        """Abort, between two steps, whoever is read by nobody."""
        for request_id in self.gone:
            self.engine.abort(request_id)
        self.gone.clear()
