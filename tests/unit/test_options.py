"""Options: the documented names, the environment, the names of the peers, and plain messages."""

from __future__ import annotations

import math
import ssl

import pytest
import trio

from tests.scripted_server import memory_peer, serve_peer
from vuer_trio import Fifo, VuerClient, open_vuer_client
from vuer_trio._client.options import Options

DEADLINE = 60  # seconds; only broken code gets there
ENVIRONMENT = ("VUER_CLIENT_URI", "WEBSOCKET_MAX_SIZE", "VUER_SSL_VERIFY")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)


def gather(**given):
    return Options.gather(given)


# ---- the environment


def test_without_anything_there_are_defaults():
    options = VuerClient()._options
    assert (options.uri, options.max_size, options.ssl_verify) == (
        "ws://localhost:8012",
        2**28,
        True,
    )
    assert (options.connect_timeout, options.close_timeout, options.heartbeat) == (10.0, 1.0, 20.0)
    assert (options.inbox, options.outbox) == (Fifo(1024), Fifo(1024))
    assert (options.compression, options.floats, options.checkpoints) == (
        None,
        "double",
        "amortised",
    )
    assert (options.transport, options.stream, options.proxy) == ("auto", None, None)


def test_the_environment_fills_what_is_not_given(monkeypatch):
    monkeypatch.setenv("VUER_CLIENT_URI", "ws://elsewhere:1")
    monkeypatch.setenv("WEBSOCKET_MAX_SIZE", "1000")
    monkeypatch.setenv("VUER_SSL_VERIFY", "false")
    options = VuerClient()._options
    assert (options.uri, options.max_size, options.ssl_verify) == ("ws://elsewhere:1", 1000, False)
    options = VuerClient("ws://here:2", max_size=5, ssl_verify=True)._options
    assert (options.uri, options.max_size, options.ssl_verify) == ("ws://here:2", 5, True)


def test_an_empty_variable_is_none(monkeypatch):
    for name in ENVIRONMENT:
        monkeypatch.setenv(name, "")
    assert gather() == Options(uri="ws://localhost:8012", max_size=2**28, ssl_verify=True)


@pytest.mark.parametrize(
    ("text", "flag"),
    [
        *((text, True) for text in ("1", "true", "YES", " on ")),
        *((text, False) for text in ("0", "False", "no", "OFF")),
    ],
)
def test_a_flag_in_the_environment_has_several_spellings(monkeypatch, text, flag):
    monkeypatch.setenv("VUER_SSL_VERIFY", text)
    assert gather().ssl_verify is flag


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        (
            "WEBSOCKET_MAX_SIZE",
            "1 MiB",
            "WEBSOCKET_MAX_SIZE in the environment must be an int, got '1 MiB'",
        ),
        ("WEBSOCKET_MAX_SIZE", "0", "max_size must be at least 1, got 0"),
        (
            "VUER_SSL_VERIFY",
            "maybe",
            "VUER_SSL_VERIFY in the environment must be true or false, got 'maybe'",
        ),
        ("VUER_CLIENT_URI", "http://host", "uri must be a WebSocket URI, got 'http://host'"),
    ],
)
def test_nonsense_in_the_environment_is_named(monkeypatch, name, text, what):
    monkeypatch.setenv(name, text)
    with pytest.raises(ValueError, match=what):
        gather()


# ---- other names

CONTEXT = ssl.create_default_context()


@pytest.mark.parametrize(
    ("alias", "value", "ours", "expected"),
    [
        ("URI", "ws://host", "uri", "ws://host"),
        ("ssl", CONTEXT, "ssl_context", CONTEXT),
        ("additional_headers", {"A": "b"}, "headers", {"A": "b"}),
        ("extra_headers", [("A", "b")], "headers", [("A", "b")]),
        ("open_timeout", 3, "connect_timeout", 3),
        ("open_timeout", None, "connect_timeout", math.inf),
        ("ping_interval", 7.5, "heartbeat", 7.5),
        ("ping_interval", None, "heartbeat", math.inf),
        ("server_hostname", "name", "server_hostname", "name"),
        ("subprotocols", ["a"], "subprotocols", ["a"]),
        ("origin", "http://o", "origin", "http://o"),
    ],
)
def test_names_of_websockets_connect_are_taken(alias, value, ours, expected):
    assert getattr(VuerClient(**{alias: value})._options, ours) == expected


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"uri": "ws://a", "URI": "ws://b"}, "URI= and uri="),
        ({"ssl_context": CONTEXT, "ssl": CONTEXT}, "ssl= and ssl_context="),
        ({"headers": {"A": "b"}, "extra_headers": {"C": "d"}}, "extra_headers= and headers="),
        (
            {"additional_headers": {"A": "b"}, "extra_headers": {"C": "d"}},
            "extra_headers= and headers=",
        ),
        ({"connect_timeout": 1.0, "open_timeout": 2}, "open_timeout= and connect_timeout="),
        ({"heartbeat": 1.0, "ping_interval": None}, "ping_interval= and heartbeat="),
    ],
)
def test_two_spellings_of_one_option_are_refused(given, names):
    with pytest.raises(TypeError, match=f"{names} are one option; give one of them"):
        VuerClient(**given)


