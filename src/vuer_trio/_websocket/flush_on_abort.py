"""The last words of a connection that has no time left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from .._net.byte_stream import ByteStream
from .frames import BINARY, CLOSE, FIRST, close_payload, frame
from .transport import Outgoing, Prepared

__all__ = ["flush_on_abort"]

#: bytes; more than this no system takes at once
_LIMIT = 1 << 20
_GOING_AWAY = 1001


def flush_on_abort(
    stream: ByteStream,
    head: bytes,
    unsent: Sequence[Outgoing],
    frame: Callable[[bytes, int], bytes] = frame,
) -> None:
    """Offer ``head``, what was enqueued and a close frame to the system, once. ``frame`` makes
    the frames of this side's role.

    What it does not take is lost, at worst in the middle of a frame, and the end of the stream
    tells the peer so: it has decoded whole messages only.
    """
    out = [head]
    size = len(head)
    for payload in unsent:
        if size > _LIMIT:
            break
        kind = type(payload)
        framed = kind is Prepared
        out.append(payload if framed else frame(payload, FIRST.get(kind, BINARY)))
        size += len(out[-1])
    else:
        out.append(frame(close_payload(_GOING_AWAY, ""), CLOSE))
    with suppress(OSError):
        stream.try_send(b"".join(out))
