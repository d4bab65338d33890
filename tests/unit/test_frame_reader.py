"""The reader of a WebSocket that goes through: against frames as `websockets` makes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from vuer_trio._proxy.frame_reader import FrameReader
from vuer_trio._websocket.transport import Text

SIZES = st.sampled_from([0, 1, 5, 125, 126, 127, 300, 65_535, 65_536, 70_000])


@st.composite
def streams(draw):
    """Bytes of messages and control frames, and the messages."""
    masked = draw(st.booleans())
    out, messages, ends = bytearray(), [], [0]
    for number in range(draw(st.integers(0, 5))):
        text = draw(st.booleans())
        payload = (b"%d" % number * 70_000)[: draw(SIZES)]
        cuts = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=3)))
        parts = [payload[a:b] for a, b in zip([0, *cuts], [*cuts, len(payload)], strict=True)]
        for at, part in enumerate(parts):
            first = Opcode.TEXT if text else Opcode.BINARY
            last = at == len(parts) - 1
            out += Frame(first if at == 0 else Opcode.CONT, part, last).serialize(mask=masked)
            ends.append(len(out))
            if draw(st.booleans()):
                out += Frame(Opcode.PING, b"ping").serialize(mask=masked)
                ends.append(len(out))
        messages.append(Text(payload) if text else payload)
    return masked, bytes(out), messages, set(ends)


@given(streams(), st.lists(st.integers(1, 90_000), min_size=1, max_size=20))
def test_it_finds_the_messages_and_the_ends_of_frames(stream, sizes):
    masked, data, messages, ends = stream
    got = []
    reader = FrameReader(got.append, 1 << 20, masked=masked)
    position, turn = 0, 0
    while position < len(data):
        size = sizes[turn % len(sizes)]
        turn += 1
        reader.feed(data[position : position + size])
        position = min(len(data), position + size)
        assert reader.between_frames == (position in ends)
    assert got == messages
    assert list(map(type, got)) == list(map(type, messages))
    assert not reader.broken
    assert not reader.closed
    assert reader.buffered == 0


def test_byte_by_byte():
    got = []
    reader = FrameReader(got.append, 1000, masked=True)
    for frame in (b"", b"a" * 200, b"b"):
        for byte in Frame(Opcode.BINARY, frame).serialize(mask=True):
            reader.feed(bytes([byte]))
    assert got == [b"", b"a" * 200, b"b"]


def test_what_is_too_large_is_skipped_and_counted():
    got = []
    reader = FrameReader(got.append, 1000, masked=False)
    large = Frame(Opcode.BINARY, b"x" * 800, False).serialize(mask=False)
    large += Frame(Opcode.CONT, b"x" * 800, True).serialize(mask=False)
    small = Frame(Opcode.BINARY, b"small").serialize(mask=False)
    reader.feed(large + small)
    reader.feed(Frame(Opcode.BINARY, b"x" * (1 << 20)).serialize(mask=False)[:-5])
    assert reader.buffered == 0
    reader.feed(b"x" * 5 + small)
    assert got == [b"small", b"small"]
    assert reader.skipped == 2


def test_without_a_taker_nothing_is_kept():
    reader = FrameReader(None, 1 << 20, masked=False)
    reader.feed(Frame(Opcode.BINARY, b"x" * 1000, False).serialize(mask=False))
    assert reader.buffered == 0
    assert reader.between_frames
    reader.feed(Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=False)[:3])
    assert not reader.closed
    assert not reader.between_frames
    reader.feed(b"\xe8")
    assert reader.closed
    assert reader.between_frames


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\xc2\x00", id="reserved"),
        pytest.param(b"\x83\x00", id="opcode"),
        pytest.param(b"\x82\x80aaaa", id="masked by a server"),
        pytest.param(b"\x80\x00", id="nothing to continue"),
        pytest.param(b"\x02\x00\x82\x00", id="two at a time"),
        pytest.param(b"\x09\x00", id="fragmented ping"),
        pytest.param(b"\x89\x7e\x00\x80", id="large ping"),
        pytest.param(b"GET / HTTP/1.1\r\n", id="HTTP"),
    ],
)
def test_what_is_no_websocket_ends_the_reading(data):
    got = []
    reader = FrameReader(got.append, 1000, masked=False)
    good = Frame(Opcode.BINARY, b"good").serialize(mask=False)
    reader.feed(good + data)
    reader.feed(good)
    assert got == [b"good"]
    assert reader.broken
    assert not reader.between_frames
