"""What the benchmarks send and receive; the same bytes for every client."""

from __future__ import annotations

import struct
from typing import Any

import msgpack

__all__ = ["DONE", "LARGE", "NODES", "POSE", "REPLY", "SMALL", "frame", "pose_value"]

#: bytes of a large message
LARGE = 16 << 20


def pose_value() -> dict[str, Any]:
    """A camera's pose: with `POSE` and 64-bit floats 266 bytes on the wire, 178 with 32-bit."""
    return {
        "matrix": [0.1 * i + 0.05 for i in range(16)],
        "position": [0.31, 1.62, -0.73],
        "rotation": [0.11, -0.52, 0.03],
    }


#: its event type
POSE = "CAMERA_MOVE"
#: what an update of the scene carries
NODES = [{"tag": "Box", "key": "cube", "position": [0.25, 1.5, -0.75]}]
_TS = 1_790_000_000_000


def _event(etype: str, data: Any) -> bytes:
    payload: bytes = msgpack.packb({"etype": etype, "ts": _TS, "data": data})
    return payload


#: an update of the scene, 106 bytes
SMALL = _event("UPSERT", {"nodes": NODES, "to": "children"})
#: the answer to a pose, as large as the pose
REPLY = _event(POSE, pose_value())
#: said when everything that was announced has been read
DONE = _event("DONE", None)


def frame(payload: bytes, first: int = 0x82) -> bytes:
    """A frame of a server: not masked."""
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", first, size) + payload
    if size < 65_536:
        return struct.pack("!BBH", first, 126, size) + payload
    return struct.pack("!BBQ", first, 127, size) + payload


def large_frame() -> bytes:
    """A frame with 16 MiB of bytes for the client."""
    return frame(_event("IMAGE", bytes(LARGE)))
