"""Sending events: ``send @ event``, ``await send(event)`` and ``await send @ event``."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from functools import partial
from threading import get_ident
from time import perf_counter
from typing import Any, Generic, TypeVar

from .._errors import OutboxFull, VuerError
from .._websocket.transport import LARGE
from .checkpoints import CheckpointThrottle
from .policies import not_connected
from .queue import Queue

__all__ = ["Permit", "Sender"]

E = TypeVar("E")


class Sender(Generic[E]):
    """Encodes events and puts them into an outbox. Later changes of an event have no effect.

    ``keep`` is called with events to be retained and their payload.
    """

    __slots__ = ("_encode", "_keep", "_owner", "outbox", "throttle", "uri")

    def __init__(
        self,
        encode: Callable[[E], bytes],
        uri: str,
        keep: Callable[[E, bytes], None] | None = None,
        owner: str = "client",
    ) -> None:
        self.outbox: Queue[bytes] = not_connected(uri)
        self.throttle: CheckpointThrottle = CheckpointThrottle()
        self.uri: str = uri
        self._encode = encode
        self._keep = keep
        self._owner = owner  # what error messages call the object with this `send`

    def connect(self, outbox: Queue[bytes], throttle: CheckpointThrottle) -> None:
        """Send on this connection from now on."""
        self.outbox, self.throttle = outbox, throttle

    def __matmul__(self, event: E) -> None:
        """``send @ event``: enqueue it now, without waiting.

        Raises OutboxFull when there is no room, EncodeError, ConnectionClosed, ClientClosed.
        """
        outbox = self.outbox
        if outbox.owner != get_ident():  # closed, or owned by another thread
            raise outbox.refusal()
        payload = self._encode(event)
        if not outbox.offer(payload):
            raise self.full()

    def from_thread(self, event: E) -> None:
        """Like ``@``, from any thread, which encodes the event. Waits for the loop."""
        outbox = self.outbox
        if outbox.home is None:
            return self @ event
        payload = self._encode(event)
        outbox.home.call(partial(self.put, payload))

    def many_from_thread(self, events: Iterable[E]) -> None:
        """Like `from_thread`, for several events, which are enqueued together."""
        payloads = [self._encode(event) for event in events]

        def put_all() -> None:
            for payload in payloads:
                self.put(payload)

        home = self.outbox.home
        if home is None:
            put_all()
        else:
            home.call(put_all)

    def put(self, payload: bytes) -> None:
        """Enqueue an encoded event. Raises as ``@``."""
        outbox = self.outbox
        if outbox.owner != get_ident():
            raise outbox.refusal()
        if not outbox.offer(payload):
            raise self.full()

    async def __call__(self, event: E, *, retain: bool = False) -> None:
        """``await send(event)``: wait for room, then enqueue it.

        ``retain``: send it again on each later connection, before what is enqueued, until another
        of its type is sent so. It yields to other tasks at least every 0.25 ms. Raises
        EncodeError, ConnectionClosed, ClientClosed. Cancelled: the event has not been sent, and
        will not be.
        """
        payload = self._encode(event)
        throttle, outbox = self.throttle, self.outbox
        if perf_counter() >= throttle.due:
            await throttle.turn()
            outbox.write_through = outbox.idle_writer
        elif throttle.asks:
            await throttle.if_cancelled()
        # From here until it is enqueued, the only await is for room.
        size = len(payload)
        if outbox.owner != get_ident():
            raise outbox.refusal()
        write_through, written = outbox.write_through, False
        if write_through is not None and size < LARGE and outbox.has_room:
            outbox.write_through = None
            written = write_through(payload)
        if not written and not outbox.offer(payload):
            await outbox.reserve(size)
            outbox.put_reserved((payload,), size)
        if retain and self._keep is not None:
            self._keep(event, payload)
        if size >= LARGE:
            # Enqueued, so it can no longer be cancelled: let the writer start meanwhile.
            await throttle.shielded()
            throttle.restart()

    def __await__(self) -> Generator[Any, Any, Permit[E]]:
        """``permit = await send``: wait for a slot, and own it."""
        return self._permit().__await__()

    async def _permit(self) -> Permit[E]:
        if perf_counter() >= self.throttle.due:
            await self.throttle.turn()
        elif self.throttle.asks:
            await self.throttle.if_cancelled()
        await self.outbox.reserve()
        return Permit(self.outbox, self._encode)

    async def many(self, events: Iterable[E]) -> None:
        """Enqueue all events in one step. Cancelled: none of them."""
        payloads = [self._encode(event) for event in events]
        size = sum(map(len, payloads))
        await self.throttle.turn()
        await self.outbox.reserve(size)
        self.outbox.put_reserved(payloads, size)

    def full(self) -> VuerError:
        """The error for a full outbox."""
        policy, where = (
            self.outbox.policy,
            "open it" if self._owner == "client" else "make the Vuer",
        )
        return OutboxFull(
            f"the outbox of {self.uri} is full: {self.outbox.count} of {policy.capacity} messages, "
            f"{self.outbox.bytes:,} of {policy.max_bytes:,} bytes; use `await "
            f"{self._owner}.send(event)`, which waits for room, or {where} with a larger "
            "outbox=Fifo(...)"
        )


class Permit(Generic[E]):
    """One slot in the outbox. ``permit @ event`` uses it; dropping the permit releases it."""

    __slots__ = ("_encode", "_outbox")

    def __init__(self, outbox: Queue[bytes], encode: Callable[[E], bytes]) -> None:
        self._outbox: Queue[bytes] | None = outbox
        self._encode = encode

    def __matmul__(self, event: E) -> None:
        """Enqueue ``event`` now: there is always room.

        Raises EncodeError (the permit can be used again), ConnectionClosed, ClientClosed.
        """
        payload = self._encode(event)
        if (outbox := self._outbox) is not None and outbox.home is not None:
            outbox.home.check()
        outbox, self._outbox = self._outbox, None
        if outbox is None:
            raise RuntimeError(
                "a permit is good for one event; use `await client.send` for another"
            )
        outbox.put_reserved((payload,))

    def release(self) -> None:
        """Release the slot. It may be called twice."""
        outbox, self._outbox = self._outbox, None
        if outbox is not None:
            outbox.give_back()

    def __del__(self) -> None:
        self.release()
