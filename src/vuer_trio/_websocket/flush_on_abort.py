"""The last words of a connection that has no time left."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from .._net.byte_stream import ByteStream
from .frames import CLIENT, CLOSE, Role, close_payload
from .transport import Outgoing

__all__ = ["flush_on_abort"]

#: bytes; more than this no system takes at once
_LIMIT = 1 << 20
_GOING_AWAY = 1001


def flush_on_abort(
    stream: ByteStream, head: bytes, unsent: Sequence[Outgoing], role: Role = CLIENT
) -> None:
    """Offer ``head``, what was enqueued and a close frame to the system, once.

    What it does not take is lost, at worst in the middle of a frame, and the end of the stream
    tells the peer so: it has decoded whole messages only.
    """
    out = [head]
    size = len(head)
    for payload in unsent:
        if size > _LIMIT:
            break
        out.append(role.framed(payload))
        size += len(out[-1])
    else:
        out.append(role.frame(close_payload(_GOING_AWAY, ""), CLOSE))
    with suppress(OSError):
        stream.try_send(b"".join(out))
