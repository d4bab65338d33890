"""Reading the messages of a chunk.

The reader of the ``mcap`` package creates an object for every record, which takes ten times as
long, and trusts the sizes in the file. Here, files are untrusted: nothing is decompressed before
its size is known to be within the limit, and all damage raises `DamagedChunk`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from struct import Struct

from .layout import DERIVED

__all__ = ["DamagedChunk", "limit_for", "messages_of", "read_channel", "unpack_chunk"]

#: head of a chunk: first and last log time, size and checksum of its uncompressed records
_CHUNK = Struct("<QQQI")
_SIZE, _LONG = Struct("<I"), Struct("<Q")
_HEAD = Struct("<BQ")
#: head of a message: channel, sequence number, log time, publish time
_MESSAGE = Struct("<HIQQ")
#: head of a channel: its id and that of its schema
_CHANNEL = Struct("<HH")
#: the metadata keys of our channels
_TOLD = ("direction", "etype", DERIVED)
#: a chunk may unpack to ``_FREE`` bytes or ``_TIMES`` its size, but never to more than ``_MOST``
_FREE, _TIMES, _MOST = 64 << 20, 4, 512 << 20


class DamagedChunk(ValueError):
    """A chunk is damaged; the message says how, and at which byte."""


def limit_for(size: int, chosen: int | None) -> int:
    """The limit in bytes for a chunk of ``size`` bytes in the file, packed and unpacked."""
    return chosen if chosen is not None else min(max(_FREE, _TIMES * size), _MOST)


def unpack_chunk(body: bytes, limit: int) -> bytes | memoryview:
    """Decompress the records of a chunk. Raises DamagedChunk.

    At most ``limit`` bytes are unpacked, and not more than the size that the chunk declares.
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
    except Exception as exc:  # each compressor has its own exceptions, or is missing
        raise DamagedChunk(f"{compression} failed: {exc}") from exc
    if len(records) != size:
        raise DamagedChunk(f"it unpacks to {len(records):,} bytes, but declares {size:,}")
    if checksum and zlib.crc32(records) != checksum:
        raise DamagedChunk("its checksum does not match")
    return records


def _decompress(compression: str, data: memoryview, size: int) -> bytes | memoryview:
    """Decompress up to ``size`` bytes, plus one if there are more."""
    if not compression:
        return data
    if compression == "zstd":
        import zstandard

        found = zstandard.get_frame_parameters(data).content_size
        if found not in (size, zstandard.CONTENTSIZE_UNKNOWN):  # else it is allocated
            raise DamagedChunk(f"its frame declares {found:,} bytes, the chunk {size:,}")
        return zstandard.decompress(data, size)
    if compression == "lz4":
        from lz4.frame import LZ4FrameDecompressor

        unpacker = LZ4FrameDecompressor()
        records: bytes = unpacker.decompress(data, max_length=size)
        if not unpacker.eof and not unpacker.needs_input:
            records += unpacker.decompress(b"", max_length=1)
        if not unpacker.eof:
            raise DamagedChunk(f"its lz4 frame does not end at the declared {size:,} bytes")
        return records
    raise DamagedChunk(f"its compression is unknown: {compression[:20]!r}")


def messages_of(
    data: bytes | memoryview, channels: dict[int, dict[str, str]]
) -> Iterator[tuple[int, int, int, bytes]]:
    """Yield channel, log time, publish time and payload of each message. Raises DamagedChunk.

    Channel records are added to ``channels``, with their metadata.
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
        # Kind 0 does not exist: the file has zeros where records should be.
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
    """Return the id of a channel and the metadata that are used here. Raises DamagedChunk.

    ``topic`` is among these.
    """
    read = _Fields(body)
    number, _ = read.unpack(_CHANNEL)
    topic, _ = read.text(), read.text()  # and the message encoding
    words = _Fields(read.part(*read.unpack(_SIZE)))
    metadata = {}
    while words.left:
        name, value = words.text(), words.text()
        if name in _TOLD:
            metadata[name] = value
    metadata["topic"] = topic
    return number, metadata


class _Fields:
    """Reads the fields of a record one by one. Raises DamagedChunk for a truncated field."""

    def __init__(self, body: bytes | memoryview) -> None:
        self._body = memoryview(body)
        self._offset = 0

    @property
    def left(self) -> int:
        return len(self._body) - self._offset

    def part(self, size: int) -> memoryview:
        if size > self.left:
            raise DamagedChunk(f"a field declares {size:,} bytes, but only {self.left:,} are left")
        begin, self._offset = self._offset, self._offset + size
        return self._body[begin : self._offset]

    def unpack(self, form: Struct) -> tuple[int, ...]:
        return form.unpack(self.part(form.size))

    def text(self) -> str:
        try:
            return str(self.part(*self.unpack(_SIZE)), "utf-8")
        except UnicodeDecodeError as exc:
            raise DamagedChunk(f"a text is not UTF-8: {exc.reason}") from exc
