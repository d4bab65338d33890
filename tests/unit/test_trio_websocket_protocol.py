"""Below and above the ``trio-websocket`` package lie the fast parser and our framing: together they
do what the package does alone.

`test_fast_parser` on this transport, in both roles. The package alone has a stream in memory that
gives it the same pieces. What it does otherwise on purpose is undone here: it writes nothing after
a protocol error by the peer, and tells nobody of pongs.
"""

from __future__ import annotations

import random
import struct
from collections import Counter

import pytest
import trio
import trio_websocket
from trio.testing import wait_all_tasks_blocked
from websockets.frames import Opcode

from tests.unit import test_fast_parser as client_side
from tests.unit import test_server_fast_parser as server_side
from tests.unit.test_fast_parser import FAULTS, LENIENT, PIECES, cut, noise, random_stream
from vuer_trio._net.address import parse_address
from vuer_trio._net.read_budget import ReadBudget
from vuer_trio._websocket.frames import prepare
from vuer_trio._websocket.protocol import Request
from vuer_trio._websocket.server_stream_transport import ServerStreamTransport
from vuer_trio._websocket.stream_transport import ClientStreamTransport
from vuer_trio._websocket.transport import LARGE
from vuer_trio._websocket.trio_websocket_protocol import (
    TrioWebSocketClientProtocol,
    TrioWebSocketServerProtocol,
)

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
HUGE = 1 << 20  # bytes of a message, at most, where huge ones are sent
sides = pytest.mark.parametrize("side", [client_side, server_side], ids=["client", "server"])


@pytest.fixture(autouse=True)
def _frames_of_the_other_side(request, monkeypatch):
    """The streams are made of a server's frames, or of a client's."""
    if "side" in request.fixturenames and request.getfixturevalue("side") is server_side:
        monkeypatch.setattr(client_side, "make_frame", server_side.make_frame)
        key = b"\1\2\3\4"
        by_far = b"\x82\xff" + struct.pack("!Q", 2**62) + key + b"abc"
        monkeypatch.setitem(FAULTS, "oversize by far", lambda r: by_far)
        monkeypatch.setitem(FAULTS, "highest length", lambda r: b"\x82\xff" + b"\xff" * 8 + key)


# ---- the package alone


class GivenStream(trio.abc.Stream):
    """Gives one chunk after the other, and keeps what is written."""

    def __init__(self, chunks):
        self.chunks = list(chunks)
        self.opening = True
        self.open = trio.Event()  # the handshake is done
        self.written = bytearray()

    async def receive_some(self, max_bytes=None):
        await trio.lowlevel.checkpoint()
        if self.opening:
            self.opening = False
            if not self.written:
                return REQUEST
            self.open.set()
            reply = client_side.reply_to(bytes(self.written))
            self.written.clear()
            return reply
        await self.open.wait()
        return self.chunks.pop(0) if self.chunks else b""

    async def send_all(self, data):
        if data[:5] == b"HTTP/":
            self.open.set()
        else:
            self.written += data

    async def wait_send_all_might_not_block(self):
        await trio.lowlevel.checkpoint()

    async def aclose(self):
        await trio.lowlevel.checkpoint()


async def through_the_package_alone(side, chunks, max_size):
    stream, messages = GivenStream(chunks), []
    limits = {"message_queue_size": 0, "max_message_size": max_size}
    async with trio.open_nursery() as nursery:
        if side is client_side:
            socket = await trio_websocket.wrap_client_stream(nursery, stream, "x", "/", **limits)
        else:
            request = await trio_websocket.wrap_server_stream(nursery, stream, **limits)
            socket = await request.accept()
        try:
            while True:
                message = await socket.get_message()
                text = isinstance(message, str)
                messages.append((text, message.encode() if text else message))
        except trio_websocket.ConnectionClosed:
            nursery.cancel_scope.cancel()
    frames = side.written_frames(stream.written)
    too_large = struct.pack("!H", 1009)
    if any(opcode is Opcode.CLOSE and data[:2] == too_large for opcode, _, data in frames):
        code = 1009  # whatever it has found since: it goes on to the end of the chunk
    else:
        code = int(socket.closed.code)
    return {"messages": messages, "pongs": replies(side, stream.written), "code": code}


