"""What an event is: its type, its time, and its place on the wire.

    Event
    ├── ClientEvent    from a client or a browser: ts, value, other keys
    └── ServerEvent    from a server: ts, data, other keys

The events of the protocol are in ``events.py``, those that arrive in ``_received.py``.
"""

from __future__ import annotations

from base64 import b64decode
from io import BytesIO
from time import time
from typing import TYPE_CHECKING, Any, ClassVar

from ._errors import EncodeError
from .codec import plain

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["ClientEvent", "Event", "ServerEvent", "canonical", "milliseconds"]

_UNSET: Any = object()
_ALIASES = {"CLICK": "ON_CLICK"}  # the name in the documents → the name on the wire


def canonical(etype: str) -> str:
    """The one name of an event type that has two: ``CLICK`` is ``ON_CLICK``."""
    return _ALIASES.get(etype, etype)


class Event:
    """What both directions have in common.

    An event is equal to the name of its type, ``event == "SET"``, and to no other event. Its hash
    is that of ``etype`` as it stands: look handlers up by their :func:`canonical` names.
    """

    # _hidden: keys of the map that would hide a method if they were attributes, or None
    __slots__ = ("__dict__", "__weakref__", "_hidden")

    etype: str
    ts: float
    _hidden: dict[str, Any] | None
    _reserved: ClassVar[frozenset[str]] = frozenset()
    _side: ClassVar[str] = "event"

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """The other keys of the map are attributes."""

        __iter__: ClassVar[None]  # or an event would pass for an iterable of events

        # Declared, and not abstract: `isinstance` of an ABC's takes three times as long.
        def _map(self) -> dict[str, Any]:
            """A new map of all that goes out, ``ts`` as it was given. Each side has its own."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # Descriptors of the class (methods, properties, slots) are not hidden by a key's name.
        cls._reserved = frozenset(n for n in dir(cls) if hasattr(getattr(cls, n, None), "__get__"))
        for base in map(vars, cls.__mro__):
            if "to_wire" in base:
                break
            if "_serialize" in base:  # a subclass shapes its own map, as ported code may
                cls.to_wire = _wire_as_serialized  # type: ignore[method-assign]  # on purpose
                break

    def _take(self, extra: dict[str, Any]) -> None:
        """The rare part of a construction: other keys."""
        attributes, reserved = self.__dict__, self._reserved
        for name, item in extra.items():
            if name in reserved or name[:2] == "__":
                self._hidden = {**(self._hidden or {}), name: item}
            else:
                attributes[name] = item

    def to_wire(self) -> dict[str, Any]:
        """The map that goes out, ``ts`` in integer milliseconds. Raises EncodeError.

        Elements and arrays in it are left to the encoder, which can say where one fails.
        """
        try:
            wire = self._map()
        except AttributeError as error:
            raise EncodeError(f"{type(self).__name__} is not complete: {error}") from error
        ts = wire.get("ts")
        if type(ts) is float:
            try:
                wire["ts"] = int(ts * 1000)
            except (OverflowError, ValueError) as error:
                raise _no_time(error) from error
        elif isinstance(ts, float):
            wire["ts"] = milliseconds(ts)
        return wire

    def _serialize(self) -> dict[str, Any]:
        """The event as plain data, ``ts`` as it was given. Subclasses may override it."""
        wire: dict[str, Any] = plain(self._map())
        return wire

    def image(self) -> Image:
        """The image in ``value``, or in ``value["frame"]``: encoded bytes, base64 or a data URL.

        Raises ValueError if there is none, ImportError without Pillow (the extra ``image``).
        """
        return _open_image(getattr(self, "value", None))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            etype: Any = getattr(self, "etype", None)
            return etype == other or canonical(etype) == canonical(other)
        return self is other if isinstance(other, Event) else NotImplemented

    def __hash__(self) -> int:
        return hash(getattr(self, "etype", None))

    def __repr__(self) -> str:
        what = getattr(self, "data" if self._side == "server" else "value", None)
        try:
            text = str(what)
        except Exception:  # nested deeper than the interpreter goes, or a broken __repr__
            text = f"<{type(what).__name__}>"
        return f"{self._side}<{getattr(self, 'etype', '')}>({text})"


def milliseconds(ts: Any) -> int:
    """Seconds as the wire has them. Raises EncodeError."""
    try:
        return int(ts * 1000)
    except (OverflowError, ValueError, TypeError) as error:
        raise _no_time(error) from error


def _no_time(error: Exception) -> EncodeError:
    return EncodeError(f"ts: {error}", path="ts")


def _wire_as_serialized(self: Event) -> dict[str, Any]:
    """``to_wire`` of a class that overrides ``_serialize``."""
    try:
        wire = dict(self._serialize())
    except Exception as error:
        raise EncodeError(f"{type(self).__name__}._serialize failed with {error!r}") from error
    ts = wire.get("ts")
    return {**wire, "ts": milliseconds(ts)} if isinstance(ts, float) else wire


class ClientEvent(Event):
    """An event from a client. Subclasses set ``etype``, and may set a default ``value``.

    ``ts`` is in seconds since the epoch, or an int in milliseconds; now, if it is not given.
    Other keywords are other keys of the map.
    """

    value: Any = None
    _side = "client"

    def __init__(
        self,
        /,
        ts: float | None = None,
        *,
        value: Any = _UNSET,
        etype: str = _UNSET,
        **extra: Any,
    ) -> None:
        self._hidden = None
        self.ts: float = time() if ts is None else ts
        if value is not _UNSET:
            self.value = value
        if etype is not _UNSET:
            self.etype = etype
        if extra:
            self._take(extra)

    def to_wire(self) -> dict[str, Any]:
        # What `Event.to_wire` comes to for the usual event, without its calls: it runs for every
        # pose. The keys keep their order.
        wire = self.__dict__.copy()
        try:
            ts = wire["ts"]
            if type(ts) is float and "value" in wire and not self._hidden:
                wire["etype"] = self.etype
                wire["ts"] = int(ts * 1000)
                return wire
        except (KeyError, AttributeError, OverflowError, ValueError):
            pass  # which is told there
        return super().to_wire()

    def _map(self) -> dict[str, Any]:
        wire = self.__dict__.copy()
        wire["etype"] = self.etype
        wire["value"] = self.value
        if self._hidden:
            wire.update(self._hidden)
        return wire

    @classmethod
    def _deserialize(cls, /, *, etype: str, ts: float | None = None, **extra: Any) -> ClientEvent:
        return ClientEvent(ts, etype=etype, **extra)


class _DataByDefault:
    """``value`` of a server's event is its ``data``, unless it has a ``value`` as well."""

    def __get__(self, event: Event | None, owner: type[Event]) -> Any:
        return None if event is None else event.data


