"""A WebSocket server: it listens, lets clients in, and closes every connection with 1001.

What it serves, and to whom, is up to its application: a Vuer server or an ARC relay.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Hashable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

from .._connection.connection import Connection
from .._connection.state import State
from .._errors import ConnectionClosed
from .._interrupts import protected_methods
from .._runtime import Runtime
from .authorization import Authorization
from .heartbeats import ask_silent
from .origins import Origins
from .places import NoPlace, Places
from .stalls import end_stalled
from .visits import Visits

if TYPE_CHECKING:
    from .._async_types import CancelScope
    from .._net.http_request import HttpRequest
    from .._websocket.accept import ListenOptions
    from .._websocket.incoming_request import IncomingRequest

__all__ = ["Application", "Refusal", "ServerConnection", "Service", "WebSocketServer"]

#: RFC 6455 §7.4.1
_GOING_AWAY = 1001
#: hosts that are all addresses of this machine: one of them
_HERE = {"": "localhost", "0.0.0.0": "localhost", "::": "::1"}
#: seconds, in addition to ``close_timeout``, that a server has to close its connections
_PATIENCE = 1.0
#: plain HTTP requests that are answered at a time, and requests that are refused
_VISITS = 256
#: seconds that a client has to read a page, as long as it makes progress: the largest file of a web
#: client has some megabytes, and a headset may have a slow line; and to read why it was refused
_PAGE_TIMEOUT, _REFUSAL_TIMEOUT = 600.0, 30.0

Service = Callable[[], Coroutine[Any, Any, None]]


class Refusal(NamedTuple):
    """The answer to a request that is refused."""

    status: int
    text: str
    content_type: str = "text/plain"


class ServerConnection(Hashable, Protocol):
    """One client's connection, from the handshake to its end."""

    @property
    def connection(self) -> Connection:
        """The connection itself."""

    async def run(self) -> None:
        """Open the connection, and return when nothing of it is left.

        Cancelled: it ends at once.
        """

    async def close(self, code: int, reason: str) -> None:
        """Close the open connection: send what is enqueued, then a close frame, and wait for the
        answer. Raises ConnectionClosed with the number of messages that could not be sent.
        """

    def abort(self) -> None:
        """End the connection at once, open or not."""


C = TypeVar("C", bound=ServerConnection)


class Application(Protocol[C]):
    """What one kind of server does differently from another."""

    #: what clients are told that this is: "server", "relay"
    name: str
    #: the options that limit the number of connections, for the log
    limits: str
    log: logging.Logger

    async def answer(self, incoming: IncomingRequest, headers: Sequence[tuple[str, str]]) -> None:
        """Answer a plain HTTP request; ``headers`` go with the answer. Raises OSError."""

    def forbid(self, why: str, status: int = 403) -> Refusal:
        """The answer to a request that `Origins` or `Authorization` refuses."""

    def refuse(self, request: HttpRequest) -> Refusal | None:
        """The answer to a WebSocket request that must be refused; None to accept it."""

    def new_connection(self, incoming: IncomingRequest) -> C:
        """Make a connection for a WebSocket request that has not been answered yet."""

    def give_way(self, connection: C) -> None:
        """End a connection that has lost its place to a new one."""


