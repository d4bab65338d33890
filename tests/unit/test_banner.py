"""What a server says when it starts."""

from __future__ import annotations

import io
import ipaddress
import os
import socket

import pytest

from vuer_trio import Vuer
from vuer_trio.server import banner as module
from vuer_trio.server.banner import banner, network_address, network_page_url, settings
from vuer_trio.server.options import ServerOptions
from vuer_trio.server.qr_code import coloured, qr_code


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in ("VUER_HOST", "VUER_PORT", "VUER_DOMAIN", "VUER_CORS", "VUER_SSL_CERT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def at_home(monkeypatch):
    addresses = {socket.AF_INET: "192.168.1.5", socket.AF_INET6: "fd00::5"}
    monkeypatch.setattr(module, "network_address", lambda family=socket.AF_INET: addresses[family])


def lines(port=8012, backend="trio", workspace=(), **options):
    return banner(Vuer(**options)._options, port, backend, workspace)


def test_on_this_machine_alone():
    assert lines() == [
        "Vuer is at ws://localhost:8012",
        "Local:     http://localhost:8012",
        "Client:    https://vuer.ai?ws=ws://localhost:8012",
        "Backend:   trio",
    ]


@pytest.mark.parametrize("host", ["0.0.0.0", "", None])
def test_everywhere_it_prints_what_a_headset_can_type(at_home, host):
    said = lines(host=host, queries={"grid": False, "background": "#fff"}, backend="asyncio")
    assert said == [
        "Vuer is at ws://localhost:8012",
        "Local:     http://localhost:8012?grid=False&background=%23fff",
        "Network:   http://192.168.1.5:8012?grid=False&background=%23fff",
        "Client:    https://vuer.ai?ws=ws://localhost:8012&grid=False&background=%23fff",
        "           https://vuer.ai?ws=ws://192.168.1.5:8012&grid=False&background=%23fff",
        "Backend:   asyncio",
    ]


def test_everywhere_in_ipv6(at_home):
    assert lines(host="::")[:3] == [
        "Vuer is at ws://[::1]:8012",
        "Local:     http://[::1]:8012",
        "Network:   http://[fd00::5]:8012",
    ]


def test_in_no_network(monkeypatch):
    monkeypatch.setattr(module, "network_address", lambda family=0: None)
    assert not [line for line in lines(host="0.0.0.0") if "Network" in line]


def test_with_tls_and_another_port():
    said = lines(
        9000, host="10.0.0.7", cert="a.pem", key="b.pem", domain="https://my.example/x?a=b"
    )
    assert said[:3] == [
        "Vuer is at wss://10.0.0.7:9000",
        "Local:     https://10.0.0.7:9000?ws=wss://10.0.0.7:9000",
        "Client:    https://my.example/x?a=b&ws=wss://10.0.0.7:9000",
    ]


def test_the_page_of_a_development_server_and_folders():
    said = lines(web_port=3000, client_url="http://{host}:{web_port}", workspace=["/a", "/b"])
    assert said == [
        "Vuer is at ws://localhost:8012",
        "Local:     http://localhost:3000?ws=ws://localhost:8012",
        "Client:    http://localhost:3000?ws=ws://localhost:8012",
        "Workspace: /a",
        "           /b",
        "Backend:   trio",
    ]


def test_an_address_of_this_machine():
    found = network_address()
    if found is not None:
        assert not ipaddress.ip_address(found).is_unspecified
        with socket.socket() as it:
            it.bind((found, 0))
    assert Vuer().local_ip == (found or "127.0.0.1")


def test_verbose_shows_every_option():
    shown = settings(Vuer(port=7, queries={"a": 1})._options)
    assert len(shown) == len(ServerOptions.__dataclass_fields__)
    assert "                  port: 7" in shown


def test_get_url():
    assert Vuer(queries={"grid": False}).get_url() == (
        "https://vuer.ai?ws=ws://localhost:8012&grid=False"
    )
    assert Vuer(client_url="http://a.example").get_url("10.0.0.7") == (
        "http://a.example?ws=ws://10.0.0.7:8012"
    )


def test_a_headset_is_told_where_the_page_and_the_authority_are(at_home, monkeypatch, tmp_path):
    monkeypatch.setenv("VUER_TRIO_DATA", str(tmp_path))
    assert lines(tls="auto") == [
        "Vuer is at wss://localhost:8012",
        "Local:     https://localhost:8012?ws=wss://localhost:8012",
        "Network:   https://192.168.1.5:8012?ws=wss://192.168.1.5:8012",
        "Client:    https://vuer.ai?ws=wss://localhost:8012",
        "           https://vuer.ai?ws=wss://192.168.1.5:8012",
        "Backend:   trio",
        f"Authority: {tmp_path / 'ca.pem'}",
        "           a device that trusts it shows no warning: open "
        "https://192.168.1.5:8012/ca.pem there, once",
        "Access:    everybody in this network; with token= only who knows that",
    ]
    assert not [line for line in lines(tls="auto", token="a") if line.startswith("Access:")]
    assert not [line for line in lines(tls="auto", host="localhost") if line.startswith("Access:")]


def is_sent_by(page):
    """What the host of a page is sent by a browser that opens it."""
    return page.partition("#")[0]


@pytest.mark.parametrize(
    ("client_url", "is_ours"),
    [
        (None, False),
        ("https://my.example/{host}", False),
        ("https://192.168.1.5.evil.example/", False),
        ("https://localhost@evil.example/", False),
        ("http://localhost:3000", True),
        ("http://{host}:3000", True),
        ("http://{local_ip}:3000", True),
    ],
)
def test_the_token_is_sent_to_no_page_of_somebody_elses(at_home, client_url, is_ours):
    options = {"host": "0.0.0.0", "token": "S3CRET", "client_url": client_url}
    said = lines(**options)
    clients = said[next(n for n, line in enumerate(said) if line.startswith("Client:")) : -1]
    assert clients
    assert any("S3CRET" in is_sent_by(line) for line in clients) is is_ours
    assert any("without the token" in line for line in clients) is not is_ours
    assert ("S3CRET" in Vuer(**options).get_url()) is is_ours
    assert "S3CRET" in said[1]  # the server's own page


def test_the_token_is_in_the_pages_and_nowhere_else(at_home):
    said = lines(host=None, token="a+b&c")
    ws = "ws://192.168.1.5:8012%3Ftoken%3Da%252Bb%2526c"
    assert f"Network:   http://192.168.1.5:8012?ws={ws}" in said
    assert "           https://vuer.ai?ws=ws://192.168.1.5:8012" in said
    assert said[0] == "Vuer is at ws://localhost:8012"
    app = Vuer(token="open-sesame")
    assert "open-sesame" not in app.get_url()
    assert "open-sesame" not in "\n".join(settings(app._options))
    assert "open-sesame" not in repr(app._options)
    assert any(line.split() == ["token:", "***"] for line in settings(app._options))
    assert any(line.split() == ["token:", "None"] for line in settings(Vuer()._options))


class Out(io.StringIO):
    """A stream that may be a terminal."""

    def __init__(self, terminal: bool, encoding: str = "utf-8") -> None:
        super().__init__()
        self._terminal, self._encoding = terminal, encoding

    def isatty(self) -> bool:
        return self._terminal

    def fileno(self) -> int:
        return 1

    @property
    def encoding(self) -> str:
        return self._encoding


def test_a_code_is_drawn_where_it_can_be_read(monkeypatch):
    columns = [100]
    monkeypatch.setattr("os.get_terminal_size", lambda fd: os.terminal_size((columns[0], 24)))
    url = "https://192.168.1.5:8012?ws=wss://192.168.1.5:8012"
    code = qr_code(url, Out(True))
    assert len({len(line) for line in code}) == 1
    assert coloured(code)[0] == f"\x1b[97;40m{code[0]}\x1b[0m"
    assert qr_code(url, Out(False)) == []
    assert qr_code(url, Out(True, "latin-1")) == []
    columns[0] = 20
    assert qr_code(url, Out(True)) == []


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "10.0.0.7", None])
def test_the_page_for_another_device(at_home, host):
    url = network_page_url(Vuer(host=host, tls="auto")._options, 8012)
    if host in ("localhost", "127.0.0.1"):
        assert url is None
    else:
        address = host or "192.168.1.5"
        assert url == f"https://{address}:8012?ws=wss://{address}:8012"
