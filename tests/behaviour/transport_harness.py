"""A server of a test's own on `listen`, and a sink for either end of a connection."""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import trustme

from vuer_trio._net.address import parse_address
from vuer_trio._net.connect_options import ConnectOptions
from vuer_trio._runtime import runtime
from vuer_trio._websocket.accept import ListenOptions, listen
from vuer_trio._websocket.connect import dial
from vuer_trio._websocket.transport import Text

__all__ = ["MAX_SIZE", "RecordingSink", "Server", "connected", "echo", "serving", "tls_contexts"]

MAX_SIZE = 20 << 20


class RecordingSink:
    """Keeps what arrives; `send` writes. ``echo`` sends back what is binary."""

    def __init__(self, *, echo: bool = False) -> None:
        self.rt = runtime()
        self.messages: list[Any] = []
        self.pongs: list[bytes] = []
        self.bytes = 0
        self.close_info: Any = None
        self.transport: Any = None
        self.full = False
        self._echo = echo
        self._out: deque[bytes] = deque()
        self._wake = self.rt.Event()
        self._changed = self.rt.Event()

    # ---- Sink

    def deliver(self, messages):
        for message in messages:
            self.messages.append((type(message) is Text, bytes(message)))
            if self._echo and type(message) is not Text:
                self._out.append(bytes(message))
        self._notice()
        self.wake_writer()

    def heard(self, size):
        self.bytes += size

    def ponged(self, payload):
        self.pongs.append(bytes(payload))
        self._notice()

    def wake_writer(self):
        self._wake.set()

    async def drained(self):
        while self.full:
            await self.until(lambda: not self.full)

    async def turn(self):
        await self.rt.checkpoint()

    # ---- the test's

    def send(self, *payloads):
        self._out.extend(payloads)
        self.wake_writer()

    def set_full(self, full):
        self.full = full
        self._notice()

    def _notice(self):
        self._changed.set()
        self._changed = self.rt.Event()

    async def until(self, condition):
        while not condition():
            await self._changed.wait()

    async def carry(self, transport, *, linger=1.0):
        """A connection's life; returns how it ended."""
        self.transport = transport
        try:
            async with self.rt.open_nursery() as nursery:
                nursery.start_soon(self._write)
                self.close_info = await transport.read()
                self._notice()
                if self.close_info.by != "loss":
                    with self.rt.move_on_after(linger):
                        await transport.read_on()
                nursery.cancel_scope.cancel()
        finally:
            if self.close_info is None:
                transport.abort(list(self._out))
            with self.rt.CancelScope(shield=True, deadline=self.rt.current_time() + 1):
                await transport.aclose()
        return self.close_info

    async def _write(self):
        with suppress(OSError):
            while True:
                if self._out or self.transport.pending:
                    batch = list(self._out) if self.close_info is None else []
                    self._out.clear()
                    await self.transport.write(batch)
                else:
                    self._wake = self.rt.Event()
                    await self._wake.wait()


class Server:
    """`listen` with ``greet``, which by default echoes; keeps every request and sink."""

    def __init__(self) -> None:
        self.rt = runtime()
        self.port = 0
        self.addresses: Any = None
        self.requests: list[Any] = []
        self.sinks: list[RecordingSink] = []
        self.scope: Any = None
        self.over = self.rt.Event()

    def uri(self, scheme="ws"):
        return f"{scheme}://localhost:{self.port}/path?a=b"

    async def echo(self, incoming):
        await self.serve(incoming, RecordingSink(echo=True))

    async def serve(self, incoming, sink):
        async with self.rt.open_nursery() as nursery:
            transport = await incoming.accept(sink, nursery)
            self.sinks.append(sink)
            await sink.carry(transport)
            nursery.cancel_scope.cancel()

    async def run(self, listening, greet, started):
        def tell(addresses):
            self.addresses = addresses
            self.port = addresses[0][1]
            started.set()

        async def keep(incoming):
            self.requests.append(incoming)
            await greet(incoming)

        try:
            with self.rt.CancelScope() as self.scope:
                await listen(self.rt, listening, keep, tell)
        finally:
            self.over.set()
            started.set()

    async def stop(self):
        self.scope.cancel()
        await self.over.wait()


echo = Server.echo


@asynccontextmanager
async def serving(backend: Any, greet: Any = echo, **options: Any) -> AsyncIterator[Server]:
    """``greet(server, request)``. In the block somebody listens; after it everything has ended."""
    server = Server()
    started = server.rt.Event()
    options = {"host": "127.0.0.1", "port": 0, "max_size": MAX_SIZE} | options
    listening = ListenOptions(transport=backend.transport, **options)
    async with server.rt.open_nursery() as nursery:

        async def call(incoming):
            await greet(server, incoming)

        nursery.start_soon(server.run, listening, call, started)
        await started.wait()
        try:
            yield server
        finally:
            with server.rt.CancelScope(shield=True, deadline=server.rt.current_time() + 5):
                await server.stop()
            assert server.over.is_set(), "listen does not end"


@asynccontextmanager
async def connected(
    uri: str, transport: str = "auto", **options: Any
) -> AsyncIterator[RecordingSink]:
    """A client of ours. At the end of the block it says goodbye, and waits for the answer."""
    sink = RecordingSink()
    options = {"max_size": MAX_SIZE} | options
    dialing = ConnectOptions(parse_address(uri), transport=transport, **options)
    async with sink.rt.open_nursery() as nursery:
        opened = await dial(sink.rt, dialing, sink, nursery)
        sink.transport = opened
        over = sink.rt.Event()

        async def carry():
            try:
                await sink.carry(opened)
            finally:
                over.set()

        nursery.start_soon(carry)
        yield sink
        sink.transport.close(1000, "bye")
        with sink.rt.move_on_after(5):
            await over.wait()
        assert over.is_set(), "no answer to the close frame"
        nursery.cancel_scope.cancel()


def tls_contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's, and a client's that trusts it."""
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client
