"""The states of a connection."""

from __future__ import annotations

from enum import Enum

__all__ = ["State"]


class State(Enum):
    """The state of a connection."""

    OPENING = "opening"
    OPEN = "open"
    GAP = "reconnecting"
    LEAVING = "leaving"  # this side is closing: drain, close frame, reply
    ENDED = "ended"  # the peer closed, or it is lost; the stream may still be open
    GONE = "gone"  # everything is closed
