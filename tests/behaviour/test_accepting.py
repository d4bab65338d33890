"""WebSockets accepted on every backend: by our own clients, and by other people's."""

from __future__ import annotations

import asyncio
import os
import socket

import aiohttp
import anyio
import anyio.to_thread
import pytest
import websockets.sync.client

from tests.behaviour.transport_harness import (
    MAX_SIZE,
    RecordingSink,
    connected,
    serving,
    tls_contexts,
)
from tests.resource_counts import open_sockets
from vuer_trio._websocket.frames import prepare
from vuer_trio._websocket.transport import Ping

pytestmark = pytest.mark.anyio
BIG = os.urandom(1 << 20) * 16  # 16 MiB


def clients_of(backend):
    if backend.runtime == "trio":
        return ["trio-websocket", "websockets", "wsproto"]
    return ["websockets", "wsproto"]


async def test_our_own_clients_are_echoed_whatever_their_transport(backend):
    sizes = [0, 1, 125, 126, 127, 65_535, 65_536, 65_537, 300_000]
    payloads = [os.urandom(size) for size in sizes]
    async with serving(backend) as server:
        for client in clients_of(backend):
            async with connected(server.uri(), client) as sink:
                sink.send(*payloads)
                with anyio.fail_after(60):
                    await sink.until(lambda: len(sink.messages) == len(payloads))
                assert sink.messages == [(False, payload) for payload in payloads]
            assert (sink.close_info.by, sink.close_info.code) == ("peer", 1000)
            await until_ended(server)
            theirs = server.sinks[-1]
            assert (theirs.close_info.by, theirs.close_info.code) == ("peer", 1000)
            assert theirs.close_info.reason == "bye"
            assert theirs.transport.name == backend.transport


async def until_ended(server, index=-1):
    with anyio.fail_after(60):
        while len(server.sinks) <= max(index, 0) or server.sinks[index].close_info is None:
            await anyio.sleep(0.001)


async def test_sixteen_mebibytes_both_ways(backend):
    async with serving(backend) as server, connected(server.uri()) as sink:
        sink.send(BIG)
        with anyio.fail_after(60):
            await sink.until(lambda: sink.messages)
        assert sink.messages == [(False, BIG)]


async def test_the_request_is_told(backend):
    async with serving(backend) as server:
        async with connected(server.uri(), headers=[("X-Some", "thing"), ("x-some", "more")]):
            incoming = server.requests[0]
            assert incoming.wants_websocket
            assert not incoming.secure
            assert (incoming.request.method, incoming.request.target) == ("GET", "/path?a=b")
            assert incoming.request.header("HOST") == f"localhost:{server.port}"
            assert incoming.request.header("X-Some") == "thing, more"
            assert incoming.request.header("nothing") is None
            assert all(name == name.lower() for name, _ in incoming.request.headers)
            assert incoming.peer.startswith("127.0.0.1:")


async def test_what_the_server_sends_and_prepares_arrives_in_order(backend):
    prepared = [prepare(bytes([n]) * size) for n, size in enumerate((5, 300, 70_000))]

    async def greet(server, incoming):
        sink = RecordingSink()
        sink.send(b"first", prepared[0], prepared[1], Ping(b"are you there"), prepared[2], b"last")
        await server.serve(incoming, sink)

    async with serving(backend, greet) as server, connected(server.uri()) as sink:
        with anyio.fail_after(60):
            await sink.until(lambda: len(sink.messages) == 5)
        payloads = [payload for _, payload in sink.messages]
        assert payloads == [b"first", *(item.payload for item in prepared), b"last"]
        with anyio.fail_after(60):
            await server.sinks[0].until(lambda: server.sinks[0].pongs == [b"are you there"])


async def test_a_lone_message_is_written_at_once(backend):
    async def greet(server, incoming):
        async with server.rt.open_nursery() as nursery:
            sink = RecordingSink()
            transport = await incoming.accept(sink, nursery)
            done = [transport.write_now(item) for item in (b"lone", prepare(b"prepared"))]
            assert done == ([False] * 2 if backend.transport == "trio-websocket" else [True] * 2)
            if not done[0]:
                sink.send(b"lone", prepare(b"prepared"))
            await sink.carry(transport)
            nursery.cancel_scope.cancel()

    async with serving(backend, greet) as server, connected(server.uri()) as sink:
        with anyio.fail_after(60):
            await sink.until(lambda: len(sink.messages) == 2)
        assert sink.messages == [(False, b"lone"), (False, b"prepared")]


async def test_the_server_says_goodbye(backend):
    async def greet(server, incoming):
        sink = RecordingSink()
        async with server.rt.open_nursery() as nursery:
            transport = await incoming.accept(sink, nursery)
            server.sinks.append(sink)
            transport.close(4001, "enough")
            await sink.carry(transport)
            nursery.cancel_scope.cancel()

    async with serving(backend, greet) as server, connected(server.uri()) as sink:
        with anyio.fail_after(60):
            await sink.until(lambda: sink.close_info is not None)
        assert (sink.close_info.by, sink.close_info.code, sink.close_info.reason) == (
            "peer",
            4001,
            "enough",
        )
        await until_ended(server)
        assert server.sinks[0].close_info.code == 4001
        assert server.sinks[0].close_info.by == "peer"