class ServerEvent(Event):
    """An event from a server. Subclasses set ``etype``.

    ``ts`` is in seconds since the epoch, or an int in milliseconds; now, if it is not given.
    Other keywords are other keys of the map.
    """

    value: Any = _DataByDefault()
    _side = "server"

    def __init__(
        self,
        /,
        data: Any,
        ts: float | None = None,
        *,
        etype: str = _UNSET,
        **extra: Any,
    ) -> None:
        self._hidden = None
        self.ts: float = time() if ts is None else ts
        self.data = data
        if etype is not _UNSET:
            self.etype = etype
        if extra:
            self._take(extra)

    def _map(self) -> dict[str, Any]:
        wire = self.__dict__.copy()
        wire["etype"] = self.etype
        wire["data"] = self._wire_data()
        if self._hidden:
            wire.update(self._hidden)
        return wire

    def _wire_data(self) -> Any:
        return self.data


def _open_image(value: Any) -> Image:
    if isinstance(value, dict):
        value = value.get("frame")
    if isinstance(value, str):
        try:
            value = b64decode(value.partition(",")[2] if value[:5] == "data:" else value)
        except ValueError as error:
            raise ValueError(f"the event's value is not base64: {error}") from error
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise ValueError(f"the value of the event must be an image, got {type(value).__name__}")
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("event.image() needs Pillow: pip install 'vuer-trio[image]'") from error
    try:
        image = Image.open(BytesIO(value))
        image.load()
    except Exception as error:  # Pillow raises many kinds for bytes that are no image
        raise ValueError(f"the event's {len(value)} bytes are not an image: {error}") from error
    return image
