"""Through an HTTP proxy that speaks CONNECT, and through some that do not."""

from __future__ import annotations

import base64
import contextlib
import ssl
from contextlib import asynccontextmanager

import pytest
import trio
import trustme

from tests.scripted_server import event_frame, serve_peer
from vuer_trio import ConnectionFailed, open_vuer_client
from vuer_trio._net.address import parse_address
from vuer_trio._net.proxy import find_proxy, parse_proxy

DEADLINE = 60  # seconds; only broken code gets there
OK = b"HTTP/1.1 200 Connection established\r\n\r\n"
VARIABLES = [f"{name}_proxy" for name in ("http", "https", "ws", "wss", "all", "no", "socks")]


@pytest.fixture(autouse=True)
def no_proxy_in_the_environment(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class Proxy:
    def __init__(self, *, reply=OK, wants=None, pieces=False):
        self.reply = reply
        self.wants = wants  # Proxy-Authorization
        self.pieces = pieces
        self.requests = []
        self.port = 0
        self.ended = 0  # connections that the client has ended

    @property
    def uri(self):
        return f"http://127.0.0.1:{self.port}"

    async def handle(self, stream):
        head = b""
        while b"\r\n\r\n" not in head:
            data = await stream.receive_some()
            if not data:
                return
            head += data
        self.requests.append(head)
        reply = self.reply
        if self.wants is not None and f"\r\nProxy-Authorization: {self.wants}\r\n" not in (
            head.decode()
        ):
            reply = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
        for i in range(0, len(reply), 1 if self.pieces else 10_000):
            await stream.send_all(reply[i : i + (1 if self.pieces else 10_000)])
        if b" 200 " not in reply.split(b"\r\n")[0] and b"100" not in reply[:20]:
            if reply:
                await self.wait_end(stream)
            return
        host, port = head.split()[1].decode().rsplit(":", 1)
        target = await trio.open_tcp_stream(host.strip("[]"), int(port))
        async with target, trio.open_nursery() as nursery:
            nursery.start_soon(self.pump, stream, target)
            await self.pump(target, stream)
            nursery.cancel_scope.cancel()

    async def wait_end(self, stream):
        while await stream.receive_some():
            pass

    async def pump(self, source, sink):
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while data := await source.receive_some():
                await sink.send_all(data)
            if hasattr(sink, "send_eof"):
                await sink.send_eof()


@asynccontextmanager
async def serve_proxy(context=None, **options):
    proxy = Proxy(**options)

    async def handle(stream):
        if context is not None:
            stream = trio.SSLStream(stream, context, server_side=True)
        with contextlib.suppress(trio.BrokenResourceError):  # with unread data it is a reset
            async with stream:
                await proxy.handle(stream)
        proxy.ended += 1

    with trio.fail_after(DEADLINE):
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(trio.serve_tcp, handle, 0)
            proxy.port = next(
                s.socket.getsockname()[1]
                for s in listeners
                if s.socket.family == trio.socket.AF_INET
            )
            try:
                yield proxy
            finally:
                nursery.cancel_scope.cancel()


async def greet(conn):
    await conn.accept(trailing=event_frame({"etype": "HELLO", "data": 1}))


transports = pytest.mark.parametrize("transport", ["websockets", "wsproto", "trio-websocket"])


async def succeeds(uri, **options):
    async with open_vuer_client(uri, **options) as client:
        assert (await client.recv()).etype == "HELLO"


@transports
@pytest.mark.trio
async def test_ws_goes_through_the_tunnel(transport):
    async with serve_proxy() as proxy, serve_peer(greet) as peer:
        await succeeds(peer.uri, proxy=proxy.uri, transport=transport)
    [request] = proxy.requests
    target = f"127.0.0.1:{peer.port}"
    assert request.startswith(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n".encode())
    assert b"authorization" not in request.lower()
    assert peer.connections[0].close_code == 1000


@transports
@pytest.mark.trio
async def test_wss_goes_through_the_tunnel(transport):
    async with serve_proxy() as proxy, serve_peer(greet, tls=True) as peer:
        await succeeds(
            peer.uri, proxy=proxy.uri, transport=transport, ssl_context=peer.client_ssl_context
        )
        [request] = proxy.requests
        assert request.startswith(f"CONNECT localhost:{peer.port} ".encode())
        with pytest.raises(ConnectionFailed, match="certificate"):
            await succeeds(peer.uri, proxy=proxy.uri, transport=transport)


@pytest.mark.trio
async def test_tls_to_the_proxy_and_tls_through_it(monkeypatch, tmp_path):
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    async with serve_proxy(context) as proxy:
        uri = f"https://localhost:{proxy.port}"
        async with serve_peer(greet) as peer:
            await succeeds(peer.uri, proxy=uri)
        async with serve_peer(greet, tls=True) as peer:
            await succeeds(peer.uri, proxy=uri, ssl_context=peer.client_ssl_context)
    assert len(proxy.requests) == 2


@pytest.mark.parametrize("user", ["me:secret", "me:", "m%40e:s%3Acr%C3%A9t"])
@pytest.mark.trio
async def test_a_proxy_that_wants_a_password_gets_it(user):
    plain = {"m%40e:s%3Acr%C3%A9t": "m@e:s:crét"}.get(user, user)
    wants = "Basic " + base64.b64encode(plain.encode()).decode()
    async with serve_proxy(wants=wants) as proxy, serve_peer(greet) as peer:
        await succeeds(peer.uri, proxy=f"http://{user}@127.0.0.1:{proxy.port}")
        with pytest.raises(
            ConnectionFailed, match=r"the proxy http://127.0.0.1:\d+ answered HTTP 407 Proxy"
        ) as error:
            await succeeds(peer.uri, proxy=proxy.uri)
    assert error.value.status == 407
    assert len(peer.connections) == 1
    assert "authorization" not in {name.lower() for name in peer.connections[0].request.headers}


@pytest.mark.parametrize(
    ("reply", "what", "status"),
    [
        (
            b"HTTP/1.1 403 No\r\nContent-Length: 3\r\n\r\nno\n",
            "answered HTTP 403 No",
            403,
        ),
        (b"HTTP/1.0 502\r\n\r\n", "answered HTTP 502", 502),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", "answered HTTP 302", 302),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "answer is not HTTP", None),
        (b"\x05\xff\r\n\r\n", "answer is not HTTP", None),
        (b"HTTP/1.1 x" + b"x" * 100_000, "answer is not HTTP", None),
        (b"", "closed the stream before it answered", None),
    ],
    ids=["403", "502", "302", "ssh", "socks", "endless", "hangs up"],
)
@pytest.mark.trio
async def test_a_proxy_that_does_not_open_a_tunnel(reply, what, status):
    async with serve_proxy(reply=reply) as proxy, serve_peer() as peer:
        with pytest.raises(ConnectionFailed, match=what) as error:
            await succeeds(peer.uri, proxy=proxy.uri)
        assert f"the proxy {proxy.uri}" in str(error.value)
        assert (error.value.status, error.value.uri) == (status, peer.uri)
        while reply and not proxy.ended:
            await trio.sleep(0.001)
    assert peer.connections == []


@pytest.mark.trio
async def test_a_proxy_that_is_not_there():
    async with serve_proxy() as proxy:
        uri = proxy.uri
    with pytest.raises(ConnectionFailed) as error:
        await succeeds("ws://127.0.0.1:9", proxy=uri.replace("//", "//me:secret@"))
    shown = uri.replace("//", "//me:***@")
    assert str(error.value) == (
        f"could not connect to ws://127.0.0.1:9: the proxy {shown} could not be reached: "
        "Connection refused; is it running there?"
    )


@pytest.mark.trio
async def test_the_answer_may_come_in_pieces_and_after_a_provisional_one():
    reply = b"HTTP/1.1 100 Continue\r\n\r\n" + OK
    async with serve_proxy(reply=reply, pieces=True) as proxy, serve_peer(greet) as peer:
        await succeeds(peer.uri, proxy=proxy.uri)


@pytest.mark.parametrize("variable", ["http_proxy", "https_proxy", "HTTPS_PROXY", "ws_proxy"])
@pytest.mark.trio
async def test_proxy_true_is_the_environment_s(monkeypatch, variable):
    async with serve_proxy() as proxy, serve_peer(greet) as peer:
        monkeypatch.setenv(variable, proxy.uri)
        await succeeds(peer.uri)
        assert proxy.requests == [], "without proxy=True the environment means nothing"
        await succeeds(peer.uri, proxy=True)
        assert len(proxy.requests) == 1


@pytest.mark.parametrize("exception", ["127.0.0.1", "*", "elsewhere,127.0.0.1"])
@pytest.mark.trio
async def test_no_proxy_is_obeyed(monkeypatch, exception):
    async with serve_proxy() as proxy, serve_peer(greet) as peer:
        monkeypatch.setenv("https_proxy", proxy.uri)
        monkeypatch.setenv("no_proxy", exception)
        await succeeds(peer.uri, proxy=True)
        assert proxy.requests == []
        await succeeds(peer.uri, proxy=proxy.uri)
        assert len(proxy.requests) == 1, "a proxy that was named is used"


@pytest.mark.parametrize(
    ("uri", "environment", "expected"),
    [
        ("ws://h", {}, None),
        ("ws://h", {"http_proxy": "http://a"}, "http://a"),
        ("ws://h", {"http_proxy": "http://a", "https_proxy": "http://b"}, "http://b"),
        ("ws://h", {"ws_proxy": "http://w", "https_proxy": "http://b"}, "http://w"),
        ("wss://h", {"http_proxy": "http://a"}, None),
        ("wss://h", {"https_proxy": "http://b"}, "http://b"),
        ("wss://h", {"wss_proxy": "http://w", "https_proxy": "http://b"}, "http://w"),
        ("wss://h", {"https_proxy": "http://b", "no_proxy": "h"}, None),
        ("wss://h:8443", {"https_proxy": "http://b", "no_proxy": "h:8443"}, None),
        ("wss://h:1", {"https_proxy": "http://b", "no_proxy": "h:8443"}, "http://b"),
        ("wss://a.h", {"https_proxy": "http://b", "no_proxy": ".h"}, None),
    ],
)
def test_which_proxy_the_environment_names(monkeypatch, uri, environment, expected):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = find_proxy(parse_address(uri))
    assert (found and found.uri) == expected


@pytest.mark.parametrize(
    ("proxy", "parsed"),
    [
        ("http://h", (False, "h", 80, None)),
        ("http://h:3128", (False, "h", 3128, None)),
        ("https://h", (True, "h", 443, None)),
        ("http://[::1]:1/", (False, "::1", 1, None)),
        ("http://u@h", (False, "h", 80, "Basic dTo=")),
    ],
)
def test_a_proxy_s_address_is_taken_apart(proxy, parsed):
    found = parse_proxy(proxy)
    assert (found.secure, found.host, found.port, found.authorization) == parsed


@pytest.mark.parametrize("proxy", ["h:3128", "socks5://h:1", "http://", "", "http://h:port"])
def test_a_proxy_that_is_none_is_a_value_error_that_names_the_option(proxy):
    with pytest.raises(ValueError, match="proxy must be"):
        parse_proxy(proxy)


def test_a_password_of_the_proxy_is_not_shown():
    with pytest.raises(ValueError, match="proxy must be") as error:
        parse_proxy("socks5://me:secret@h:1")
    assert "secret" not in str(error.value)
