"""The fast parser and the protocol library together do what the library does alone.

Seeded random streams, right and wrong, go through a whole `ClientStreamTransport` (handshake
included, over a stream in memory) and through the library alone; whatever the cuts, both receive
the same messages and pongs, write the same frames, and end in the same way. For ``websockets``
the library is asked directly, for ``wsproto``, whose events need more interpretation, through its
protocol.
"""

from __future__ import annotations

import codecs
import random
import struct
from base64 import b64encode
from collections import Counter
from hashlib import sha1

import pytest
from websockets.client import ClientProtocol
from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from tests.repetitions import times
from vuer_trio._net.address import parse_address
from vuer_trio._websocket.fast_parser import FastParser
from vuer_trio._websocket.protocol import Request
from vuer_trio._websocket.stream_transport import ClientStreamTransport
from vuer_trio._websocket.text_check import NOT_UTF8
from vuer_trio._websocket.transport import LARGE, Text
from vuer_trio._websocket.websockets_protocol import WebsocketsClientProtocol
from vuer_trio._websocket.wsproto_protocol import WsprotoClientProtocol

URI = "ws://x/"
MAX_SIZE = 100_000  # bytes; above LARGE
NOISE = random.Random(1).randbytes(300_000)


# ---- a world in memory, driven without an event loop: nothing in it ever has to wait


def run(coroutine):
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("something waited")


class MemoryWire:
    progress = 0.0

    def __init__(self):
        self.incoming = []
        self.outgoing = bytearray()

    async def receive(self):
        return memoryview(self.incoming.pop(0)) if self.incoming else memoryview(b"")

    async def pump(self, take, room):
        goes_on = True
        while goes_on:
            data = await self.receive()
            place = room()
            if place is not None and data:
                part = place[: len(data)]
                part[:] = data[: len(part)]
                if len(part) < len(data):
                    self.incoming.insert(0, bytes(data[len(part) :]))
                data = part
            goes_on = take(data)

    def try_send(self, data):
        self.outgoing += data
        return len(data)

    async def send_all(self, data):
        self.outgoing += data

    async def aclose(self):
        pass


class RecordingSink:
    full = False

    def __init__(self):
        self.messages = []
        self.pongs = []
        self.bytes = 0

    def deliver(self, messages):
        self.messages += [(type(m) is Text, bytes(m)) for m in messages]
        return self.full

    def heard(self, size):
        self.bytes += size

    def ponged(self, payload):
        self.pongs.append(payload)

    def wake_writer(self):
        pass

    async def turn(self):
        pass


def make_core(kind, max_size=MAX_SIZE):
    return kind(Request(parse_address(URI), max_size))


