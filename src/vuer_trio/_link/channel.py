"""The two ends of a connection, as memory-channel objects.

``trio.abc.SendChannel`` and ``trio.abc.ReceiveChannel`` with ``clone()``, and Trio's exceptions:
EndOfChannel after a normal close, BrokenResourceError (it is a ConnectionClosed) after a loss,
ClosedResourceError on an end that was closed. Closing an end closes neither its clones nor the
connection.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import trio

from .._errors import ConnectionClosed
from .receiver import Receiver
from .sender import Sender

__all__ = ["ReceiveEnd", "SendEnd"]

E = TypeVar("E")
R = TypeVar("R")


class _End(trio.abc.AsyncResource):
    """What both ends have: being closed on their own, also while a task waits in them."""

    def __init__(self) -> None:
        self._closed = False
        self._waiting: set[trio.CancelScope] = set()

    def _check(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("this end of the channel was closed")

    async def _while_open(self, call: Callable[[], Awaitable[R]]) -> R:
        self._check()
        with trio.CancelScope() as scope:
            self._waiting.add(scope)
            try:
                return await call()
            finally:
                self._waiting.discard(scope)
        raise trio.ClosedResourceError("this end of the channel was closed")

    def close(self) -> None:
        """Close this end. Who waits in it gets a ClosedResourceError."""
        self._closed = True
        for scope in self._waiting:
            scope.cancel()

    async def aclose(self) -> None:
        self.close()
        await trio.lowlevel.checkpoint()


class SendEnd(_End, trio.abc.SendChannel[E], Generic[E]):
    """Sends events, as ``client.send`` does."""

    def __init__(self, sender: Sender[E]) -> None:
        super().__init__()
        self._sender = sender

    async def send(self, value: E) -> None:
        """Wait for room, then enqueue."""
        await self._while_open(lambda: self._sender(value))

    def send_nowait(self, value: E) -> None:
        """Enqueue now. Raises trio.WouldBlock when there is no room."""
        self._check()
        self._sender @ value

    def clone(self) -> SendEnd[E]:
        """Another end, to be closed on its own."""
        self._check()
        return SendEnd(self._sender)


class ReceiveEnd(_End, trio.abc.ReceiveChannel[E], Generic[E]):
    """Receives events, as ``client.recv`` does."""

    def __init__(self, receiver: Receiver[E]) -> None:
        super().__init__()
        self._receiver = receiver

    async def receive(self) -> E:
        """Wait for the next event."""
        try:
            return await self._while_open(self._receiver.recv)
        except ConnectionClosed as exc:
            raise _end(exc) from exc.__cause__

    def receive_nowait(self) -> E:
        """The next event, if it is there. Raises trio.WouldBlock if not."""
        self._check()
        try:
            return self._receiver.recv_nowait()
        except ConnectionClosed as exc:
            raise _end(exc) from exc.__cause__

    def clone(self) -> ReceiveEnd[E]:
        """Another end, to be closed on its own."""
        self._check()
        return ReceiveEnd(self._receiver)


def _end(exc: ConnectionClosed) -> Exception:
    return trio.EndOfChannel(str(exc)) if exc.normal else exc