def replies(side, written):
    return [data for opcode, _, data in side.written_frames(written) if opcode is Opcode.PONG]


# ---- our transport on the package


class Sink(client_side.RecordingSink):
    async def drained(self):
        await trio.lowlevel.checkpoint()

    async def turn(self):
        await trio.lowlevel.checkpoint()


class Wire(server_side.MemoryWire):
    async def receive(self):
        await trio.lowlevel.checkpoint()
        return await super().receive()


async def opened(nursery, side, wire, sink, max_size, early=b""):
    if side is server_side:
        protocol = TrioWebSocketServerProtocol(nursery, sink, max_size)
        return ServerStreamTransport(wire, protocol, sink, max_size, early)
    protocol = TrioWebSocketClientProtocol(
        nursery, sink, Request(parse_address(client_side.URI), max_size)
    )
    await protocol.start()
    transport = ClientStreamTransport(wire, protocol, sink, max_size)
    receive = wire.receive

    async def receive_reply():
        reply = client_side.reply_to(bytes(wire.outgoing))
        wire.outgoing.clear()
        wire.receive = receive
        return memoryview(reply + early)

    wire.receive = receive_reply
    await transport.open()
    return transport


async def through_us(side, chunks, max_size, *, early=False, read=None, sink=None):
    wire, sink = Wire(), sink or Sink()
    wire.incoming = list(chunks)
    first = wire.incoming.pop(0) if early and chunks else b""
    async with trio.open_nursery() as nursery:
        transport = await opened(nursery, side, wire, sink, max_size, first)
        close_info = await (read or read_to_the_end)(transport)
        await transport.write([])
        nursery.cancel_scope.cancel()
    frames = side.written_frames(wire.outgoing)
    closes = [data for opcode, _, data in frames if opcode is Opcode.CLOSE]
    if close_info.by == "loss":
        assert closes == []
    else:
        assert frames[-1][0] is Opcode.CLOSE
        (close,) = closes
        code = struct.pack("!H", close_info.code) if close_info.code != 1005 else b""
        assert close[:2] == code
    return {
        "messages": sink.messages,
        "pongs": replies(side, wire.outgoing),
        "code": close_info.code,
    }


async def read_to_the_end(transport):
    return await transport.read()


async def read_a_step_at_a_time(transport):
    """Cancelled again and again: at every step of the scheduler there is."""
    while True:
        for ticks in range(1, 8):
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as nursery:

                    @nursery.start_soon
                    async def cancel(ticks=ticks, scope=scope):
                        for _ in range(ticks):
                            await trio.lowlevel.checkpoint()
                        scope.cancel()

                    close_info = await transport.read()
                    nursery.cancel_scope.cancel()
            if not scope.cancelled_caught:
                return close_info


def compared(side, chunks, max_size, **options):
    """What both made of it."""

    async def both():
        expected = await through_the_package_alone(side, chunks, max_size)
        return expected, await through_us(side, chunks, max_size, **options)

    return trio.run(both)


# ---- the same streams as with the other libraries


class EachFrame(ReadBudget):
    """The others run after each frame."""

    def __init__(self):
        super().__init__()
        self.step = 1

    def spent(self):
        return True


