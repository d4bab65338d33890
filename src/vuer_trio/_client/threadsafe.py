"""A client's calls for other threads than its loop's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

from .._connection.sender import Sender
from ..events import ClientEvent

__all__ = ["ThreadsafeClient", "ThreadsafeSender"]

E = TypeVar("E")


class ThreadsafeSender(Generic[E]):
    """``send @ event`` and ``send(event)`` are one: enqueue it now, from any thread.

    The event is encoded in the calling thread, which then waits until the loop has taken it. Raises
    what ``send @ event`` raises in the loop, OutboxFull among it. A loop that waits for the calling
    thread waits forever.
    """

    def __init__(self, sender: Sender[E]) -> None:
        self._sender = sender

    def __matmul__(self, event: E) -> None:
        self._sender.from_thread(event)

    def __call__(self, event: E) -> None:
        self._sender.from_thread(event)


class ThreadsafeClient:
    """`VuerClient.threadsafe`."""

    def __init__(self, sender: Sender[ClientEvent]) -> None:
        #: ``send @ event`` and ``send(event)``
        self.send: ThreadsafeSender[ClientEvent] = ThreadsafeSender(sender)
        self._sender = sender

    def send_nowait(self, event: ClientEvent) -> None:
        """The same as ``send @ event``."""
        self.send @ event

    def send_many(self, events: Iterable[ClientEvent]) -> None:
        """Enqueue all events, one behind the other. Raises as ``send @ event``, at the first that
        finds no room; those before it are sent."""
        self._sender.many_from_thread(events)
