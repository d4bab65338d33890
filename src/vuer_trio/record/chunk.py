"""The messages of one chunk.

The package's own reader makes an object of every field, which is ten times the work, and trusts
what a file says of itself. A file may come from anywhere: here nothing is unpacked before it is
known how large that becomes, and what is damaged raises one error.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from struct import Struct

__all__ = ["DamagedChunk", "limit_for", "messages_of", "read_channel", "unpack_chunk"]

#: of a chunk: first and last log time, bytes and checksum of what is in it
_CHUNK = Struct("<QQQI")
_SIZE, _LONG = Struct("<I"), Struct("<Q")
_HEAD = Struct("<BQ")
#: of a message: channel, number, log time, publish time
_MESSAGE = Struct("<HIQQ")
#: of a channel: its number, and that of its schema
_CHANNEL = Struct("<HH")
#: what a channel of ours tells
_TOLD = ("direction", "etype")
#: bytes that any chunk may unpack to, or so many times its own size, and that none may
_FREE, _TIMES, _MOST = 64 << 20, 4, 512 << 20


class DamagedChunk(ValueError):
    """Says what is wrong, and at which byte."""


def limit_for(size: int, chosen: int | None) -> int:
    """Bytes that a chunk of ``size`` bytes in the file may take, and unpack to."""
    return chosen if chosen is not None else min(max(_FREE, _TIMES * size), _MOST)


def unpack_chunk(body: bytes, limit: int) -> bytes | memoryview:
    """The records in a chunk, decompressed. Raises DamagedChunk.

    No more than ``limit`` bytes are unpacked, nor more than the chunk says that there are.
    """
    read = _Fields(body)
    _, _, size, checksum = read.unpack(_CHUNK)
    compression = read.text()
    data = read.part(*read.unpack(_LONG))
    if size > limit:
        raise DamagedChunk(
            f"it would unpack to {size:,} bytes, but only {limit:,} are allowed; "
            "open_recording(..., max_chunk_size=...) allows more"
        )
    try:
        records = _decompress(compression, data, size)
    except DamagedChunk:
        raise
    except Exception as exc:  # each compressor has its own, and one may be missing
        raise DamagedChunk(f"{compression} says: {exc}") from exc
    if len(records) != size:
        raise DamagedChunk(f"it unpacks to {len(records):,} bytes, but it says {size:,}")
    if checksum and zlib.crc32(records) != checksum:
        raise DamagedChunk("its checksum does not match")
    return records


def _decompress(compression: str, data: memoryview, size: int) -> bytes | memoryview:
    """At most ``size`` bytes, or one more if there are more."""
    if not compression:
        return data
    if compression == "zstd":
        import zstandard

        found = zstandard.get_frame_parameters(data).content_size
        if found not in (size, zstandard.CONTENTSIZE_UNKNOWN):  # it would get so much room
            raise DamagedChunk(f"its frame says {found:,} bytes, but the chunk says {size:,}")
        return zstandard.decompress(data, size)
    if compression == "lz4":
        from lz4.frame import LZ4FrameDecompressor

        unpacker = LZ4FrameDecompressor()
        records: bytes = unpacker.decompress(data, max_length=size)
        if not unpacker.eof and not unpacker.needs_input:
            records += unpacker.decompress(b"", max_length=1)
        if not unpacker.eof:
            raise DamagedChunk(f"its lz4 frame does not end at {size:,} bytes, as the chunk says")
        return records
    raise DamagedChunk(f"its compression is unknown: {compression[:20]!r}")


def messages_of(
    data: bytes | memoryview, channels: dict[int, dict[str, str]]
) -> Iterator[tuple[int, int, int, bytes]]:
    """Channel, log time, publish time and payload of each message. Raises DamagedChunk.

    Channels that are met are put into ``channels``, with their metadata.
    """
    from mcap.opcode import Opcode

    message, channel_record = int(Opcode.MESSAGE), int(Opcode.CHANNEL)
    offset, end = 0, len(data)
    while offset < end:
        begin = offset + _HEAD.size
        if begin > end:
            raise DamagedChunk(f"a record is cut off at byte {offset:,} of its records")
        kind, size = _HEAD.unpack_from(data, offset)
        offset = begin + size
        # 0 is no kind: there are zeros where records should be.
        if offset > end or not kind or (kind == message and size < _MESSAGE.size):
            where = f"at byte {begin - _HEAD.size:,} of its records"
            raise DamagedChunk(f"a record {where} is invalid: kind {kind}, {size:,} bytes")
        if kind == message:
            number, _, log_time, publish_time = _MESSAGE.unpack_from(data, begin)
            yield number, log_time, publish_time, bytes(data[begin + _MESSAGE.size : offset])
        elif kind == channel_record:
            number, metadata = read_channel(data[begin:offset])
            channels[number] = metadata


def read_channel(body: bytes | memoryview) -> tuple[int, dict[str, str]]:
    """Number and metadata of a channel; of these what tells anything. Raises DamagedChunk."""
    read = _Fields(body)
    number, _ = read.unpack(_CHANNEL)
    read.text(), read.text()  # topic, and encoding of the messages
    words = _Fields(read.part(*read.unpack(_SIZE)))
    metadata = {}
    while words.left:
        name, value = words.text(), words.text()
        if name in _TOLD:
            metadata[name] = value
    return number, metadata


class _Fields:
    """The fields of one record, one after another. Raises DamagedChunk where one is cut off."""

    def __init__(self, body: bytes | memoryview) -> None:
        self._body = memoryview(body)
        self._offset = 0

    @property
    def left(self) -> int:
        return len(self._body) - self._offset

    def part(self, size: int) -> memoryview:
        if size > self.left:
            raise DamagedChunk(f"a field says {size:,} bytes, and {self.left:,} are there")
        begin, self._offset = self._offset, self._offset + size
        return self._body[begin : self._offset]

    def unpack(self, form: Struct) -> tuple[int, ...]:
        return form.unpack(self.part(form.size))

    def text(self) -> str:
        try:
            return str(self.part(*self.unpack(_SIZE)), "utf-8")
        except UnicodeDecodeError as exc:
            raise DamagedChunk(f"a text is not UTF-8: {exc.reason}") from exc