@pytest.mark.no_cover
@sides
@pytest.mark.parametrize(("way", "streams"), [("whole", 300), ("turns", 200), ("cancelled", 100)])
def test_whatever_the_cuts_the_outcome_is_the_package_s_own(side, way, streams, monkeypatch):
    if way == "turns":
        monkeypatch.setattr("vuer_trio._websocket.stream_transport.ReadBudget", EachFrame)
    read = read_a_step_at_a_time if way == "cancelled" else None
    rng = random.Random(way)
    endings = Counter()
    for _ in range(streams):
        stream, names, truncated = random_stream(rng, "wsproto")
        chunks = cut(rng, stream)
        max_size, early = client_side.MAX_SIZE, rng.random() < 0.3
        expected, found = compared(side, chunks, max_size, early=early, read=read)
        if truncated and found["code"] != expected["code"]:
            # The one finds a fault where the other waits for the rest of the frame: the package in
            # a header, we in a text.
            assert {found["code"], expected["code"]} & {1006}
            assert found["messages"] == expected["messages"]
            continue
        assert found == expected, f"{names}, cut into {[len(c) for c in chunks][:50]}"
        endings[expected["code"]] += 1
    assert set(endings) >= {1006, 1002, 1007, 1009}
    assert set(endings) & {1000, 1001, 1005, 1011, 4000}, "no peer has closed"


@sides
@pytest.mark.parametrize("name", [name for name in (*PIECES, *FAULTS) if name not in LENIENT])
def test_each_kind_of_frame_whole_and_byte_by_byte_between_two_others(side, name):
    rng = random.Random(name)
    for _ in range(3):
        before, after = (client_side.make_frame(2, word) for word in (b"before", b"after"))
        stream = before + (PIECES.get(name) or FAULTS[name])(rng) + after
        chunks = [stream[i : i + 1] for i in range(min(40, len(stream)))]
        chunks += (
            [stream[40:]]
            if len(stream) > 1500
            else [stream[i : i + 1] for i in range(40, len(stream))]
        )
        for early in (False, True):
            for way in (chunks, [stream]):
                expected, found = compared(side, way, client_side.MAX_SIZE, early=early)
                assert found == expected
                assert expected["messages"][0] == (False, b"before")


# ---- order


def mixed(rng):
    """A stream of everything that is right, and the messages and pings in it."""
    make, frames = client_side.make_frame, []
    for n in range(rng.randint(5, 25)):
        name = b"%d:" % n
        kind = rng.choice(("plain",) * 4 + ("text", "fragments", "texts", "ping", "pong", "huge"))
        if kind == "plain":
            frames.append(make(2, name + noise(rng, rng.choice((0, 1, 120, 130, 3000)))))
        elif kind == "text":
            size = rng.choice((0, 1, 200, LARGE))
            frames.append(make(1, name + b"t" * size))
        elif kind == "huge":
            frames.append(make(rng.choice((1, 2)), name + b"h" * rng.randint(LARGE, 4 * LARGE)))
        elif kind in ("ping", "pong"):
            frames.append(make(9 if kind == "ping" else 10, name))
        else:
            opcode = 1 if kind == "texts" else 2
            text = name + "é€\N{GRINNING FACE}".encode() * rng.choice((1, 40, 9000))
            cuts = sorted(rng.randint(0, len(text)) for _ in range(rng.randint(1, 5)))
            parts = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
            for at, part in enumerate(parts):
                frames.append(make(opcode if at == 0 else 0, part, fin=at == len(parts) - 1))
                if at < len(parts) - 1 and rng.random() < 0.4:
                    frames.append(make(rng.choice((9, 10)), b"within " + name))
    if rng.random() < 0.5:
        frames.append(make(8, struct.pack("!H", 1000) + b"bye"))
    return b"".join(frames)


def cut_anywhere(rng, stream):
    way = rng.choice(("bytes", "random", "reads"))
    if way == "bytes" and len(stream) < 5000:
        return [stream[i : i + 1] for i in range(len(stream))]
    sizes = (65_536,) if way == "reads" else (1, 2, 3, 7, 50, 1000, 20_000, 65_536)
    chunks = []
    while stream:
        size = rng.choice(sizes)
        chunks.append(stream[:size])
        stream = stream[size:]
    return chunks


