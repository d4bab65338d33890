"""The server's fast parser and the protocol library together do what the library does alone.

`test_fast_parser` with the roles changed: its streams are made of masked frames, its unmasked ones
are the fault, and what is written is not masked.
"""

from __future__ import annotations

import random
import struct
from collections import Counter

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.uri import parse_uri
from wsproto.connection import Connection, ConnectionType

from tests.repetitions import times
from tests.unit import test_fast_parser as client_side
from tests.unit.test_fast_parser import (
    FAULTS,
    LENIENT,
    MAX_SIZE,
    PIECES,
    UTF8,
    RecordingSink,
    can_be_text,
    cut,
    noise,
    random_stream,
    run,
    state_of,
    without_reasons,
)
from vuer_trio._websocket import large_message
from vuer_trio._websocket.fast_parser import FastParser
from vuer_trio._websocket.frames import apply_mask, prepare, server_frame, server_header
from vuer_trio._websocket.large_message import KeptBuffers
from vuer_trio._websocket.server_stream_transport import ServerStreamTransport
from vuer_trio._websocket.text_check import NOT_UTF8
from vuer_trio._websocket.transport import LARGE, Ping, Prepared, Text
from vuer_trio._websocket.websockets_protocol import WebsocketsServerProtocol
from vuer_trio._websocket.wsproto_protocol import WsprotoServerProtocol

unmasked_frame = client_side.make_frame


class MemoryWire(client_side.MemoryWire):
    ended = 0

    async def send_eof(self):
        self.ended += 1


KEYS = random.Random(2)


def make_frame(opcode, payload, *, masked=False, **rest):
    """Masked, unless it is to be the fault."""
    if masked:
        return unmasked_frame(opcode, payload, **rest)
    frame = unmasked_frame(opcode, payload, **rest)
    header = frame[: len(frame) - len(payload)]
    key = KEYS.randbytes(4)
    return header[:1] + bytes((header[1] | 0x80,)) + header[2:] + key + apply_mask(payload, key)


@pytest.fixture(autouse=True)
def _from_a_client(monkeypatch):
    monkeypatch.setattr(client_side, "make_frame", make_frame)
    # large messages are received into memory of others, as those of many megabytes are
    monkeypatch.setattr(large_message, "_SMALLEST", 0)
    monkeypatch.setattr(KeptBuffers, "take", lambda kept, size: memoryview(bytearray(size)))
    key = b"\1\2\3\4"
    by_far = b"\x82\xff" + struct.pack("!Q", 2**62) + key + b"abc"
    monkeypatch.setitem(FAULTS, "oversize by far", lambda r: by_far)
    monkeypatch.setitem(FAULTS, "highest length", lambda r: b"\x82\xff" + b"\xff" * 8 + key)


def written_frames(data):
    """The frames a server wrote."""
    client = ClientProtocol(parse_uri(client_side.URI), max_size=None)
    client.state = OPEN
    client.parser = super(ClientProtocol, client).parse()
    next(client.parser)
    client.receive_data(bytes(data))
    assert client.parser_exc is None, "what was written is not a sequence of frames"
    return without_reasons((f.opcode, f.fin, bytes(f.data)) for f in client.events_received())


def through_us(chunks, core, *, with_handshake, max_size=MAX_SIZE):
    wire, sink = MemoryWire(), RecordingSink()
    wire.incoming = list(chunks)
    early = wire.incoming.pop(0) if with_handshake and chunks else b""
    transport = ServerStreamTransport(wire, core, sink, max_size, early)
    close_info = run(transport.read())
    run(transport.write([]))
    return {
        "messages": sink.messages,
        "pongs heard": sink.pongs,
        "written": written_frames(wire.outgoing),
        "ending": (close_info.by, close_info.code, type(close_info.cause)),
        "protocol": state_of(core._protocol) if type(core) is WebsocketsServerProtocol else None,
    }


