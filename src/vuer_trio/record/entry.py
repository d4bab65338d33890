"""One message of a recording."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal, TypeAlias

from .._connection.observers import Direction
from .._formatting import shown
from .._received import received_client_event, received_server_event
from ..codec import decode
from ..events import ClientEvent, ServerEvent

__all__ = ["Entry", "Side"]

Side: TypeAlias = Literal["client", "server"]


class Entry:
    """A recorded message.

    ``log_time`` is when the message was seen, ``publish_time`` its ``ts``, or ``log_time`` without
    one, in nanoseconds since the epoch; `time` and `published` are the same times in seconds.
    ``direction`` is "received" or "sent", from the point of view of the recording side; ``sender``
    is "client" or "server". ``payload`` is the message as it was on the wire.
    """

    def __init__(
        self,
        log_time: int,
        publish_time: int,
        direction: Direction,
        sender: Side,
        etype: str | None,
        payload: bytes,
    ) -> None:
        self.log_time = log_time
        self.publish_time = publish_time
        self.direction = direction
        self.sender: Side = sender
        self.payload = payload
        self._etype = etype  # None if only the payload has it

    @property
    def time(self) -> float:
        """When it was seen, in seconds since the epoch."""
        return self.log_time / 1e9

    @property
    def published(self) -> float:
        """The event's ``ts``, in seconds since the epoch."""
        return self.publish_time / 1e9

    @property
    def etype(self) -> str:
        """The type of the event; empty for a message that is not an event."""
        if self._etype is None:
            from .layout import glance

            self._etype = glance(self.payload)[0] or ""
        return self._etype

    @cached_property
    def event(self) -> dict[str, Any]:
        """The decoded message as a dict. Raises ProtocolError if it is not an event."""
        return decode(self.payload)

    def as_event(self) -> ClientEvent | ServerEvent:
        """An event that can be sent again. Raises ProtocolError, as `event`."""
        if self.sender == "client":
            return received_client_event(self.payload)
        return received_server_event(self.payload)

    def __repr__(self) -> str:
        what = shown(self.etype, 64) or "no event"
        return f"<Entry {self.direction} {what}, {len(self.payload)} bytes at {self.time:.3f}>"
