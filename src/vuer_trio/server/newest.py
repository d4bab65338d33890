"""The newest events of an app: of all its sessions, or of those of some clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from .._connection.freshness import Freshness
from ..events import ClientEvent, received_client_event
from .client_filter import ClientFilter

if TYPE_CHECKING:
    from .dispatcher import Dispatcher

__all__ = ["Newest"]

#: filters that are remembered when nobody holds a lease with them
_MOST = 64

_Key: TypeAlias = frozenset[tuple[str, str]]


class Newest:
    """Of one app. It outlives the sessions and the runs of the server.

    For each set of filters that somebody has asked with, it keeps a `Freshness`, which sees what
    the sessions read whose INIT matches. Nothing is kept for an app that never asks.
    """

    def __init__(self) -> None:
        self._views: dict[_Key, tuple[ClientFilter, Freshness[ClientEvent]]] = {}
        self._dispatchers: dict[Dispatcher, None] = {}  # of the sessions that have sent INIT

    def __reduce__(self) -> tuple[Any, ...]:
        return Newest, ()  # what clients have sent stays in this process

    def of(self, patterns: Mapping[str, str]) -> Freshness[ClientEvent]:
        """What clients have sent that match ``patterns``; from the first call on, and looking back
        over what their sessions look back over."""
        matching = ClientFilter(patterns)
        key = frozenset(matching.patterns.items())
        view = self._views.pop(key, None)
        if view is None:
            self._forget_the_oldest()
            view = matching, Freshness(received_client_event)
            view[1].begin()
            for dispatcher in self._dispatchers:
                self._show(dispatcher, *view)
        self._views[key] = view
        return view[1]

    def _forget_the_oldest(self) -> None:
        """The one that was asked with longest ago, if there are too many."""
        unheld = [key for key, (_, freshness) in self._views.items() if not freshness.held]
        if len(unheld) < _MOST:
            return
        _, freshness = self._views.pop(unheld[0])
        for dispatcher in self._dispatchers:
            dispatcher.unwatch(freshness)

    def join(self, dispatcher: Dispatcher) -> None:
        """A session's INIT has been read, and nothing behind it."""
        self._dispatchers[dispatcher] = None
        for view in self._views.values():
            self._show(dispatcher, *view)

    def leave(self, dispatcher: Dispatcher) -> None:
        """The session has ended. What it sent last stays the newest until something newer comes."""
        self._dispatchers.pop(dispatcher, None)

    def _show(
        self, dispatcher: Dispatcher, matching: ClientFilter, freshness: Freshness[ClientEvent]
    ) -> None:
        assert dispatcher.init is not None
        if matching.matches(dispatcher.init.value):
            dispatcher.watch(freshness)

    def bytes(self) -> int:
        """What is kept, in bytes."""
        return sum(freshness.bytes for _, freshness in self._views.values())
