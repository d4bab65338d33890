"""Our frames, as two other libraries read them."""

from __future__ import annotations

import random
from contextlib import contextmanager

import pytest
import wsproto.events
from websockets.frames import Opcode
from wsproto.connection import Connection, ConnectionType

from tests.unit.test_fast_parser import (
    MemoryWire,
    RecordingSink,
    make_core,
    open_over,
    run,
    written_frames,
)
from vuer_trio._websocket import frames as framing
from vuer_trio._websocket.flush_on_abort import flush_on_abort
from vuer_trio._websocket.frames import CLOSE, PING, apply_mask, close_payload, frame, header, xor
from vuer_trio._websocket.server_stream_transport import ServerStreamTransport
from vuer_trio._websocket.stream_transport import LAST, LONG, ClientStreamTransport
from vuer_trio._websocket.transport import LARGE, Ping
from vuer_trio._websocket.websockets_protocol import (
    WebsocketsClientProtocol,
    WebsocketsServerProtocol,
)

SIZES = (0, 1, 2, 3, 4, 5, 124, 125, 126, 127, 65_534, 65_535, 65_536, 65_537, 200_003)
NOISE = random.Random(2).randbytes(200_003)


def read_by_websockets(data):
    return [(opcode, payload) for opcode, _, payload in written_frames(data)]


def read_by_wsproto(data):
    server = Connection(ConnectionType.SERVER)
    server.receive_data(bytes(data))
    out, parts = [], []
    for event in server.events():
        if isinstance(event, wsproto.events.BytesMessage):
            parts.append(bytes(event.data))
            if event.message_finished:
                out.append((Opcode.BINARY, b"".join(parts)))
                parts = []
        elif isinstance(event, wsproto.events.Ping):
            out.append((Opcode.PING, bytes(event.payload)))
        elif isinstance(event, wsproto.events.CloseConnection):
            payload = close_payload(event.code, event.reason or "")
            out.append((Opcode.CLOSE, payload))
    return out


def keys_of(data):
    """The masking keys of a sequence of frames."""
    keys, position = [], 0
    while position < len(data):
        size = data[position + 1] & 0x7F
        position += 2
        if size > 125:
            width = 2 if size == 126 else 8
            size = int.from_bytes(data[position : position + width])
            position += width
        keys.append(bytes(data[position : position + 4]))
        position += 4 + size
    return keys


readers = pytest.mark.parametrize("read", [read_by_websockets, read_by_wsproto])


@readers
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_frames_of_every_size_are_read_as_they_were_meant(read, kind):
    for size in SIZES:
        assert read(frame(kind(NOISE[:size]))) == [(Opcode.BINARY, NOISE[:size])]


@readers
@pytest.mark.parametrize("mask", [apply_mask, xor])
def test_header_and_mask_make_a_frame(read, mask):
    for size in SIZES:
        key = NOISE[size % 100 : size % 100 + 4]
        data = header(framing.BINARY, size, key) + mask(NOISE[:size], key)
        assert read(data) == [(Opcode.BINARY, NOISE[:size])]
        assert keys_of(data) == [key]


def test_the_length_takes_as_few_bytes_as_it_can():
    lengths = {size: len(header(framing.BINARY, size, b"1234")) for size in SIZES}
    assert {size for size, length in lengths.items() if length == 6} == {
        s for s in SIZES if s <= 125
    }
    assert {size for size, length in lengths.items() if length == 14} == {
        s for s in SIZES if s >= 65_536
    }


def test_masking_without_c_is_masking():
    rng = random.Random(0)
    for size in (*range(70), 1023, 65_537):
        key = rng.randbytes(4)
        data = rng.randbytes(size)
        expected = bytes(byte ^ key[i % 4] for i, byte in enumerate(data))
        for kind in (bytes, bytearray, memoryview):
            assert xor(kind(data), key) == expected
            assert apply_mask(kind(data), key) == expected
    assert xor(b"\0\0\0\0\0", b"\0\0\0\1") == b"\0\0\0\1\0"


