"""Connection states, events, and the table of handlers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from .._formatting import must_be

__all__ = ["ConnectionState", "EventHandler", "Handlers", "RoomzEvent", "complete"]

#: a sync or async function, called with an event's data
EventHandler = Callable[[dict[str, Any]], Any]


class ConnectionState(Enum):
    """The state of a client."""

    DISCONNECTED = "disconnected"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"


@dataclass(frozen=True, slots=True)
class RoomzEvent:
    """One event, as ``async for event in client`` returns it.

    A handler is registered for ``name``, and called with ``data``.
    ``dropped_before`` counts the events that were dropped before this one.
    """

    name: str
    data: dict[str, Any]
    dropped_before: int = 0


class Handlers:
    """The handlers of each event, in the order of registration, kept across connections.

    The lists are immutable and replaced, so threads and running handlers may change the table.
    """

    def __init__(self) -> None:
        self._table: dict[str, tuple[EventHandler, ...]] = {}

    def add(self, event: str, handler: EventHandler) -> None:
        if not isinstance(event, str):
            raise TypeError(must_be("event", "the name of an event, 'message'", event))
        if not callable(handler):
            raise TypeError(must_be(f"the handler of {event!r}", "callable", handler))
        self._table[event] = (*self.of(event), handler)

    def remove(self, event: str, handler: EventHandler | None) -> None:
        """Remove a handler, or all handlers of an event. Does nothing if it is not registered."""
        rest = () if handler is None else tuple(h for h in self.of(event) if h != handler)
        self._table[event] = rest

    def of(self, event: str) -> tuple[EventHandler, ...]:
        return self._table.get(event, ())


def complete(name: str, data: dict[str, Any]) -> dict[str, Any]:
    """Add the documented keys to an event's data from the wire."""
    user = data.get("user")
    if name == "display_name_changed" and "display_name" not in data and isinstance(user, dict):
        return {**data, "display_name": user.get("display_name")}
    return data