def reply_to(request: bytes) -> bytes:
    key = request.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]
    accept = b64encode(sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def written_frames(data: bytes):
    """The frames a client wrote, unmasked."""
    server = ServerProtocol(max_size=None)
    server.state = OPEN
    server.parser = super(ServerProtocol, server).parse()
    next(server.parser)
    server.receive_data(bytes(data))
    assert server.parser_exc is None, "what was written is not a sequence of frames"
    return without_reasons((f.opcode, f.fin, bytes(f.data)) for f in server.events_received())


def open_over(wire, transport, *, trailing=b""):
    """Do the handshake; ``trailing`` shares a segment with the reply."""
    receive = wire.receive

    async def receive_reply():
        reply = reply_to(bytes(wire.outgoing))  # its key is known only once the request is out
        wire.outgoing.clear()
        wire.receive = receive
        return memoryview(reply + trailing)

    wire.receive = receive_reply
    run(transport.open())


def through_us(chunks, core, *, with_handshake, max_size=MAX_SIZE):
    wire, sink = MemoryWire(), RecordingSink()
    transport = ClientStreamTransport(wire, core, sink, max_size)
    wire.incoming = list(chunks)
    trailing = wire.incoming.pop(0) if with_handshake and chunks else b""
    open_over(wire, transport, trailing=trailing)
    close_info = run(transport.read())
    run(transport.write([]))
    return {
        "messages": sink.messages,
        "pongs heard": sink.pongs,
        "written": written_frames(wire.outgoing),
        "ending": (close_info.by, close_info.code, type(close_info.cause)),
        "protocol": state_of(core._protocol) if type(core) is WebsocketsClientProtocol else None,
    }


#: the rule that the library leaves to its users
UTF8 = codecs.getincrementaldecoder("utf-8")


def can_be_text(utf8, frame):
    try:
        utf8.decode(bytes(frame.data), frame.fin)
    except UnicodeDecodeError:
        return False
    return True


def without_reasons(frames):
    """A close frame with 1007 without its reason, which is in one's own words."""
    bad = struct.pack("!H", 1007)
    close = Opcode.CLOSE
    return [(o, fin, bad if o is close and data[:2] == bad else data) for o, fin, data in frames]


def state_of(protocol):
    error = type(protocol.parser_exc)
    return protocol.state, protocol.close_sent, protocol.close_rcvd, error


def through_websockets_alone(chunks, max_size=MAX_SIZE):
    protocol = ClientProtocol(parse_uri(URI), max_size=max_size)
    protocol.state = OPEN
    protocol.parser = super(ClientProtocol, protocol).parse()
    next(protocol.parser)
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
    elif protocol.close_rcvd is not None:
        close_info = ("peer", protocol.close_rcvd.code, type(None))
    elif protocol.parser_exc is not None:
        code = protocol.close_sent.code if protocol.close_sent else 1006
        close_info = ("us", code, type(protocol.parser_exc))
    return {
        "messages": messages,
        "pongs heard": pongs,
        "written": written_frames(written),
        "ending": close_info,
        "protocol": state_of(protocol),
    }


def through_wsproto_alone(chunks, max_size=MAX_SIZE):
    core = make_core(WsprotoClientProtocol, max_size)
    core.receive_head(reply_to(core.request()))
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
    "websockets": (WebsocketsClientProtocol, through_websockets_alone),
    "wsproto": (WsprotoClientProtocol, through_wsproto_alone),
}


# ---- streams, right and wrong


def make_frame(opcode, payload, *, fin=True, rsv=0, masked=False, length_bytes=None):
    size, mask = len(payload), 0x80 if masked else 0
    if length_bytes is None:
        length_bytes = 0 if size < 126 else 2 if size < 65_536 else 8
    head = bytes((fin << 7 | rsv << 4 | opcode,))
    if length_bytes == 0:
        head += bytes((mask | size,))
    elif length_bytes == 2:
        head += bytes((mask | 126,)) + struct.pack("!H", size)
    else:
        head += bytes((mask | 127,)) + struct.pack("!Q", size)
    return head + (b"\1\2\3\4" if masked else b"") + payload


SMALL = (0, 1, 5, 124, 125, 126, 127, 300)
BIG = (65_535, 65_536, 65_537, 70_000, MAX_SIZE)


def noise(rng, size):
    start = rng.randrange(len(NOISE) - size)
    return NOISE[start : start + size]


def payload(rng):
    return noise(rng, rng.choice(BIG if rng.random() < 0.03 else SMALL))


def fragments(rng):
    """A fragmented message, with control frames between."""
    opcode = 1 if rng.random() < 0.3 else 2
    part = (lambda: b"a" * rng.choice(SMALL)) if opcode == 1 else (lambda: payload(rng))
    out = make_frame(opcode, part(), fin=False)
    for _ in range(rng.randint(0, 3)):
        if rng.random() < 0.5:
            out += make_frame(rng.choice((9, 10)), noise(rng, rng.choice((0, 1, 125))))
        out += make_frame(0, part(), fin=False)
    return out + make_frame(0, part())


def fragmented(rng, text):
    """A text in fragments that cut it anywhere, with control frames between."""
    cuts = sorted(rng.randint(0, len(text)) for _ in range(rng.randint(1, 4)))
    parts = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    out = make_frame(1, parts[0], fin=False)
    for part in parts[1:-1]:
        if rng.random() < 0.3:
            out += make_frame(rng.choice((9, 10)), b"between")
        out += make_frame(0, part, fin=False)
    return out + make_frame(0, parts[-1])


