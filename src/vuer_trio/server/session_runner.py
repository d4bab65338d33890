"""The life of a session, from the handshake to its last task."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from .._client.connecting import with_key
from .._connection.connection import Connection
from .._connection.handler import ConnectionHandler
from .._connection.link import Link
from .._connection.opening import open_connection
from .._errors import CallTimeout, ClientClosed, ConnectionClosed
from .._failures import describe
from .._hosting.memory_limit import MemoryLimit
from .._interrupts import protected_methods
from .._runtime import Runtime
from .._websocket.transport import Message, Prepared, Transport
from ..events import ClientEvent, Event, ServerEvent
from .metrics import Metrics
from .options import ServerOptions
from .registered import Registered
from .session import VuerSession
from .tasks import guarded

if TYPE_CHECKING:
    from .._async_types import AsyncEvent, Nursery
    from .._websocket.incoming_request import IncomingRequest

__all__ = ["SessionHost", "SessionRunner"]

log: logging.Logger = logging.getLogger("vuer_trio.server")

#: RFC 6455 §7.4.1
_POLICY = 1008
#: seconds, in addition to ``close_timeout``, for a session that is turned out
_PATIENCE = 1.0
#: seconds after which it is said that an INIT is missing
_SOON = 5.0


class SessionHost(Protocol):
    """The server of a session."""

    rt: Runtime
    options: ServerOptions
    registered: Registered
    memory: MemoryLimit
    #: what is counted of it, if anything is
    metrics: Metrics | None
    #: the open ones, the oldest first
    sessions: dict[VuerSession, None]

    def encode(self, event: Event) -> bytes:
        """Encode a message for the outbox of one session."""

    def prepare(self, event: ServerEvent) -> Prepared:
        """Encode and frame a message for the outboxes of all sessions."""


@protected_methods
class SessionRunner(ConnectionHandler):
    """Runs one session, by `run`. It is a `ServerConnection`.

    The nursery of the connection is around that of the session: what the session has sent can still
    be delivered when all its tasks have ended.
    """

    def __init__(self, serving: SessionHost, incoming: IncomingRequest) -> None:
        options = serving.options
        self._serving = serving
        self._incoming = incoming
        self._rt = serving.rt
        self._close_timeout = options.close_timeout
        self.connection: Connection = Connection(
            self._rt,
            f"the client at {incoming.peer}",
            self,
            options.inbox.open(self._rt, has_consumer=False),
            options.outbox.open_outbox(self._rt, keeps_others=True),
            heartbeat=options.heartbeat,
            close_timeout=options.close_timeout,
            shielded=True,
            by_server=True,
        )
        encode = with_key(serving.encode, options.outbox.key_function(None))
        self.session: VuerSession = VuerSession(
            self._rt,
            self.connection,
            serving.registered.handlers,
            options.inbox,
            encode,
            serving.prepare,
            incoming,
        )
        self.session.vuer = serving.registered.app
        self._outer: Nursery | None = None  # its nursery, while there is a connection
        self._link_ended = self._rt.Event()
        self._handler_runs = False
        self._handler_ended: AsyncEvent | None = None  # once its end is waited for

    # ---- the connection's view (ConnectionHandler)

    async def dial(self, link: Link, nursery: Any) -> Transport:
        return await self._incoming.accept(link, nursery, self._incoming.reply_headers)

    def data_received(self, size: int) -> None:
        self._serving.memory.count(size)

    def messages_received(self, messages: Sequence[Message], at: float) -> Sequence[Any]:
        return self.session._dispatcher.messages_received(messages, at)

    def link_ended(self) -> None:
        self._link_ended.set()

    # ---- its life

    async def run(self) -> None:
        """Returns when nothing of the session is left. Cancelled: it ends at once."""
        session, connection = self.session, self.connection
        self._serving.memory.add(connection, self._kept)
        try:
            async with self._rt.open_nursery() as outer:
                try:
                    async with self._rt.open_nursery() as nursery:
                        registered = self._serving.registered
                        session._begin(
                            nursery,
                            hold=registered.binding is not None,
                            hold_at_init=bool(registered.spawned),
                        )
                        if self._serving.metrics is not None:
                            self._serving.metrics.watch(session)
                        failure = await open_connection(connection, outer)
                        if failure is None:
                            self._outer = outer
                            self._serving.sessions[session] = None
                            if self._serving.metrics is not None:
                                self._serving.metrics.joined(session)
                            nursery.start_soon(self._run_session_handler)
                            await self._end_with_the_connection()
                        else:
                            log.debug(
                                "%s: the handshake failed: %s", connection.uri, describe(failure)
                            )
                            nursery.cancel_scope.cancel()
                except BaseException:
                    connection.abort()
                    raise
                finally:
                    self._outer = None
                    self._serving.sessions.pop(session, None)
                    session._stop()
                await self._close()
        finally:
            if self._serving.metrics is not None:
                self._serving.metrics.left(session)
            self._serving.registered.newest.leave(session._dispatcher)
            session._end()
            self._serving.memory.drop(connection)

    def _kept(self) -> int:
        return self.session._kept

    async def close(self, code: int, reason: str) -> None:
        """Close the session, in order. Raises ConnectionClosed, as `VuerSession.aclose` does."""
        await self.session.aclose(code, reason)

    def abort(self) -> None:
        """End the session at once."""
        self.session._abort()

    def turn_out(self, reason: str) -> None:
        """Close the session with 1008, within little more than ``close_timeout``."""
        if self._outer is None:
            self.abort()
        else:
            self._outer.start_soon(self._say_why, reason)

    async def _say_why(self, reason: str) -> None:
        # `aclose` bounds the time without progress, and a client that reads slowly makes some.
        with self._rt.move_on_after(self._close_timeout + _PATIENCE) as scope:
            try:
                await self.session.aclose(_POLICY, reason)
            except ConnectionClosed as exc:
                log.debug("%s", exc)
        if scope.cancelled_caught:
            self.abort()

    async def _close(self) -> None:
        try:
            await self.connection.aclose()
        except ConnectionClosed as exc:
            log.info("%s", exc)

    async def _run_session_handler(self) -> None:
        """Run the function of `Vuer.bind` or `Vuer.spawn`, which ends the session."""
        registered, session = self._serving.registered, self.session
        handler = registered.binding
        if handler is None and registered.spawned:
            try:
                init = await self._init()
            except (ConnectionClosed, ClientClosed):
                return
            handler = registered.for_client(init.value)
        session._release_handlers()
        if handler is not None:
            self._handler_runs = True
            metrics, run = self._serving.metrics, handler.run
            if metrics is not None:
                run = partial(metrics.watched, run)
            await guarded(session, self._rt, run, session, self._rt, name=handler.name)
            self._handler_runs = False
            if self._handler_ended is not None:
                self._handler_ended.set()
            session.cancel_scope.cancel()

    async def _init(self) -> ClientEvent:
        """Wait for it. Raises ConnectionClosed, ClientClosed."""
        try:
            return await self.session.till("INIT", timeout=_SOON)
        except CallTimeout:
            log.warning(
                "%s has sent no INIT for %g s, and the functions of spawn wait for that: it says "
                "who the client is, so it comes first",
                self.session.peer,
                _SOON,
            )
        return await self.session.till("INIT")

    async def _end_with_the_connection(self) -> None:
        """When the client has left, let handlers have ``close_timeout`` for what was read."""
        await self._link_ended.wait()
        error = self.connection.inbox.closed
        assert error is not None
        self.session._lost(error)
        consumes = self._handler_runs and self.connection.inbox.has_consumer
        if isinstance(error, ConnectionClosed) and (self.session._busy or consumes):
            with self._rt.move_on_after(self._close_timeout):
                await self.session._finish()
                if self._handler_runs and self.connection.inbox.has_consumer:
                    self._handler_ended = self._rt.Event()
                    await self._handler_ended.wait()  # it may be receiving what came last
        self.session.cancel_scope.cancel()