async def test_a_message_over_max_size_is_1009(backend):
    async with serving(backend, max_size=1000) as server, connected(server.uri()) as sink:
        sink.send(b"x" * 1000, b"y" * 1001)
        with anyio.fail_after(60):
            await sink.until(lambda: sink.close_info is not None)
        assert (sink.close_info.by, sink.close_info.code) == ("peer", 1009)
        assert sink.messages in ([], [(False, b"x" * 1000)])
        await until_ended(server)
        close_info = server.sinks[0].close_info
        assert (close_info.by, close_info.code) == ("us", 1009)
        assert "max_size, 1,000 bytes" in close_info.reason
        assert server.sinks[0].messages == [(False, b"x" * 1000)]


async def test_a_full_sink_stops_the_reader(backend):
    async def greet(server, incoming):
        sink = RecordingSink()
        sink.full = True
        await server.serve(incoming, sink)

    async with serving(backend, greet) as server, connected(server.uri()) as sink:
        sink.send(*[b"x" * 1000] * 10)
        await anyio.sleep(0.05)
        theirs = server.sinks[0]
        assert len(theirs.messages) <= 10
        before = len(theirs.messages)
        sink.send(BIG)
        await anyio.sleep(0.1)
        assert len(theirs.messages) in (before, 10)
        assert theirs.bytes < len(BIG) // 2
        theirs.set_full(False)
        with anyio.fail_after(60):
            await theirs.until(lambda: len(theirs.messages) == 11)


async def test_tls(backend):
    server_context, client_context = tls_contexts()
    payload = os.urandom(1 << 20)
    async with serving(backend, context=server_context) as server:
        async with connected(server.uri("wss"), tls=client_context) as sink:
            sink.send(b"secret", payload)
            with anyio.fail_after(60):
                await sink.until(lambda: len(sink.messages) == 2)
            assert sink.messages == [(False, b"secret"), (False, payload)]
            assert server.requests[0].secure


# ---- other people's clients


async def test_the_websockets_package_s_client(backend):
    def client(uri):
        with websockets.sync.client.connect(uri, max_size=MAX_SIZE, ping_interval=None) as ws:
            ws.send(b"binary")
            assert ws.recv() == b"binary"
            ws.send("text")
            ws.send([b"frag", b"men", b"ted"])
            assert ws.recv() == b"fragmented"
            pong = ws.ping(b"x")
            assert pong.wait(60)
            ws.send(BIG)
            assert ws.recv(timeout=60) == BIG
            ws.close(1001, "going")
            return ws.protocol.close_rcvd.code, ws.protocol.close_rcvd.reason

    async with serving(backend) as server:
        assert await anyio.to_thread.run_sync(client, server.uri()) == (1001, "going")
        await until_ended(server)
        (sink,) = server.sinks
        assert [text for text, _ in sink.messages] == [False, True, False, False]
        assert sink.messages[1] == (True, b"text")
        assert (sink.close_info.by, sink.close_info.code, sink.close_info.reason) == (
            "peer",
            1001,
            "going",
        )


async def test_aiohttp_s_client(backend):
    async def client(uri):
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(uri, max_msg_size=MAX_SIZE, compress=15) as ws,
        ):
            for payload in (b"binary", b"", b"x" * 70_000, BIG):
                await ws.send_bytes(payload)
                assert await ws.receive_bytes(timeout=60) == payload
            await ws.send_str("text")
            await ws.ping(b"hello")
            await ws.send_bytes(b"after")
            assert await ws.receive_bytes(timeout=60) == b"after"
            await ws.close(code=1000, message=b"done")
            return ws.close_code

    async with serving(backend) as server:
        assert await anyio.to_thread.run_sync(lambda: asyncio.run(client(server.uri()))) == 1000
        await until_ended(server)
        assert server.sinks[0].close_info.reason == "done"
        assert (True, b"text") in server.sinks[0].messages


# ---- leaving


async def test_a_cancelled_server_ends_every_connection_and_leaves_no_socket(backend):
    before = open_sockets()
    async with serving(backend) as server:
        sink = RecordingSink()
        async with server.rt.open_nursery() as nursery:
            nursery.start_soon(stay, server.uri(), sink)
            nursery.start_soon(stay, server.uri(), RecordingSink())
            with anyio.fail_after(60):
                while len(server.sinks) < 2:
                    await anyio.sleep(0.001)
            with anyio.fail_after(20):
                await server.stop()
                await sink.until(lambda: sink.close_info is not None)
            assert (sink.close_info.by, sink.close_info.code) == ("peer", 1001)
            nursery.cancel_scope.cancel()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port))
    with anyio.fail_after(60):
        while open_sockets() > before:
            await anyio.sleep(0.01)


async def stay(uri, sink):
    from vuer_trio._net.address import parse_address
    from vuer_trio._net.connect_options import ConnectOptions
    from vuer_trio._websocket.connect import dial

    async with sink.rt.open_nursery() as nursery:
        dialing = ConnectOptions(parse_address(uri), MAX_SIZE)
        await sink.carry(await dial(sink.rt, dialing, sink, nursery))
        nursery.cancel_scope.cancel()
