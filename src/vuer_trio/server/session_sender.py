"""``session.send``, which can be awaited, and need not be."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Generator
from threading import get_ident
from typing import Any

from .._connection.checkpoints import CheckpointThrottle
from .._connection.log_limit import LogLimit
from .._connection.queue import Queue
from .._connection.sender import Sender
from .._errors import ClientClosed, ConnectionClosed
from .._interrupts import protected
from ..events import ServerEvent

__all__ = ["Sending", "SessionSender"]

log: logging.Logger = logging.getLogger("vuer_trio.server")


class SessionSender(Sender[ServerEvent]):
    """A `Sender` whose call sends even if nobody awaits it, as the reference's does.

    Not at the call, because a call that is awaited and cancelled must not have sent: it is known
    to be one that nobody awaits when its result is dropped, at the end of the statement. Calls
    whose results were kept until then go first, so the order is that of the calls.
    """

    __slots__ = ("_called", "_inner", "_limit", "_number")

    def __init__(self, encode: Callable[[ServerEvent], bytes], uri: str) -> None:
        super().__init__(encode, uri, owner="session")
        self._inner: Sender[Any] = Sender(_itself, uri, owner="session")
        #: the messages of calls that have been neither awaited nor dropped, in their order
        self._called: dict[int, bytes] = {}
        self._number = 0
        self._limit: LogLimit | None = None

    def connect(self, outbox: Queue[bytes], throttle: CheckpointThrottle) -> None:
        super().connect(outbox, throttle)
        self._inner.connect(outbox, throttle)

    def __call__(self, event: ServerEvent, *, retain: bool = False) -> Sending:
        """``await send(event)``: wait for room, then enqueue it.

        It yields to other tasks at least every 0.25 ms. Raises EncodeError at the call, and
        ConnectionClosed or ClientClosed. Cancelled: the event has not been sent, and will not be.

        ``send(event)`` without ``await``: the same as ``send @ event``, at the end of the
        statement. If it cannot be enqueued, that is logged.
        """
        outbox = self.outbox
        if outbox.owner != get_ident() and outbox.closed is None:
            raise outbox.refusal()
        self._number = number = self._number + 1
        self._called[number] = self._encode(event)
        return Sending(self, number)

    def awaited(self, number: int) -> Coroutine[Any, Any, None]:
        """What is to be awaited for a call: its sending, if that is still to be done."""
        payload = self._called.pop(number, None)
        return self.throttle.turn() if payload is None else self._inner(payload)

    def dropped(self, number: int) -> None:
        """Nobody awaits this call: enqueue its message now, if that is still to be done."""
        called = self._called
        if number in called:
            for earlier in [other for other in called if other <= number]:
                self._enqueue(called.pop(earlier))

    def _enqueue(self, payload: bytes) -> None:
        try:
            self.put(payload)
        except (ConnectionClosed, ClientClosed) as exc:
            log.debug("session.send(event), which nobody awaits: %s", exc)
        except Exception as exc:  # nobody is there to hear of it
            if self._limit is None:
                self._limit = LogLimit(log, "events of session.send")
            if self._limit.admits():
                log.error("session.send(event), which nobody awaits, has lost its event: %s", exc)


class Sending(Coroutine[Any, Any, None]):
    """A call of `VuerSession.send`, to be awaited once or not at all."""

    __slots__ = ("_coroutine", "_number", "_sender")

    def __init__(self, sender: SessionSender, number: int) -> None:
        self._sender = sender
        self._number = number
        self._coroutine: Coroutine[Any, Any, None] | None = None

    def __await__(self) -> Generator[Any, Any, None]:
        coroutine = self._coroutine
        if coroutine is None:  # as `_begun`, which would cost a call
            coroutine = self._coroutine = self._sender.awaited(self._number)
        return coroutine.__await__()

    def _begun(self) -> Coroutine[Any, Any, None]:
        if self._coroutine is None:
            self._coroutine = self._sender.awaited(self._number)
        return self._coroutine

    # ---- as a coroutine, for who makes a task of it

    def send(self, value: Any) -> Any:
        return self._begun().send(value)

    def throw(self, *error: Any) -> Any:
        return self._begun().throw(*error)

    def close(self) -> None:
        """Do not send, if that is still to be done."""
        self._begun().close()

    @protected
    def __del__(self) -> None:
        if self._coroutine is None:
            self._sender.dropped(self._number)


def _itself(payload: bytes) -> bytes:
    return payload
