"""A server while it runs: the door, and the sessions behind it."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from .._client.connecting import event_encoder
from .._connection.connection import Connection
from .._errors import ConnectionClosed
from .._handlers import kind
from .._home import Home
from .._hosting.memory_limit import MemoryLimit
from .._hosting.origins import Origins
from .._hosting.places import NoPlace, Places
from .._hosting.stalls import end_stalled
from .._hosting.visits import Visits
from .._interrupts import protected_methods
from .._runtime import Runtime
from .._websocket.frames import prepare
from .._websocket.transport import Prepared
from ..events import Event, ServerEvent
from .options import ServerOptions
from .pages import Pages
from .registered import Registered
from .session import VuerSession
from .session_runner import SessionRunner

if TYPE_CHECKING:
    from .._async_types import TaskStatus
    from .._websocket.incoming_request import IncomingRequest

__all__ = ["Serving"]

log: logging.Logger = logging.getLogger("vuer_trio.server")

#: RFC 6455 §7.4.1
_GOING_AWAY = (1001, "the server is going away")
#: seconds that a client has to read a page, if it makes progress: the largest file of a web client
#: has some megabytes, and a headset may have a slow link; and to read why it was refused
_PAGE_TIMEOUT, _REFUSAL_TIMEOUT = 600.0, 30.0
#: seconds, beyond ``close_timeout``, until a server that was cancelled leaves its clients
_PATIENCE = 1.0
#: plain HTTP requests at a time, answered and refused
_VISITS = 256
#: sessions at a time that have lost their place to others, and are being closed
_GIVING_WAY = 64


@protected_methods
class Serving:
    """One run of a server. `run` is its life."""

    def __init__(self, registered: Registered, rt: Runtime, options: ServerOptions) -> None:
        self.registered = registered
        self.rt = rt
        self.options = options
        self.home: Home = Home(rt, "this server")
        self._encode = event_encoder(options.floats, "ServerEvent")
        #: of what all sessions hold
        self.memory: MemoryLimit = MemoryLimit(options.max_buffered, "all sessions")
        self._key = options.outbox.key_function(kind)
        #: the open ones, the oldest first
        self.sessions: dict[VuerSession, None] = {}
        #: those, and what is about to be one, or still leaving
        self.lives: dict[VuerSession, None] = {}
        self.closing: bool = False
        #: who counts against ``max_sessions``: those, but who has given way and is about to go
        self._places: Places[SessionRunner] = Places(
            rt, options.max_sessions, options.sessions_per_host
        )
        self._giving_way: dict[SessionRunner, None] = {}
        self._origins = Origins(options.origins, options.hosts, options.host)
        self._visits = Visits(rt, _VISITS)
        self._refusals = Visits(rt, _VISITS)
        self._left = rt.Event()  # set by the next one that is gone
        self._pages = Pages(rt, options.client_root)
        #: where it listens: host and port, one for each address of ``host``
        self.addresses: Sequence[tuple[str, int]] = ()
        self._status: TaskStatus[Serving] | None = None

    @property
    def port(self) -> int:
        """The port in use."""
        return self.addresses[0][1]

    @property
    def uri(self) -> str:
        """For a client on this machine."""
        scheme = "ws" if self.options.cert is None else "wss"
        host = self.options.host or "localhost"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"

    def encode(self, event: Event) -> bytes:
        """A message for the outbox of one session. Raises EncodeError."""
        message = self._encode(event)
        self.memory.count(len(message))
        return message

    def prepare(self, event: ServerEvent) -> Prepared:
        """A message for the outboxes of all sessions. Raises EncodeError."""
        message = self.memory.framed(prepare(self._encode(event)))
        if self._key is not None:
            message.key = self._key(event)
            hash(message.key)  # a TypeError is the caller's
        return message

    async def run(self, status: TaskStatus[Serving]) -> None:
        """Serve until cancelled; ``status.started(self)`` once it listens.

        Raises OSError if it cannot. Cancelled: every session is closed with 1001, within a
        second more than ``close_timeout``.
        """
        from .._websocket.accept import listen
        from .._websocket.listen_options import ListenOptions

        options = self.options
        listen_options = ListenOptions(
            options.host,
            options.port,
            options.max_size,
            options.tls(),
            options.handshake_timeout,
            options.transport,
        )
        self._status = status
        await listen(
            self.rt,
            listen_options,
            self.greet,
            self._started,
            *self.services(),
        )

    def _started(self, addresses: Sequence[tuple[str, int]]) -> None:
        self.addresses = addresses
        log.info("serving at %s", self.uri)
        assert self._status is not None
        self._status.started(self)

    def services(self) -> Sequence[Callable[[], Coroutine[Any, Any, None]]]:
        """What runs beside the sessions, until the server is cancelled."""
        options = self.options
        return (
            partial(self._places.watch, options.init_timeout, self._turn_out),
            partial(end_stalled, self.rt, self._connections, options.stall_timeout),
            self._close_at_the_end,
        )

    async def _close_at_the_end(self) -> None:
        """Wait to be cancelled, then close every session with 1001."""
        try:
            await self.rt.Event().wait()
        finally:
            self.closing = True
            patience = self.options.close_timeout + _PATIENCE
            deadline = self.rt.current_time() + patience
            with self.rt.CancelScope(shield=True, deadline=deadline):
                async with self.rt.open_nursery() as nursery:
                    for session in list(self.sessions):
                        nursery.start_soon(self.say_goodbye, session)
                while self.lives:  # one that opens now says goodbye by itself
                    self._left = self.rt.Event()
                    await self._left.wait()
            for session in list(self.lives):
                session._abort()

    def _connections(self) -> Iterable[Connection]:
        return [session._connection for session in self.sessions]

    async def say_goodbye(self, session: VuerSession) -> None:
        """Close it because the server ends."""
        try:
            await session.aclose(*_GOING_AWAY)
        except ConnectionClosed as exc:
            log.info("%s", exc)

    async def greet(self, incoming: IncomingRequest) -> None:
        """Let somebody in, or say why not."""
        refusal = self._origins.refusal(incoming.request, secure=incoming.secure)
        if refusal is not None:
            log.warning("%s: refused: %s", incoming.peer, refusal)
            await self._refuse(incoming, 403, f"{refusal}\n")
        elif not incoming.wants_websocket:
            with self._visits.visit(_PAGE_TIMEOUT):
                await self._pages.answer(incoming, self._origins.headers(incoming.request))
        elif self.closing:
            await self._refuse(incoming, 503, "this server is going away\n")
        else:
            await self._let_in(incoming)

    async def _let_in(self, incoming: IncomingRequest) -> None:
        runner = SessionRunner(self, incoming)
        session = runner.session
        try:
            out = self._places.enter(runner, incoming.host)
        except NoPlace as exc:
            log.warning(
                "%s: refused: %s; see max_sessions= and max_sessions_per_host=",
                incoming.peer,
                exc,
            )
            await self._refuse(incoming, 503, "this server has as many sessions as it takes\n")
            return
        if out is not None:
            self._give_way(out)
        session._listener.holds = self.options.init_timeout != math.inf
        session._on_init(partial(self._introduce, runner))
        self.lives[session] = None
        try:
            # A session ends by its own close, in order, when the server is cancelled.
            with self.rt.CancelScope(shield=True):
                await runner.run()
        finally:
            del self.lives[session]
            self._places.leave(runner)
            self._giving_way.pop(runner, None)
            self._left.set()

    def _introduce(self, runner: SessionRunner) -> None:
        """Its INIT has been read."""
        self._places.settle(runner)
        runner.session._listener.release()

    def _give_way(self, runner: SessionRunner) -> None:
        """It has lost its place to another: it may hear of that, but not keep its memory."""
        log.info("%s has sent no INIT, and gives way to another", runner.session.peer)
        if len(self._giving_way) >= _GIVING_WAY:
            oldest = next(iter(self._giving_way))
            del self._giving_way[oldest]
            oldest.session._abort()
        self._giving_way[runner] = None
        runner.turn_out("no INIT was sent, and others want to get in")

    def _turn_out(self, runner: SessionRunner) -> None:
        timeout = self.options.init_timeout
        log.warning(
            "%s has sent no INIT within %g s, so its session ends; see init_timeout=",
            runner.session.peer,
            timeout,
        )
        runner.turn_out(f"no INIT was sent within {timeout:g} s")

    async def _refuse(self, incoming: IncomingRequest, status: int, text: str) -> None:
        with self._refusals.visit(_REFUSAL_TIMEOUT):
            await incoming.answer(status, [("content-type", "text/plain")], text.encode())