@pytest.mark.parametrize("order", [1, -1])
def test_none_for_one_spelling_leaves_the_other(order):
    given = dict([("headers", {"A": "b"}), ("extra_headers", None)][::order])
    assert gather(**given).headers == {"A": "b"}


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("hartbeat", "heartbeat"),
        ("maxsize", "max_size"),
        ("url", "uri"),
        ("conect_timeout", "connect_timeout"),
        ("max_queue", "inbox"),
        ("write_limit", "outbox"),
        ("ping_timeout", "heartbeat"),
        ("sock", "stream"),
        ("user_agent_header", "headers"),
    ],
)
def test_an_unknown_keyword_names_the_nearest_of_ours(name, nearest):
    with pytest.raises(TypeError, match=f"no option '{name}'; the nearest is '{nearest}'"):
        VuerClient(**{name: 1})


def test_what_is_nearest_is_always_an_option():
    for name in ("process_exception", "xyzzy", "_"):
        with pytest.raises(TypeError, match="the nearest is") as error:
            VuerClient(**{name: 1})
        nearest = str(error.value).rsplit("'", 2)[1]
        VuerClient(**{nearest: None} if nearest in ("headers", "stream", "proxy") else {})
        assert nearest in Options.names() | {"URI", "ssl", "open_timeout", "ping_interval"}


# ---- values

WRONG_TYPES = [
    ("uri", 8012),
    ("uri", b"ws://host"),
    ("max_size", "1000"),
    ("max_size", 1e6),
    ("max_size", True),
    ("connect_timeout", "1"),
    ("connect_timeout", None),
    ("close_timeout", True),
    ("heartbeat", "20"),
    ("inbox", 10),
    ("outbox", None),
    ("ssl_context", True),
    ("headers", 5),
    ("proxy", 5),
    ("proxy", False),
    ("subprotocols", "vuer"),
    ("subprotocols", [b"vuer"]),
]
WRONG_VALUES = [
    ("uri", "http://host"),
    ("max_size", 0),
    ("max_size", -1),
    ("connect_timeout", -1),
    ("connect_timeout", math.nan),
    ("close_timeout", -0.5),
    ("heartbeat", 0),
    ("heartbeat", -1),
    ("floats", "half"),
    ("checkpoints", "never"),
    ("transport", "carrier pigeon"),
    ("compression", "gzip"),
    ("compression", True),
    ("proxy", "socks5://host:1"),
    ("proxy", "host:3128"),
]


@pytest.mark.parametrize(("name", "value"), WRONG_TYPES)
def test_a_wrong_type_is_a_type_error_that_names_the_option(name, value):
    with pytest.raises(TypeError, match=f"{name} must be .*, got ") as error:
        VuerClient(**{name: value})
    shown = type(value).__name__ if name in ("uri", "headers", "proxy") else repr(value)
    assert f"got {shown}" in str(error.value)


@pytest.mark.parametrize(("name", "value"), WRONG_VALUES)
def test_a_wrong_value_is_a_value_error_that_names_the_option(name, value):
    with pytest.raises(ValueError, match=name if name != "uri" else "URI") as error:
        VuerClient(**{name: value})
    assert repr(value) in str(error.value)


@pytest.mark.parametrize("name", ["connect_timeout", "close_timeout", "heartbeat"])
def test_seconds_may_be_infinite(name):
    assert getattr(gather(**{name: math.inf}), name) == math.inf


def test_a_timeout_may_be_zero():
    options = gather(connect_timeout=0, close_timeout=0.0)
    assert (options.connect_timeout, options.close_timeout) == (0, 0)


# ---- headers


