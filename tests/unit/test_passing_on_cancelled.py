"""Cancels a proxy once at each of its steps, over streams in memory: nothing is left open."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from tests.behaviour.memory_server import memory_server
from tests.repetitions import cancel_everywhere
from vuer_trio import Vuer, open_vuer_client
from vuer_trio._net.in_memory import host_inside
from vuer_trio._proxy.early_bytes import EarlyBytes
from vuer_trio._proxy.proxy import Proxy
from vuer_trio._proxy.upstream import Upstream, parse_upstream
from vuer_trio._runtime import runtime
from vuer_trio._websocket.accept import greet_stream
from vuer_trio.events import ClientEvent, ServerEvent

pytestmark = pytest.mark.trio


def new_app() -> Vuer:
    app = Vuer("127.0.0.1", 0)
    app.add_route("/echo", lambda request: request.body, "POST", "text/plain")

    @app.spawn
    async def echo(session):
        async for event in session:
            if event.etype == "X":
                session @ ServerEvent(event.value, etype="ECHO")

    return app


class InMemory:
    """A proxy to a server in memory, and how to reach it."""

    def __init__(self, uri: str) -> None:
        self.rt = runtime()
        self.proxy = Proxy(self.rt, Upstream(parse_upstream(uri)), Vuer("127.0.0.1", 0)._options)

    async def serve(self, stream: trio.abc.Stream) -> None:
        await greet_stream(self.rt, self.proxy._listen, stream, self.proxy._greet)


async def test_every_await_of_an_open_websocket_is_cancelled_once(autojump_clock):
    seen: list[bytes] = []

    async def scenario(here):
        near, far = trio.testing.memory_stream_pair()
        async with memory_server(new_app()) as server, trio.open_nursery() as nursery:
            passing = InMemory(server.uri)
            passing.proxy.observe(lambda way, messages: seen.extend(messages))

            async def client() -> None:
                try:
                    async with open_vuer_client("ws://localhost:1", stream=near) as client:
                        for n in range(3):
                            await client.send(ClientEvent(value=n, etype="X"))
                            assert (await client.recv(timeout=1000)).data == n
                except Exception:
                    if not here.fired:
                        raise

            nursery.start_soon(client)
            async with here:
                await passing.serve(far)
            # It has closed what it had, on both sides.
            with pytest.raises(trio.ClosedResourceError):
                await far.send_all(b"closed")
            for _ in range(3):
                await trio.testing.wait_all_tasks_blocked()
            await trio.sleep(5)
            assert passing.proxy.open == 0
            assert len(passing.proxy._places) == 0
            assert not server.sessions

    assert await cancel_everywhere(scenario) > 20
    assert len(seen) > 6


ASKED = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n"


async def test_every_await_of_a_page_is_cancelled_once(autojump_clock):
    answers: list[bytes] = []

    async def scenario(here):
        near, far = trio.testing.memory_stream_pair()
        async with memory_server(new_app()) as server, trio.open_nursery() as nursery:
            passing = InMemory(server.uri)

            async def client() -> None:
                got = b""
                try:
                    await near.send_all(ASKED)
                    await trio.sleep(1)
                    await near.send_all(b"hello")
                    while data := await near.receive_some():
                        got += data
                except trio.BrokenResourceError:
                    pass
                answers.append(got)
                await near.aclose()

            nursery.start_soon(client)
            async with here:
                await passing.serve(far)
            with pytest.raises(trio.ClosedResourceError):
                await far.send_all(b"closed")
            await trio.sleep(5)
            assert len(passing.proxy._visits) == len(passing.proxy._refusals) == 0

    assert await cancel_everywhere(scenario) > 10
    assert answers[-1].endswith(b"hello")


@pytest.mark.parametrize("side", ["client", "server"])
async def test_a_side_that_takes_a_frame_and_no_more(autojump_clock, side):
    """A goodbye never goes into a frame that has been cut."""
    near, far = trio.testing.memory_stream_pair()
    async with memory_server(new_app()) as server, trio.open_nursery() as nursery:
        passing = InMemory(server.uri)
        nursery.start_soon(passing.serve, far)
        async with open_vuer_client("ws://localhost:1", stream=near) as client:
            await client.send(ClientEvent(value=1, etype="X"))
            assert (await client.recv(timeout=1000)).data == 1
            if side == "client":
                await trio.aclose_forcefully(near)
            else:
                await trio.aclose_forcefully(server.streams[0][1])
            await client.wait_closed()
        await trio.sleep(5)
        assert passing.proxy.open == 0
        nursery.cancel_scope.cancel()


OPENING = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.fixture
async def passing():
    """A proxy, and its client's end of a stream. The server behind accepts and says nothing."""
    near, far = trio.testing.memory_stream_pair()
    servers: list[trio.abc.Stream] = []

    async def silent():
        ours, theirs = trio.testing.memory_stream_pair()
        servers.append(theirs)
        return ours

    async with trio.open_nursery() as nursery:
        with host_inside("silent.test", silent):
            it = InMemory("ws://silent.test:1")
            it.near, it.servers = near, servers
            nursery.start_soon(it.serve, far)
            yield it
            nursery.cancel_scope.cancel()


