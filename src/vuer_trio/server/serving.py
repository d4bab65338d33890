"""A server while it runs: the door, and the sessions behind it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .._errors import ConnectionClosed
from .._link.budget import Budget
from .._runtime import Runtime
from .._transport.base import Prepared
from .._transport.framing import prepare
from ..connecting import event_encoder
from ..events import Event, ServerEvent
from ..handlers import kind
from .life import Life
from .options import ServerOptions
from .origins import allows
from .pages import Pages
from .session import VuerSession

if TYPE_CHECKING:
    from .._transport.knock import Knock
    from .app import Vuer

__all__ = ["Serving"]

log = logging.getLogger("vuer_trio.server")

#: RFC 6455 §7.4.1
_GOING_AWAY = (1001, "the server is going away")
#: seconds that a client has to read a page, if it makes progress: the largest file of a web client
#: has some megabytes, and a headset may have a slow link; and to read why it was refused
_PAGE_TIMEOUT, _REFUSAL_TIMEOUT = 600.0, 30.0
#: seconds, beyond ``close_timeout``, until a server that was cancelled leaves its clients
_PATIENCE = 1.0


class Serving:
    """One run of a server. `run` is its life."""

    def __init__(self, app: Vuer, rt: Runtime, options: ServerOptions) -> None:
        self.app = app
        self.rt = rt
        self.options = options
        self._encode = event_encoder(options.floats, "ServerEvent")
        #: of what all sessions hold
        self.budget = Budget(options.max_buffered, "all sessions")
        self._key = options.outbox.key_function(kind)
        #: the open ones, the oldest first
        self.sessions: dict[VuerSession, None] = {}
        #: those, and what is about to be one, or still leaving
        self.lives: dict[VuerSession, None] = {}
        self.closing = False
        self._left = rt.Event()  # set by the next one that is gone
        self._pages = Pages(rt, options.client_root)
        #: where it listens: host and port, one for each address of ``host``
        self.addresses: Sequence[tuple[str, int]] = ()
        self._status: Any = None

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
        self.budget.count(len(message))
        return message

    def prepare(self, event: ServerEvent) -> Prepared:
        """A message for the outboxes of all sessions. Raises EncodeError."""
        message = self.budget.framed(prepare(self._encode(event)))
        if self._key is not None:
            message.key = self._key(event)
            hash(message.key)  # a TypeError is the caller's
        return message

    async def run(self, status: Any) -> None:
        """Serve until cancelled; ``status.started(self)`` once it listens.

        Raises OSError if it can not. Cancelled: every session is closed with 1001, within a
        second more than ``close_timeout``.
        """
        from .._transport.listen import listen
        from .._transport.listening import Listening

        options = self.options
        listening = Listening(
            options.host,
            options.port,
            options.max_size,
            options.tls(),
            options.handshake_timeout,
            options.transport,
        )
        self._status = status
        await listen(self.rt, listening, self.greet, self._started, self.close_at_the_end)

    def _started(self, addresses: Sequence[tuple[str, int]]) -> None:
        self.addresses = addresses
        log.info("serving at %s", self.uri)
        self._status.started(self)

    async def close_at_the_end(self) -> None:
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
                session.abort()

    async def say_goodbye(self, session: VuerSession) -> None:
        """Close it because the server ends."""
        try:
            await session.aclose(*_GOING_AWAY)
        except ConnectionClosed as exc:
            log.info("%s", exc)

    async def greet(self, knock: Knock) -> None:
        """Let somebody in, or say why not."""
        request, limit = knock.request, self.options.max_sessions
        origin = request.header("origin")
        if not knock.wants_websocket:
            with self.rt.move_on_after(_PAGE_TIMEOUT):
                await self._pages.answer(knock)
        elif not allows(self.options.origins, origin, request.header("host")):
            log.warning("%s: refused a page of %s; see origins=", knock.peer, origin)
            await self._refuse(knock, 403, f"pages of {origin} may not connect to this server\n")
        elif len(self.lives) >= limit:
            log.warning("%s: refused, there are %d sessions; see max_sessions=", knock.peer, limit)
            await self._refuse(knock, 503, "this server has as many sessions as it takes\n")
        elif self.closing:
            await self._refuse(knock, 503, "this server is going away\n")
        else:
            # A session ends by its own close, in order, when the server is cancelled.
            life = Life(self, knock)
            self.lives[life.session] = None
            try:
                with self.rt.CancelScope(shield=True):
                    await life.run()
            finally:
                del self.lives[life.session]
                self._left.set()

    async def _refuse(self, knock: Knock, status: int, text: str) -> None:
        with self.rt.move_on_after(_REFUSAL_TIMEOUT):
            await knock.answer(status, [("content-type", "text/plain")], text.encode())
