"""The options of a server."""

from __future__ import annotations

import pytest

from vuer_trio import DropOldest, Vuer
from vuer_trio.server.options import ServerOptions


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
        ({"host": 1}, "host must be a str, or None for every interface, got 1"),
        ({"port": "80"}, "port must be an int, got '80'; use 0 for any"),
        ({"port": True}, "port must be an int, got True"),
        ({"port": 70_000}, "port must be from 0 to 65535, got 70000"),
        ({"max_size": 0}, "max_size must be at least 1, got 0"),
        ({"max_size": "1"}, "max_size must be an int, got '1'"),
        ({"max_sessions": 0}, "max_sessions must be at least 1, got 0"),
        ({"max_sessions_per_host": 0}, "max_sessions_per_host must be at least 1, got 0"),
        ({"max_sessions_per_host": "1"}, "max_sessions_per_host must be an int, got '1'"),
        ({"init_timeout": 0}, "init_timeout must be more than 0 seconds, got 0"),
        ({"init_timeout": None}, "init_timeout must be a number of seconds, got None"),
        ({"hosts": "robot"}, "hosts must be a list of names, got 'robot'"),
        ({"hosts": None}, "hosts must be a list of names, got None"),
        (
            {"hosts": ["http://robot"]},
            "each of hosts must be a name without scheme, .*'http://robot'",
        ),
        ({"domain": 5}, "domain must be a URL, 'https://vuer.ai', got 5"),
        ({"client_url": 5}, "client_url must be a URL, 'https://vuer.ai', got 5"),
        ({"queries": "a=b"}, r"queries must be a dict .*; use \{'grid': False\}"),
        ({"web_port": "80"}, "port must be an int, got '80'"),
        ({"cors": 5}, r"cors must be origins, separated by commas, got 5; use '\*' for all"),
        ({"cors": "https://a.example/x"}, "each of cors must be a scheme, a host and perhaps a"),
        ({"queue_len": 0}, "queue_len must be at least 1, got 0"),
        ({"queue_len": "3"}, "queue_len must be an int, got '3'"),
        ({"queue_len": 3, "queue_size": 3}, "queue_len= and queue_size= say the same; use one"),
        ({"queue_len": 3, "outbox": DropOldest(3)}, "queue_len= and outbox= say the same; use one"),
        ({"max_size": 3, "WEBSOCKET_MAX_SIZE": 3}, "max_size= and WEBSOCKET_MAX_SIZE= say the"),
        ({"REQUEST_MAX_SIZE": 0}, "request_max_size must be at least 1, got 0"),
        ({"handshake_timeout": "1"}, "handshake_timeout must be a number of seconds, got '1'"),
        ({"close_timeout": -1}, "close_timeout must be 0 or more seconds, got -1"),
        ({"heartbeat": 0}, "heartbeat must be more than 0 seconds, got 0"),
        ({"inbox": 5}, r"inbox must be a policy, got 5; use Fifo\(1024\)"),
        ({"backend": "curio"}, "backend must be one of 'auto', 'trio', 'asyncio', got"),
        ({"floats": "half"}, "floats must be one of 'double', 'single', got 'half'"),
        ({"transport": "udp"}, "transport must be one of .*, got 'udp'"),
        ({"key": "a.pem"}, "key= is the private key of a certificate; it needs cert="),
        ({"ca_cert": "a.pem"}, "ca_cert= .* needs cert= and key="),
        (
            {"client_root": "/nowhere"},
            "client_root must be a folder with an index.html in it, got '/nowhere'",
        ),
        (
            {"origins": "https://a.example"},
            r"origins must be a list of str, got .*; use \['https://a.example'\]",
        ),
        ({"origins": [5]}, "each of origins must be a str, got 5; use"),
        (
            {"origins": ["a.example"]},
            "each of origins must be a scheme, a host and perhaps a port, got 'a.example'; use",
        ),
        (
            {"origins": ["https://a.example/x"]},
            "each of origins must be a scheme, a host and perhaps a port",
        ),
        (
            {"static_root": 5},
            "workspace must be a folder, a list of folders or a Workspace, got 5; use '.'",
        ),
        ({"workspace": [5]}, "workspace must be a folder, a list of folders or a Workspace"),
        ({"workspace_path": 5}, "workspace_path must be a str, got 5"),
        ({"max_session": 5}, "a server has no option 'max_session'; .* 'max_sessions'"),
        (
            {"max_session": 5, "hots": 1},
            r"no options 'max_session' \(nearest: 'max_sessions'\), 'hots' \(nearest: 'hosts'\)",
        ),
    ],
)
def test_what_can_not_be_is_said_at_once(option, message):
    with pytest.raises((TypeError, ValueError), match=message):
        Vuer(**option)


def test_what_can_be():
    app = Vuer(None, 0, inbox=DropOldest(5), origins=None, backend="asyncio", floats="single")
    assert repr(app) == "<Vuer not serving>"
    assert app.sessions == ()


def test_a_list_that_can_be_read_only_once_is_kept():
    options = ServerOptions.gather(
        {"host": None, "origins": iter(["https://a.example"]), "hosts": iter(["a.example"])}
    )
    for _ in range(2):
        assert (*options.origins, *options.hosts) == ("https://a.example", "a.example")


@pytest.mark.parametrize(
    ("most", "per_host", "found"),
    [(1000, None, 250), (1, None, 1), (2, None, 1), (5, None, 2), (1000, 7, 7), (5, 100, 100)],
)
def test_one_address_has_a_quarter_of_the_sessions(most, per_host, found):
    given = {"host": None, "max_sessions": most, "max_sessions_per_host": per_host}
    assert ServerOptions.gather(given).sessions_per_host == found