@readers
def test_control_frames(read):
    assert read(frame(b"are you there", PING)) == [(Opcode.PING, b"are you there")]
    close = close_payload(1001, "away")
    assert read(frame(close, CLOSE)) == [(Opcode.CLOSE, close)]


@pytest.mark.parametrize("reason", ["", "x" * 123, "x" * 200, "é" * 100, "x" * 122 + "é", "€" * 41])
def test_the_reason_of_a_close_is_cut_between_characters(reason):
    data = close_payload(1000, reason)
    assert len(data) <= 125
    kept = data[2:].decode()
    assert reason.startswith(kept)
    if len(reason.encode()) <= 123:
        assert kept == reason
    else:
        assert len(kept.encode()) > 123 - 3
    assert read_by_websockets(frame(data, CLOSE)) == [(Opcode.CLOSE, data)]


def test_keys_are_all_the_bytes_of_the_system_s_generator_each_used_once(monkeypatch):
    blocks = [random.Random(n).randbytes(4096) for n in range(3)]
    asked = iter(blocks)
    monkeypatch.setattr(framing.os, "urandom", lambda size: next(asked)[:size])
    framing.KEYS.clear()
    keys = [framing.new_key() for _ in range(3 * 1024)]
    parts = [block[n : n + 4] for block in blocks for n in range(0, 4096, 4)]
    assert sorted(keys) == sorted(parts)


def test_every_frame_has_a_fresh_key_of_four_bytes():
    data = b"".join(frame(b"x") for _ in range(100))
    keys = keys_of(data)
    assert len(set(keys)) == len(keys) == 100
    assert {len(key) for key in keys} == {4}


# ---- what SansIO writes


class SlicedWire(MemoryWire):
    def __init__(self):
        super().__init__()
        self.writes = []
        self.room = None  # bytes that `try_send` takes

    async def send_all(self, data):
        self.writes.append(len(data))
        await super().send_all(data)

    def try_send(self, data):
        taken = len(data) if self.room is None else min(self.room, len(data))
        self.outgoing += data[:taken]
        return taken


def opened():
    wire, sink = SlicedWire(), RecordingSink()
    transport = ClientStreamTransport(
        wire, make_core(WebsocketsClientProtocol), sink, max_size=1000
    )
    open_over(wire, transport)
    wire.outgoing.clear()
    wire.writes.clear()
    return wire, transport


@readers
@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_a_batch_is_written_in_order_whatever_the_sizes(read, kind):
    wire, transport = opened()
    batch = [kind(NOISE[:size]) for size in SIZES]
    batch.insert(4, Ping(b"in turn"))
    batch.append(Ping(b"last"))
    run(transport.write(batch))
    expected = [
        (Opcode.PING if type(item) is Ping else Opcode.BINARY, bytes(item)) for item in batch
    ]
    assert read(wire.outgoing) == expected
    keys = keys_of(wire.outgoing)
    assert len(set(keys)) == len(keys) == len(batch)


@readers
def test_a_large_message_is_masked_and_written_in_slices(read):
    wire, transport = opened()
    payload = NOISE[: 3 * LARGE - 1]
    run(transport.write([b"before", payload, b"after"]))
    assert max(wire.writes) <= LARGE
    assert read(wire.outgoing) == [(Opcode.BINARY, data) for data in (b"before", payload, b"after")]


class LongWire(SlicedWire):
    """Knows what was written in blocks of `long_write`, and what behind them."""

    def __init__(self):
        super().__init__()
        self.blocks = []

    @contextmanager
    def long_write(self):
        before = len(self.outgoing)
        yield
        self.blocks.append((before, len(self.outgoing)))


def on_a_client(wire):
    transport = ClientStreamTransport(
        wire, make_core(WebsocketsClientProtocol), RecordingSink(), max_size=1000
    )
    open_over(wire, transport)
    wire.outgoing.clear()
    return transport


def on_a_server(wire):
    return ServerStreamTransport(
        wire, WebsocketsServerProtocol(1000), RecordingSink(), max_size=1000
    )


