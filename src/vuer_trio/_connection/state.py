"""Where a connection is in its life."""

from __future__ import annotations

from enum import Enum

__all__ = ["State"]


class State(Enum):
    """Of a connection."""

    OPENING = "opening"
    OPEN = "open"
    GAP = "reconnecting"
    LEAVING = "leaving"  # this side closes: drain, close frame, answer
    ENDED = "ended"  # the peer closed, or it is lost; the stream may still be open
    GONE = "gone"  # nothing of it is left
