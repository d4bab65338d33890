"""A reader works for about a millisecond, then the others run; and nothing is lost by that.

Time is the test's own: it passes when a frame is looked at, by as much as the test says.
"""

from __future__ import annotations

import random
from functools import partial

import pytest

from tests.unit import test_fast_parser as client_side
from tests.unit import test_server_fast_parser as server_side
from vuer_trio._net.read_budget import WAKE, ReadBudget
from vuer_trio._websocket.fast_parser import FastParser
from vuer_trio._websocket.frames import server_frame
from vuer_trio._websocket.pieces import FrameSlicer
from vuer_trio._websocket.server_stream_transport import ServerStreamTransport
from vuer_trio._websocket.stream_transport import ClientStreamTransport

MAX_SIZE = client_side.MAX_SIZE


class Clock:
    now = 100.0

    def __call__(self):
        return self.now

    def passes(self, seconds):
        self.now += seconds


# ---- the budget alone


@pytest.mark.parametrize("seconds", [1e-7, 1e-6, 3e-5, 1e-4, 1e-3])
def test_whatever_a_frame_costs_a_wake_is_as_long(seconds):
    clock = Clock()
    budget = ReadBudget(clock)
    wakes = []
    for _ in range(20):
        budget.begin()
        began = clock()
        while True:
            clock.passes(budget.step * seconds)
            if budget.spent():
                break
        wakes.append(clock() - began)
    longest = max(wakes[1:])  # it has to learn first
    assert WAKE <= longest + 1e-9 <= max(1.5 * WAKE, 2 * seconds)
    assert max(wakes) <= max(2 * WAKE, 17 * seconds)


def test_cheap_frames_prepare_for_dear_ones_by_little():
    """An attacker may mix them: the first step of dear ones is the longest that there can be."""
    clock = Clock()
    budget = ReadBudget(clock)
    budget.begin()
    for _ in range(100):
        clock.passes(1e-7)
        budget.spent()
    assert budget.step * 3e-5 < 2 * WAKE


# ---- the fast parsers


def split_in_steps(kind, chunks, steps):
    """What came out, in order; ``steps()`` says how many frames are split at once."""
    out = []
    parser = kind(
        MAX_SIZE,
        lambda m: out.append((type(m).__name__, bytes(m))),
        None,
        lambda: out.append(("no text", b"")),
    )

    def other(data):
        out.append(("other", data))
        return not (data and data[0] & 0x0F == 8)

    parser._other = other
    for chunk in chunks:
        most = steps()
        before = len(out)
        more = parser.feed(memoryview(chunk), most)
        while True:
            assert len(out) - before <= most + 1, "and what was owed to the frame before"
            if not more:
                break
            most, before = steps(), len(out)
            more = parser.go_on(most)
    return out


@pytest.mark.parametrize("role", ["client", "server"])
@pytest.mark.parametrize("seed", range(3))
def test_a_fast_parser_goes_on_exactly_where_it_stopped(role, seed, monkeypatch):
    kind = FastParser
    if role == "server":
        kind = partial(FastParser, masked=True)
        monkeypatch.setattr(client_side, "make_frame", server_side.make_frame)
    rng = random.Random(seed)
    kinds = set()
    for _ in range(300):
        stream, _, _ = client_side.random_stream(rng, "websockets")
        chunks = client_side.cut(rng, stream)
        whole = split_in_steps(kind, chunks, lambda: 1 << 30)
        assert split_in_steps(kind, chunks, lambda: 1) == whole
        assert split_in_steps(kind, chunks, lambda: rng.randint(1, 5)) == whole
        kinds |= {name for name, _ in whole}
    assert kinds == {"bytes", "bytearray", "Text", "other", "no text"}


def test_a_step_that_ends_with_the_bytes_has_no_more():
    out = []
    parser = FastParser(MAX_SIZE, out.append, None, None)
    assert parser.feed(memoryview(server_frame(b"a") * 3), 2)
    assert not parser.go_on(1)
    assert not parser.feed(memoryview(server_frame(b"a") * 2), 2)
    assert out == [b"a"] * 5


@pytest.mark.parametrize("role", ["client", "server"])
def test_pieces_are_the_stream_cut_between_frames(role, monkeypatch):
    if role == "server":
        monkeypatch.setattr(client_side, "make_frame", server_side.make_frame)
    rng = random.Random(5)
    for _ in range(200):
        frames = [
            client_side.make_frame(rng.choice((0, 1, 2, 9, 10)), client_side.payload(rng))
            for _ in range(rng.randint(1, 12))
        ]
        stream = b"".join(frames)
        starts, position = set(), 0
        for frame in frames:
            starts.add(position)
            position += len(frame)
        pieces, most = [], rng.randint(1, 4)
        cutter = FrameSlicer(pieces.append)
        for chunk in client_side.cut(rng, stream):
            more = cutter.feed(memoryview(chunk), most)
            while more:
                more = cutter.go_on(most)
        assert b"".join(pieces) == stream
        position = 0
        for piece in pieces:
            assert piece
            inside = range(position, position + len(piece))
            assert sum(start in inside for start in starts) <= most
            position += len(piece)