def bad_text(rng):
    """Something before and behind what no text holds: or, at its end, half a character."""
    bad = rng.choice((b"\xff", b"\xed\xa0\xbd", b"\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80"))
    before = "aé€\N{GRINNING FACE}".encode() * rng.randint(0, 20)
    if rng.random() < 0.3:
        return before + rng.choice((b"\xce", b"\xe2\x82", b"\xf0\x9f\x98"))
    return before + bad + b"x" * rng.randint(0, 20)


PIECES = {
    "binary": lambda r: make_frame(2, payload(r)),
    "text": lambda r: make_frame(1, b"t" * r.choice(SMALL)),
    "text, not ASCII": lambda r: make_frame(1, "é€\N{GRINNING FACE}".encode() * r.randint(1, 60)),
    "ping": lambda r: make_frame(9, noise(r, r.choice((0, 1, 124, 125)))),
    "pong": lambda r: make_frame(10, noise(r, r.choice((0, 1, 124, 125)))),
    "fragments": fragments,
    "text in fragments": lambda r: fragmented(
        r, "aé€\N{GRINNING FACE}".encode() * r.randint(1, 60)
    ),
    "binary, length not minimal": lambda r: make_frame(
        2, noise(r, r.choice((0, 5, 125))), length_bytes=r.choice((2, 8))
    ),
    "text, length not minimal": lambda r: make_frame(1, b"five5", length_bytes=r.choice((2, 8))),
}
FAULTS = {
    "close": lambda r: make_frame(8, struct.pack("!H", r.choice((1000, 1001, 1011, 4000))) + b"by"),
    "close without a code": lambda r: make_frame(8, b""),
    "close, half a code": lambda r: make_frame(8, b"\3"),
    "close with a bad code": lambda r: make_frame(8, struct.pack("!H", r.choice((0, 999, 1005)))),
    "close, reason not UTF-8": lambda r: make_frame(8, b"\x03\xe8\xff\xff"),
    "reserved bits": lambda r: make_frame(r.choice((1, 2, 9)), b"abc", rsv=r.choice((1, 2, 4))),
    "reserved bits, large": lambda r: make_frame(2, noise(r, 70_000), rsv=4),
    "masked": lambda r: make_frame(r.choice((1, 2, 9)), b"abcd", masked=True),
    "masked, 16-bit length": lambda r: make_frame(2, noise(r, 300), masked=True),
    "masked, 64-bit length": lambda r: make_frame(2, noise(r, 70_000), masked=True),
    "bad opcode": lambda r: make_frame(r.choice((3, 7, 11, 15)), b"abc"),
    "stray continuation": lambda r: make_frame(0, payload(r)),
    "binary within fragments": lambda r: make_frame(2, b"a", fin=False) + make_frame(2, payload(r)),
    "text that is not UTF-8": lambda r: make_frame(1, bad_text(r)),
    "text that is not UTF-8, large": lambda r: make_frame(
        1, b"t" * r.choice((65_534, 65_536)) + bad_text(r)
    ),
    "text that is not UTF-8, in fragments": lambda r: fragmented(r, bad_text(r)),
    "text within fragments": lambda r: make_frame(2, b"a", fin=False) + make_frame(1, b"b"),
    "oversize": lambda r: make_frame(2, noise(r, MAX_SIZE + 1)),
    "oversize in sum": lambda r: (
        make_frame(2, noise(r, 70_000), fin=False) + make_frame(0, noise(r, 70_000))
    ),
    "oversize by far": lambda r: b"\x82\x7f" + struct.pack("!Q", 2**62) + b"abc",
    "highest length": lambda r: b"\x82\x7f" + b"\xff" * 8,
    "long ping": lambda r: make_frame(9, noise(r, r.choice((126, 200)))),
    "fragmented ping": lambda r: make_frame(9, b"abc", fin=False),
    "ping, length not minimal": lambda r: make_frame(9, b"abc", length_bytes=r.choice((2, 8))),
}