@pytest.mark.parametrize(
    "headers",
    [
        {"A": "1", "B": "2"},
        [("A", "1"), ("B", "2")],
        iter([("A", "1"), ("B", "2")]),
        lambda: {"A": "1", "B": "2"},
        lambda: [("A", "1"), ("B", "2")],
    ],
)
def test_headers_come_in_several_forms(headers):
    assert gather(headers=headers).header_fields() == [("A", "1"), ("B", "2")]


def test_no_headers_are_none():
    assert gather().header_fields() == []
    assert gather(headers=lambda: None).header_fields() == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X", "a\r\nEvil: 1"),
        ("X", "a\nEvil: 1"),
        ("X", "a\rb"),
        ("X", "a\0b"),
        ("X\r\nEvil", "1"),
        ("X: 1\nEvil", "1"),
        ("", "1"),
    ],
)
def test_a_header_that_would_make_two_is_refused(name, value):
    for headers in ({name: value}, lambda: [(name, value)]):
        with pytest.raises(ValueError, match=r"the header .* HTTP cannot carry"):
            gather(headers=headers).header_fields()


@pytest.mark.parametrize(("name", "value"), [("X", 1), ("X", b"1"), (b"X", "1"), ("X", None)])
def test_a_header_that_is_no_string_is_refused(name, value):
    with pytest.raises(TypeError, match=r"of a header|of the header 'X' must be a str, got"):
        gather(headers=[(name, value)]).header_fields()


TRANSPORTS = pytest.mark.parametrize("transport", ["websockets", "wsproto", "trio-websocket"])


async def enter(client):
    async with client:
        pass


@TRANSPORTS
@pytest.mark.trio
async def test_a_refused_header_reaches_nobody(transport):
    with trio.fail_after(DEADLINE):
        async with memory_peer() as peer:
            client = VuerClient(
                peer.uri,
                stream=peer.stream,
                transport=transport,
                headers=lambda: {"X": "a\r\nEvil: 1"},
            )
            with pytest.raises(ValueError, match=r"the header .X. holds"):
                await enter(client)
            assert peer.conn.bytes_received == 0


@TRANSPORTS
@pytest.mark.trio
async def test_headers_are_asked_for_at_each_dial(transport):
    asked = []

    def headers():
        asked.append(f"token-{len(asked)}")
        return {"X-Token": asked[-1]}

    with trio.fail_after(DEADLINE):
        async with serve_peer() as peer:
            client = VuerClient(peer.uri, transport=transport, headers=headers)
            assert asked == []
            for n in range(2):
                async with client:
                    conn = await peer.connection(n)
                    assert conn.request.headers["X-Token"] == f"token-{n}"
    assert asked == ["token-0", "token-1"]


@TRANSPORTS
@pytest.mark.parametrize(
    ("uri", "given", "header", "values"),
    [
        ("ws://h", {"headers": {"X-A": "1"}}, "X-A", ["1"]),
        ("ws://h", {"headers": [("X-A", "1"), ("X-A", "2")]}, "X-A", ["1", "2"]),
        ("ws://h", {"headers": {"X-A": "ü"}}, "X-A", ["ü"]),
        ("ws://h", {"headers": {"Authorization": "Bearer t"}}, "Authorization", ["Bearer t"]),
        ("ws://h", {"headers": {"origin": "http://o"}}, "Origin", ["http://o"]),
        ("ws://h", {"headers": {"User-Agent": "me"}}, "User-Agent", ["me"]),
        ("ws://h", {"headers": {"host": "other:1"}}, "Host", ["other:1"]),
        ("ws://h:8012", {}, "Host", ["h:8012"]),
        ("ws://u:p@h", {}, "Authorization", ["Basic dTpw"]),
        ("ws://u:p@h", {"headers": {"authorization": "Bearer t"}}, "Authorization", ["Bearer t"]),
        ("ws://h", {"origin": "http://o"}, "Origin", ["http://o"]),
        (
            "ws://h",
            {"origin": "http://o", "headers": {"Origin": "http://mine"}},
            "Origin",
            ["http://mine"],
        ),
        ("ws://h", {"subprotocols": ["a", "b"]}, "Sec-WebSocket-Protocol", ["a, b"]),
    ],
)
@pytest.mark.trio
async def test_what_the_server_is_sent(transport, uri, given, header, values):
    with trio.fail_after(DEADLINE):
        async with (
            memory_peer() as peer,
            open_vuer_client(uri, stream=peer.stream, transport=transport, **given),
        ):
            assert peer.conn.request.headers.get_all(header) == values
            assert peer.conn.request.path == "/"
