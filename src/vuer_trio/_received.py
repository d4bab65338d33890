"""Events that arrive: light views of a decoded map."""

from __future__ import annotations

from time import time
from typing import Any, TypeGuard

from msgpack import unpackb

from ._event import ClientEvent, Event, ServerEvent, milliseconds
from ._values import FREE
from .codec import MOST_VALUES, as_plain_extension, decode

__all__ = [
    "ReceivedClientEvent",
    "ReceivedServerEvent",
    "is_time",
    "received_client_event",
    "received_server_event",
    "seconds",
]

_MILLISECONDS = 1e11  # seconds until the year 5138: a float above it counts milliseconds
_LATEST = 9.2e18  # milliseconds, of which an integer of the wire's has 63 bits
_AT_FIRST = {"dropped_before": 0, "_ts": 0.0}


class _Received(Event):
    """A view of a decoded map, ``raw``; reads its other keys as attributes.

    ``dropped_before``: how many events a delivery policy dropped just before this one.
    """

    __slots__ = ("_ts", "dropped_before", "etype", "raw")

    raw: dict[str, Any]
    etype: str
    dropped_before: int
    _ts: float  # read only when the map has no int

    def __init__(self, raw: dict[str, Any]) -> None:
        self.raw = raw
        self.etype = raw["etype"]
        try:
            ts = raw["ts"]
        except KeyError:
            ts = None
        if type(ts) is not int:  # the usual int waits for a reader
            self._ts = seconds(ts)

    def __getattr__(self, name: str) -> Any:
        if name in _AT_FIRST:  # a slot that is still empty; to fill it each time costs more
            return _AT_FIRST[name]
        # Dunders are for the interpreter, and copy and pickle ask before there is a `raw`.
        if name[:2] == "__" or name == "raw":
            raise AttributeError(name)
        try:
            return self.raw[name]
        except KeyError:
            raise AttributeError(f"this event has no {name!r}") from None

    @property
    def ts(self) -> float:
        """Seconds since the epoch; the time of receipt if the map has none."""
        ts = self.raw.get("ts")
        return ts / 1000 if type(ts) is int else self._ts

    @ts.setter
    def ts(self, seconds: float) -> None:
        self.raw = {**self.raw, "ts": None}
        self._ts = seconds

    @property
    def data(self) -> Any:
        """What a server sent, or None."""
        return self.raw.get("data")

    @property
    def value(self) -> Any:
        """What a client sent; ``data`` if the map has no ``value``."""
        raw = self.raw
        return raw["value"] if "value" in raw else raw.get("data")

    def to_wire(self) -> dict[str, Any]:
        """The map again, to pass it on; ``ts`` in integer milliseconds."""
        wire = {**self.raw, **vars(self)}
        if type(wire.get("ts")) is not int:
            wire["ts"] = milliseconds(self._ts)
        return wire

    def _serialize(self) -> dict[str, Any]:
        return {**self.raw, **vars(self)}

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.raw, self._ts, self.dropped_before), vars(self) or None


def _restore(cls: type[_Received], raw: dict[str, Any], ts: float, dropped: int) -> _Received:
    event = cls(raw)
    event._ts = ts
    event.dropped_before = dropped
    return event


def is_time(ts: Any) -> TypeGuard[float]:
    """Whether a ``ts`` that is not an int can be a time: neither infinite nor beyond 64 bits."""
    return type(ts) is float and -_LATEST / 1000 < ts < _LATEST


def seconds(ts: Any) -> float:
    """A ``ts`` that is not an int, in seconds since the epoch; now, if it is not a time."""
    if is_time(ts):
        return ts / 1000 if ts > _MILLISECONDS else ts
    return time()


class ReceivedClientEvent(_Received, ClientEvent):
    """An event from a client. Made of a decoded map, ``raw``."""

    __slots__ = ()


class ReceivedServerEvent(_Received, ServerEvent):
    """An event from a server. Made of a decoded map, ``raw``."""

    __slots__ = ()


def received_client_event(
    payload: bytes | bytearray | memoryview, most: int | None = MOST_VALUES
) -> ClientEvent:
    """The event in one message from a client, of at most ``most`` values. Raises ProtocolError."""
    if len(payload) <= FREE:
        try:  # what is below, in one call: it runs for every message
            raw = unpackb(payload, ext_hook=as_plain_extension)
            if type(raw["etype"]) is str:
                return ReceivedClientEvent(raw)
        except Exception:  # which `decode` tells
            pass
    return ReceivedClientEvent(decode(payload, most))


def received_server_event(
    payload: bytes | bytearray | memoryview, most: int | None = MOST_VALUES
) -> ServerEvent:
    """The event in one message from a server, of at most ``most`` values. Raises ProtocolError."""
    return ReceivedServerEvent(decode(payload, most))
