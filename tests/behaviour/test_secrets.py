"""Nothing that is secret is seen: in an error or its chain, in a repr, in a log at DEBUG."""

from __future__ import annotations

import json
import logging
import stat
from functools import partial

import anyio
import msgpack
import pytest

from tests.behaviour.raw_client import eventually, masked, pack, raw, request
from tests.recording_files import need_mcap
from tests.scripted_roomz_server import enter, with_http
from tests.scripted_server import serve_peer
from tests.secret_watch import MARK, SecretWatch, secret
from vuer_trio import (
    ConnectionClosed,
    ConnectionFailed,
    ProtocolError,
    VuerClient,
    open_vuer_server,
)
from vuer_trio.arc import AuthenticationError, RegistrationError
from vuer_trio.events import ClientEvent, ServerEvent
from vuer_trio.record import Recorder, open_recording
from vuer_trio.roomz import AsyncClient, ClientError
from vuer_trio.roomz.cache import SessionCache

pytestmark = pytest.mark.anyio

PASSWORD, TOKEN, PAYLOAD = secret("password"), secret("token"), secret("payload")
HEADERS = {
    "Authorization": f"Bearer {secret('bearer')}",
    "Cookie": f"a=b; session={secret('cookie')}",
    "X-Api-Key": secret("key"),
}
#: the peer's protocol is that of `websockets`, which logs what it gets
PEERS = ("websockets.server",)
#: escape sequences, of a terminal with 7 bits and with 8
EVIL = "\x1b[2J\x9b31m\r\n\u202e"


@pytest.fixture
def watch(caplog):
    return SecretWatch(caplog)


def with_secrets(uri):
    scheme, _, host = uri.partition("://")
    return f"{scheme}://me:{PASSWORD}@{host}/path?token={TOKEN}&{secret('bare')}"


@pytest.fixture
def open_secretly(open_client):
    """A client whose URI and headers hold secrets."""

    def opened(uri, **options):
        return open_client(with_secrets(uri), **{"headers": HEADERS, **options})

    return opened


def look_at(watch, client):
    watch.look(client, client._options, client.uri, vars(client), client.statistics())


async def test_of_a_client_that_is_connected(open_secretly, watch):
    async def script(conn):
        await conn.accept()
        await conn.send_event({"etype": "X", "data": PAYLOAD})
        await conn.send(PAYLOAD.encode())
        await conn.send_text(PAYLOAD)
        await conn.wait_ended()

    async with serve_peer(script) as peer:
        client = open_secretly(peer.uri)
        look_at(watch, client)
        async with client:
            look_at(watch, client)
            request = peer.connections[0].request
            assert f"token={TOKEN}" in request.path, "what is sent is not touched"
            assert request.headers["X-Api-Key"] == HEADERS["X-Api-Key"]
            assert (await client.recv(timeout=60)).data == PAYLOAD
            for _ in range(2):
                with pytest.raises(ProtocolError) as error:
                    await client.recv(timeout=60)
                assert PAYLOAD.encode() in error.value.frame
                watch.look(error.value)
            with pytest.raises(TypeError) as error:
                client.send @ PAYLOAD
            watch.look(error.value)
            client.send @ ClientEvent(etype="X", value=PAYLOAD)
        with pytest.raises(ConnectionError) as error:
            client.send @ ClientEvent(etype="X", value=PAYLOAD)
        watch.look(error.value)
    assert "ws://me:***@127.0.0.1" in repr(client)
    assert repr(client).endswith("/path?token=***&*** gone>")
    watch.check(of_peers=PEERS)


async def test_of_a_client_that_gets_nowhere(open_secretly, watch, monkeypatch):
    await watch.fails(open_secretly("ws://127.0.0.1:1"), ConnectionFailed)
    async with serve_peer() as peer:
        await watch.fails(open_secretly(peer.uri.replace("ws", "wss", 1)), ConnectionFailed)
    async with serve_peer(tls=True) as peer:
        await watch.fails(open_secretly(peer.uri), ConnectionFailed)
    for proxy in (f"http://me:{PASSWORD}@127.0.0.1:1", f"https://{secret('x')}@127.0.0.1:1"):
        client = open_secretly("ws://127.0.0.1:2", proxy=proxy)
        look_at(watch, client)
        await watch.fails(client, ConnectionFailed)
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.delenv("no_proxy", raising=False)
        await watch.fails(open_secretly("ws://127.0.0.2:2", proxy=True), ConnectionFailed)
    for proxy in (f"me:{PASSWORD}@proxy:1", f"socks5://me:{PASSWORD}@proxy:1"):
        monkeypatch.setenv("http_proxy", proxy)
        await watch.fails(open_secretly("ws://127.0.0.2:2", proxy=True), ValueError)
    watch.check(of_peers=PEERS)


async def test_of_a_server_that_sends_them_back(open_secretly, watch):
    """A page that says what was not found; a proxy that says whom it does not know."""

    async def script(conn):
        got = await conn.wait_request()
        told = f"{EVIL}{got.path} {got.headers}"
        lines = f"HTTP/1.1 401 No {TOKEN}\r\nX: {TOKEN}\r\nContent-Length: {len(told.encode())}"
        await conn.send_raw(f"{lines}\r\n\r\n{told}".encode())
        await conn.end_tcp()

    async def switches(conn):
        got = await conn.wait_request()
        told = got.path.encode("latin-1") + b"\x9b31m"
        head = b"HTTP/1.1 101 No\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        await conn.send_raw(head + b"Sec-WebSocket-Accept: " + told + b"\r\n\r\n")
        await conn.end_tcp()

    for behave in (script, switches):
        async with serve_peer(behave) as peer:
            error = await watch.fails(open_secretly(peer.uri), ConnectionFailed)
            assert len(str(error)) < 1200
            proxy = peer.uri.replace("ws://", f"http://me:{PASSWORD}@")
            await watch.fails(open_secretly("ws://127.0.0.1:2", proxy=proxy), ConnectionFailed)
    watch.check(of_peers=PEERS)


@pytest.mark.parametrize("how", ["closes", "breaks", "breaks the protocol", "too much"])
async def test_of_a_link_that_is_lost(open_secretly, watch, how):
    async def script(conn):
        await conn.accept()
        await conn.recv()
        if how == "closes":
            await conn.close(4000, f"why? {EVIL}")
        elif how == "breaks":
            await conn.abort()
        elif how == "too much":
            await conn.send(PAYLOAD.encode() * 100)
        else:
            await conn.send_raw(b"\xff\x7f" + PAYLOAD.encode())
        await conn.wait_disconnected()

    async with serve_peer(script) as peer:
        with pytest.raises(ConnectionClosed) as error:
            async with open_secretly(peer.uri, max_size=100) as client:
                await client.recv(timeout=60)
        watch.look(error.value, client, client.close_code)
    watch.check(of_peers=PEERS)


async def test_of_one_that_reconnects(open_secretly, watch):
    async def script(conn):
        await conn.accept()
        await conn.recv()
        await conn.close(4000, EVIL)

    async with serve_peer(script) as peer:
        async with open_secretly(peer.uri, reconnect=True) as client:
            with anyio.fail_after(60):
                async for change in client.link_changes():
                    if getattr(change, "generation", 0) >= 2:
                        break
    assert client.generation >= 2
    watch.check(of_peers=PEERS)


