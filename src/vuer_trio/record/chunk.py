"""The messages of one chunk."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from struct import Struct

__all__ = ["messages_of", "unpack_chunk"]

_HEAD = Struct("<BQ")
#: of a message: channel, number, log time, publish time
_MESSAGE = Struct("<HIQQ")


def unpack_chunk(body: bytes) -> bytes:
    """The records in a chunk, decompressed. Raises one of many errors if it is damaged."""
    from mcap.data_stream import ReadDataStream
    from mcap.records import Chunk
    from mcap.stream_reader import get_chunk_data_stream

    chunk = Chunk.read(ReadDataStream(BytesIO(body)))
    stream, size = get_chunk_data_stream(chunk, validate_crc=True)
    return stream.read(size)


def messages_of(
    data: bytes, channels: dict[int, dict[str, str]]
) -> Iterator[tuple[int, int, int, bytes]]:
    """Channel, log time, publish time and payload of each message.

    Channels that are met are put into ``channels``, with their metadata. It is a tenth of the work
    of the package's own reader, which makes an object of every field.
    """
    from mcap.data_stream import ReadDataStream
    from mcap.opcode import Opcode
    from mcap.records import Channel

    message, channel_record = int(Opcode.MESSAGE), int(Opcode.CHANNEL)
    offset, end = 0, len(data)
    while offset < end:
        kind, size = _HEAD.unpack_from(data, offset)
        offset += _HEAD.size
        if kind == message:
            number, _, log_time, publish_time = _MESSAGE.unpack_from(data, offset)
            payload = data[offset + _MESSAGE.size : offset + size]
            yield number, log_time, publish_time, payload
        elif kind == channel_record:
            channel = Channel.read(ReadDataStream(BytesIO(data[offset : offset + size])))
            channels[channel.id] = channel.metadata
        offset += size
