"""Calls that wait for an event of a session: `rpc` for a reply, `till` for one of a type."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .._connection.pending_replies import PendingReplies, PendingReply
from .._errors import VuerError
from .._runtime import Runtime
from ..events import ClientEvent, canonical

__all__ = ["Waiting"]


class Waiting:
    """The waiting calls of one session. ``ignores_count(True)`` is called when the first one
    begins, and ``ignores_count(False)`` when the last one ends.

    Each call is a ``with`` block; however that ends, nothing is left of it.
    """

    def __init__(self, rt: Runtime, ignores_count: Callable[[bool], None]) -> None:
        self._rt = rt
        self._ignores_count = ignores_count
        self._replies: PendingReplies[ClientEvent] = PendingReplies(rt)
        self._tills: dict[str, list[PendingReply[ClientEvent]]] = {}
        #: the calls
        self.count: int = 0

    @contextmanager
    def reply(self, rtype: str) -> Iterator[PendingReply[ClientEvent]]:
        """Wait for an event of type ``rtype``, which nobody else gets."""
        with self._counted(), self._replies.expect(rtype) as call:
            yield call

    @contextmanager
    def till(self, etype: str) -> Iterator[PendingReply[ClientEvent]]:
        """Wait for the next event of a type, which others get as well."""
        name = canonical(etype)
        call: PendingReply[ClientEvent] = PendingReply(self._rt.Event())
        self._tills.setdefault(name, []).append(call)
        try:
            with self._counted():
                yield call
        finally:
            waiting = self._tills.get(name, [])
            if call in waiting:
                waiting.remove(call)
                if not waiting:
                    del self._tills[name]

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self.count += 1
        if self.count == 1:
            self._ignores_count(True)
        try:
            yield
        finally:
            self.count -= 1
            if self.count == 0:
                self._ignores_count(False)

    def see(self, event: ClientEvent) -> bool:
        """An event has been read. Returns whether it was a reply, which nobody else gets."""
        for call in self._tills.pop(canonical(event.etype), ()):
            call.settle(event)
        return self._replies.settle(event.etype, event)

    def fail(self, error: VuerError) -> None:
        """The session has ended."""
        self._replies.fail(error)
        tills, self._tills = self._tills, {}
        for waiting in tills.values():
            for call in waiting:
                call.settle(None, error)
