"""The last words of a connection that has no time left."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from .base import Outgoing, Ping
from .framing import BINARY, CLOSE, PING, close_payload, frame
from .wire import Wire

__all__ = ["farewell"]

#: bytes; more than this no system takes at once
_LIMIT = 1 << 20
_GOING_AWAY = 1001


def farewell(wire: Wire, head: bytes, unsent: Sequence[Outgoing]) -> None:
    """Offer ``head``, what was enqueued and a close frame to the system, once.

    What it does not take is lost, at worst in the middle of a frame, and the end of the stream
    tells the peer so: it has decoded whole messages only.
    """
    out = [head]
    size = len(head)
    for payload in unsent:
        if size > _LIMIT:
            break
        out.append(frame(payload, PING if type(payload) is Ping else BINARY))
        size += len(out[-1])
    else:
        out.append(frame(close_payload(_GOING_AWAY, ""), CLOSE))
    with suppress(OSError):
        wire.try_send(b"".join(out))
