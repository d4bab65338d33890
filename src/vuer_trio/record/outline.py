"""The structure of a recording file, finished or not.

Only the heads of records are read here, so that large files open fast. A recorder that was killed
leaves a file that ends with a truncated record, or at least without MCAP's footer.
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
from .layout import ABOUT, FORMATS, GAP, PROFILE

__all__ = ["MAGIC", "Gap", "Outline", "Place", "outline"]

MAGIC = b"\x89MCAP0\r\n"
#: head of a record: kind, and size of its body
_HEAD = Struct("<BQ")
_TIMES = Struct("<QQ")
#: maximum bytes of a header, channel or metadata record: ours are smaller, a damaged size is not
_MOST = 1 << 20
#: the words of a gap
_GAP = ("from", "until", "received", "sent")


@dataclass(frozen=True, slots=True)
class Place:
    """A chunk: offset and size of its body, and the first and last log time of its messages."""

    offset: int
    size: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Gap:
    """A period in which the recorder dropped messages; times in nanoseconds since the epoch."""

    start: int
    end: int
    received: int
    sent: int


@dataclass(slots=True)
class Outline:
    size: int
    #: whether the recorder finished the file
    complete: bool = False
    #: bytes at the end that are not a complete record
    torn: int = 0
    about: dict[str, str] = field(default_factory=dict)
    #: where the recorder dropped messages, as far as is known
    gaps: list[Gap] = field(default_factory=list)
    chunks: list[Place] = field(default_factory=list)
    #: metadata of the channels by id; only in a complete file
    channels: dict[int, dict[str, str]] = field(default_factory=dict)

    @property
    def dropped(self) -> int:
        """The number of messages that the recorder dropped."""
        return sum(gap.received + gap.sent for gap in self.gaps)


def outline(path: Path) -> Outline:
    """Read the structure of a file. Raises NotARecording and OSError."""
    with open(path, "rb") as stream:
        found = Outline(size=os.fstat(stream.fileno()).st_size)
        if stream.read(len(MAGIC)) != MAGIC:
            raise NotARecording(f"{path} is not a recording: it is not an MCAP file")
        _go_through(stream, found, path)
    if not found.about:
        raise NotARecording(f"{path} is an MCAP file, but not a recording by vuer-trio")
    if found.about.get("format") not in FORMATS:
        known = " and ".join(map(repr, FORMATS))
        raise NotARecording(
            f"{path} has the format {found.about.get('format')!r}; this version reads {known}"
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
        # Kind 0 does not exist: after a system crash, there may be zeros instead of data.
        if not kind or size > found.size - body:
            break
        if kind == Opcode.CHUNK:
            before = found.chunks[-1].end if found.chunks else 0
            times = (before, before)  # for one that is too short to have times
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
                words = metadata.metadata
                found.gaps.append(Gap(*(_count(words, name) for name in _GAP)))
    except Exception:  # the package raises many kinds for damaged records
        return  # `outline` notices what is missing
    if kind == Opcode.HEADER and profile != PROFILE:
        raise NotARecording(f"{path} is an MCAP file of profile {profile!r}, not {PROFILE!r}")


def _count(words: dict[str, str], name: str) -> int:
    try:
        return max(0, int(words.get(name, 0)))
    except ValueError:
        return 0
