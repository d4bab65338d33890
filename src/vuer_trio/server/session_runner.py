"""The life of a session, from the handshake to its last task."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from .._client.connecting import with_key
from .._connection.connection import Connection
from .._connection.link_changes import Disconnected, Watch
from .._connection.opening import open_connection
from .._errors import ClientClosed, ConnectionClosed
from .._failures import describe
from .._handlers import kind
from .._hosting.memory_limit import MemoryLimit
from .._interrupts import protected_methods
from .._runtime import Runtime
from .._websocket.transport import Prepared
from ..events import Event, ServerEvent
from .handler import SessionConnectionHandler
from .options import ServerOptions
from .registered import Registered
from .session import VuerSession
from .tasks import guarded

if TYPE_CHECKING:
    from .._async_types import Nursery
    from .._websocket.incoming_request import IncomingRequest

__all__ = ["SessionHost", "SessionRunner"]

log: logging.Logger = logging.getLogger("vuer_trio.server")

#: RFC 6455 §7.4.1
_POLICY = 1008
#: seconds, beyond ``close_timeout``, for one that is turned out
_PATIENCE = 1.0


class SessionHost(Protocol):
    """The server that a session is of."""

    rt: Runtime
    options: ServerOptions
    registered: Registered
    memory: MemoryLimit
    #: the open ones, the oldest first
    sessions: dict[VuerSession, None]
    #: whether it is going away
    closing: bool

    def encode(self, event: Event) -> bytes:
        """A message for the outbox of one session."""

    def prepare(self, event: ServerEvent) -> Prepared:
        """A message for the outboxes of all sessions."""

    async def say_goodbye(self, session: VuerSession) -> None:
        """Close it because the server ends."""


@protected_methods
class SessionRunner:
    """One session's. The connection's nursery is around the session's, so that what the session
    has sent can still go out when everything in it has ended."""

    def __init__(self, serving: SessionHost, incoming: IncomingRequest) -> None:
        options = serving.options
        self._serving = serving
        self._rt = serving.rt
        self._close_timeout = options.close_timeout
        handler = SessionConnectionHandler(incoming, serving.memory.count)
        self._connection = Connection(
            self._rt,
            f"the client at {incoming.peer}",
            handler,
            options.inbox.open(self._rt, has_consumer=False),
            options.outbox.open(self._rt),
            heartbeat=options.heartbeat,
            close_timeout=options.close_timeout,
            shielded=True,
        )
        encode = with_key(serving.encode, options.outbox.key_function(kind))
        self.session: VuerSession = VuerSession(
            self._rt,
            self._connection,
            serving.registered.handlers,
            options.inbox,
            encode,
            serving.prepare,
            incoming,
        )
        handler.read = self.session._dispatcher.messages_received
        self._outer: Nursery | None = None  # its nursery, while there is a connection
        self._program_runs = False
        self._program_ended = self._rt.Event()

    async def run(self) -> None:
        """Returns when nothing of the session is left. Cancelled: it ends at once."""
        with self._serving.memory.member(self._connection, lambda: self.session._kept):
            await self._live()

    async def _live(self) -> None:
        session, connection = self.session, self._connection
        changes = connection.changes.watch(self._rt)
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
                        failure = await open_connection(connection, outer)
                        if failure is None:
                            self._outer = outer
                            self._serving.sessions[session] = None
                            if self._serving.closing:
                                nursery.start_soon(self._serving.say_goodbye, session)
                            nursery.start_soon(self._end_with_the_connection, changes)
                            nursery.start_soon(self._run_program)
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
            session._end()

    def turn_out(self, reason: str) -> None:
        """End the session for what it has not done. It takes little more than ``close_timeout``."""
        if self._outer is None:
            self.session._abort()
        else:
            self._outer.start_soon(self._say_why, reason)

    async def _say_why(self, reason: str) -> None:
        # The drain alone is bounded by the time without progress, and who reads slowly has some.
        with self._rt.move_on_after(self._close_timeout + _PATIENCE) as scope:
            try:
                await self.session.aclose(_POLICY, reason)
            except ConnectionClosed as exc:
                log.debug("%s", exc)
        if scope.cancelled_caught:
            self.session._abort()

    async def _close(self) -> None:
        try:
            await self._connection.aclose()
        except ConnectionClosed as exc:
            log.info("%s", exc)

    async def _run_program(self) -> None:
        """What the server does for this client; when it is over, so is the session."""
        registered, session = self._serving.registered, self.session
        program = registered.binding
        if program is None and registered.spawned:
            try:
                init = await session.till("INIT")
            except (ConnectionClosed, ClientClosed):
                return
            program = registered.for_client(init.value)
        session._program_begins()
        if program is not None:
            self._program_runs = True
            await guarded(session, self._rt, program.run, session, self._rt, name=program.name)
            self._program_ended.set()
            session.cancel_scope.cancel()

    async def _end_with_the_connection(self, changes: Watch) -> None:
        """What was read is still handled, within ``close_timeout``, if the client has gone."""
        async for change in changes:
            if isinstance(change, Disconnected):
                break
        error = self._connection.inbox.closed
        assert error is not None
        self.session._lost(error)
        if isinstance(error, ConnectionClosed):
            with self._rt.move_on_after(self._close_timeout):
                await self.session._finish()
                if self._program_runs and self._connection.inbox.has_consumer:
                    await self._program_ended.wait()  # it may be receiving what came last
        self.session.cancel_scope.cancel()
