"""How a recording lies in an MCAP file.

Each direction and event type has a channel, ``/received/CAMERA_MOVE``, whose messages are the
payloads as they were on the wire: msgpack. The log time is when this side saw a message, the
publish time is the event's ``ts``, or the log time if it has none that fits. Three kinds of
metadata records tell of the recording itself:

    vuer_trio        at the begin: uri, side ("client" or "server"), library, format, started
    vuer_trio.gap    where messages were dropped: from, until (log times), received, sent (counts)
    vuer_trio.end    at the end: ended, written, dropped
"""

from __future__ import annotations

from typing import Any

from msgpack import Unpacker

from .._connection.observers import Direction
from .._received import is_time, seconds

__all__ = [
    "ABOUT",
    "END",
    "FORMAT",
    "GAP",
    "OTHERS",
    "PROFILE",
    "address_of",
    "glance",
    "nanoseconds",
]

PROFILE = "vuer-trio"
FORMAT = "1"
ABOUT, GAP, END = "vuer_trio", "vuer_trio.gap", "vuer_trio.end"
#: the address of what gets no channel of its own
OTHERS = "*@"
#: seconds since the epoch that MCAP's 64 bits of nanoseconds hold
_LATEST = (2**64 - 1) // 10**9


def glance(payload: bytes | bytearray | memoryview) -> tuple[str | None, Any]:
    """``etype`` and ``ts`` of a message, the rest of it not looked at.

    The etype is None if there is none, or if the message is not a map.
    """
    etype = ts = None
    unpacker = Unpacker(max_buffer_size=0)  # no limit: the transport has one
    try:
        unpacker.feed(payload)
        for _ in range(unpacker.read_map_header()):
            key = unpacker.unpack()
            if key == "etype":
                etype = unpacker.unpack()
            elif key == "ts":
                ts = unpacker.unpack()
            else:
                unpacker.skip()
    except Exception:  # whatever a peer may send
        return None, None
    return (etype if type(etype) is str else None), ts


def nanoseconds(ts: Any) -> int | None:
    """An event's ``ts``, in whichever unit it is, as MCAP has times; None if it does not fit."""
    if type(ts) is int:
        return ts * 1_000_000 if 0 <= ts <= _LATEST * 1000 else None
    if is_time(ts):
        at = seconds(ts)
        return int(at * 1e9) if 0 <= at <= _LATEST else None
    return None


def address_of(direction: Direction, etype: str | None) -> tuple[str, str, dict[str, str]]:
    """Topic, message encoding and metadata of the channel for an etype.

    None stands for a message that is not an event. The part behind an ``@`` is the
    number of one request, and makes no channel of its own: then the metadata have no ``etype``.
    """
    metadata: dict[str, str] = {"direction": direction}
    if etype is None:
        return f"/{direction}", "application/octet-stream", metadata
    name, at, _ = etype.partition("@")
    if not at:
        metadata["etype"] = etype
    return f"/{direction}/{name}", "msgpack", metadata