class MoodySink(Sink):
    """Has room, or has none, as it pleases."""

    def __init__(self, rng):
        super().__init__()
        self.rng = rng

    @property
    def full(self):
        return self.rng.random() < 0.3


@pytest.mark.no_cover
@sides
@pytest.mark.parametrize("seed", range(4))
def test_a_mix_of_everything_arrives_as_the_package_alone_delivers_it(side, seed):
    rng = random.Random(seed)
    kinds = Counter()
    for _ in range(60):
        chunks = cut_anywhere(rng, mixed(rng))
        sink = MoodySink(rng) if rng.random() < 0.5 else None
        expected, found = compared(side, chunks, HUGE, sink=sink)
        assert found == expected
        numbers = [int(data.partition(b":")[0]) for _, data in found["messages"]]
        assert numbers == sorted(numbers)
        kinds.update(text for text, _ in found["messages"])
        kinds["pongs"] += len(found["pongs"])
    assert min(kinds[True], kinds[False], kinds["pongs"]) > 50


@sides
@pytest.mark.parametrize("seed", range(3))
def test_what_the_package_writes_comes_between_whole_frames_and_in_order(side, seed):
    """Pings and fragments come in while messages, large and small, go out; a close ends both."""
    rng = random.Random(seed)

    class SlowWire(Wire):
        async def send_all(self, data):
            for start in range(0, len(data), 50_000):
                self.outgoing += data[start : start + 50_000]
                await trio.lowlevel.checkpoint()

        async def pump(self, take, room):
            while take(await self.receive()):
                await trio.lowlevel.checkpoint()

    async def main():
        wire, sink = SlowWire(), Sink()
        pings = [b"ping %d" % n for n in range(30)]
        make = client_side.make_frame
        frames = [make(9, ping) + make(2, b"a", fin=False) + make(0, b"b") for ping in pings]
        wire.incoming = [*frames, make(8, struct.pack("!H", 1000))]
        sent = []
        async with trio.open_nursery() as nursery:
            transport = await opened(nursery, side, wire, sink, HUGE)

            async def write():
                number = 0
                while True:
                    batch = []
                    for _ in range(rng.randint(0, 3)):
                        number += 1
                        payload = b"%d:" % number + b"x" * rng.choice(
                            (0,) * 20 + (300,) * 20 + (2 * LARGE,)
                        )
                        prepared = side is server_side and rng.random() < 0.5
                        batch.append(prepare(payload) if prepared else payload)
                    if rng.random() < 0.3 and transport.write_now(b"now"):
                        sent.append(b"now")
                    try:
                        await transport.write(batch)
                    except ConnectionResetError:
                        return
                    sent.extend(getattr(payload, "payload", payload) for payload in batch)
                    await trio.lowlevel.checkpoint()

            async with trio.open_nursery() as writing:
                writing.start_soon(write)
                close_info = await transport.read()
            nursery.cancel_scope.cancel()
        assert (close_info.by, close_info.code) == ("peer", 1000)
        assert sink.messages == [(False, b"ab")] * 30
        written = side.written_frames(wire.outgoing)
        assert [data for opcode, _, data in written if opcode is Opcode.PONG] == pings
        assert [data for opcode, _, data in written if opcode is Opcode.BINARY] == sent
        assert written[-1][0] is Opcode.CLOSE
        assert Counter(opcode for opcode, _, _ in written)[Opcode.CLOSE] == 1
        assert len(sent) > 20

    trio.run(main)


