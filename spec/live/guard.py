"""Who may talk to the server: the page that it has served, in a browser on this machine. Nobody else.

Any site a browser visits may send requests to 127.0.0.1, or let its own name lead there. So the name asked for must be
ours, a request that says where it comes from must come from our page, and only JSON is taken: a form cannot send that.
"""
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

LONGEST_BODY = 64 << 10     # bytes


class Refused(Exception):
    """A request that is answered with a status and a sentence."""

    def __init__(self, status: int, sentence: str):
        super().__init__(sentence)
        self.status, self.sentence = status, sentence

    def answer(self) -> Response:
        return PlainTextResponse(self.sentence + "\n", self.status)


def require_our_host(request: Request, port: int) -> None:
    """Against a foreign name that leads to this machine."""
    if request.headers.getlist("host") not in [[host] for host in _hosts(port)]:
        raise Refused(421, f"This server is http://127.0.0.1:{port} and answers to no other name.")


def require_our_origin(request: Request, port: int) -> None:
    """Against a foreign page. What is no browser says nothing of where it comes from."""
    origins = request.headers.getlist("origin")
    foreign = any(origin not in [f"http://{host}" for host in _hosts(port)] for origin in origins)
    if foreign or request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Refused(403, "Only the page of this server may ask for this.")


async def json_body(request: Request) -> bytes:
    """The body, which says that it is JSON, and is not too long."""
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise Refused(415, "Send application/json.")
    body = b""
    async for piece in request.stream():    # whatever length it claims
        body += piece
        if len(body) > LONGEST_BODY:
            raise Refused(413, f"The body is too long: at most {LONGEST_BODY >> 10} kB are taken.")
    return body


def _hosts(port: int) -> list[str]:
    return [f"127.0.0.1:{port}", f"localhost:{port}"]
