"""The stream of events: no hole, no end, and nobody who waits for anybody else."""
import asyncio
import json
import socket
import threading

import pytest

from spec.live.talk import Events, closed, control, server, texts, write     # first: it skips what needs a server
from spec.live import server as live_server
from spec.live.server import LiveServer
from spec.live.tail import follow


@pytest.mark.parametrize("after", ["../../../README:1", "%2Fetc%2Fpasswd:0", "x:y", ":", "1"])
def test_a_place_is_no_path(closed, after):
    tab = Events(closed, after)
    assert tab.next()[1]["type"] == "header", "an unknown place is the beginning of this run file"
    tab.close()


def test_each_line_is_an_event_and_its_id_the_number_of_the_line(server):
    write(server, 3)
    tab = Events(server)
    assert tab.answer.getheader("content-type").startswith("text/event-stream")
    file = server.driver.files[0]
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [tab.next() for _ in lines] == [(f"{file.stem}:{number}", line) for number, line in enumerate(lines, 1)]
    tab.close()


@pytest.mark.parametrize("by_header", [True, False], ids=["Last-Event-ID", "?after="])
def test_a_lost_connection_resumes_without_a_hole(server, by_header):
    tab, seen = Events(server), []
    for round in range(4):
        write(server, 5)
        while len(seen) < 2 + 5 * (round + 1) - 2:      # two of each round are lost with the connection
            seen.append(tab.next())
        tab.close()
        write(server, 5)
        place = seen[-1][0]
        tab = Events(server, **({"after": "nonsense", "Last-Event-ID": place} if by_header else {"after": place}))
    while len(seen) < 2 + 40:
        seen.append(tab.next())
    tab.close()
    assert [place for place, _ in seen] == [f"{server.driver.files[0].stem}:{number}" for number in range(1, 43)]
    assert texts(seen) == list("01234") * 8


def test_a_stream_goes_on_in_the_next_file(server):
    """Also for a tab that was away when the one file was complete and the next began."""
    tab = Events(server)
    place = tab.until("control")[-1][0]
    tab.close()
    write(server, 2)
    driver = server.driver
    driver.session.close()
    driver._open()
    write(server, 1)
    tab = Events(server, place)
    events = [tab.next() for _ in range(5)]
    tab.close()
    assert [(place.split(":")[0], line["type"]) for place, line in events] == [
        *[(driver.files[0].stem, kind) for kind in ("note", "note", "footer")], *[(driver.files[1].stem, kind) for kind in ("header", "note")]]
    fresh = Events(server)
    assert fresh.next()[0] == f"{driver.files[1].stem}:1", "who comes new begins with the run that is going on"
    fresh.close()


def test_half_a_line_waits_for_its_other_half(server):
    tab = Events(server)
    tab.until("control")
    server.driver.session.file._file.write('{"type": "no')
    server.driver.session.file._file.flush()
    server.driver.session.file._file.write('te", "text": "whole"}\n')
    server.driver.session.file._file.flush()
    assert texts([tab.next()]) == ["whole"]
    tab.close()


def test_a_silent_stream_has_a_heartbeat(server, monkeypatch):
    monkeypatch.setattr(live_server, "HEARTBEAT_S", 0.05)
    tab = Events(server)
    tab.until("control")
    assert tab.next() is None and tab.next() is None
    write(server, 1)
    while (event := tab.next()) is None:
        pass
    assert texts([event]) == ["0"]
    tab.close()


def test_a_tab_that_does_not_read_holds_nobody_up(server):
    """By counting: the driver writes all its lines and another tab reads them all, while one tab reads none."""
    number, long = 160, "x" * 50_000        # 8 MB: more than the buffers on the way
    stuck = socket.socket()
    stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stuck.settimeout(10)
    stuck.connect(("127.0.0.1", server.port))
    stuck.sendall(f"GET /events HTTP/1.1\r\nhost: 127.0.0.1:{server.port}\r\n\r\n".encode())
    for index in range(number):
        server.driver.session.file.append({"type": "note", "text": f"{index}{long}"})
    lively = Events(server)
    lively.until("control")
    assert [lively.next()[1]["text"] for _ in range(number)] == [f"{index}{long}" for index in range(number)]
    control(server, {"do": "pause"})
    assert lively.until("control")[-1][1]["paused"] is True
    lively.close()
    stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    received = bytearray()
    while b'"paused": true' not in received[-1000:]:
        received += stuck.recv(1 << 20)
    assert [f'"text": "{index}x'.encode() in received for index in range(number)] == [True] * number, "something was left out for the slow one"
    stuck.close()


def test_of_a_long_file_only_a_piece_is_held(tmp_path):
    """Whoever takes one line has not made the server read the others."""
    file = tmp_path / "long.jsonl"
    file.write_bytes(b'{"n": 1}\n' * 1_000_000)
    pieces = []

    class Counted(type(file)):
        def open(self, mode):
            opened = super().open(mode)
            read = opened.read
            return type("", (), {"__enter__": lambda it: it, "__exit__": lambda *_: opened.close(),
                                 "read": lambda it, size: pieces.append(size) or read(size)})()

    async def take_three():
        lines = follow([Counted(file)], "", 1.0)
        taken = [await anext(lines) for _ in range(3)]
        await lines.aclose()
        return taken

    assert [place for place, _ in asyncio.run(take_three())] == ["long:1", "long:2", "long:3"]
    assert len(pieces) == 1 and pieces[0] <= 1 << 16


def test_tabs_that_come_and_go_leave_nothing_behind(server):
    before = threading.active_count()
    for _ in range(20):
        Events(server).close()
    assert control(server, {"do": "pause"})[0] == 202 and threading.active_count() == before


def test_the_end_of_the_server_completes_the_file_though_a_tab_is_open(tmp_path):
    made = LiveServer(tmp_path)
    made.start()
    tab = Events(made)
    tab.next()
    made.stop()
    assert not any(thread.is_alive() for thread in made.threads)
    assert json.loads(made.driver.files[0].read_text().splitlines()[-1])["type"] == "footer"
    tab.close()