@pytest.mark.trio
@sides
async def test_a_pong_is_heard_behind_what_came_before_it(side):
    """Pings of ours are framed by us; a pong is told at once, and a payload that looks like one
    is none."""

    class InOrder(Sink):
        def ponged(self, payload):
            self.messages.append(payload)

    wire, sink, make = Wire(), InOrder(), client_side.make_frame
    looks_alike, text = make(10, b"12"), b"t" * LARGE
    large = make(2, b"f" * LARGE + looks_alike, fin=False)[: -len(looks_alike)]
    stream = [make(2, b"a") + make(10, b"1") + make(2, b"b", fin=False) + make(10, b"2")]
    stream += [make(0, b"c"), make(10, b""), large, looks_alike, make(0, b"")]
    wire.incoming = [*stream, make(1, text)]
    async with trio.open_nursery() as nursery:
        transport = await opened(nursery, side, wire, sink, HUGE)
        await transport.read()
        nursery.cancel_scope.cancel()
    pongs = [item for item in sink.messages if isinstance(item, bytes)]
    assert pongs == [b"1", b"2", b""]
    assert [item for item in sink.messages if item != (True, text)][:5] == [
        (False, b"a"), b"1", b"2", (False, b"bc"), b"",
    ]  # fmt: skip
    assert len(sink.messages) == 7


# ---- the end


@pytest.mark.trio
@sides
async def test_a_local_close_is_answered_behind_pings_and_messages_that_were_on_their_way(
    side, autojump_clock
):
    make = client_side.make_frame
    wire, sink, answered = Wire(), Sink(), trio.Event()
    receive = wire.receive

    async def receive_late():
        await answered.wait()
        return await receive()

    wire.receive = receive_late
    async with trio.open_nursery() as nursery:
        wire.receive = receive
        transport = await opened(nursery, side, wire, sink, HUGE)
        wire.receive = receive_late
        on_their_way = [make(9, b"ping"), make(2, b"late"), make(1, b"t", fin=False), make(0, b"t")]
        wire.incoming = [*on_their_way, make(9, b"ping"), make(8, struct.pack("!H", 1000) + b"ok")]
        transport.close(1000, "bye")
        transport.close(1001, "twice")
        await wait_all_tasks_blocked()
        await transport.write([])
        with pytest.raises(ConnectionResetError, match="the connection is closing"):
            await transport.write([b"too late"])
        assert not transport.write_now(b"too late")
        transport.ping(b"too late")
        answered.set()
        close_info = await transport.read()
        await transport.write([])
        nursery.cancel_scope.cancel()
    assert (close_info.by, close_info.code, close_info.reason) == ("peer", 1000, "ok")
    close = (Opcode.CLOSE, True, struct.pack("!H", 1000) + b"bye")
    assert side.written_frames(wire.outgoing) == [close]
    assert (False, b"late") in sink.messages


@pytest.mark.trio
@sides
@pytest.mark.parametrize("ticks", range(8))
async def test_closing_while_a_ping_is_in_the_package_s_hands_is_answered(side, ticks):
    """It must not fail at the pong that it may no longer write."""
    make = client_side.make_frame
    wire, sink = Wire(), Sink()
    async with trio.open_nursery() as nursery:
        transport = await opened(nursery, side, wire, sink, HUGE)
        wire.incoming = [make(9, b"1"), make(9, b"2"), make(8, struct.pack("!H", 1000))]

        @nursery.start_soon
        async def close():
            for _ in range(ticks):
                await trio.lowlevel.checkpoint()
            transport.close(1000, "")

        close_info = await transport.read()
        await transport.write([])
        nursery.cancel_scope.cancel()
    assert (close_info.by, close_info.code) == ("peer", 1000)
    written = [opcode for opcode, _, _ in side.written_frames(wire.outgoing)]
    assert written.count(Opcode.CLOSE) == 1
    assert written[-1] is Opcode.CLOSE


@pytest.mark.trio
@sides
async def test_a_text_in_fragments_is_measured_by_its_bytes(side):
    """The package counts its characters."""
    make = client_side.make_frame
    wire, sink = Wire(), Sink()
    euros = "€".encode() * 40
    wire.incoming = [make(1, euros, fin=False), make(0, euros), make(2, b"behind")]
    async with trio.open_nursery() as nursery:
        transport = await opened(nursery, side, wire, sink, 200)
        close_info = await transport.read()
        await transport.write([])
        nursery.cancel_scope.cancel()
    assert (close_info.by, close_info.code) == ("us", 1009)
    assert "200 bytes" in close_info.reason
    assert sink.messages == []
    assert side.written_frames(wire.outgoing)[-1][2][:2] == struct.pack("!H", 1009)