@pytest.mark.parametrize("make", [on_a_client, on_a_server])
@pytest.mark.parametrize("size", [LONG + 1, LONG + LAST, 1_000_003, 3 << 20])
@pytest.mark.parametrize("before", [0, 1000])
def test_all_but_the_end_of_a_long_message_is_one_long_write(make, size, before):
    wire = LongWire()
    transport = make(wire)
    run(transport.write([bytes(before), bytes(size)], before + size))
    ((start, end),) = wire.blocks
    assert start == 0
    assert 1 <= len(wire.outgoing) - end <= LAST + 30
    run(transport.write([bytes(LONG)], LONG))
    assert len(wire.blocks) == 1, "there is none for a shorter one"


def test_small_messages_are_one_write():
    wire, transport = opened()
    run(transport.write([b"x" * 100] * 50))
    assert [size for size in wire.writes if size] == [len(wire.outgoing)]


@readers
@pytest.mark.parametrize("room", [0, 1, 5, 20, None])
def test_what_does_not_fit_at_once_comes_before_everything_else(read, room):
    wire, transport = opened()
    wire.room = room
    assert transport.write_now(b"at once, or nearly")
    assert transport.pending == (room is not None)
    assert transport.unfinished == (room is not None)
    if room is not None:
        assert not transport.write_now(b"second"), "a message may not be written into another"
    transport.ping(b"beat")
    run(transport.write([b"then"]))
    assert (transport.pending, transport.unfinished) == (False, 0)
    assert read(wire.outgoing) == [
        (Opcode.BINARY, b"at once, or nearly"),
        (Opcode.PING, b"beat"),
        (Opcode.BINARY, b"then"),
    ]


@readers
def test_a_ping_of_the_transport_overtakes_data_and_a_close_follows_it(read):
    wire, transport = opened()
    transport.ping(b"beat")
    transport.close(1000, "done")
    transport.close(1011, "a second close is none")
    run(transport.write([]))
    assert read(wire.outgoing) == [
        (Opcode.PING, b"beat"),
        (Opcode.CLOSE, close_payload(1000, "done")),
    ]


# ---- last words


@readers
def test_last_words_are_what_was_begun_what_was_enqueued_and_a_close(read):
    wire = SlicedWire()
    flush_on_abort(wire, frame(b"begun"), [b"one", Ping(b"two"), b"three"])
    assert read(wire.outgoing) == [
        (Opcode.BINARY, b"begun"),
        (Opcode.BINARY, b"one"),
        (Opcode.PING, b"two"),
        (Opcode.BINARY, b"three"),
        (Opcode.CLOSE, close_payload(1001, "")),
    ]


def test_more_than_a_system_takes_is_not_offered_and_then_there_is_no_close():
    wire = SlicedWire()
    big = bytes(700_000)
    flush_on_abort(wire, b"", [big, big, big, big])
    assert read_by_websockets(wire.outgoing) == [(Opcode.BINARY, big)] * 2


def test_last_words_to_a_broken_stream_are_no_error():
    class Broken(SlicedWire):
        def try_send(self, data):
            raise BrokenPipeError

    flush_on_abort(Broken(), b"", [b"x"])


@readers
def test_an_abort_says_the_last_words_unless_a_write_was_cut(read):
    wire, transport = opened()
    wire.room = 3
    transport.write_now(b"begun")
    wire.room = None
    transport.abort([b"enqueued"])
    assert read(wire.outgoing) == [
        (Opcode.BINARY, b"begun"),
        (Opcode.BINARY, b"enqueued"),
        (Opcode.CLOSE, close_payload(1001, "")),
    ]

    class Cut(BaseException):
        pass

    wire, transport = opened()

    async def cut(data):
        wire.outgoing.extend(data[:3])
        raise Cut

    wire.send_all = cut
    with pytest.raises(Cut):
        run(transport.write([b"torn"]))
    torn = bytes(wire.outgoing)
    transport.abort([b"enqueued"])
    assert wire.outgoing == torn, "nothing may follow a frame that was cut"