#: wsproto refuses it, websockets does not, and RFC 6455 §5.2 forbids it to the sender only
LENIENT = ("binary, length not minimal", "text, length not minimal")


def random_stream(rng, kind):
    """The stream, the names of its pieces, and whether it ends before its last frame does."""
    weights = {"binary": 8, "text": 4, "fragments": 2}
    weights |= dict.fromkeys(LENIENT, 0 if kind == "wsproto" else 0.5)
    weights = [weights.get(name, 1) for name in PIECES]
    names = rng.choices(list(PIECES), weights, k=rng.randint(0, 8))
    if rng.random() < 0.5:  # something that ends it, and perhaps more behind it
        names.append(rng.choice(list(FAULTS)))
        names += rng.choices(list(PIECES), weights, k=rng.randint(0, 2))
    stream = b"".join((PIECES.get(name) or FAULTS[name])(rng) for name in names)
    if rng.random() < 0.8:
        return stream, names, False
    return stream[: rng.randint(0, len(stream))], names, True


def cut(rng, stream):
    if len(stream) < 600 and rng.random() < 0.5:
        return [stream[i : i + 1] for i in range(len(stream))]
    if rng.random() < 0.3:
        return [stream] if stream else []
    chunks, start = [], 0
    while start < len(stream):
        size = rng.choice((1, 2, 3, 10, 100, 1000, 65_536))
        chunks.append(stream[start : start + size])
        start += size
    return chunks


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("kind", "streams", "seed"),
    [("websockets", times(1000, 2500), seed) for seed in range(times(2, 4))]
    + [("wsproto", times(1000, 1500), 4)],
)
def test_whatever_the_cuts_the_outcome_is_the_library_s_own(kind, streams, seed):
    make, alone = KINDS[kind]
    rng = random.Random(seed)
    endings = Counter()
    for _ in range(streams):
        stream, names, truncated = random_stream(rng, kind)
        chunks = cut(rng, stream)
        expected = alone(chunks)
        found = through_us(chunks, make_core(make), with_handshake=rng.random() < 0.3)
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
        assert through_us(chunks, make_core(make), with_handshake=False) == expected
        assert through_us([stream], make_core(make), with_handshake=False) == expected
        assert through_us([stream], make_core(make), with_handshake=True) == expected
        assert expected["messages"][0] == (False, b"before")


def test_a_fault_ends_the_connection_as_ours_and_names_the_limit():
    for name, code, kind in (("oversize", 1009, PayloadTooBig), ("masked", 1002, ProtocolError)):
        stream = FAULTS[name](random.Random(0))
        found = through_us([stream], make_core(WebsocketsClientProtocol), with_handshake=False)
        assert found["ending"] == ("us", code, kind)


# ---- the fast parser alone


class Recorder:
    def __init__(self, max_size=MAX_SIZE, goes_on=True):
        self.whole, self.others = [], []
        self.goes_on = goes_on
        self.bad_texts = 0
        self.parser = FastParser(max_size, self.whole.append, self.other, self.bad_text)

    def bad_text(self):
        self.bad_texts += 1

    def other(self, data):
        self.others.append(data)
        return self.goes_on

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


def test_a_large_message_that_arrives_in_pieces_is_one_bytearray():
    payload = noise(random.Random(0), LARGE)
    stream = make_frame(2, payload) + make_frame(2, b"next")
    recorder = Recorder()
    recorder.feed(*(stream[i : i + 1000] for i in range(0, len(stream), 1000)))
    assert [type(m) for m in recorder.whole] == [bytearray, bytes]
    assert recorder.whole == [payload, b"next"]


