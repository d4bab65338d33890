"""What happens in a room: states, events, and the table of their handlers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from .._formatting import must_be

__all__ = ["ConnectionState", "EventHandler", "Handlers", "Item", "RoomzEvent", "complete"]

#: called with an event's data; sync or async
EventHandler = Callable[[dict[str, Any]], Any]


class ConnectionState(Enum):
    """Of a client."""

    DISCONNECTED = "disconnected"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"


@dataclass(frozen=True, slots=True)
class RoomzEvent:
    """One event, as ``async for event in client`` returns it.

    ``name`` and ``data`` are what a handler is registered for, and called with.
    ``dropped_before`` counts the events that were dropped before this one.
    """

    name: str
    data: dict[str, Any]
    dropped_before: int = 0


class Item:
    """An event in a box, with the size of its packet."""

    __slots__ = ("event", "size")

    def __init__(self, event: RoomzEvent, size: int) -> None:
        self.event: RoomzEvent = event
        self.size: int = size

    def __len__(self) -> int:
        return self.size


class Handlers:
    """Who is called for which event, in the order of registration. It outlives connections.

    Each list is a value that is replaced, so threads and running handlers may change the table.
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
        """Remove one handler, or all of an event; no error if it is not registered."""
        rest = () if handler is None else tuple(h for h in self.of(event) if h != handler)
        self._table[event] = rest

    def of(self, event: str) -> tuple[EventHandler, ...]:
        return self._table.get(event, ())


def complete(name: str, data: dict[str, Any]) -> dict[str, Any]:
    """The data of an event with the document's keys beside those of the wire."""
    user = data.get("user")
    if name == "display_name_changed" and "display_name" not in data and isinstance(user, dict):
        return {**data, "display_name": user.get("display_name")}
    return data
