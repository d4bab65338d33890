"""What is shown of URIs, of text that others wrote, and of values that cannot be options."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.free_ports import free_port
from vuer_trio._errors import ConnectionFailed
from vuer_trio._formatting import must_be, secrets_of, shown, shown_uri, without, without_bytes
from vuer_trio._net.rejection import Rejected


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("ws://host:8012", "ws://host:8012"),
        ("ws://host:8012/a/b", "ws://host:8012/a/b"),
        ("ws://[::1]:9/x", "ws://[::1]:9/x"),
        ("ws://host/@user/room", "ws://host/@user/room"),
        ("ws://me:secret@host/x", "ws://me:***@host/x"),
        ("ws://secret@host", "ws://***@host"),
        ("ws://me:secret@secret@host", "ws://me:***@host"),
        ("ws://host/?token=secret", "ws://host/?token=***"),
        ("ws://host?token=secret&a=&b", "ws://host?token=***&a=&***"),
        ("ws://host/?EIO=4&transport=websocket", "ws://host/?EIO=4&transport=websocket"),
        ("ws://host/?a=b#secret", "ws://host/?a=***#***"),
        ("ws://host?back=ws://me:secret@other", "ws://host?back=***"),
        # what cannot be taken apart, or not surely
        ("ws://me:se/cret@host:1/x", "ws://***@host:1/x"),
        ("ws://me:se?cret@host:1/x", "ws://***@host:1/x"),
        ("ws://me:se#cret@host:1/x?y=z", "ws://***@host:1/x?y=***"),
        ("ws://me:12/secret@host", "ws://me:12/***@host"),
        ("ws://me:12?secret@host", "ws://me:12?***"),
        ("ws://me:12#secret@host", "ws://***@host"),
        ("ws://me:secret@[bad", "ws://***@[bad"),
        ("ws:///me:secret@host", "ws://***@host"),
        ("me:secret@host", "***@host"),
        ("me:secret@host//path", "***@host//path"),
        ("ws:me:secret@host", "***@host"),
        ("ws://host:port/secret@x", "ws://***@x"),
        ("", ""),
        ("nothing", "nothing"),
    ],
)
def test_a_uri_is_shown_without_its_secrets(uri, expected):
    assert shown_uri(uri) == expected


def test_a_uri_is_shown_on_one_line_and_not_at_any_length():
    assert shown_uri("ws://host/\x1b[2J\r\n") == "ws://host/\\x1b[2J\\r\\n"
    assert len(shown_uri("ws://host/" + "x" * 10_000)) < 500
    assert shown_uri(b"ws://me:secret@host") == "b'ws://***@host'"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain, and é ü 漢字 🙂", "plain, and é ü 漢字 🙂"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\r\nb\tc\0", "a\\r\\nb\\tc\\x00"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202e\u2066", "\\u202e\\u2066"),
        ("\ud800", "\\ud800"),
        ("x" * 201, "x" * 200 + "…"),
        (5, "5"),
        (None, "None"),
    ],
)
def test_the_text_of_others_is_escaped_and_cut(text, expected):
    assert shown(text) == expected


def test_what_is_secret_is_taken_out_of_the_text_of_others():
    secrets = secrets_of("token=a%2Fbcdef&bare-secret&EIO=4&transport=websocket&x=")
    told = without("a/bcdef and a%2Fbcdef, bare-secret; no websocket", secrets)
    assert told == "*** and ***, ***; no websocket"
    assert without("on and on", ["on", ""]) == "on and on", "too short to be one"
    assert without("abcdefgh", ["abcd", "abcdefgh"]) == "***"


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("illegal header line: bytearray(b'A : secret')", "illegal header line"),
        ('illegal request line: b"it\'s secret"', "illegal request line"),
        ("Illegal header value b'secret'", "Illegal header value"),
        ("malformed chunk footer: b'secret' (expected b'x')", "malformed chunk footer"),
        ("can't handle event type Response", "can't handle event type Response"),
        ("Missing mandatory Host: header", "Missing mandatory Host: header"),
    ],
)
def test_a_library_s_fault_is_told_without_the_bytes(fault, expected):
    assert without_bytes(fault) == expected


class Odd:
    def __repr__(self) -> str:
        raise ValueError("no")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("max_size", "an int", "q"), "max_size must be an int, got 'q'"),
        (("a", "b", 5, "write c"), "a must be b, got 5; write c"),
        (("a", "b", "\x1b\u202e"), "a must be b, got '\\x1b\\u202e'"),
        (("a", "b", "x" * 1000), f"a must be b, got '{'x' * 59}…"),
        (("a", "b", Odd()), "a must be b, got Odd"),
    ],
)
def test_what_an_option_must_be(arguments, expected):
    assert must_be(*arguments) == expected


def test_a_secret_is_told_by_its_type_only():
    assert must_be("token", "a str", b"secret", secret=True) == "token must be a str, got bytes"


def test_a_refusal_quotes_the_server_on_one_line_and_has_no_cause_that_does_not():
    cause = ValueError("\x1b[2J")
    rejected = Rejected("no: \x1b[2J" + "x" * 10_000, status=404, cause=cause)
    assert str(rejected).startswith("no: \\x1b[2Jxxx")
    assert len(str(rejected)) < 1000
    assert rejected.__cause__ is None
    plain = Rejected("no secret", status=401, cause=ValueError("fine"))
    hidden = plain.without(["secret"])
    assert (str(hidden), hidden.status) == ("no ***", 401)
    assert isinstance(hidden.__cause__, ValueError)


# ---- the programs of users, as their own processes


def program(text, **environment):
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, encoding="utf-8", timeout=60
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("backend", ["trio", "asyncio"])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_no_descriptor_is_left(backend, host):
    """In a process of its own: nothing else in it may need one."""
    status, out, err = program(f"""
