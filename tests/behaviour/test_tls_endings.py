"""The end of a TLS stream: it is said, nobody waits for it in vain, and nothing is lost by it.

The time to close is without bound here: what waits for it hangs.
"""

from __future__ import annotations

import base64
import hashlib
import math
import socket
import ssl
import threading
from functools import partial
from importlib.metadata import version

import anyio
import anyio.to_thread
import pytest
import trustme

from tests.behaviour.raw_client import CLOSE, eventually, masked, request
from vuer_trio import open_vuer_server
from vuer_trio.events import ClientEvent, ServerEvent

pytestmark = pytest.mark.anyio
DEADLINE = 60  # seconds; only broken code gets there
WEBSOCKETS = tuple(map(int, version("websockets").split(".")[:2]))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with the certificate of localhost and its key; its authority."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    for blob in issued.cert_chain_pems:
        blob.write_to_path(folder / "cert.pem", append=True)
    return folder, authority


@pytest.fixture(scope="module")
def contexts(files):
    """The server's, and a client's that trusts it."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(files[0] / "cert.pem", files[0] / "key.pem")
    client = ssl.create_default_context()
    files[1].configure_trust(client)
    return server, client


@pytest.fixture
def secure_server(new_server, files):
    """A server that speaks TLS, and waits for its clients for ever."""
    cert, key = files[0] / "cert.pem", files[0] / "key.pem"
    return partial(new_server, cert=cert, key=key, close_timeout=math.inf)


async def test_a_client_that_leaves_waits_for_nobody(secure_server, open_client, contexts):
    async with open_vuer_server(secure_server()) as server:
        with anyio.fail_after(DEADLINE):
            async with open_client(
                server.uri, ssl_context=contexts[1], close_timeout=math.inf
            ) as client:
                await client.flush()
            assert (client.close_code, client.connected) == (1000, False)
            await eventually(lambda: not server.sessions, DEADLINE)


async def test_a_session_that_ends_waits_for_nobody(secure_server, open_client, contexts):
    app = secure_server()

    @app.spawn
    async def program(session):
        await session.till("INIT")
        await session.aclose(4001, "enough")

    async with open_vuer_server(app) as server:
        with anyio.fail_after(DEADLINE):
            async with open_client(
                server.uri, ssl_context=contexts[1], close_timeout=math.inf
            ) as client:
                await client.wait_closed()
            assert (client.close_code, client.close_reason) == (4001, "enough")
            await eventually(lambda: not server.sessions, DEADLINE)


async def test_a_server_that_ends_waits_for_nobody(secure_server, open_client, contexts):
    with anyio.fail_after(DEADLINE):
        async with open_vuer_server(secure_server()) as server:
            client = open_client(server.uri, ssl_context=contexts[1], close_timeout=math.inf)
            await client.connect()
            await client.flush()
        await client.wait_closed()
    assert client.close_code == 1001


async def test_a_relay_and_its_agents_wait_for_nobody(open_relay, open_agent, contexts):
    pytest.importorskip("httpx2")
    with anyio.fail_after(DEADLINE):
        async with open_relay(
            "localhost", ssl_context=contexts[0], close_timeout=math.inf
        ) as relay:
            options = {"ssl_context": contexts[1], "close_timeout": math.inf}
            async with open_agent(relay.url, **options) as agent:
                assert agent.connected
            stays = open_agent(relay.url, **options)
            await stays.connect()
        await stays.wait_closed()
    assert (agent.close_code, stays.close_code) == (1000, 1001)


async def test_what_was_sent_before_the_close_arrives(secure_server, open_client, contexts):
    """In either direction, however much it is, and whoever closes."""
    app, arrived = secure_server(), []
    picture = bytes(range(256)) * 40_000  # 10 MB, more than the system holds

    @app.add_handler("PICTURE")
    async def picture_of(event, session):
        arrived.append(len(event.value))

    @app.add_handler("ASK")
    async def ask(event, session):
        for _ in range(3):
            session @ ServerEvent(picture, etype="PICTURE")
        await session.aclose()

    async with open_vuer_server(app) as server:
        with anyio.fail_after(DEADLINE):
            options = {"ssl_context": contexts[1], "close_timeout": math.inf}
            async with open_client(server.uri, **options) as client:
                for _ in range(3):
                    client.send @ ClientEvent(etype="PICTURE", value=picture)
            await eventually(lambda: arrived == [len(picture)] * 3, DEADLINE)

            async with open_client(server.uri, **options) as client:
                client.send @ ClientEvent(etype="ASK")
                assert [len(event.data) async for event in client] == [len(picture)] * 3
            assert client.close_code == 1000


class Stranger:
    """A client of the standard library's, in blocking calls."""

    def __init__(self, port, context):
        tcp = socket.create_connection(("localhost", port), timeout=DEADLINE)
        self.tls = context.wrap_socket(tcp, server_hostname="localhost", suppress_ragged_eofs=False)
        self.tls.sendall(request())
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.tls.recv(1)
        assert head.startswith(b"HTTP/1.1 101 ")

    def close_and_go_on(self):
        """Send a close frame, and after it what nobody is to read; how the stream ended."""
        self.tls.sendall(masked((1000).to_bytes(2, "big"), CLOSE))
        frame = self.tls.recv(100)
        self.tls.sendall(b"x" * 300_000)
        end = self.tls.recv(100)  # raises if TLS has not said it
        self.tls.close()
        return frame, end


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_stranger_is_told_that_the_stream_ends_and_is_read_on(
    secure_server, contexts, version
):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    async with open_vuer_server(secure_server()) as server:
        with anyio.fail_after(DEADLINE):
            stranger = await anyio.to_thread.run_sync(Stranger, server.port, context)
            frame, end = await anyio.to_thread.run_sync(stranger.close_and_go_on)
            assert (frame[:2], frame[2:4]) == (b"\x88\x02", (1000).to_bytes(2, "big"))
            assert end == b""
            await eventually(lambda: not server.sessions, DEADLINE)


