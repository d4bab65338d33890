"""The messages for other tools, in addition to those on the wire.

    /tf/SOURCE            foxglove.FrameTransform, Protobuf: a pose in the frame of its parent
    /images/OWNER/NAME    foxglove.CompressedImage, Protobuf: the bytes of a picture as they came
    /json/received/SET    vuer_trio.Event, JSON: the event, without what is in the other two

The frames. ``world`` is what Foxglove shows: right-handed, x ahead, y to the left, z up, as in ROS.
Its child ``vuer`` is the frame of the scene and of WebXR, to which the numbers on the wire refer: x
to the right, y up, z towards the person. All others are below ``vuer``, with the numbers that were
sent: in metres, and with the axes of the wire, so that a camera or a head looks along -z, and -z of
a joint points to the tip of the finger.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from .._errors import ProtocolError
from ..events import canonical, received_client_event
from .entry import Entry
from .export import plain_json
from .images import node_key, owner_of, picture_in
from .nodes import ROOT_FRAME, ScenePoses
from .poses import Kind, poses_of
from .sources import MOVES, seen_in

if TYPE_CHECKING:
    from .sources import Seen

__all__ = ["EVENT_SCHEMA", "SCHEMAS", "Derived", "Translator", "foxglove_needed", "schema_of"]

Schema: TypeAlias = Literal[
    "foxglove.FrameTransform", "foxglove.CompressedImage", "vuer_trio.Event"
]

#: the schemas, with the encoding of their messages
SCHEMAS: dict[Schema, str] = {
    "foxglove.FrameTransform": "protobuf",
    "foxglove.CompressedImage": "protobuf",
    "vuer_trio.Event": "json",
}
#: JSON Schema of what is in ``/json/...``
EVENT_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "vuer_trio.Event",
    "description": (
        "An event of Vuer. What JSON cannot express is an object with one key: $bytes (base64), "
        "$float (nan, inf, -inf), $ext (number and base64), $map (pairs). So is what was left "
        "out: $transforms (how many are in /tf), $image (its topic), $omitted (its length)."
    ),
    "type": "object",
    "properties": {
        "time": {"type": "number", "description": "when it was seen, seconds since the epoch"},
        "published": {"type": "number", "description": "its ts, seconds since the epoch"},
        "direction": {"type": "string", "enum": ["received", "sent"]},
        "etype": {"type": "string"},
        "event": {"type": "object", "description": "the map on the wire"},
    },
    "required": ["time", "published", "direction", "etype", "event"],
    "additionalProperties": False,
}
#: seconds after which the frame `world` is told again: a reader may begin anywhere
_AGAIN = 1.0
#: (x, y, z, w): from the axes of the scene to `world`, for a scene whose y axis points up, and z
_Y_UP, _Z_UP = (0.5, -0.5, -0.5, 0.5), (0.0, 0.0, 0.0, 1.0)
#: the longest bytes, and the longest list of numbers, that are in JSON
_LONG = 1000


@dataclass(frozen=True, slots=True)
class Derived:
    """A message that was derived from one on the wire."""

    topic: str
    schema: Schema
    data: bytes


def foxglove_needed() -> None:
    """Raise ImportError, with what to install, if a package is not installed."""
    try:
        import foxglove_schemas_protobuf  # noqa: F401
        import numpy  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "foxglove=True needs foxglove-schemas-protobuf and numpy: "
            "pip install 'vuer-trio[foxglove]'"
        ) from error


def schema_of(name: Schema) -> tuple[str, bytes]:
    """The encoding and the bytes of a schema, as MCAP stores it."""
    if name == "vuer_trio.Event":
        return "jsonschema", json.dumps(EVENT_SCHEMA).encode()
    from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage
    from foxglove_schemas_protobuf.FrameTransform_pb2 import FrameTransform
    from google.protobuf.descriptor_pb2 import FileDescriptorSet

    kinds: dict[str, Any] = {
        "foxglove.FrameTransform": FrameTransform,
        "foxglove.CompressedImage": CompressedImage,
    }
    whole = FileDescriptorSet()
    # MCAP wants a file after those that it imports.
    pending, told = [(kinds[name].DESCRIPTOR.file, False)], set()
    while pending:
        file, ready = pending.pop()
        if ready:
            file.CopyToProto(whole.file.add())
        elif file.name not in told:
            told.add(file.name)
            pending.append((file, True))
            pending += [(needed, False) for needed in file.dependencies]
    return "protobuf", whole.SerializeToString()


class Translator:
    """Derives these messages from entries, in order.

    It counts what it cannot translate: a message on the wire may be anything, and is in the
    recording as it came.
    """

    def __init__(self) -> None:
        from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage
        from foxglove_schemas_protobuf.FrameTransform_pb2 import FrameTransform

        self._image: Any = CompressedImage
        self._transform: Any = FrameTransform
        self._scene = ScenePoses()
        self._world_at = -math.inf  # seconds
        #: transforms by the kind of their matrix, "image", "json" and "untranslated"
        self.counts: Counter[str] = Counter()

    def remarks(self) -> list[str]:
        """Sentences about what the transforms cannot express of the recorded poses."""
        counts = self.counts
        told = (
            (Kind.MIRRORED, "mirrored; their transforms have the x axis turned around"),
            (Kind.SHEARED, "sheared; their transforms have the nearest rotation"),
            (Kind.SCALED, "scaled; their transforms leave the scale out"),
            (Kind.NONE, "not finite, or without an axis; they have no transforms"),
        )
        found = [f"{_many(counts[kind], 'pose')} {what}" for kind, what in told if counts[kind]]
        malformed = counts["untranslated"] + self._scene.malformed
        if malformed:
            found.append(f"{_many(malformed, 'malformed value')} could not be translated")
        return found

    def messages(self, entry: Entry) -> Iterator[Derived]:
        """Yield the messages that belong to an entry. Whatever the entry contains, it does not
        raise.
        """
        made: list[Derived] = []
        try:
            event = entry.event
        except (ProtocolError, RecursionError):
            self.counts["untranslated"] += 1
            return
        moves = False
        try:
            if entry.sender == "client" and canonical(entry.etype) in MOVES:
                for seen in seen_in(received_client_event(entry.payload)):
                    made += self._transforms(seen, entry.log_time)
                    moves = True
            elif entry.sender == "server":
                made += self._nodes(event, entry.log_time)
        except (ProtocolError, RecursionError):
            self.counts["untranslated"] += 1
        if made and entry.time >= self._world_at + _AGAIN:
            self._world_at = entry.time
            yield self._world(entry.log_time)
        yield from made
        taken = MOVES[canonical(entry.etype)] if moves else frozenset[str]()
        try:
            content = _Content(owner_of(event), taken)
            told = content.of(event)
            line = {
                "time": entry.time,
                "published": entry.published,
                "direction": entry.direction,
                "etype": entry.etype,
                "event": told,
            }
            text = json.dumps(line, allow_nan=False).encode()
        except RecursionError:  # msgpack may be nested deeper than JSON
            self.counts["untranslated"] += 1
            return
        for topic, kind, data in content.pictures:
            self.counts["image"] += 1
            image = self._image(frame_id=topic[1:], data=data, format=kind)
            image.timestamp.FromNanoseconds(entry.log_time)
            yield Derived(topic, "foxglove.CompressedImage", image.SerializeToString())
        self.counts["json"] += 1
        name = entry.etype.partition("@")[0]
        yield Derived(f"/json/{entry.direction}/{name}", "vuer_trio.Event", text)

    def _world(self, log_time: int) -> Derived:
        turn = _Z_UP if self._scene.z_is_up else _Y_UP
        return self._made("/tf/world", "world", ROOT_FRAME, (0.0, 0.0, 0.0), turn, log_time)

    def _transforms(self, seen: Seen, log_time: int) -> Iterator[Derived]:
        poses = poses_of(seen.matrices)
        topic = f"/tf/{seen.source}"
        positions, quaternions = poses.positions.tolist(), poses.quaternions.tolist()
        for n, frame in enumerate(seen.frames):
            kind = poses.kinds[n]
            self.counts[kind] += 1
            if kind is not Kind.NONE:
                yield self._made(topic, ROOT_FRAME, frame, positions[n], quaternions[n], log_time)

    def _nodes(self, event: Mapping[str, Any], log_time: int) -> Iterator[Derived]:
        for pose in self._scene.apply(event):
            self.counts[pose.kind] += 1
            if pose.kind is not Kind.NONE:
                topic = f"/tf/{pose.frame}"
                yield self._made(
                    topic, pose.parent, pose.frame, pose.position, pose.quaternion, log_time
                )

    def _made(
        self, topic: str, parent: str, frame: str, position: Any, turn: Any, log_time: int
    ) -> Derived:
        x, y, z = position
        qx, qy, qz, qw = turn
        made = self._transform(
            parent_frame_id=parent,
            child_frame_id=frame,
            translation={"x": x, "y": y, "z": z},
            rotation={"x": qx, "y": qy, "z": qz, "w": qw},
        )
        made.timestamp.FromNanoseconds(log_time)
        return Derived(topic, "foxglove.FrameTransform", made.SerializeToString())


class _Content:
    """The content of an event for JSON, without its pictures and poses."""

    def __init__(self, owner: str, taken: frozenset[str]) -> None:
        self._owner = owner
        self._taken = taken
        #: topic, format and bytes
        self.pictures: list[tuple[str, str, bytes]] = []

    def of(self, event: Mapping[str, Any]) -> dict[str, Any]:
        told: dict[str, Any] = {}
        for name, item in event.items():
            if self._taken and name in ("value", "data") and isinstance(item, Mapping):
                told[name] = self._without_poses(item, "")
            else:
                told[name] = self._part(item, self._owner, name)
        return told

    def _without_poses(self, value: Mapping[str, Any], path: str) -> dict[str, Any]:
        told: dict[str, Any] = {}
        for name, item in value.items():
            if f"{path}{name}" in self._taken and isinstance(item, list | tuple):
                told[name] = {"$transforms": len(item) // 16}
            elif f"{path}{name}" in self._taken and isinstance(item, bytes):  # a Float32Array
                told[name] = {"$transforms": len(item) // 64}
            elif name == "camera" and isinstance(item, Mapping):
                told[name] = self._without_poses(item, "camera.")
            else:
                told[name] = self._part(item, self._owner, name)
        return told

    def _part(self, value: Any, owner: str, name: str) -> Any:
        if isinstance(value, dict):
            owner = node_key(value) or owner
            told = {key: self._part(item, owner, key) for key, item in value.items()}
            if len(told) == 1 and next(iter(told))[:1] == "$":
                return {"$map": [list(pair) for pair in told.items()]}
            return told
        if type(value) in (list, tuple):  # no ExtType
            if set(map(type, value)) <= {int, float}:
                if len(value) > _LONG:
                    return {"$omitted": len(value)}
                return value if all(map(math.isfinite, value)) else plain_json(value)
            return [self._part(item, owner, name) for item in value]
        picture = picture_in(value)
        if picture is not None:
            topic = f"/images/{owner}/{name}"
            self.pictures.append((topic, *picture))
            return {"$image": topic}
        if isinstance(value, bytes | bytearray | memoryview) and len(value) > _LONG:
            return {"$omitted": len(value)}
        return plain_json(value)


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
