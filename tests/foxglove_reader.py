"""A recording as other tools read it: with the reader of the ``mcap`` package, and a decoder of
Protobuf that takes the schemas from the file."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from tests.recording_files import need_mcap
from vuer_trio.frame import to_mat

need_mcap()
from mcap.reader import make_reader  # noqa: E402
from mcap_protobuf.decoder import DecoderFactory  # noqa: E402

__all__ = ["World", "derived_in", "matrix_in", "transforms_in"]

PROTOBUF = ("foxglove.FrameTransform", "foxglove.CompressedImage")


def derived_in(path: Path) -> dict[str, list[tuple[int, Any]]]:
    """By topic: log time, and the decoded message, an object or what JSON says."""
    found: dict[str, list[tuple[int, Any]]] = defaultdict(list)
    factory = DecoderFactory()
    with path.open("rb") as stream:
        for schema, channel, message in make_reader(stream, validate_crcs=True).iter_messages():
            if schema is None:
                assert channel.topic.split("/")[1] in ("sent", "received")
            elif schema.name in PROTOBUF:
                decode = factory.decoder_for(channel.message_encoding, schema)
                assert decode is not None
                found[channel.topic].append((message.log_time, decode(message.data)))
            else:
                assert (schema.name, schema.encoding) == ("vuer_trio.Event", "jsonschema")
                assert channel.message_encoding == "json"
                told = json.loads(message.data)
                found[channel.topic].append((message.log_time, told))
    return dict(found)


def matrix_in(transform: Any) -> Any:
    """The (4, 4) matrix of a foxglove.FrameTransform."""
    at, turn = transform.translation, transform.rotation
    return to_mat((at.x, at.y, at.z), (turn.x, turn.y, turn.z, turn.w))


def transforms_in(path: Path) -> dict[str, list[Any]]:
    """By frame: its transforms, in order."""
    found: dict[str, list[Any]] = defaultdict(list)
    for topic, messages in derived_in(path).items():
        if topic.startswith("/tf/"):
            for log_time, transform in messages:
                assert transform.timestamp.ToNanoseconds() == log_time
                found[transform.child_frame_id].append(transform)
    return dict(found)


class World:
    """The frames as a reader has them at the end: each by its last transform."""

    def __init__(self, path: Path) -> None:
        self.last = {frame: all_of[-1] for frame, all_of in transforms_in(path).items()}

    def matrix(self, frame: str, root: str = "vuer") -> Any:
        """Where a frame is in another one above it."""
        if frame == root:
            return np.eye(4)
        transform = self.last[frame]
        return self.matrix(transform.parent_frame_id, root) @ matrix_in(transform)