async def test_a_page_ends_too(secure_server, contexts, no_web_client):
    def get(port):
        tcp = socket.create_connection(("localhost", port), timeout=DEADLINE)
        with contexts[1].wrap_socket(
            tcp, server_hostname="localhost", suppress_ragged_eofs=False
        ) as tls:
            tls.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            page = b""
            while data := tls.recv(65_536):
                page += data
            return page

    async with open_vuer_server(secure_server()) as server:
        with anyio.fail_after(DEADLINE):
            assert b"</code>" in await anyio.to_thread.run_sync(get, server.port)


async def test_a_server_of_the_websockets_package_and_its_client(
    secure_server, open_client, contexts
):
    sync_server = pytest.importorskip("websockets.sync.server")
    sync_client = pytest.importorskip("websockets.sync.client")

    def serve(connection):
        for _ in connection:
            pass

    with sync_server.serve(serve, "localhost", 0, ssl=contexts[0]) as theirs:
        thread = threading.Thread(target=theirs.serve_forever)
        thread.start()
        try:
            uri = f"wss://localhost:{theirs.socket.getsockname()[1]}"
            with anyio.fail_after(DEADLINE):
                async with open_client(
                    uri, ssl_context=contexts[1], close_timeout=math.inf
                ) as client:
                    await client.flush()
            assert client.close_code == 1000
        finally:
            theirs.shutdown()
            thread.join()

    def connect(uri):
        with sync_client.connect(
            uri, ssl=contexts[1], proxy=None, close_timeout=2 * DEADLINE
        ) as connection:
            connection.ping().wait(DEADLINE)
        return connection.close_code

    async with open_vuer_server(secure_server()) as server:
        with anyio.fail_after(DEADLINE):
            code = await anyio.to_thread.run_sync(connect, server.uri)
            await eventually(lambda: not server.sessions, DEADLINE)
    # their client, before 17.4, may stop reading before it has the close frame
    assert code in ((1000,) if WEBSOCKETS >= (17, 4) else (1000, 1006))


async def test_a_client_says_it_too(open_client, contexts):
    """At once where it must: the peer has sent its close frame, and says no end of its own."""
    heard = []

    def serve(listener):
        peer, _ = listener.accept()
        with contexts[0].wrap_socket(peer, server_side=True, suppress_ragged_eofs=False) as tls:
            tls.settimeout(DEADLINE)
            head = b""
            while b"\r\n\r\n" not in head:
                head += tls.recv(4096)
            tls.sendall(answer(head) + b"\x88\x02\x03\xe8")
            while data := tls.recv(4096):
                heard.append(data)
            heard.append(b"")  # the end, as TLS has it

    listener = socket.create_server(("localhost", 0))
    thread = threading.Thread(target=serve, args=(listener,), daemon=True)
    thread.start()
    with anyio.fail_after(DEADLINE):
        async with open_client(
            f"wss://localhost:{listener.getsockname()[1]}",
            ssl_context=contexts[1],
            close_timeout=0.1,
        ) as client:
            await client.wait_closed()
        assert client.close_code == 1000
        await anyio.to_thread.run_sync(thread.join)
    assert heard[-1] == b""
    listener.close()


def answer(head):
    """The reply to a handshake, whole."""
    lines = head.split(b"\r\n")
    key = next(line for line in lines if line.lower().startswith(b"sec-websocket-key"))
    magic = key.split(b":")[1].strip() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    accept = base64.b64encode(hashlib.sha1(magic).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )
