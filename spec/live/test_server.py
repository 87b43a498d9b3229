"""The server: who is let in, what is served, what is taken."""
import base64
import hashlib
import json
import re
import socket

import pytest

from spec.live.talk import Events, closed, control, request, server


def test_it_listens_on_this_machine_only(closed):
    assert closed.socket.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize("path", ["/", "/events", "/control"])
@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "127.0.0.1.evil.example:{port}", "0.0.0.0:{port}", None])
def test_a_foreign_host_is_refused(closed, path, host):
    method, body = ("POST", b'{"do": "pause"}') if path == "/control" else ("GET", None)
    try:
        status, _, said = request(closed, method, path, body, host=host and host.format(port=closed.port))
    except ConnectionResetError:    # refused before the body was read: the answer may be lost with the connection
        status, said = 400, ""
    assert status in (400, 421) and "<" not in said
    assert not closed.driver.paused


@pytest.mark.parametrize("origin", ["http://evil.example", "https://127.0.0.1:{port}", "http://127.0.0.1:1", "null", "http://127.0.0.1:{port}.evil.example"])
def test_a_foreign_origin_may_neither_ask_nor_listen(closed, origin):
    foreign = {"origin": origin.format(port=closed.port)}
    assert control(closed, {"do": "pause"}, **foreign)[0] == 403
    assert request(closed, "GET", "/events", **foreign)[0] == 403


def test_a_foreign_page_that_hides_its_origin_may_neither_ask_nor_listen(closed):
    assert control(closed, {"do": "pause"}, sec_fetch_site="cross-site")[0] == 403
    assert request(closed, "GET", "/events", sec_fetch_site="same-site")[0] == 403


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_our_own_page_is_let_in(server, name):
    ours = {"host": f"{name}:{server.port}", "origin": f"http://{name}:{server.port}", "sec_fetch_site": "same-origin"}
    assert control(server, {"do": "pause"}, **ours)[0] == 202
    assert request(server, "GET", "/", **ours)[0] == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None])
def test_what_a_form_can_send_is_no_control(closed, kind):
    assert control(closed, {"do": "pause"}, content_type=kind)[0] == 415


def test_the_page_may_run_its_own_script_and_ask_its_own_server(closed):
    status, headers, page = request(closed, "GET", "/")
    [told] = re.findall('http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    policy = dict(rule.split(" ", 1) for rule in told.split("; "))
    [script] = re.findall(r'<script type="module">(.*)</script>', page, re.DOTALL)
    assert status == 200 and policy == {
        "default-src": "'none'", "script-src": f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'",
        "style-src": "'unsafe-inline'", "connect-src": "'self'", "base-uri": "'none'", "form-action": "'none'"}
    assert headers["content-security-policy"] == "frame-ancestors 'none'" and headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in headers and "src=" not in page.replace(script, "")


@pytest.mark.parametrize("path", ["/page.css", "/live.js", "/../README.md", "/%2e%2e/README.md", "/events/../../README.md", "//etc/passwd", "/control/"])
def test_nothing_else_is_served(closed, path):
    assert request(closed, "GET", path)[0] in (404, 405)


def test_a_refusal_says_why_and_nothing_is_done(closed):
    status, headers, said = control(closed, {"do": "ask", "prompt": "a", "now": True})
    assert (status, headers["content-type"].split(";")[0]) == (422, "text/plain") and "no field 'now'" in said
    assert "<b>" in control(closed, {"do": "<b>"})[2], "a plain text may repeat what was asked"


def test_a_body_that_is_too_long_is_not_read_to_its_end(closed):
    assert control(closed, b" " * (64 << 10) + b"{}")[0] == 413
    connection = socket.create_connection(("127.0.0.1", closed.port), timeout=10)
    connection.sendall(f"POST /control HTTP/1.1\r\nhost: 127.0.0.1:{closed.port}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n".encode())
    connection.sendall(b"10001\r\n" + b" " * 0x10001 + b"\r\n")     # and no end
    assert connection.recv(100).startswith(b"HTTP/1.1 413")
    connection.close()


def test_what_is_taken_is_done(server):
    tab = Events(server)
    tab.until("control")
    assert control(server, {"do": "pause"})[0] == 202
    assert tab.until("control")[-1][1]["paused"] is True
    assert control(server, {"do": "speed", "steps_per_second": 3})[0] == 202
    assert tab.until("control")[-1][1]["steps_per_second"] == 3
    tab.close()


def test_a_port_that_is_taken_is_told():
    from spec.live.__main__ import main
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SystemExit) as ended:
        main(["--port", str(taken.getsockname()[1])])
    assert ended.value.code == 1