@pytest.mark.parametrize("size", [2**62, 2**64 - 1])
def test_pieces_pass_on_what_no_library_will_take(size):
    pieces = []
    cutter = FrameSlicer(pieces.append)
    head = b"\x82\xff" + size.to_bytes(8) + b"mask"
    assert not cutter.feed(memoryview(head[:5]), 1)
    assert not cutter.feed(memoryview(head[5:] + b"x" * 100), 1)
    assert not cutter.feed(memoryview(b"x" * 100), 1)
    assert b"".join(pieces) == head + b"x" * 200


# ---- a whole transport


class TimedSink(client_side.RecordingSink):
    """A pong and a message take their time; it writes down what was done between two turns."""

    def __init__(self, clock, seconds):
        super().__init__()
        self.clock, self.seconds = clock, seconds
        self.turns = [0.0]

    def _took(self, seconds):
        self.clock.passes(seconds)
        self.turns[-1] += seconds

    def deliver(self, messages):
        self._took(len(messages) * self.seconds)
        return super().deliver(messages)

    def ponged(self, payload):
        self._took(self.seconds)
        super().ponged(payload)

    async def turn(self):
        self.turns.append(0.0)


FLOODS = {
    "pongs": lambda make: make(10, b"") * 4000,
    "events": lambda make: make(2, b"event") * 4000,
    "texts": lambda make: make(1, b"t") * 4000,
    "all of them": lambda make: (make(10, b"") + make(2, b"x") * 40 + make(1, b"t")) * 300,
}


@pytest.mark.no_cover
@pytest.mark.parametrize("flood", FLOODS)
@pytest.mark.parametrize("side", [client_side, server_side])
@pytest.mark.parametrize("seconds", [2e-5, 5e-4])
def test_a_transport_works_for_a_millisecond_at_a_time(side, flood, seconds):
    data = FLOODS[flood](side.make_frame)
    chunks = [data[i : i + 65_536] for i in range(0, len(data), 65_536)]
    clock, wire = Clock(), side.MemoryWire()
    sink = TimedSink(clock, seconds)
    if side is client_side:
        transport = ClientStreamTransport(
            wire, client_side.make_core(client_side.WebsocketsClientProtocol), sink, MAX_SIZE
        )
        transport._budget = ReadBudget(clock)
        client_side.open_over(wire, transport)
    else:
        core = server_side.WebsocketsServerProtocol(MAX_SIZE)
        transport = ServerStreamTransport(wire, core, sink, MAX_SIZE, b"")
        transport._budget = ReadBudget(clock)
    wire.incoming = list(chunks)
    client_side.run(transport.read())
    count = len(sink.messages) + len(sink.pongs)
    assert count == {"all of them": 42 * 300}.get(flood, 4000)
    assert sum(sink.turns) == pytest.approx(count * seconds)
    assert max(sink.turns) <= 2 * WAKE + 16 * seconds  # in the first ones it learns
    assert sorted(sink.turns)[-len(chunks) * 2] <= 1.5 * WAKE + seconds


def test_a_full_sink_has_the_rest_wait_and_it_comes_in_order():
    clock, wire = Clock(), client_side.MemoryWire()
    drained = []

    class Sink(TimedSink):
        full = False

        def deliver(self, messages):
            super().deliver(messages)
            self.full = len(self.messages) % 7 == 0
            return self.full

        async def drained(self):
            drained.append(len(self.messages))
            self.full = False

    sink = Sink(clock, 1e-6)
    transport = ClientStreamTransport(
        wire, client_side.make_core(client_side.WebsocketsClientProtocol), sink, MAX_SIZE
    )
    transport._budget = ReadBudget(clock)
    client_side.open_over(wire, transport)
    wire.incoming = [b"".join(server_frame(b"%d" % n) for n in range(500))]
    transport._budget.step = 7
    client_side.run(transport.read())
    assert sink.messages == [(False, b"%d" % n) for n in range(500)]
    assert drained[0] == 7, "what was split stops at once, not after all that was read"


@pytest.mark.parametrize("kind", client_side.KINDS)
@pytest.mark.parametrize("side", [client_side, server_side])
def test_with_a_turn_after_every_frame_the_outcome_is_the_library_s_own(side, kind, monkeypatch):
    """Closes, faults and fragments among them, as without any turn."""
    if side is server_side:
        monkeypatch.setattr(client_side, "make_frame", server_side.make_frame)

    class Late(ReadBudget):
        def __init__(self):
            super().__init__()
            self.step = 1

        def spent(self):
            return True

    monkeypatch.setattr("vuer_trio._websocket.stream_transport.ReadBudget", Late)
    make, alone = side.KINDS[kind]
    core = (lambda: make(MAX_SIZE)) if side is server_side else lambda: client_side.make_core(make)
    rng = random.Random(9)
    for _ in range(300):
        stream, names, truncated = client_side.random_stream(rng, kind)
        chunks = client_side.cut(rng, stream)
        expected = alone(chunks)
        found = side.through_us(chunks, core(), with_handshake=rng.random() < 0.3)
        if truncated and found["ending"] != expected["ending"]:
            assert (expected["ending"][0], found["ending"][0]) == ("us", "loss")
            continue
        # The library would have answered a fault before it gave what came before it.
        assert found == expected, names
