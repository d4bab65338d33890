"""The layout of a recording in an MCAP file.

Each direction and event type has a channel, such as ``/received/CAMERA_MOVE``, whose messages are
the msgpack payloads as they were on the wire. The log time is when this side saw a message; the
publish time is the event's ``ts``, or the log time if it has no usable one. Three kinds of metadata
records describe the recording itself:

    vuer_trio        at the start: uri, side ("client" or "server"), library, format, started
    vuer_trio.gap    where messages were dropped: from, until (log times), received, sent (counts)
    vuer_trio.end    at the end: ended, written, dropped

The format is "1". It is "2" in a file that also has messages for other tools, see `foxglove`: the
metadata of their channels have the key ``derived``, and none of the others.
"""

from __future__ import annotations

from typing import Any

from msgpack import Unpacker

from .._connection.observers import Direction
from .._received import is_time, seconds

__all__ = [
    "ABOUT",
    "DERIVED",
    "END",
    "FORMAT",
    "FORMATS",
    "FORMAT_WITH_DERIVED",
    "GAP",
    "OTHERS",
    "PROFILE",
    "address_of",
    "glance",
    "nanoseconds",
]

PROFILE = "vuer-trio"
FORMAT, FORMAT_WITH_DERIVED = "1", "2"
FORMATS = (FORMAT, FORMAT_WITH_DERIVED)
#: the metadata key of a channel whose messages were made of those of the wire
DERIVED = "derived"
ABOUT, GAP, END = "vuer_trio", "vuer_trio.gap", "vuer_trio.end"
#: the event type of the channel shared by types beyond the limit
OTHERS = "*@"
#: the latest time in seconds that MCAP's 64 bits of nanoseconds can hold
_LATEST = (2**64 - 1) // 10**9


def glance(payload: bytes | bytearray | memoryview) -> tuple[str | None, Any]:
    """Read the ``etype`` and ``ts`` of a message without decoding the rest.

    The etype is None if there is none or if the message is not a map.
    """
    etype = ts = None
    unpacker = Unpacker(max_buffer_size=0)  # unlimited: the transport limits messages
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
    except Exception:  # the payload may be anything
        return None, None
    return (etype if type(etype) is str else None), ts


def nanoseconds(ts: Any) -> int | None:
    """Convert an event's ``ts``, in any of its units, to ns; None if MCAP cannot hold it."""
    if type(ts) is int:
        return ts * 1_000_000 if 0 <= ts <= _LATEST * 1000 else None
    if is_time(ts):
        at = seconds(ts)
        return int(at * 1e9) if 0 <= at <= _LATEST else None
    return None


def address_of(direction: Direction, etype: str | None) -> tuple[str, str, dict[str, str]]:
    """Return topic, message encoding and metadata of the channel for an etype.

    None stands for messages that are not events. The part after an ``@`` identifies one request, so
    it is not part of the topic, and the metadata have no ``etype``.
    """
    metadata: dict[str, str] = {"direction": direction}
    if etype is None:
        return f"/{direction}", "application/octet-stream", metadata
    name, at, _ = etype.partition("@")
    if not at:
        metadata["etype"] = etype
    return f"/{direction}/{name}", "msgpack", metadata
