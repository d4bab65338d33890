"""What a session reads, on its way: to who waits for it, to the handlers, to ``recv``."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from .._client.dispatch import Arrived, set_key
from .._connection.connection import Connection
from .._connection.policies import Policy
from .._connection.queue import Queue
from .._errors import ProtocolError
from .._handlers import Handler, HandlerRunner, Handlers, kind
from .._interrupts import call_unprotected, protected_methods
from .._values import count_values
from .._websocket.transport import Text
from ..events import ClientEvent, Event, received_client_event
from .waiting import Waiting

__all__ = ["Dispatcher", "taken"]

log: logging.Logger = logging.getLogger("vuer_trio.server")

#: RFC 6455 §7.4.1: data that is not consistent with the type of the message, and a message that is
#: too big to process
INVALID, TOO_BIG = 1007, 1009
#: values that one message of a client's may hold: at most 150 ms of the loop
_MOST_VALUES = 1 << 18
#: bytes of messages that wait, beyond which it is looked at what a message takes in memory, and the
#: bytes that each of its values takes
_LIGHT, _EACH = 1 << 18, 80


@protected_methods
class Dispatcher:
    """Sees every message of one session when it is read, in sync code.

    An event goes first to those that wait for it, then to the handlers' queue, then to the box of
    `recv`. What cannot be decoded ends the session.
    """

    def __init__(
        self, connection: Connection, handlers: Handlers, policy: Policy, session: object
    ) -> None:
        self._connection = connection
        self._handlers = handlers
        self._policy = policy
        self._session = session
        self._key_function = policy.key_function(kind)
        self._failed = False
        self._nursery: Any = None
        self._handler_runner: HandlerRunner | None = None
        self.waiting: Waiting = Waiting(connection.rt, self._ignore_count)
        #: called when the first INIT has been read
        self.on_init: Callable[[], None] = lambda: None
        #: the first INIT, once it is there
        self.init: ClientEvent | None = None
        #: bytes that it takes
        self.kept: int = 0
        #: what was read from INIT on, until the program's first step is over, if one waits for INIT
        self.early: list[Any] | None = None
        #: whether INIT makes the handlers wait for `release`
        self.holds_at_init: bool = False
        self._held: Any = None  # an event, while handlers wait

    def start(self, nursery: Any) -> None:
        """Call the handlers in ``nursery``."""
        self._nursery, connection = nursery, self._connection
        self._handler_runner = HandlerRunner(
            connection.rt, nursery, self._policy, self._run, connection.outbox
        )
        connection.stop_for(self._handler_runner.boxes)

    def hold(self) -> None:
        """Handlers wait: what the program does first, the client is to see first."""
        if self._held is None:
            self._held = self._connection.rt.Event()

    def release(self) -> None:
        """The program begins in this step, or there is none."""
        self.holds_at_init = False
        if self._held is not None:
            self._held.set()
            self._held = None
        if self.early is not None:
            self._nursery.start_soon(self._forget)  # its first step comes after this one

    async def _forget(self) -> None:
        self.early = None

    def _ignore_count(self, ignores_count: bool) -> None:
        """Somebody waits for what may be behind full boxes: read on, up to their bytes."""
        box: Queue[Any]
        for box in self._connection.boxes:
            box.ignore_count(ignores_count)

    def messages_received(self, messages: Sequence[Any], at: float) -> list[Arrived]:
        """What goes into the inbox, of messages read ``at`` that time."""
        arrived: list[Arrived] = []
        inbox, heavy = self._connection.inbox, self._is_heavy()
        if self.early is not None:
            self.early += messages
        for message in messages:
            if self._failed:
                break
            try:
                event = _decode(message)
            except ProtocolError as exc:
                self._refuse(exc)
                break
            if self.init is None and event.etype == "INIT":
                self._keep(event, message)
                self.on_init()
                if self.holds_at_init:
                    self.hold()
                    self.early = list(messages[messages.index(message) :])
            if self.waiting.see(event):
                continue
            size = _weight(message) if heavy else len(message)
            # A box from which nobody takes keeps the newest, for long: as bytes, of which an event
            # may take eighty times as many.
            item = Arrived(event if inbox.has_consumer else message, size)
            if self._key_function is not None:
                set_key(item, event, self._key_function)
            for handler in self._handlers.of(event.etype):
                assert self._handler_runner is not None
                key = getattr(item, "key", None)
                self._handler_runner.put(
                    handler, event, size, None if key is None else (handler, key)
                )
            arrived.append(item)
        return arrived

    def _is_heavy(self) -> bool:
        """Whether so much waits to be taken that it matters what a message is decoded."""
        return any(box.has_consumer and box.bytes > _LIGHT for box in self._connection.boxes)

    def _keep(self, event: ClientEvent, message: Any) -> None:
        """The first INIT, which stays for as long as the session."""
        self.init = event
        self.kept = _weight(message)

    def _refuse(self, error: ProtocolError) -> None:
        self._failed = True
        log.warning(
            "%s sent something that is not an event, so its session ends: %s",
            self._connection.uri,
            error,
        )
        self._connection.fail(TOO_BIG if error.too_large else INVALID, str(error))

    async def _run(self, handler: Handler, event: Event) -> None:
        if self._held is not None:
            await self._held.wait()
        await call_unprotected(handler.fn, event, self._session)

    async def finish(self) -> None:
        """Wait until every event that was read has been handled."""
        if self._handler_runner is not None:
            await self._handler_runner.finish()


def _decode(message: Any) -> ClientEvent:
    if type(message) is Text:
        raise ProtocolError(
            "a text frame, but only binary frames are allowed", frame=bytes(message)
        )
    return received_client_event(message, _MOST_VALUES)


def taken(item: Arrived) -> ClientEvent:
    """The event in an item of an inbox."""
    found: Any = item.event
    if isinstance(found, Event):
        return found  # type: ignore[return-value]  # of a client
    return received_client_event(found, None)  # it could be decoded when it was read


def _weight(message: Any) -> int:
    """The bytes of a message and, about, of what it is decoded."""
    return len(message) + _EACH * count_values(message, _MOST_VALUES)