def through_websockets_alone(chunks, max_size=MAX_SIZE):
    protocol = ServerProtocol(state=OPEN, max_size=max_size)
    messages, pongs, written, parts, text = [], [], bytearray(), [], False
    utf8, bad_text = UTF8(), False
    for chunk in chunks:
        protocol.receive_data(chunk)
        for frame in protocol.events_received():
            if frame.opcode is Opcode.PONG:
                pongs.append(bytes(frame.data))
            elif frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                if frame.opcode is not Opcode.CONT:
                    text, utf8 = frame.opcode is Opcode.TEXT, UTF8()
                if text and not can_be_text(utf8, frame):
                    protocol.fail(1007, NOT_UTF8)
                    bad_text = True
                    break
                parts.append(bytes(frame.data))
                if frame.fin:
                    messages.append((text, b"".join(parts)))
                    parts = []
        written += b"".join(protocol.data_to_send())
    if bad_text and any(len(chunk) > 1 for chunk in chunks):
        # The library has read on to the end of the chunk, and answered what it found there.
        return through_websockets_alone([bytes([byte]) for byte in b"".join(chunks)], max_size)
    close_info = ("loss", 1006, type(None))
    if bad_text:
        close_info = ("us", 1007, type(None))
    elif protocol.parser_exc is not None:
        code = protocol.close_sent.code if protocol.close_sent else 1006
        close_info = ("us", code, type(protocol.parser_exc))
    elif protocol.close_rcvd is not None:
        close_info = ("peer", protocol.close_rcvd.code, type(None))
    return {
        "messages": messages,
        "pongs heard": pongs,
        "written": written_frames(written),
        "ending": close_info,
        "protocol": state_of(protocol),
    }


def through_wsproto_alone(chunks, max_size=MAX_SIZE):
    core = WsprotoServerProtocol(max_size)
    for chunk in chunks:
        if not core.receive(chunk):
            break
    close_info = core.close_info
    return {
        "messages": [(type(m) is Text, bytes(m)) for m in core.messages],
        "pongs heard": core.pongs,
        "written": written_frames(b"".join(core.out)),
        "ending": (close_info.by, close_info.code, type(close_info.cause))
        if close_info
        else ("loss", 1006, type(None)),
        "protocol": None,
    }


KINDS = {
    "websockets": (WebsocketsServerProtocol, through_websockets_alone),
    "wsproto": (WsprotoServerProtocol, through_wsproto_alone),
}


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("kind", "streams", "seed"),
    [("websockets", times(1000, 2000), seed) for seed in range(times(2, 4))]
    + [("wsproto", times(1000, 2000), 4)],
)
def test_whatever_the_cuts_the_outcome_is_the_library_s_own(kind, streams, seed):
    make, alone = KINDS[kind]
    rng = random.Random(seed)
    endings = Counter()
    for _ in range(streams):
        stream, names, truncated = random_stream(rng, kind)
        chunks = cut(rng, stream)
        expected = alone(chunks)
        found = through_us(chunks, make(MAX_SIZE), with_handshake=rng.random() < 0.3)
        if truncated and found["ending"] != expected["ending"]:
            if found["ending"][:2] == ("us", 1007):  # before the whole of the frame, as it should
                assert expected["ending"][0] == "loss"
                assert found["messages"] == expected["messages"]
                continue
            # The library fails at a header; the fast parser waits for the whole of a small frame,
            # which never came.
            assert (expected["ending"][0], found["ending"][0]) == ("us", "loss")
            assert found["messages"] == expected["messages"]
            assert found["written"] == expected["written"][:-1]
            continue
        assert found == expected, f"{names}, cut into {[len(c) for c in chunks][:50]}"
        endings[expected["ending"]] += 1
    # the streams are worth something only if they go all the ways
    ways = {
        ("loss", 1006),
        ("peer", 1000),
        ("peer", 1005),
        ("us", 1002),
        ("us", 1007),
        ("us", 1009),
    }
    assert ways <= {(by, code) for by, code, _ in endings}


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (kind, name)
        for kind in KINDS
        for name in (*PIECES, *FAULTS)
        if not (kind == "wsproto" and name in LENIENT)
    ],
)
def test_each_kind_of_frame_whole_and_byte_by_byte_between_two_others(kind, name):
    make, alone = KINDS[kind]
    rng = random.Random(name)
    for _ in range(5):
        before, after = make_frame(2, b"before"), make_frame(2, b"after")
        stream = before + (PIECES.get(name) or FAULTS[name])(rng) + after
        if len(stream) < 1500:
            chunks = [stream[i : i + 1] for i in range(len(stream))]
        else:  # byte by byte where the headers are
            chunks = [stream[i : i + 1] for i in range(40)] + [stream[40:]]
        expected = alone(chunks)
        assert through_us(chunks, make(MAX_SIZE), with_handshake=False) == expected
        assert through_us([stream], make(MAX_SIZE), with_handshake=False) == expected
        assert through_us([stream], make(MAX_SIZE), with_handshake=True) == expected
        assert expected["messages"][0] == (False, b"before")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [5, 300, 70_000])
