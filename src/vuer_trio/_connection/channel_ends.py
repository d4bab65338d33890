"""The two ends of a connection as objects that can be closed independently.

The Trio channels and anyio streams are subclasses, with the exceptions of these libraries. Closing
an end closes neither its clones nor the connection.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, Generic, NoReturn, Self, TypeVar

from .._errors import VuerError
from .._runtime import Runtime
from .receiver import Receiver
from .sender import Sender

__all__ = ["End", "ReceivingEnd", "SendingEnd"]

E = TypeVar("E")
R = TypeVar("R")


class End(ABC):
    """The base class of both ends."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self._closed = False
        self._waiting: set[Any] = set()

    @abstractmethod
    def _fail(self, error: VuerError | None) -> NoReturn:
        """Raise the library's own exception for ``error``; None means that this end is closed."""

    async def _wait(self, call: Callable[[], Awaitable[R]]) -> R:
        if not self._closed:
            with self._rt.CancelScope() as scope:
                self._waiting.add(scope)
                try:
                    return await call()
                except VuerError as exc:
                    self._fail(exc)
                finally:
                    self._waiting.discard(scope)
        self._fail(None)

    def _now(self, call: Callable[[], R]) -> R:
        if self._closed:
            self._fail(None)
        try:
            return call()
        except VuerError as exc:
            self._fail(exc)

    def close(self) -> None:
        """Close this end. Pending calls on it raise."""
        self._closed = True
        for scope in self._waiting:
            scope.cancel()

    async def aclose(self) -> None:
        """Close this end. Pending calls on it raise."""
        self.close()
        await self._rt.checkpoint()


class SendingEnd(End, Generic[E]):
    """Sends events like ``client.send``."""

    def __init__(self, rt: Runtime, sender: Sender[E]) -> None:
        super().__init__(rt)
        self._sender = sender

    async def send(self, value: E) -> None:
        """Wait for room, then enqueue."""
        await self._wait(lambda: self._sender(value))

    def send_nowait(self, value: E) -> None:
        """Enqueue now. Raises WouldBlock when there is no room."""
        self._now(lambda: self._sender @ value)

    def clone(self) -> Self:
        """Another end, to be closed on its own."""
        return self._now(lambda: type(self)(self._rt, self._sender))


class ReceivingEnd(End, Generic[E]):
    """Receives events like ``client.recv``."""

    def __init__(self, rt: Runtime, receiver: Receiver[E]) -> None:
        super().__init__(rt)
        self._receiver = receiver

    async def receive(self) -> E:
        """Wait for the next event."""
        return await self._wait(self._receiver.recv)

    def receive_nowait(self) -> E:
        """Return the next event. Raises WouldBlock if none has arrived."""
        return self._now(self._receiver.recv_nowait)

    def clone(self) -> Self:
        """Another end, to be closed on its own."""
        return self._now(lambda: type(self)(self._rt, self._receiver))