# ---- memory


def test_fragments_that_the_package_keeps_are_joined():
    """Empty ones have no end (RFC 6455 §5.4), and it keeps them all."""

    class Socket:
        _message_parts: list[bytes]

    protocol = TrioWebSocketClientProtocol.__new__(TrioWebSocketClientProtocol)
    protocol._socket, protocol._parts, protocol._joined = Socket(), [], 0
    for part, whole in ((b"", b""), (b"ab", b"ab" * 50_000), ("é", "é" * 50_000)):
        protocol._socket._message_parts = []
        for n in range(50_000):
            protocol._socket._message_parts.append(part)
            if n % 16 == 0:
                protocol._join_parts()
        assert len(protocol._socket._message_parts) < 1200
        assert whole[:0].join(protocol._socket._message_parts) == whole


@pytest.mark.trio
@pytest.mark.parametrize("code", [1000, None])
async def test_a_server_has_no_tasks_of_the_package_for_messages_and_control_frames(code):
    make, wire, sink = server_side.make_frame, Wire(), Sink()
    close = b"" if code is None else struct.pack("!H", code)
    wire.incoming = [make(2, b"a") + make(9, b"ask") + make(10, b"told"), make(2, b"b")]
    wire.incoming.append(make(8, close) + make(9, b"late") + make(2, b"late"))
    async with trio.open_nursery() as nursery:
        transport = await opened(nursery, server_side, wire, sink, HUGE)
        close_info = await transport.read()
        await transport.write([])
        assert nursery.child_tasks == frozenset()
    assert sink.messages == [(False, b"a"), (False, b"b")]
    assert (close_info.by, close_info.code) == ("peer", code or 1005)
    written = [(opcode, data) for opcode, _, data in server_side.written_frames(wire.outgoing)]
    assert written == [(Opcode.PONG, b"ask"), (Opcode.CLOSE, close)]


@pytest.mark.trio
async def test_a_server_has_them_from_the_first_frame_of_another_kind_on():
    make, wire, sink = server_side.make_frame, Wire(), Sink()
    wire.incoming = [make(9, b"1") + make(2, b"a", fin=False) + make(9, b"2"), make(0, b"b")]
    async with trio.open_nursery() as nursery:
        transport = await opened(nursery, server_side, wire, sink, HUGE)
        await transport.read()
        await transport.write([])
        assert len(nursery.child_tasks) == 1
        nursery.cancel_scope.cancel()
    assert sink.messages == [(False, b"ab")]
    assert replies(server_side, wire.outgoing) == [b"1", b"2"]


@pytest.mark.trio
@sides
@pytest.mark.parametrize("opcode", [1, 2])
@pytest.mark.parametrize("size", [0, 2])
async def test_a_message_in_very_many_fragments_arrives_and_few_are_kept(side, opcode, size):
    make, kept = client_side.make_frame, []

    class Watching(Sink):
        async def turn(self):
            kept.append(len(transport._protocol._socket._message_parts))
            await super().turn()

    wire, sink = Wire(), Watching()
    parts = make(0, b"x" * size, fin=False) * 3000
    wire.incoming = [make(opcode, b"", fin=False) + parts + make(0, b"y")]
    async with trio.open_nursery() as nursery:
        transport = await opened(nursery, side, wire, sink, HUGE)
        await transport.read()
        nursery.cancel_scope.cancel()
    assert 1000 < max(kept) < 1200
    assert sink.messages == [(opcode == 1, b"x" * size * 3000 + b"y")]
    assert transport.buffered == 0
