"""The options of a server, and which pages may connect."""

from __future__ import annotations

import pytest

from vuer_trio import DropOldest, Vuer
from vuer_trio.server.options import ServerOptions
from vuer_trio.server.origins import DEFAULT, allows


def test_the_environment_fills_in_port_and_max_size(monkeypatch):
    monkeypatch.setenv("VUER_PORT", "9000")
    monkeypatch.setenv("WEBSOCKET_MAX_SIZE", "1024")
    options = ServerOptions.gather({"host": "localhost"})
    assert (options.port, options.max_size) == (9000, 1024)
    assert ServerOptions.gather({"host": None, "port": 0, "max_size": 5}).max_size == 5


def test_without_the_environment(monkeypatch):
    monkeypatch.delenv("VUER_PORT", raising=False)
    monkeypatch.delenv("WEBSOCKET_MAX_SIZE", raising=False)
    options = ServerOptions.gather({"host": "localhost"})
    assert (options.port, options.max_size) == (8012, 2**24)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"host": 1}, "host=1: write a string"),
        ({"port": "80"}, "port='80': write a number"),
        ({"port": True}, "port=True: write a number"),
        ({"port": 70_000}, "port=70000: write a number below 65536"),
        ({"max_size": 0}, "max_size=0: write a positive number"),
        ({"max_size": "1"}, "max_size='1': write a number"),
        ({"max_sessions": 0}, "max_sessions=0: write a positive number"),
        ({"handshake_timeout": "1"}, "handshake_timeout='1': write seconds"),
        ({"close_timeout": -1}, "close_timeout=-1: write positive seconds"),
        ({"heartbeat": 0}, "heartbeat=0: write positive seconds"),
        ({"inbox": 5}, r"inbox=5: write a policy, Fifo\(1024\)"),
        ({"backend": "curio"}, "backend='curio': write one of"),
        ({"floats": "half"}, "floats='half': write one of"),
        ({"transport": "udp"}, "transport='udp': write one of"),
        ({"cert": "a.pem"}, "cert= and key= go together"),
        ({"key": "a.pem"}, "cert= and key= go together"),
        ({"ca_cert": "a.pem"}, "ca_cert= .* needs cert= and key="),
        ({"client_root": "/nowhere"}, "there is no index.html"),
        ({"origins": "https://a.example"}, r"write a list, \['https://a.example'\]"),
        ({"origins": [5]}, "origins: 5: write strings"),
        ({"origins": ["a.example"]}, "origins: 'a.example': write scheme, host and port only"),
        ({"origins": ["https://a.example/x"]}, "write scheme, host and port only"),
        ({"queue_len": 5}, "a server has no option 'queue_len'; the nearest is 'outbox'"),
        ({"static_root": "."}, "a server has no option 'static_root'; .* 'client_root'"),
        ({"max_session": 5}, "a server has no option 'max_session'; .* 'max_sessions'"),
    ],
)
def test_what_can_not_be_is_said_at_once(option, message):
    with pytest.raises((TypeError, ValueError), match=message):
        Vuer(**option)


def test_what_can_be():
    app = Vuer(None, 0, inbox=DropOldest(5), origins=None, backend="asyncio", floats="single")
    assert repr(app) == "<Vuer not serving>"
    assert app.sessions == ()


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (None, "localhost:8012"),
        ("https://vuer.ai", "localhost:8012"),
        ("http://localhost:3000", "robot.local:8012"),
        ("https://127.0.0.1", "robot.local:8012"),
        ("http://[::1]:5000", None),
        ("http://robot.local:8012", "robot.local:8012"),
        ("https://Robot.local:8012", "robot.LOCAL:8012"),
    ],
)
def test_pages_that_may_connect(origin, host):
    assert allows(DEFAULT, origin, host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://evil.example", "localhost:8012"),
        ("http://localhost.evil.example", "localhost:8012"),
        ("https://vuer.ai.evil.example", "localhost:8012"),
        ("http://vuer.ai", "localhost:8012"),
        ("http://robot.local:8013", "robot.local:8012"),
        ("null", "localhost:8012"),
        ("", "localhost:8012"),
        ("file://localhost", "localhost:8012"),
        ("http://[", "localhost:8012"),
    ],
)
def test_pages_that_may_not(origin, host):
    assert not allows(DEFAULT, origin, host)
    assert allows(None, origin, host)


def test_a_list_of_ones_own():
    assert allows(["https://a.example"], "https://a.example", "robot:1")
    assert not allows(["https://a.example"], "https://vuer.ai", "robot:1")
    assert allows([], "http://localhost:1", "robot:1")


def test_a_list_that_can_be_read_only_once_is_kept():
    options = ServerOptions.gather({"host": None, "origins": iter(["https://a.example"])})
    for _ in range(2):
        assert allows(options.origins, "https://a.example", "here")
        assert not allows(options.origins, "https://b.example", "here")