async def test_of_a_server(new_server, open_secretly, watch):
    app = new_server()
    ready = anyio.Event()

    @app.add_handler("X")
    async def handle(event, session):
        watch.look(session, session.statistics() if hasattr(session, "statistics") else None)
        with pytest.raises(TypeError) as error:
            await session.rpc(ServerEvent(PAYLOAD, etype="Y"))
        watch.look(error.value)
        ready.set()
        raise ValueError("the handler failed")

    async with open_vuer_server(app) as server:
        async with open_secretly(server.uri) as client:
            client.send @ ClientEvent(etype="X", value=PAYLOAD)
            with anyio.fail_after(60):
                await ready.wait()
            watch.look(app, server, app.sessions, vars(app))
        bad = masked(PAYLOAD.encode())
        for upgrade, after in (
            (request(), pack("INIT") + bad),
            (request(), pack("INIT") + masked(PAYLOAD.encode(), 1)),
            (request(), pack("INIT") + b"\xff" + bad),
            (f"GET /?token={TOKEN} HTTP/1.1\r\nX\x1b: {TOKEN}\r\n\r\n".encode(), b""),
            (f"GET /\x1b{TOKEN} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), b""),
            (f"Authorization : Bearer {TOKEN}\r\n\r\n".encode(), b""),
            (f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization : {TOKEN}\r\n\r\n".encode(), b""),
            (f"GET /?{TOKEN} HTTP/9.1\r\nHost: x\r\n\r\n".encode(), b""),
            (f"GET /?{TOKEN} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n".encode(), b""),
            (f"PUT /{TOKEN} HTTP/1.1\r\nHost: {EVIL[3:5]}\r\n\r\n".encode("latin-1"), b""),
        ):
            async with raw(server.port) as stranger:
                await stranger.send(upgrade + after)
                await stranger.end()
                await stranger.read_to_the_end()
        await eventually(lambda: not app.sessions)
    watch.check()


async def test_of_an_origin_that_would_move_the_cursor(new_server, watch, caplog):
    async with open_vuer_server(new_server()) as server, raw(server.port) as page:
        origin = b"http://x\x9b31m" + b"y" * 5000
        await page.send(request().replace(b"\r\n\r\n", b"\r\nOrigin: " + origin + b"\r\n\r\n"))
        await page.read_to_the_end()
        assert page.received.startswith(b"HTTP/1.1 403 ")
    assert any("\\x9b31m" in line for line in caplog.messages)
    assert max(map(len, caplog.messages)) < 1000
    watch.check()


async def test_of_an_agent(open_agent, open_relay, watch):
    register_secret = secret("registers")
    async with open_relay(register_secret=register_secret) as relay:
        watch.look(relay, relay.options, relay.stats())
        await watch.fails(open_agent(relay.url), RegistrationError)
        await watch.fails(open_agent(relay.url, register_secret=TOKEN), RegistrationError)
        open_agent = partial(open_agent, register_secret=register_secret)
        wrong = open_agent(relay.url, agent_id="agent-a", token=TOKEN, headers=HEADERS)
        watch.look(wrong, wrong._options, vars(wrong))
        await watch.fails(wrong, AuthenticationError)
        async with open_agent(relay.url, agent_id="agent-a") as agent:
            assert agent.token is not None
            await agent.send(["agent-a"], PAYLOAD)
            watch.look(agent, vars(agent), await agent.recv(timeout=60))
            await watch.fails(open_agent(relay.url, agent_id="agent-a"), RegistrationError)
            with pytest.raises(TypeError) as error:
                await agent.send(["agent-a"], {PAYLOAD})
            watch.look(error.value)
        watch.check(more=(agent.token,))
    await watch.fails(open_agent(relay.url, token=TOKEN, headers=HEADERS), ConnectionFailed)
    with pytest.raises(ValueError, match="the token goes into token=") as error:
        open_agent(f"{relay.url}/?token={TOKEN}")
    watch.look(error.value)
    register = f"{relay.url}/register?token={TOKEN}"
    await watch.fails(open_agent(relay.url, register_url=register), ConnectionFailed)
    proxy = f"http://me:{PASSWORD}@127.0.0.1:1"
    for options in ({}, {"token": TOKEN}):
        await watch.fails(open_agent(relay.url, proxy=proxy, **options), ConnectionFailed)
    watch.check()


async def test_of_a_relay_that_sends_them_back(open_agent, watch):
    async def closes(conn):
        got = await conn.wait_request()
        if not got.path.startswith("/arc"):
            told = json.dumps({"error": EVIL + "x" * 9999, "message": f"{EVIL}{got.path}"})
            await conn.send_raw(
                f"HTTP/1.1 400 x\r\nContent-Length: {len(told)}\r\n\r\n{told}".encode()
            )
            return await conn.end_tcp()
        await conn.accept()
        await conn.close(4001, f"{EVIL} bad {TOKEN}")
        await conn.wait_disconnected()

    async with serve_peer(closes) as peer:
        url = peer.uri.replace("ws", "http", 1)
        error = await watch.fails(open_agent(url, token=TOKEN), AuthenticationError)
        assert "bad ***" in str(error)
        register = f"{url}/register?key={secret('key')}"
        with pytest.raises(RegistrationError) as error:
            await open_agent(url, register_url=register).stats()
        watch.look(error.value)
        assert len(str(error.value)) < 1000
    watch.check(of_peers=PEERS)


async def test_of_a_room(backend, tmp_path, watch):
    def client_of(url, token=TOKEN, **options):
        return AsyncClient(url, token, transport=backend.transport, **options)

    for url in ("http://127.0.0.1:1", f"http://me:{PASSWORD}@127.0.0.1:1"):
        client = client_of(url)
        watch.look(client, vars(client), client._settings)
        await watch.fails(client, ClientError)

    async def script(conn):
        got = await conn.wait_request()
        if got.path.startswith("/auth/verify"):
            await conn.send_raw(
                f"HTTP/1.1 302 x\r\nLocation: /?error=no{TOKEN}\r\nContent-Length: 0\r\n"
                f"Set-Cookie: session_token={secret('cookie')}\r\n\r\n".encode()
            )
            return await conn.end_tcp()
        await enter(conn)
        for bad in (f"9{PAYLOAD}", f'42["{PAYLOAD}"', f'44{{"message":"{EVIL!r}"}}'):
            await conn.send_text(bad)
        await conn.send_text('42["m\\u001b[2J",{}]')
        await conn.send_text('42["connect\\u001b",{}]')
        await conn.close(4000, EVIL)
        await conn.wait_disconnected()

    answers = {"/auth/me": (401, {"detail": f"{EVIL}{secret('cookie')}"})}
    async with serve_peer(with_http(script, answers)) as peer:
        url = peer.uri.replace("ws", "http", 1).replace("//", f"//me:{PASSWORD}@")
        await watch.fails(client_of(url), ClientError)
        path = tmp_path / "session.json"
        client = client_of(url, "", session_cache_file=path, reconnect=False)
        SessionCache(path).save(client._settings.server.key, secret("cookie"))
        with pytest.raises(ClientError) as error:
            watch.look(await client.me())
        watch.look(error.value)
        SessionCache(path).save(client._settings.server.key, secret("cookie"))
        async with client_of(url, "", session_cache_file=path, reconnect=False) as client:
            watch.look(client)
            with pytest.raises(ClientError) as error:  # the end of the iteration
                while True:
                    await anext(client)
            watch.look(error.value)
            with pytest.raises(ClientError) as error:
                await client.send(PAYLOAD)
            watch.look(error.value)
    watch.check(of_peers=PEERS)


async def test_of_a_recording(open_secretly, tmp_path, watch):
    async def script(conn):
        await conn.accept()
        await conn.send_event({"etype": "X\x1b", "data": PAYLOAD})
        await conn.wait_ended()

    need_mcap()
    path = tmp_path / "run.mcap"
    async with serve_peer(script) as peer:
        client = open_secretly(peer.uri)
        async with Recorder(path, client) as recorder:
            watch.look(recorder)
            async with client:
                await client.recv(timeout=60)
    data = path.read_bytes()
    for hidden in (PASSWORD, TOKEN):
        assert hidden.encode() not in data
    recording = open_recording(path)
    watch.look(recording, recording.uri, *recording)
    assert any(PAYLOAD in str(entry.event) for entry in recording)
    watch.check(of_peers=PEERS)


async def test_a_recording_is_for_its_owner_only(open_client, tmp_path):
    need_mcap()
    path, before = tmp_path / "new.mcap", tmp_path / "old.mcap"
    before.write_bytes(b"")
    before.chmod(0o644)
    async with serve_peer() as peer, open_client(peer.uri) as client:
        async with Recorder(path, client), Recorder(before, client, overwrite=True):
            for file in (path, before):
                assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_a_certificate_that_is_not_checked_is_said_once(open_client, caplog):
    caplog.set_level(logging.WARNING)
    async with serve_peer(tls=True) as peer:
        client = open_client(peer.uri, ssl_verify=False)
        assert caplog.messages == []
        for _ in range(2):
            async with client:
                pass
        [said] = [r for r in caplog.records if "is not checked" in r.message]
        assert (said.levelname, said.name) == ("WARNING", "vuer_trio.link")
        assert said.message.startswith("the certificate of localhost is not checked (ssl_verify=")
        caplog.clear()
        async with open_client(peer.uri, ssl_context=peer.client_ssl_context, ssl_verify=False):
            pass
        assert caplog.messages == []


async def test_the_environment_of_vuer_is_not_that_of_others(
    open_client, open_agent, monkeypatch, caplog
):
    """An agent's token goes over a line whose certificate is checked, whatever Vuer's may be."""
    monkeypatch.setenv("VUER_SSL_VERIFY", "0")
    async with serve_peer(tls=True) as peer:
        async with open_client(peer.uri):
            pass
        assert "(VUER_SSL_VERIFY in the environment)" in caplog.messages[0]
        caplog.clear()
        for token in (TOKEN, None):
            with pytest.raises(ConnectionFailed, match="certificate"):
                async with open_agent(peer.uri, token=token):
                    pass
        with pytest.raises(ClientError, match="certificate"):
            async with AsyncClient(peer.uri, TOKEN):
                pass
        assert caplog.messages == []
        assert len(peer.connections) == 1, "nobody else has said anything"


def test_a_package_that_logs_headers_is_hushed_for_our_requests_only(caplog):
    from vuer_trio._http import _unlogged

    caplog.set_level(logging.DEBUG)
    log = logging.getLogger("httpcore2.http11")
    with _unlogged():
        log.debug("ours")
    log.debug("of somebody else")
    assert caplog.messages == ["of somebody else"]


def test_the_options_of_a_client_show_no_secret(watch):
    for options in (
        {"uri": with_secrets("ws://h")},
        {"headers": HEADERS},
        {"headers": list(HEADERS.items()), "proxy": f"http://me:{PASSWORD}@h"},
    ):
        client = VuerClient(**options)
        look_at(watch, client)
    for options in (
        {"uri": f"ws://me:a/{PASSWORD}@h"},
        {"uri": f"ws://me:a?{PASSWORD}@h"},
        {"uri": f"ws://me:a#{PASSWORD}@h"},
        {"uri": f"me:{PASSWORD}@h"},
        {"uri": f"ws:/me:{PASSWORD}@h"},
        {"uri": f"ws://me:{PASSWORD}@["},
        {"uri": f"ws://me:{PASSWORD}@h:port"},
        {"uri": f"ws://h/?{TOKEN} x"},
        {"uri": TOKEN.encode()},
        {"headers": TOKEN},
        {"headers": [TOKEN]},
        {"headers": [(TOKEN,)]},
        {"headers": {"Authorization": TOKEN.encode()}},
        {"headers": {"Authorization": f"{TOKEN}\n"}},
        {"headers": {"Authorization": f"{TOKEN}…"}},
        {"proxy": TOKEN.encode()},
        {"proxy": f"http://me:a/{PASSWORD}@h"},
        {"proxy": f"http://me:a#{PASSWORD}@h:1"},
        {"proxy": f"me:{PASSWORD}@h"},
    ):
        with pytest.raises((TypeError, ValueError)) as error:
            VuerClient(**options)
        watch.look(error.value)
    watch.check()
    assert MARK in with_secrets("ws://h")


def test_what_a_peer_makes_of_a_message_is_no_secret_either(watch):
    """The bytes are in ``frame``; the message says how many."""
    from vuer_trio.codec import decode

    for data in (PAYLOAD, [PAYLOAD], {PAYLOAD: 1}, {"etype": [PAYLOAD]}, {1: PAYLOAD}):
        packed = msgpack.packb(data)
        for frame in (
            packed,
            packed[:-1],
            packed + PAYLOAD.encode(),
            packed.replace(b"p", b"\xff"),
        ):
            try:
                decode(frame)
            except ProtocolError as exc:
                watch.look(exc)
    assert len(watch.errors) >= 15
    watch.check()
