"""`vuer-trio top` at a terminal and in a pipe, and the sparkline of `vuer-trio ping`."""

from __future__ import annotations

import fcntl
import json
import re
import struct
import termios
from collections.abc import Iterator

import pytest
import trio

from tests.cli_process import COMMAND, call, start
from tests.pseudo_terminal import Terminal
from vuer_trio import Vuer, open_vuer_server
from vuer_trio.events import ServerEvent

CTRL_C = "\x03"
#: switches to the other screen and back, and the cursor off and on
SCREEN, BACK = "\x1b[?1049h", "\x1b[?1049l"
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


async def tick(session) -> None:
    n = 0
    while True:
        session @ ServerEvent(n, etype="TICK")
        if n % 5 == 0:
            session @ ServerEvent("x" * 5000, etype="\u6c49FRAME\x1b[2J")
        n += 1
        await trio.sleep(0.02)


@pytest.fixture(scope="module")
def ticking(portal) -> Iterator[str]:
    """A server that shows its sessions."""
    app = Vuer("127.0.0.1", 0, metrics=True)
    app.spawn(tick)
    with portal.wrap_async_context_manager(open_vuer_server(app)) as serving:
        yield serving.uri


def last_screen(it: Terminal) -> list[str]:
    """The lines of the last picture that is whole."""
    picture = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", it.raw.split("\x1b[H")[-2])
    return [line.strip("\r ") for line in picture.split("\n")]


def columns(text: str) -> int:
    return len(text) + text.count("\u6c49")


@pytest.mark.parametrize("width", [40, 200])
def test_at_a_terminal(ticking, width):
    with Terminal(*COMMAND, "top", ticking, "--interval", "0.1", width=width, NO_COLOR="1") as it:
        for _ in range(4):
            it.expect("session")
        it.type(CTRL_C)
        assert it.wait() == 0
    assert "Traceback" not in it.text
    lines = last_screen(it)
    assert all(columns(line) <= width for line in lines)
    assert len(lines) <= 30
    assert lines[0] == ticking
    assert lines[1].startswith("round trip ")
    [titles] = [line for line in lines if line.startswith("type ")]
    [ticks] = [line for line in lines if line.startswith("TICK ")]
    [frames] = [line for line in lines if line.startswith("\u6c49FRAME")]
    [sessions] = [line for line in lines if line.startswith("session ")]
    assert any(line.startswith("127.0.0.1:") for line in lines)
    assert "\x1b[2J" not in frames
    assert ("jitter" in titles) is (width == 200)
    assert ("replaced" in sessions) is (width == 200)
    assert any(bar in ticks for bar in "▁▂▃▄▅▆▇█")
    # What the terminal showed before is there again.
    assert it.raw.count(SCREEN) == it.raw.count(BACK) == 1
    assert it.raw.rindex(BACK) > it.raw.rindex("TICK")
    assert it.raw.rindex(SHOW) > it.raw.rindex(HIDE)


def test_it_follows_the_size_of_the_terminal(ticking):
    with Terminal(*COMMAND, "top", ticking, "--interval", "0.1", width=40) as it:
        it.expect("session")
        assert "jitter" not in it.text
        fcntl.ioctl(it._fd, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 120, 0, 0))
        it.expect("jitter")
        it.expect("replaced")
        it.expect("session")
        it.type(CTRL_C)
        assert it.wait() == 0
    assert len(last_screen(it)) <= 12


def test_a_server_that_does_not_show_its_sessions(server):
    with Terminal(*COMMAND, "top", f"{server.uri}/ticks", "--interval", "0.1", width=100) as it:
        it.expect("start it with Vuer(metrics=True)")
        it.expect("TOCK")
        it.type(CTRL_C)
        assert it.wait() == 0


def test_in_a_pipe(ticking):
    with start("top", ticking, "--interval", "0.2") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        last = json.loads(process.stdout.readline())
        while not (last["sessions"] and len(last["events"]) > 1 and last["rtt_ms"]):
            last = json.loads(process.stdout.readline())
        process.terminate()
        process.stdout.read()
        assert process.stderr.read() == ""
        assert process.wait(60) == 0
    assert last["uri"] == ticking
    assert last["connected"] is True
    assert last["rtt_ms"] > 0
    found = {event["etype"]: event for event in last["events"]}
    tick, frame = found["TICK"], next(found[name] for name in found if "FRAME" in name)
    assert tick["count"] > frame["count"] > 0
    assert tick["rate"] > 0  # on a busy machine many may come at once
    assert frame["bytes_per_s"] > tick["bytes_per_s"]
    assert {"jitter_ms", "age_s", "gaps"} <= tick.keys()
    [session] = last["sessions"]
    assert session["sent"] > 0
    assert last["server"]["sessions"] == 1


def test_a_reader_that_has_enough(ticking):
    with start("top", ticking, "--interval", "0.1") as process:
        assert process.stdout is not None
        json.loads(process.stdout.readline())
        process.stdout.close()
        assert process.stderr is not None
        assert (process.stderr.read(), process.wait(60)) == ("", 0)


def test_a_server_that_comes_back(portal):
    app = Vuer("127.0.0.1", 0)
    app.spawn(tick)
    with portal.wrap_async_context_manager(open_vuer_server(app)) as serving:
        port = serving.port
        process = start("top", serving.uri, "--interval", "0.1")
        assert process.stdout is not None
        while not json.loads(process.stdout.readline())["connected"]:
            pass
    with process:
        while json.loads(process.stdout.readline())["connected"]:
            pass
        again = Vuer("127.0.0.1", port)
        again.spawn(tick)
        with portal.wrap_async_context_manager(open_vuer_server(again)):
            while not json.loads(process.stdout.readline())["connected"]:
                pass
            process.terminate()
            process.stdout.read()
            assert process.wait(60) == 0


def test_no_server():
    done = call("top", "ws://127.0.0.1:1")
    assert done.returncode == 3
    assert "could not connect to ws://127.0.0.1:1" in done.stderr


def test_ping_draws_its_round_trips(server):
    with Terminal(*COMMAND, "ping", server.uri, "--count", "20", "--interval", "0.01") as it:
        it.expect("20 sent, 20 answered")
        it.expect("round trip in ms:")
        it.expect("\n")
        assert it.wait() == 0
    drawn = [line.strip() for line in it.text.splitlines() if line.strip()][-1]
    assert len(drawn) == 20
    assert set(drawn) <= set("▁▂▃▄▅▆▇█")
    assert it.raw.rindex(SHOW) > it.raw.rindex(HIDE)


def test_numbers_that_no_server_has(portal):
    """What answers at /metrics may be anything."""
    app = Vuer("127.0.0.1", 0)
    sent = b'{"sessions": [{"peer": "p", "sent": 1%s, "rtt": 1%s}]}' % (b"0" * 400, b"0" * 400)
    app.add_route("/metrics", lambda request: sent, "GET", "application/json")
    with portal.wrap_async_context_manager(open_vuer_server(app)) as serving:
        with Terminal(*COMMAND, "top", serving.uri, "--interval", "0.1", width=100) as it:
            it.expect("inf ms")
            it.type(CTRL_C)
            assert it.wait() == 0
        assert "Traceback" not in it.text
