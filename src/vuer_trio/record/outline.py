"""Where what lies in the file of a recording, finished or not.

Only the heads of the records are read here, so that a large file is opened fast. What a killed
recorder leaves is a file whose last record is not whole, or at least without MCAP's footer.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from struct import Struct
from typing import BinaryIO

from .chunk import read_channel
from .errors import NotARecording
from .layout import ABOUT, FORMAT, GAP, PROFILE

__all__ = ["MAGIC", "Outline", "Place", "outline"]

MAGIC = b"\x89MCAP0\r\n"
#: what a record begins with: kind, and bytes of its body
_HEAD = Struct("<BQ")
_TIMES = Struct("<QQ")
#: bytes; a header or a metadata record of ours is never so large, and a damaged file may say so
_MOST = 1 << 20
_SIDES = ("received", "sent")


@dataclass(frozen=True, slots=True)
class Place:
    """A chunk: where its body begins, its bytes, and the log times of its messages."""

    offset: int
    size: int
    start: int
    end: int


@dataclass(slots=True)
class Outline:
    size: int
    #: whether the recorder has finished the file
    complete: bool = False
    #: bytes at the end that belong to no whole record
    torn: int = 0
    about: dict[str, str] = field(default_factory=dict)
    #: messages that the recorder had no room for
    dropped: int = 0
    chunks: list[Place] = field(default_factory=list)
    #: metadata of the channels, by number; only of a complete file
    channels: dict[int, dict[str, str]] = field(default_factory=dict)


def outline(path: Path) -> Outline:
    """Go through a file. Raises NotARecording and OSError."""
    with open(path, "rb") as stream:
        found = Outline(size=os.fstat(stream.fileno()).st_size)
        if stream.read(len(MAGIC)) != MAGIC:
            raise NotARecording(f"{path} is not a recording: it does not begin like an MCAP file")
        _go_through(stream, found, path)
    if not found.about:
        raise NotARecording(f"{path} is an MCAP file, but not a recording by vuer-trio")
    if found.about.get("format") != FORMAT:
        raise NotARecording(
            f"{path} has the format {found.about.get('format')!r}; this version reads {FORMAT!r}"
        )
    return found


def _go_through(stream: BinaryIO, found: Outline, path: Path) -> None:
    from mcap.opcode import Opcode

    told = (Opcode.HEADER, Opcode.METADATA, Opcode.CHANNEL)
    offset = len(MAGIC)
    while True:
        head = stream.read(_HEAD.size)
        if len(head) < _HEAD.size:
            break
        kind, size = _HEAD.unpack(head)
        body = offset + _HEAD.size
        # 0 is no kind: a system that went down may leave zeros where data should be.
        if not kind or size > found.size - body:
            break
        if kind == Opcode.CHUNK:
            before = found.chunks[-1].end if found.chunks else 0
            times = (before, before)  # of one that is too short to tell
            if size >= _TIMES.size:
                times = _TIMES.unpack(stream.read(_TIMES.size))
            found.chunks.append(Place(body, size, *times))
        elif kind in told and size < _MOST:
            _take(kind, stream.read(size), found, path)
        offset = body + size
        stream.seek(offset)
        if kind == Opcode.FOOTER:
            found.complete = stream.read(len(MAGIC)) == MAGIC
            return
    found.torn = found.size - offset


def _take(kind: int, body: bytes, found: Outline, path: Path) -> None:
    from mcap.data_stream import ReadDataStream
    from mcap.opcode import Opcode
    from mcap.records import Header, Metadata

    stream = ReadDataStream(BytesIO(body))
    try:
        if kind == Opcode.HEADER:
            profile = Header.read(stream).profile
        elif kind == Opcode.CHANNEL:
            number, told = read_channel(body)
            found.channels[number] = told
        else:
            metadata = Metadata.read(stream)
            if metadata.name == ABOUT:
                found.about = metadata.metadata
            elif metadata.name == GAP:
                found.dropped += sum(_count(metadata.metadata, side) for side in _SIDES)
    except Exception:  # the package has one for each way in which a record may be damaged
        return  # what is missed then, is missed below
    if kind == Opcode.HEADER and profile != PROFILE:
        raise NotARecording(f"{path} is an MCAP file of profile {profile!r}, not {PROFILE!r}")


def _count(words: dict[str, str], name: str) -> int:
    try:
        return max(0, int(words.get(name, 0)))
    except ValueError:
        return 0
