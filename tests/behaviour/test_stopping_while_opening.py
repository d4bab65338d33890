"""A Vuer server and a relay that stop while a client is getting in: it is told, at each stage.

Before its request is whole it gets 503; from then on the handshake goes on, and 1001 follows.
"""

from __future__ import annotations

from contextlib import suppress

import anyio
import pytest

from tests.behaviour.raw_client import CLOSE, eventually, masked, request
from tests.repetitions import cancel_everywhere
from vuer_trio import Vuer
from vuer_trio._runtime import runtime
from vuer_trio.arc.relay.options import RelayOptions
from vuer_trio.arc.relay.serving import Relay
from vuer_trio.server.serving import Serving
from vuer_trio.testing import memory_stream_pair
from vuer_trio.testing.streams import Closed, plain

pytestmark = pytest.mark.anyio

#: a server's close frame, as far as its code
GOING_AWAY = b"\x03\xe9the "
CLOSE_TIMEOUT = 0.5
#: seconds: what `close_timeout` is exceeded by at most, and what a slow machine takes
PATIENCE, SLOW = 1.0, 8.0


class Server:
    """A `WebSocketServer` in memory, and what a client asks it for."""

    def __init__(self, kind, backend):
        if kind == "vuer":
            app = Vuer(port=0, transport=backend.transport, close_timeout=CLOSE_TIMEOUT)
            self.server = Serving(app._registered, runtime(), app._options).server
            self.request = request()
        else:
            options = RelayOptions(transport=backend.transport, close_timeout=CLOSE_TIMEOUT)
            self.relay = Relay(runtime(), options)
            self.server = self.relay._server
            self.agent_id, token = self.relay.registry.register(None, None)
            self.request = request("/arc", f"Authorization: Bearer {token}")
        self.scope = anyio.CancelScope()
        self.nursery = None

    async def run(self, *, task_status):
        with self.scope:
            async with runtime().open_nursery() as self.nursery:
                for service in self.server.services:
                    self.nursery.start_soon(service)
                task_status.started()
                await anyio.sleep_forever()

    def connect(self, capacity=65_536):
        near, far = memory_stream_pair(capacity=capacity)
        self.nursery.start_soon(self.server.serve_stream, far)
        return Client(near)


class Client:
    """One that answers a close frame, and leaves when the server does."""

    def __init__(self, stream):
        self.stream = plain(stream)
        self.heard = b""
        self.left = False

    async def send(self, data):
        with suppress(OSError, Closed):  # one side has left; what was said is still to be read
            await self.stream.send(data)

    async def read_to_the_end(self, leaves=lambda: False):
        """``leaves()``: whether it closes, some time after the handshake."""
        answered = False
        with suppress(OSError):
            while data := await self.stream.receive(65_536):
                self.heard += data
                if GOING_AWAY in self.heard and not answered:
                    answered = True
                    await self.send(masked(b"\x03\xe9", CLOSE))
                elif b"\r\n\r\n" in self.heard and not self.left:
                    for _ in range(10):
                        await anyio.lowlevel.checkpoint()
                    if leaves():
                        self.left = True
                        await self.send(masked(b"\x03\xe8", CLOSE))
        await self.stream.aclose()

    @property
    def was_told(self):
        if self.heard.startswith(b"HTTP/1.1 503 "):
            return True
        return self.heard.startswith(b"HTTP/1.1 101 ") and GOING_AWAY in self.heard


@pytest.fixture(params=["vuer", "relay"])
def new_server(request, backend):
    return lambda: Server(request.param, backend)


@pytest.mark.parametrize("sent", [0, 20, None], ids=["nothing", "half", "all"])
async def test_a_client_whose_request_is_not_whole_gets_503_and_else_1001(new_server, sent):
    server = new_server()
    async with anyio.create_task_group() as tasks:
        await tasks.start(server.run)
        client = server.connect()
        await client.send(server.request[:sent])
        await eventually(lambda: bool(server.server.connections) is (sent is None))
        await anyio.sleep(0.02)
        server.scope.cancel()
        with anyio.fail_after(CLOSE_TIMEOUT + PATIENCE + SLOW):
            await client.read_to_the_end()
    assert client.heard.startswith(b"HTTP/1.1 101 " if sent is None else b"HTTP/1.1 503 ")
    assert client.was_told
    assert not server.server.connections


async def test_a_handshake_that_is_taken_slowly_ends_with_1001(new_server):
    """The server stops while its 101 is on the way."""
    server = new_server()
    async with anyio.create_task_group() as tasks:
        await tasks.start(server.run)
        client = server.connect(capacity=50)
        await client.send(server.request)
        await eventually(lambda: server.server.connections)
        await anyio.sleep(0.02)
        server.scope.cancel()
        await anyio.sleep(0.1)
        assert server.server.closing
        with anyio.fail_after(CLOSE_TIMEOUT + PATIENCE + SLOW):
            await client.read_to_the_end()
    assert client.was_told, client.heard


async def test_a_handshake_that_is_never_taken_does_not_keep_the_server(new_server):
    server = new_server()
    with anyio.fail_after(CLOSE_TIMEOUT + PATIENCE + SLOW):
        async with anyio.create_task_group() as tasks:
            await tasks.start(server.run)
            client = server.connect(capacity=50)
            await client.send(server.request)
            await eventually(lambda: server.server.connections)
            server.scope.cancel()
    assert not server.server.connections


@pytest.mark.no_cover
async def test_stopping_at_any_await_tells_the_client(new_server):
    async def scenario(here):
        server = new_server()
        async with anyio.create_task_group() as tasks:
            await tasks.start(server.run)
            client = server.connect()
            with anyio.fail_after(10):
                async with here.instead(server.scope.cancel):
                    await client.send(server.request[:20])
                    await client.send(server.request[20:])
                    await client.read_to_the_end(lambda: not here.fired)
            server.scope.cancel()
        assert client.left or client.was_told, client.heard
        assert not server.server.connections

    assert await cancel_everywhere(scenario) > 20


async def test_an_agent_whose_connection_is_being_closed_hears_why(backend):
    """A close that the relay has begun goes on when it stops."""
    server = Server("relay", backend)
    async with anyio.create_task_group() as tasks:
        await tasks.start(server.run)
        client = server.connect()
        await client.send(server.request)
        await eventually(lambda: server.relay.switch.agents)
        server.relay.revoke(server.agent_id)
        server.scope.cancel()
        with anyio.fail_after(CLOSE_TIMEOUT + PATIENCE + SLOW):
            await client.read_to_the_end()
    assert b"\x0f\xa1Invalid" in client.heard  # 4001
