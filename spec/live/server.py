"""The server of the live page: the page, the run file's lines as they are written, and what the page asks for.

It listens on this machine only, and serves nothing else.
"""
import functools
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from reports.live_page import live_page
from spec.live.controls import InvalidControl, read_control
from spec.live.driver import Driver
from spec.live.guard import Refused, json_body, require_our_host, require_our_origin
from spec.live.tail import follow

HEARTBEAT_S = 10.0      # so that a connection that has died is noticed
LOOPBACK = "127.0.0.1"
SAFE = {"cache-control": "no-store", "x-content-type-options": "nosniff", "referrer-policy": "no-referrer",
        "cross-origin-resource-policy": "same-origin", "x-frame-options": "DENY", "content-security-policy": "frame-ancestors 'none'"}


def live_app(driver: Driver, port: int) -> Starlette:
    """What is served on `port`."""

    async def page(request: Request) -> Response:
        return HTMLResponse(live_page())

    async def events(request: Request) -> Response:
        require_our_origin(request, port)
        place = request.headers.get("last-event-id") or request.query_params.get("after", "")
        return StreamingResponse(_events(driver, place), media_type="text/event-stream")

    async def control(request: Request) -> Response:
        require_our_origin(request, port)
        driver.put(read_control(await json_body(request)))
        return JSONResponse({"taken": True}, 202)   # what comes of it, the run file says

    app = Starlette(routes=[Route(path, _guarded(endpoint, port), methods=[method]) for path, endpoint, method in (
        ("/", page, "GET"), ("/events", events, "GET"), ("/control", control, "POST"))])
    app.router.redirect_slashes = False     # nobody is sent anywhere
    return app


def _guarded(endpoint: Callable[[Request], Awaitable[Response]], port: int) -> Callable[[Request], Awaitable[Response]]:
    @functools.wraps(endpoint)
    async def guarded(request: Request) -> Response:
        try:
            require_our_host(request, port)
            answer = await endpoint(request)
        except Refused as refused:
            answer = refused.answer()
        except InvalidControl as error:
            answer = Refused(422, str(error)).answer()
        answer.headers.update(SAFE)
        return answer
    return guarded


async def _events(driver: Driver, place: str) -> AsyncIterator[bytes]:
    """Server-sent events. Each goes out when the one before it has; whoever reads slowly waits alone."""
    yield b"retry: 500\n\n"
    async for told in follow(driver.files, place, HEARTBEAT_S):
        yield b": still here\n\n" if told is None else b"id: %s\ndata: %s\n\n" % (told[0].encode(), told[1])


class LiveServer:
    """Driver and server, each in a thread of its own. `runs` is where the run files go; `port` 0 takes a free one.

    Raises `OSError` if the port is taken.
    """

    def __init__(self, runs: Path, port: int = 0):
        self.socket = socket.create_server((LOOPBACK, port))
        self.port = self.socket.getsockname()[1]
        self.address = f"http://{LOOPBACK}:{self.port}"
        self.driver = Driver(runs)
        # An open page never ends its stream of events; so its end is not waited for.
        self.uvicorn = uvicorn.Server(uvicorn.Config(live_app(self.driver, self.port), log_level="warning", timeout_graceful_shutdown=1, lifespan="off"))
        self.threads = [threading.Thread(target=self.driver.run, daemon=True),
                        threading.Thread(target=self.uvicorn.run, kwargs={"sockets": [self.socket]}, daemon=True)]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        """End both; the run file is complete then."""
        self.uvicorn.should_exit = True
        self.driver.stop()
        for thread in self.threads:
            thread.join(timeout=10)
