"""From a port to whoever knocks: accepting streams, TLS, the HTTP request."""

from __future__ import annotations

import logging
import math
import socket
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from .._interrupts import protected_methods
from .._net.backend import net_backend
from .._net.byte_stream import ByteStream
from .._net.failure_reason import NO_ROOM
from .._net.http_request import BadRequest, read_request
from .._net.listeners import bind, prepared
from .._net.tls_stream import TLSStream
from .._nursery import open_plain_nursery
from .._runtime import Runtime
from .._transport_name import TransportName, choose_transport
from .incoming_request import IncomingRequest, reply
from .upgrade import response

if TYPE_CHECKING:
    from .._async_types import CancelScope, Nursery

__all__ = ["ListenOptions", "greet_stream", "listen"]

log = logging.getLogger("vuer_trio.server")

#: handshakes under way; for one more the oldest is given up
HANDSHAKES = 1000
#: streams accepted before other tasks may run
_AT_ONCE = 32
#: seconds: until the next try when there was no room, and between two warnings about it
_PAUSE, _WARN_EVERY = 0.1, 60.0
#: seconds that closing a stream may take when the task is cancelled
_CLEANUP = 1.0

Greet = Callable[[IncomingRequest], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ListenOptions:
    """What `listen` needs to know, checked."""

    #: None: all interfaces
    host: str | None
    #: 0: any that is free, the same one on every address of the host
    port: int
    #: bytes of one received message
    max_size: int
    #: for TLS; None without
    context: ssl.SSLContext | None = None
    #: seconds for TLS and the HTTP request together, and again for the reply to be taken
    handshake_timeout: float = 10.0
    transport: TransportName = "auto"
    #: sockets that listen already, in place of host and port; other processes may accept from them
    sockets: Sequence[socket.socket] = ()


async def listen(
    rt: Runtime,
    options: ListenOptions,
    greet: Greet,
    started: Callable[[Sequence[tuple[str, int]]], None],
    *services: Callable[[], Coroutine[Any, Any, None]],
) -> None:
    """Accept connections until cancelled, and run ``greet(incoming)`` for each in its own task,
    once its HTTP request has been read. ``started`` gets the bound addresses. ``services`` run
    beside the connections, and are cancelled when they are, whatever for: a ``greet`` that shields
    itself hears of the end by one of them.

    Raises OSError if it cannot bind, ValueError for a transport that is not available. Nothing that
    one connection does ends it or another: failures of a handshake are logged (DEBUG), those of
    ``greet`` with their traceback (ERROR). A stream is closed when ``greet`` returns. Cancelled:
    the listening sockets are closed first, who has not sent a whole request is answered 503, and
    nothing is left open.
    """
    acceptor = _Acceptor(rt, options, greet)
    if options.sockets:
        listeners = [prepared(listener) for listener in options.sockets]
    else:
        listeners = await bind(options.host, options.port, acceptor.backend.resolve)
    try:
        started([listener.getsockname()[:2] for listener in listeners])
        async with open_plain_nursery(rt) as connections:
            for service in services:
                connections.start_soon(service)
            try:
                async with open_plain_nursery(rt) as accepting:
                    for listener in listeners:
                        accepting.start_soon(acceptor.accept_all, listener, connections)
            finally:
                _close(listeners)
    finally:
        _close(listeners)


async def greet_stream(rt: Runtime, options: ListenOptions, stream: Any, greet: Greet) -> None:
    """The same for one open byte stream of the running library's, as it is: without TLS.

    Returns when ``greet`` has, and the stream is closed.
    """
    acceptor = _Acceptor(rt, options, greet)

    async def open_stream() -> ByteStream:
        return acceptor.backend.wrap(stream)

    await acceptor.meet(open_stream, "a stream", False)


def _close(listeners: Sequence[socket.socket]) -> None:
    for listener in listeners:
        listener.close()


@protected_methods
class _Acceptor:
    """What all connections of one `listen` share."""

    def __init__(self, rt: Runtime, options: ListenOptions, greet: Greet) -> None:
        self.backend = net_backend(rt)
        self._rt = rt
        self._options = options
        self._greet = greet
        installed = find_spec("websockets") is not None
        self._transport = choose_transport(rt.name, options.transport, installed)
        self._opening: dict[CancelScope, None] = {}  # the scopes of handshakes, the oldest first
        self._warned_at = -math.inf

    async def accept_all(self, listener: socket.socket, nursery: Nursery) -> None:
        """Accept what comes."""
        while True:
            await self.backend.wait_readable(listener)
            # Of what other processes accept from as well, each takes its share.
            for _ in range(1 if self._options.sockets else _AT_ONCE):
                try:
                    sock, address = listener.accept()
                except (BlockingIOError, InterruptedError):
                    break
                except ConnectionError:
                    continue  # the client has left the queue
                except OSError as exc:
                    self._warn(exc)
                    if exc.errno in NO_ROOM:
                        self._make_room(1)
                    await self._rt.sleep(_PAUSE)
                    break
                sock.setblocking(False)
                nursery.start_soon(self._receive, sock, address)

    def _warn(self, exc: OSError) -> None:
        now = self._rt.current_time()
        if now - self._warned_at > _WARN_EVERY:
            self._warned_at = now
            room = exc.errno in NO_ROOM
            why = "; raise the limit of open files (ulimit -n)" if room else ""
            log.error("cannot accept connections just now, trying again: %s%s", exc, why)

    async def _receive(self, sock: socket.socket, address: Any) -> None:
        secure = self._options.context is not None
        await self.meet(partial(self._open, sock), _shown(address), secure, _host(address))

    async def _open(self, sock: socket.socket) -> ByteStream:
        context, stream = self._options.context, await self.backend.from_accepted(sock)
        if context is None:
            return stream
        return await TLSStream.open(stream, context, self.backend.Event, server_side=True)

    async def meet(
        self,
        open_stream: Callable[[], Awaitable[ByteStream]],
        peer: str,
        secure: bool,
        host: str | None = None,
    ) -> None:
        """One connection's life."""
        streams: list[ByteStream] = []
        incoming = None
        try:
            incoming = await self._handshake(open_stream, streams, peer, secure, host)
            if incoming is not None:
                await self._greet(incoming)
        except Exception as exc:
            if incoming is not None and _only(exc) is incoming.failure:
                log.debug("the handshake of %s failed: %r", peer, incoming.failure)
            else:
                log.exception("the connection of %s failed", peer)
        finally:
            deadline = self._rt.current_time() + _CLEANUP
            with self._rt.CancelScope(shield=True, deadline=deadline):
                for stream in streams:
                    await stream.aclose()

    async def _handshake(
        self,
        open_stream: Callable[[], Awaitable[ByteStream]],
        streams: list[ByteStream],
        peer: str,
        secure: bool,
        host: str | None,
    ) -> IncomingRequest | None:
        """Of one connection; None if nothing came of it. ``streams`` gets what is to be closed."""
        timeout, refused = self._options.handshake_timeout, False
        with self._rt.move_on_after(timeout) as scope:
            self._make_room(HANDSHAKES)
            self._opening[scope] = None
            try:
                stream = await open_stream()
                streams.append(stream)
                try:
                    request, early = await read_request(stream)
                except BadRequest as exc:
                    refused = True
                    log.debug("%s sent no HTTP request (%d): %s", peer, exc.status, exc)
                    await reply(self._rt, stream, response(exc.status, (), 0), timeout)
                    return None
                return IncomingRequest(
                    self._rt,
                    self._transport,
                    stream,
                    request,
                    early,
                    peer,
                    secure,
                    host,
                    max_size=self._options.max_size,
                    timeout=timeout,
                )
            except OSError as exc:  # of TLS, too
                log.debug("%s left during the handshake: %r", peer, exc)
                return None
            except BaseException as exc:
                goodbye = streams and not (refused or scope.cancel_called)
                if goodbye and self._rt.is_cancellation(exc):
                    await self._say_goodbye(streams[0])
                raise
            finally:
                del self._opening[scope]
        log.debug("%s was given up: no HTTP request", peer)
        return None

    async def _say_goodbye(self, stream: ByteStream) -> None:
        """The server ends, and has not read a whole request."""
        deadline = self._rt.current_time() + _CLEANUP
        with suppress(OSError), self._rt.CancelScope(shield=True, deadline=deadline):
            await reply(self._rt, stream, response(503, (), 0), _CLEANUP)

    def _make_room(self, most: int) -> None:
        """Of so many handshakes under way the oldest is given up."""
        waiting = [scope for scope in self._opening if not scope.cancel_called]
        if len(waiting) >= most:
            waiting[0].cancel()


def _only(exc: BaseException) -> BaseException:
    """What a nursery has wrapped, if that is a single exception."""
    while isinstance(exc, BaseExceptionGroup) and len(exc.exceptions) == 1:
        exc = exc.exceptions[0]
    return exc


def _shown(address: Any) -> str:
    if isinstance(address, tuple) and len(address) >= 2:
        host = f"[{address[0]}]" if ":" in address[0] else address[0]
        return f"{host}:{address[1]}"
    return str(address) or "a local socket"


def _host(address: Any) -> str | None:
    return address[0] if isinstance(address, tuple) and len(address) >= 2 else None
