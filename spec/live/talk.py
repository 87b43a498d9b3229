"""Talking to a server over real HTTP, as a browser does, and as nobody should."""
import http.client
import json

import pytest

pytest.importorskip("starlette", reason="starlette and uvicorn come with vLLM: 'make setup' installs them")
pytest.importorskip("uvicorn", reason="starlette and uvicorn come with vLLM: 'make setup' installs them")

from spec.live.server import LiveServer


@pytest.fixture
def server(tmp_path):
    """A server without an engine: what is asked of it is written down as a refusal, which is an event as well."""
    made = LiveServer(tmp_path)
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    """A server for those it does not let in: they leave it as it is."""
    made = LiveServer(tmp_path_factory.mktemp("closed"))
    made.start()
    yield made
    made.stop()
    lines = [json.loads(line) for line in made.driver.files[0].read_text().splitlines()]
    assert [line["type"] for line in lines] == ["header", "control", "footer"]


def request(server, method, path, body=None, **headers):
    """Status, headers and the whole answer. A header of None is left out."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    named = {"host": f"127.0.0.1:{server.port}"} | ({"content-type": "application/json"} if body is not None else {})
    for name, value in (named | {name.replace("_", "-"): value for name, value in headers.items()}).items():
        if value is not None:
            connection.putheader(name, value)
    if body is not None:
        connection.putheader("content-length", str(len(body)))
    connection.endheaders(body)
    answer = connection.getresponse()
    told = answer.status, dict(answer.getheaders()), answer.read().decode()
    connection.close()
    return told


def control(server, told, **headers):
    body = told if isinstance(told, bytes) else json.dumps(told).encode()
    return request(server, "POST", "/control", body, **headers)


class Events:
    """A stream of events, as one tab has it."""

    def __init__(self, server, after="", **headers):
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        self.connection.request("GET", f"/events?after={after}", headers=headers)
        self.answer = self.connection.getresponse()

    def next(self):
        """The id and the line of the next event; None for a heartbeat."""
        found = {}
        while line := self.answer.readline().decode().rstrip("\n"):
            if line.startswith(":"):
                self.answer.readline()
                return None
            name, _, value = line.partition(": ")
            found[name] = value
        return (found["id"], json.loads(found["data"])) if "data" in found else self.next()

    def until(self, kind):
        events = [self.next()]
        while events[-1][1]["type"] != kind:
            events.append(self.next())
        return events

    def close(self):
        self.connection.close()


def write(server, number):
    """Lines of a run file, as if an engine had worked."""
    for index in range(number):
        server.driver.session.file.append({"type": "note", "text": f"{index}"})


def texts(events):
    return [line["text"] for _, line in events if line["type"] == "note"]