def test_a_frame_that_is_not_masked_is_1002(kind, size):
    make, _ = KINDS[kind]
    found = through_us([unmasked_frame(2, b"x" * size)], make(MAX_SIZE), with_handshake=False)
    assert found["ending"][:2] == ("us", 1002)
    assert found["messages"] == []
    ((opcode, _, payload),) = found["written"]
    assert (opcode, payload[:2]) == (Opcode.CLOSE, struct.pack("!H", 1002))


# ---- the fast parser alone


class Recorder:
    def __init__(self, max_size=MAX_SIZE):
        self.whole, self.others = [], []
        self.bad_texts = 0
        self.parser = FastParser(
            max_size, self.whole.append, self.other, self.bad_text, masked=True
        )

    def bad_text(self):
        self.bad_texts += 1

    def other(self, data):
        self.others.append(data)
        return True

    def feed(self, *chunks):
        for chunk in chunks:
            more = self.parser.feed(memoryview(chunk), 1 << 30)
            assert not more


@pytest.mark.parametrize(("opcode", "kind"), [(1, Text), (2, bytes)])
def test_messages_in_one_frame_do_not_pass_through_the_library(opcode, kind):
    recorder = Recorder()
    payloads = [b"a", b"b" * 300, b"", "é".encode() * 9]
    recorder.feed(b"".join(make_frame(opcode, payload) for payload in payloads))
    assert recorder.whole == payloads
    assert {type(payload) for payload in recorder.whole} == {kind}
    assert recorder.others == []


@pytest.mark.parametrize("step", [1, 2, 3, 4, 5, 7, 1000, 65_537])
def test_a_large_message_is_unmasked_wherever_it_is_cut(step):
    payload = noise(random.Random(0), LARGE + 3)
    stream = make_frame(2, payload) + make_frame(2, b"next")
    recorder = Recorder()
    recorder.feed(*(stream[i : i + step] for i in range(0, len(stream), step)))
    assert recorder.whole == [payload, b"next"]
    assert recorder.others == []


def test_other_frames_arrive_as_they_were_sent():
    frames = [make_frame(1, b"x", rsv=4), make_frame(9, b"ping"), make_frame(1, b"x", fin=False)]
    frames += [make_frame(9, b"ping"), make_frame(1, b"text within fragments")]
    recorder = Recorder()
    for frame in frames:
        recorder.feed(*(frame[i : i + 1] for i in range(len(frame))))
    assert recorder.others == frames


def test_a_message_of_exactly_max_size_is_taken_and_one_byte_more_is_not():
    recorder = Recorder(max_size=5)
    over = make_frame(2, b"123456")
    recorder.feed(make_frame(2, b"12345"), over)
    assert (recorder.whole, recorder.others) == ([b"12345"], [over])


# ---- what a server writes


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 100_000])
def test_a_prepared_message_is_a_frame_and_knows_its_payload(size):
    payload = noise(random.Random(size), size)
    prepared = prepare(payload)
    assert type(prepared) is Prepared
    assert type(prepared.payload) is bytes
    assert prepared.payload == payload
    assert bytes(prepared) == server_frame(payload) == server_header(0x82, size) + payload
    assert written_frames(prepared) == [(Opcode.BINARY, True, payload)]


