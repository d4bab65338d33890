"""Where a session's events go: to those who wait for them, to handlers, and to ``recv``."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from .._connection.connection import Connection
from .._connection.freshness import Freshness
from .._connection.policies import Latest, Policy
from .._connection.received_item import ReceivedItem
from .._errors import ProtocolError
from .._handlers import Handler, HandlerRunner, Handlers
from .._interrupts import call_unprotected, protected_methods
from .._values import count_values
from .._websocket.transport import Text
from ..events import ClientEvent, Event, received_client_event
from .waiting import Waiting
from .wrong_library import add_hint

if TYPE_CHECKING:
    from .._async_types import AsyncEvent

__all__ = ["Dispatcher", "taken"]

log: logging.Logger = logging.getLogger("vuer_trio.server")

#: RFC 6455 §7.4.1: data that is not consistent with the type of the message, and a message that is
#: too big to process
INVALID, TOO_BIG = 1007, 1009
#: values in one message of a client: decoding them takes the loop 150 ms at most
_MOST_VALUES = 1 << 18
#: queued bytes from which on the size of decoded messages is counted, and the bytes of one value
_LIGHT, _EACH = 1 << 18, 80
#: what a session keeps for `latest`: reads and bytes before somebody asks; then the newest of so
#: many types, in bytes of memory
_READS, _BYTES, _NEWEST = 16, 16_384, Latest(max_keys=256, max_bytes=16 << 20)


@protected_methods
class Dispatcher:
    """Sees every message of one session when it is read, in sync code.

    An event goes first to those who wait for it, then to the queue of the handlers, then to the
    inbox. A message that cannot be decoded ends the session.
    """

    def __init__(
        self, connection: Connection, handlers: Handlers, policy: Policy, session: object
    ) -> None:
        self._connection = connection
        self._handlers = handlers
        self._policy = policy
        self._session: object = session
        self._failed = False
        self._nursery: Any = None
        self._handler_runner: HandlerRunner | None = None
        self.waiting: Waiting = Waiting(connection.rt, connection.ignore_count)
        #: called when the first INIT has been read
        self.on_init: Callable[[], object] | None = None
        #: called with each event that is read
        self.on_event: Callable[[ClientEvent], object] | None = None
        #: called when a handler has raised
        self.on_failure: Callable[[], object] | None = None
        #: the first INIT, once it has been read
        self.init: ClientEvent | None = None
        #: the bytes that INIT takes
        self.kept: int = 0
        #: INIT as it came and, until the first step of a `Vuer.spawn` function is over, what
        #: followed it; None once more has come
        self.early: list[Any] | None = None
        #: whether handlers wait for `release` from INIT on
        self.holds_at_init: bool = False
        self._held: Any = None  # an event, while handlers wait
        #: what `VuerSession.latest` and `lease` look at
        self.freshness: Freshness[ClientEvent] = Freshness(
            _decode, reads=_READS, size=_BYTES, newest=_NEWEST
        )
        self.freshness.follow(connection.rt)
        self._watching: tuple[Freshness[ClientEvent], ...] = ()  # that are told of each event

    def watch(self, freshness: Freshness[ClientEvent]) -> None:
        """Tell it of every event from now on, and of what the session looks back over."""
        if freshness is self.freshness:
            freshness.begin()
        else:
            freshness.follow(self._connection.rt)
            self.freshness.look_back(freshness)
        if freshness not in self._watching:
            self._watching += (freshness,)

    def unwatch(self, freshness: Freshness[ClientEvent]) -> None:
        """Tell it of no more."""
        self._watching = tuple(other for other in self._watching if other is not freshness)

    def start(self, nursery: Any) -> None:
        """Call the handlers in ``nursery``."""
        self._nursery, connection = nursery, self._connection
        self._handler_runner = HandlerRunner(
            connection.rt,
            nursery,
            self._handlers,
            self._policy,
            self._call,
            connection.outbox,
            connection.stop_for,
            self._explain,
        )

    def hold(self) -> None:
        """Let handlers wait until the session's own function has taken its first step."""
        if self._held is None:
            self._held = self._connection.rt.Event()

    def release(self) -> None:
        """The session's own function takes its first step now, or there is none."""
        self.holds_at_init = False
        if self._held is not None:
            self._held.set()
            self._held = None
        if self.early is not None and len(self.early) > 1:
            self._nursery.start_soon(self._forget)  # runs after its first step

    async def _forget(self) -> None:
        self.early = None

    def messages_received(self, messages: Sequence[Any], at: float) -> list[Any]:
        """What goes into the inbox for messages that were read at the time ``at``."""
        arrived: list[Any] = []
        inbox, heavy = self._connection.inbox, self._is_heavy()
        runner, waiting = self._handler_runner, self.waiting
        assert runner is not None
        if self.early is not None:
            if self._held is None:
                self.early = None  # that step is over, as this is another task's
            else:
                self.early += messages
        if not self.freshness.tracking:
            self.freshness.note(messages, at)
        for message in messages:
            if self._failed:
                break
            try:
                event = _decode(message)
            except ProtocolError as exc:
                self._refuse(exc)
                break
            if self.on_event is not None:
                self.on_event(event)
            if self.init is None and event.etype == "INIT":
                self._keep(event, message)
                if self.on_init is not None:
                    on_init, self.on_init = self.on_init, None
                    on_init()
                if self.holds_at_init:
                    self.hold()
                    self.early = list(messages[messages.index(message) :])
            if waiting.count and waiting.see(event):
                continue
            for freshness in self._watching:
                freshness.saw(event, _weight(message), at)
            size = _weight(message) if heavy else len(message)
            # An inbox without a consumer keeps the newest messages for long: as bytes, because an
            # event may take eighty times as much memory.
            item = ReceivedItem(event, size) if inbox.has_consumer else message
            if runner.keyed:
                if item is message:
                    item = ReceivedItem(message, size)
                runner.receive(event, size, item)
            else:
                runner.receive(event, size)
            arrived.append(item)
        return arrived

    def _is_heavy(self) -> bool:
        """Whether so much is queued that the size of decoded messages matters."""
        return any(queue.bytes > _LIGHT and queue.has_consumer for queue in self._connection.queues)

    def _keep(self, event: ClientEvent, message: Any) -> None:
        """Keep the first INIT for as long as the session lasts."""
        self.init = event
        self.kept = _weight(message) + len(message)  # it may be kept as it came, too

    def _refuse(self, error: ProtocolError) -> None:
        self._failed = True
        log.warning(
            "%s sent something that is not an event, so its session ends: %s",
            self._connection.uri,
            error,
        )
        self._connection.fail(TOO_BIG if error.too_large else INVALID, str(error))

    # Not `async def`: a coroutine that only awaits another one costs a twentieth of a dispatch.
    def _call(self, handler: Handler, event: Event) -> Coroutine[Any, Any, object]:
        if self._held is not None:
            return self._call_later(self._held, handler, event)
        return call_unprotected(handler.fn, event, self._session)

    async def _call_later(self, released: AsyncEvent, handler: Handler, event: Event) -> None:
        await released.wait()
        await call_unprotected(handler.fn, event, self._session)

    def _explain(self, failure: BaseException) -> None:
        if self.on_failure is not None:
            self.on_failure()
        add_hint(failure, self._connection.rt)

    def end(self) -> None:
        """Nothing more is read, and the handlers have ended: let go of what holds this one."""
        self._session = self._nursery = self._handler_runner = self.on_init = None
        self.on_event = self.on_failure = None

    @property
    def busy(self) -> bool:
        """Whether there are events that were read and have not been handled."""
        return self._handler_runner is not None and self._handler_runner.busy

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


def taken(item: Any) -> ClientEvent:
    """The event of an item that was taken from the inbox."""
    if type(item) is ReceivedItem:
        item = item.event
        if isinstance(item, Event):
            return item  # type: ignore[return-value]  # of a client
    return received_client_event(item, None)  # it could be decoded when it was read


def _weight(message: Any) -> int:
    """The bytes of a message, and roughly those of what it is decoded to."""
    return len(message) + _EACH * count_values(message, _MOST_VALUES)