def test_other_frames_arrive_unchanged_and_small_ones_whole():
    frames = [make_frame(1, b"x", rsv=4), make_frame(9, b"ping"), make_frame(1, b"x", fin=False)]
    frames += [make_frame(9, b"ping"), make_frame(1, b"text within fragments")]
    recorder = Recorder()
    for frame in frames:
        recorder.feed(*(frame[i : i + 1] for i in range(len(frame))))
    assert recorder.others == frames
    recorder = Recorder()
    large = make_frame(1, b"t" * LARGE)
    recorder.feed(*(large[i : i + 10_000] for i in range(0, len(large), 10_000)))
    assert len(recorder.others) > 1
    assert b"".join(recorder.others) == large


def test_nothing_is_read_after_other_said_that_the_stream_is_over():
    recorder = Recorder(goes_on=False)
    recorder.feed(make_frame(8, b"") + make_frame(2, b"late"))
    recorder.feed(make_frame(2, b"later"))
    assert (recorder.whole, recorder.others) == ([], [make_frame(8, b"")])


@pytest.mark.parametrize("ours", [make_frame(2, b"m"), make_frame(1, b"m"), make_frame(2, b"")])
def test_held_it_stops_before_the_next_message_of_its_own(ours):
    class Holding(Recorder):
        def other(self, data):
            self.parser.hold()
            return super().other(data)

    theirs = [make_frame(9, b"a"), make_frame(1, b"b", fin=False), make_frame(2, b"within")]
    theirs += [make_frame(0, b"c"), make_frame(10, b"d")]
    recorder = Holding()
    stream = ours + b"".join(theirs) + ours + make_frame(9, b"e") + ours * 2
    assert recorder.parser.feed(memoryview(stream), 100)
    assert (len(recorder.whole), recorder.others) == (1, theirs)
    assert recorder.parser.go_on(100)
    assert (len(recorder.whole), recorder.others) == (2, [*theirs, make_frame(9, b"e")])
    assert not recorder.parser.go_on(100)
    assert len(recorder.whole) == 4


def test_held_a_large_message_waits_too_and_what_is_not_all_there_is_kept():
    class Holding(Recorder):
        def other(self, data):
            self.parser.hold()
            return super().other(data)

    recorder, large = Holding(), make_frame(2, b"x" * LARGE)
    assert recorder.parser.feed(memoryview(make_frame(9, b"") + large[:-1]), 100)
    assert not recorder.parser.go_on(100)
    assert recorder.parser.buffered
    assert not recorder.parser.feed(memoryview(large[-1:] + make_frame(9, b"") + b"\x82"), 100)
    assert recorder.whole == [b"x" * LARGE]
    assert not recorder.parser.feed(memoryview(b"\1m"), 100)
    assert recorder.whole == [b"x" * LARGE, b"m"]
    assert recorder.others == [make_frame(9, b"")] * 2


@pytest.mark.parametrize("opcode", [8, 9, 10])
def test_a_control_frame_that_claims_to_be_large_is_refused_by_its_header(opcode):
    """It is a fault (RFC 6455 §5.5), and must not be collected, read by read, before it is told."""
    recorder = Recorder()
    recorder.feed(bytes((0x80 | opcode, 127)) + struct.pack("!Q", LARGE), b"x" * 10, b"x" * 10)
    assert recorder.others, "the library has not seen the header"


def test_a_message_of_exactly_max_size_is_taken_and_one_byte_more_is_not():
    recorder = Recorder(max_size=5)
    recorder.feed(make_frame(2, b"12345"), make_frame(2, b"123456"))
    assert (recorder.whole, recorder.others) == ([b"12345"], [make_frame(2, b"123456")])


def test_what_the_reference_side_of_this_file_writes_down_can_differ():
    """The comparison is not blind: another pong, another message, another ending all show."""
    base = through_websockets_alone([make_frame(9, b"a") + make_frame(2, b"m")])
    assert base["written"] == [(Opcode.PONG, True, b"a")]
    assert base["messages"] == [(False, b"m")]
    for other in (make_frame(9, b"b") + make_frame(2, b"m"), make_frame(9, b"a"), FAULTS["close"]):
        stream = other if isinstance(other, bytes) else other(random.Random(0))
        assert through_websockets_alone([stream]) != base
    assert Frame(Opcode.PONG, b"a").serialize(mask=False) == make_frame(10, b"a")