def test_messages_pings_and_prepared_ones_are_written_in_their_order():
    wire = MemoryWire()
    transport = ServerStreamTransport(
        wire, WebsocketsServerProtocol(MAX_SIZE), RecordingSink(), MAX_SIZE, b""
    )
    large = noise(random.Random(0), LARGE)
    transport.ping(b"first")
    run(transport.write([b"a", prepare(b"b"), Ping(b"c"), large, prepare(large), b"d"]))
    assert written_frames(wire.outgoing) == [
        (Opcode.PING, True, b"first"),
        (Opcode.BINARY, True, b"a"),
        (Opcode.BINARY, True, b"b"),
        (Opcode.PING, True, b"c"),
        (Opcode.BINARY, True, large),
        (Opcode.BINARY, True, large),
        (Opcode.BINARY, True, b"d"),
    ]


@pytest.mark.parametrize("taken", [0, 1, 5, 7])
@pytest.mark.parametrize("payload", [b"alone", prepare(b"alone")])
def test_what_a_lone_write_leaves_over_is_written_first(taken, payload):
    wire = MemoryWire()
    transport = ServerStreamTransport(
        wire, WebsocketsServerProtocol(MAX_SIZE), RecordingSink(), MAX_SIZE, b""
    )
    wire.try_send = lambda data: wire.outgoing.extend(data[:taken]) or taken
    assert transport.write_now(payload)
    assert (transport.pending, transport.unfinished) == ((True, 1) if taken < 7 else (False, 0))
    if taken < 7:
        assert not transport.write_now(b"not yet")
    run(transport.write([b"next"]))
    assert [data for _, _, data in written_frames(wire.outgoing)] == [b"alone", b"next"]
    assert (transport.pending, transport.unfinished) == (False, 0)


def test_the_sink_hears_nothing_before_the_transport_is_read():
    """What carries the sink is not open before; a pong must not hurry the message before it."""
    wire, sink = MemoryWire(), RecordingSink()
    early = make_frame(2, b"early") + make_frame(10, b"pong") + make_frame(9, b"ping")
    transport = ServerStreamTransport(
        wire, WebsocketsServerProtocol(MAX_SIZE), sink, MAX_SIZE, early
    )
    assert (sink.messages, sink.pongs, sink.bytes, transport.pending) == ([], [], 0, False)
    close_info = run(transport.read())
    assert (close_info.by, wire.ended) == ("loss", 0)
    assert (sink.messages, sink.pongs, sink.bytes) == ([(False, b"early")], [b"pong"], len(early))
    assert transport.pending


def test_the_stream_is_ended_once_and_behind_the_last_frame():
    wire = MemoryWire()
    transport = ServerStreamTransport(
        wire, WebsocketsServerProtocol(MAX_SIZE), RecordingSink(), MAX_SIZE, b""
    )
    wire.incoming = [make_frame(8, struct.pack("!H", 1000))]
    assert run(transport.read()).by == "peer"
    run(transport.read_on())
    assert wire.ended == 0, "the close frame is not out"
    run(transport.write([]))
    assert written_frames(wire.outgoing) == [(Opcode.CLOSE, True, struct.pack("!H", 1000))]
    run(transport.read_on())
    assert wire.ended == 1


def test_leaving_at_once_offers_everything_and_a_close_frame():
    wire = MemoryWire()
    transport = ServerStreamTransport(
        wire, WebsocketsServerProtocol(MAX_SIZE), RecordingSink(), MAX_SIZE, b""
    )
    transport.abort([b"a", prepare(b"b"), Ping(b"c")])
    assert written_frames(wire.outgoing) == [
        (Opcode.BINARY, True, b"a"),
        (Opcode.BINARY, True, b"b"),
        (Opcode.PING, True, b"c"),
        (Opcode.CLOSE, True, struct.pack("!H", 1001)),
    ]


def test_the_reference_side_of_this_file_is_a_server():
    assert Connection(ConnectionType.SERVER).client is False
    base = through_websockets_alone([make_frame(9, b"a") + make_frame(2, b"m")])
    assert base["written"] == [(Opcode.PONG, True, b"a")]
    assert base["messages"] == [(False, b"m")]
