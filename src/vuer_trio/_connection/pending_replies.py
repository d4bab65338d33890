"""Matching replies with the calls that await them."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Generic, TypeVar

from .._errors import VuerError, renew
from .._interrupts import protected_methods
from .._runtime import Runtime

__all__ = ["PendingReplies", "PendingReply"]

R = TypeVar("R")


@protected_methods
class PendingReply(Generic[R]):
    """One awaited reply."""

    __slots__ = ("_error", "_event", "_reply")

    def __init__(self, event: Any) -> None:
        self._event = event
        self._reply: R | None = None
        self._error: VuerError | None = None

    async def wait(self) -> R:
        """Wait for the reply. Raises the error of `fail`. Cancelled: the call stays pending."""
        await self._event.wait()
        if self._error is not None:
            raise renew(self._error)
        return self._reply  # type: ignore[return-value]  # set with the event

    def settle(self, reply: R | None, error: VuerError | None = None) -> None:
        self._reply, self._error = reply, error
        self._event.set()


@protected_methods
class PendingReplies(Generic[R]):
    """The pending calls of one link, in order.

    ``with calls.expect(key) as call: ...; reply = await call.wait()``: leaving the block always
    removes the call.
    """

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self._calls: dict[Hashable, PendingReply[R]] = {}

    def __len__(self) -> int:
        return len(self._calls)

    def pending(self) -> list[Any]:
        """The keys of the pending calls, in order."""
        return list(self._calls)

    def expect(self, key: Hashable) -> _Expecting[R]:
        """Expect a reply with ``key`` from now on."""
        call: PendingReply[R] = PendingReply(self._rt.Event())
        self._calls[key] = call
        return _Expecting(self._calls, key, call)

    def settle(self, key: Hashable, reply: R) -> bool:
        """Deliver a reply; return False if none is pending with ``key``."""
        call = self._calls.pop(key, None)
        if call is not None:
            call.settle(reply)
        return call is not None

    def settle_up_to(self, key: Hashable, reply: R) -> None:
        """Deliver a reply to ``key`` and to every earlier call: one pong may answer several pings
        (RFC 6455 §5.5.3)."""
        if key in self._calls:
            for earlier in list(self._calls):
                self.settle(earlier, reply)
                if earlier == key:
                    break

    def fail(self, error: VuerError) -> None:
        """Fail all pending calls."""
        for call in self._calls.values():
            call.settle(None, error)
        self._calls.clear()


@protected_methods
class _Expecting(Generic[R]):
    def __init__(
        self, calls: dict[Hashable, PendingReply[R]], key: Hashable, call: PendingReply[R]
    ) -> None:
        self._calls, self._key, self._call = calls, key, call

    def __enter__(self) -> PendingReply[R]:
        return self._call

    def __exit__(self, *exc: object) -> None:
        self._calls.pop(self._key, None)