async def test_a_client_that_waits_for_a_silent_server_is_told_after_a_while(
    autojump_clock, passing
):
    await passing.near.send_all(OPENING)
    await trio.sleep(29)
    assert len(passing.proxy._places) == 1
    got = bytes(await passing.near.receive_some())
    assert got.startswith(b"HTTP/1.1 502")
    assert b"the server has been silent for 30 s" in got
    await passing.near.aclose()
    await trio.testing.wait_all_tasks_blocked()
    assert len(passing.proxy._places) == 0


@pytest.mark.parametrize("dials", [False, True])
async def test_a_client_that_leaves_before_its_websocket_is_open(
    autojump_clock, monkeypatch, passing, dials
):
    """The server behind is left, too, or not dialled any longer."""

    async def dial(upstream, rt):
        await trio.sleep_forever()

    if dials:
        monkeypatch.setattr(Upstream, "open", dial)
    await passing.near.send_all(OPENING)
    await trio.sleep(3)
    assert len(passing.proxy._places) == 1
    await passing.near.aclose()
    await trio.testing.wait_all_tasks_blocked()
    assert len(passing.proxy._places) == 0
    assert trio.current_time() == 3
    for server in passing.servers:
        assert bytes(await server.receive_some(100_000)).startswith(b"GET / HTTP/1.1")
        assert await server.receive_some() == b""
    assert len(passing.servers) == (not dials)


async def test_what_a_client_sends_before_its_websocket_is_open_arrives(autojump_clock, passing):
    await passing.near.send_all(OPENING + b"one, ")
    await trio.sleep(1)
    await passing.near.send_all(b"two, ")
    await trio.sleep(1)
    (server,) = passing.servers
    await server.receive_some(100_000)
    accepted = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\nhello"
    await server.send_all(accepted)
    await passing.near.send_all(b"three")
    got = b""
    while len(got) < len(b"one, two, three"):
        got += await server.receive_some()
    assert got == b"one, two, three"
    told = bytes(await passing.near.receive_some())
    while not told.endswith(b"hello"):
        told += await passing.near.receive_some()
    assert told.startswith(b"HTTP/1.1 101 ")


class Pieces:
    """A stream that gives these, and then breaks."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)

    async def receive(self) -> memoryview:
        await trio.lowlevel.checkpoint()
        if not self.pieces:
            raise ConnectionResetError("broken")
        return memoryview(self.pieces.pop(0))


async def test_a_client_is_read_from_up_to_a_limit():
    stream = Pieces(*[b"x" * 16_384] * 9)
    early = EarlyBytes(stream, b"y")
    with trio.CancelScope() as scope:
        await early.read(scope)
    assert not scope.cancelled_caught
    assert not early.at_end
    assert early.data == b"y" + b"x" * 65_536
    assert len(stream.pieces) == 5


async def test_a_client_whose_stream_breaks_has_left():
    early = EarlyBytes(Pieces(b"a"), b"")
    with trio.CancelScope() as scope:
        await early.read(scope)
        await trio.sleep_forever()
    assert early.at_end
    assert early.data == b"a"