@protected_methods
class WebSocketServer(Generic[C]):
    """One run of a server, by `run`.

    ``connections`` holds each connection from before its handshake is answered until nothing of it
    is left. Cancelling the server does not cancel them: each is shielded, and closed in order.
    """

    def __init__(
        self,
        rt: Runtime,
        application: Application[C],
        options: ListenOptions,
        origins: Origins,
        places: Places[C],
        *,
        close_timeout: float,
        stall_timeout: float,
        authorization: Authorization | None = None,
        heartbeat: float,
        services: Iterable[Service] = (),
    ) -> None:
        self._rt = rt
        self._application = application
        self._options = options
        self._origins = origins
        self._places = places
        self._authorization = authorization
        self._close_timeout = close_timeout
        self._visits, self._refusals = Visits(rt, _VISITS), Visits(rt, _VISITS)
        self._left = rt.Event()  # set when the next connection is gone
        #: those that are opening, open or closing, the oldest first
        self.connections: dict[C, None] = {}
        #: whether the server was cancelled, and lets nobody in any more
        self.closing: bool = False
        #: where it listens: host and port, one for each address of ``host``
        self.addresses: Sequence[tuple[str, int]] = ()
        #: what runs beside the connections until the server is cancelled
        self.services: Sequence[Service] = (
            *services,
            partial(end_stalled, rt, self._open_connections, stall_timeout),
            partial(ask_silent, rt, self._open_connections, heartbeat),
            self._close_at_the_end,
        )

    def url(self, scheme: str) -> str:
        """The URL for a client on this machine. ``scheme`` is "ws" or "http", or with TLS "wss" or
        "https" in their place.
        """
        if self._options.context is not None:
            scheme += "s"
        host = self._options.host or ""
        host = _HERE.get(host, host)
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.addresses[0][1]}"

    # ---- its life

    async def run(self, started: Callable[[], None]) -> None:
        """Serve until cancelled. ``started()`` is called as soon as the server listens.

        Raises OSError if it cannot listen. When it is cancelled, a client whose HTTP request is not
        complete is answered 503, and every connection is closed with 1001, one that is still
        opening as soon as it is open. What is not closed within ``close_timeout`` and one second is
        aborted.
        """
        from .._websocket.accept import listen  # imported here: only a server that runs needs it

        def bound(addresses: Sequence[tuple[str, int]]) -> None:
            self.addresses = addresses
            started()

        await listen(self._rt, self._options, self._greet, bound, *self.services)

    async def serve_stream(self, stream: Any) -> None:
        """Serve one open byte stream of the running library, as it is: without TLS.

        Returns when the stream has been closed. `services` have to run meanwhile.
        """
        from .._websocket.accept import greet_stream

        await greet_stream(self._rt, self._options, stream, self._greet)

    def _open_connections(self) -> Iterable[Connection]:
        return [member.connection for member in self.connections]

    async def _close_at_the_end(self) -> None:
        """Wait to be cancelled, then close every connection."""
        try:
            await self._rt.Event().wait()
        finally:
            self.closing = True
            with self._shielded():
                async with self._rt.open_nursery() as nursery:
                    for connection in list(self.connections):
                        nursery.start_soon(self._say_goodbye, connection)
                while self.connections:
                    self._left = self._rt.Event()
                    await self._left.wait()
            for connection in list(self.connections):
                connection.abort()

    def _shielded(self) -> CancelScope:
        """A scope for what remains to be said when the server is cancelled."""
        deadline = self._rt.current_time() + self._close_timeout + _PATIENCE
        return self._rt.CancelScope(shield=True, deadline=deadline)

    async def _say_goodbye(self, connection: C) -> None:
        if connection.connection.state is State.OPENING:
            # If it were closed before it is open, it would end without a close frame.
            async for _ in connection.connection.changes.watch(self._rt):
                break
        try:
            await connection.close(_GOING_AWAY, f"the {self._application.name} is going away")
        except ConnectionClosed as exc:
            self._application.log.info("%s", exc)

    # ---- requests

    async def _greet(self, incoming: IncomingRequest) -> None:
        """Answer one request, whatever it is for."""
        application, request = self._application, incoming.request
        forbidden = self._origins.refusal(request, secure=incoming.secure)
        if self.closing:
            await self._send_away(incoming)
        elif forbidden is not None:
            application.log.warning("%s: refused: %s", incoming.peer, forbidden)
            await self._refuse(incoming, application.forbid(forbidden))
        elif not incoming.wants_websocket:
            with self._visits.visit(_PAGE_TIMEOUT):
                await application.answer(incoming, self._origins.headers(request))
        elif (refusal := application.refuse(request)) is not None:
            await self._refuse(incoming, refusal)
        elif self._authorization is None or await self._may_come_in(self._authorization, incoming):
            await self._let_in(incoming)

    async def _may_come_in(self, rules: Authorization, incoming: IncomingRequest) -> bool:
        """Whether a client may open a WebSocket. One that may not is told so."""
        denial = None
        try:
            denial = await rules.check(incoming)
        except BaseException as exc:
            if self._rt.is_cancellation(exc):  # the server ends
                with suppress(OSError):
                    await self._send_away(incoming)
            raise
        if denial is not None:
            await self._refuse(
                incoming, self._application.forbid(denial.text.rstrip(), denial.status)
            )
        elif self.closing:  # meanwhile
            await self._send_away(incoming)
        return denial is None and not self.closing

    async def _send_away(self, incoming: IncomingRequest) -> None:
        with self._shielded():
            text = f"this {self._application.name} is going away\n"
            await self._refuse(incoming, Refusal(503, text))

    async def _let_in(self, incoming: IncomingRequest) -> None:
        application = self._application
        connection = application.new_connection(incoming)
        try:
            out = self._places.enter(connection, incoming.host)
        except NoPlace as exc:
            application.log.warning(
                "%s: refused: %s; see %s", incoming.peer, exc, application.limits
            )
            text = f"this {application.name} is full, try again later\n"
            await self._refuse(incoming, Refusal(503, text))
            return
        if out is not None:
            application.give_way(out)
        self.connections[connection] = None
        try:
            with self._rt.CancelScope(shield=True):
                await connection.run()
        finally:
            del self.connections[connection]
            self._places.leave(connection)
            self._left.set()

    async def _refuse(self, incoming: IncomingRequest, refusal: Refusal) -> None:
        headers = [("content-type", refusal.content_type)]
        if refusal.status == 401:
            headers.append(("www-authenticate", "Bearer"))  # RFC 9110 §11.6.1
        with self._refusals.visit(_REFUSAL_TIMEOUT):
            await incoming.answer(refusal.status, headers, refusal.text.encode())