import os, resource, anyio
from vuer_trio import Vuer, open_vuer_client, open_vuer_server
async def main():
    async with open_vuer_server(Vuer(port=0)) as server:
        try:  # what is imported late is there
            async with open_vuer_client("ws://127.0.0.1:1"): pass
        except OSError: pass
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        hogs = []
        try:
            while True: hogs.append(os.open("/dev/null", os.O_RDONLY))
        except OSError: pass
        try:
            async with open_vuer_client(f"ws://{host}:{{server.port}}"): pass
        except Exception as error: said = str(error)
        for hog in hogs: os.close(hog)
        print(said)
anyio.run(main, backend="{backend}")
""")
    assert status == 0, err
    assert "Too many open files" in out
    assert "(ulimit -n)" in out
    assert "running there" not in out


@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_the_traceback_of_a_session_begins_with_its_error(backend):
    port = free_port()
    status, _, err = program(f"""
import logging, os, signal, threading, anyio
from vuer_trio import Backoff, Vuer, open_vuer_client
from vuer_trio.events import ClientEvent
logging.basicConfig()
app = Vuer(port={port}, backend="{backend}")
def stop(): os.kill(os.getpid(), signal.SIGTERM)
@app.add_handler("GO")
async def go(event, session):
    threading.Timer(0.2, stop).start()
    raise ValueError("of the program")
async def client():
    soon = Backoff(initial=0.05, maximum=0.05, first=True, attempts=None)
    async with open_vuer_client("ws://localhost:{port}", reconnect=soon) as client:
        client.send @ ClientEvent(etype="GO")
        await client.wait_closed()
threading.Thread(target=anyio.run, args=(client,), daemon=True).start()
app.start()
""")
    assert status == 0, err
    assert "ValueError: of the program" in err
    assert "no async library" not in err
    assert "During handling" not in err


_WITHOUT = "import sys\nfor name in {!r}.split(): sys.modules[name] = None\n"


@pytest.mark.parametrize("arguments", [["--help"], ["listen", "--help"], ["--version"]])
def test_the_help_of_the_command_needs_no_package(arguments):
    text = _WITHOUT.format("rich websockets numpy httpx2 mcap")
    text += f"from vuer_trio.cli import main\nsys.exit(main({arguments!r}))"
    status, out, err = program(text)
    assert (status, err) == (0, "")
    assert "vuer-trio" in out


def test_the_command_itself_names_the_package():
    text = _WITHOUT.format("rich") + "from vuer_trio.cli import main\nsys.exit(main(['ping']))"
    status, out, err = program(text)
    assert (status, out) == (1, "")
    assert err == "vuer-trio: this needs the package rich: pip install 'vuer-trio[cli]'\n"


def test_the_help_of_the_chat_needs_no_package():
    text = _WITHOUT.format("rich prompt_toolkit httpx2 socketio engineio websockets")
    text += "from vuer_trio.roomz.cli import main\nsys.exit(main(['--help']))"
    status, out, err = program(text)
    assert (status, err) == (0, "")
    assert "/login EMAIL" in out


def test_a_failure_keeps_its_uri_shown():
    error = ConnectionFailed("no", uri=shown_uri("ws://me:secret@host"))
    assert error.uri == "ws://me:***@host"
