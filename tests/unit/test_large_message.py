"""The memory of large messages is used again, and never while somebody has one."""

from __future__ import annotations

import random
import threading
import tracemalloc

import pytest
from msgpack import packb

from tests.unit.test_fast_parser import make_frame as server_frame
from tests.unit.test_server_fast_parser import make_frame as client_frame
from vuer_trio._websocket import fast_parser, large_message
from vuer_trio._websocket.fast_parser import FastParser
from vuer_trio._websocket.large_message import KeptBuffers, LargeMessage, kept_buffers
from vuer_trio._websocket.transport import LARGE
from vuer_trio.codec import decode

SMALLEST, LARGEST, MOST = 1 << 20, 20 << 20, 40 << 20


@pytest.fixture(autouse=True)
def _nothing_is_kept_yet(monkeypatch):
    """By parsers of tests before, which the garbage collector has not seen."""
    monkeypatch.setattr(large_message._shared, "kept", None)


def receive(kept: KeptBuffers, content: bytes, step: int = 1 << 18):
    message = LargeMessage(len(content), kept)
    for start in range(0, len(content), step):
        assert message.missing == len(content) - start
        message.add(memoryview(content)[start : start + step])
    assert message.missing == 0
    assert message.arrived == len(content)
    return message.whole()


def test_the_memory_is_used_again_when_nobody_has_the_message():
    kept = KeptBuffers()
    first = receive(kept, b"1" * (SMALLEST + 1))
    buffer = first.obj
    assert first == b"1" * (SMALLEST + 1)
    second = receive(kept, b"2" * SMALLEST)
    assert second.obj is not buffer
    part = first[:10]
    del first
    assert receive(kept, b"3" * SMALLEST).obj is not buffer
    assert part == b"1" * 10
    del part
    third = receive(kept, b"4" * SMALLEST)
    assert third.obj is buffer
    assert third == b"4" * SMALLEST
    assert second == b"2" * SMALLEST


@pytest.mark.parametrize("size", [SMALLEST - 1, LARGEST + 1])
def test_small_and_huge_messages_have_their_own(size):
    kept = KeptBuffers()
    message = receive(kept, b"m" * size)
    assert type(message) is bytearray
    assert message == b"m" * size
    assert kept.size == 0


@pytest.mark.parametrize("size", [LARGE, SMALLEST, LARGEST + 1])
def test_parts_of_all_sizes_are_joined_in_order(size):
    chance, content = random.Random(size), bytes(range(251)) * (size // 251 + 1)
    message, start = LargeMessage(size, KeptBuffers()), 0
    while message.missing:
        stop = min(size, start + chance.choice((1, 10, 1000, 4095, 4096, 100_000)))
        message.add(memoryview(content)[start:stop])
        start = stop
        assert message.arrived == message.held == stop
    assert message.whole() == content[:size]


@pytest.mark.parametrize("size", [SMALLEST, LARGEST + 1])
def test_a_peer_that_sends_byte_by_byte_costs_no_more_memory(size):
    message = LargeMessage(size, KeptBuffers())
    tracemalloc.start()
    try:
        for _ in range(100_000):
            message.add(b"m")
        current, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 100_000 <= current < 150_000


def test_what_has_arrived_of_a_huge_message_is_held_once():
    message, part = LargeMessage(2 * LARGEST, KeptBuffers()), bytes(SMALLEST)
    tracemalloc.start()
    try:
        while message.missing:
            message.add(part)
        whole = message.whole()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(whole) == 2 * LARGEST
    assert peak < 2.5 * LARGEST


def test_a_buffer_is_not_taken_by_a_message_that_is_much_smaller():
    kept = KeptBuffers()
    for size, taken in ((4, False), (1, False), (3, False), (3.5, True), (5, False), (4, True)):
        before = kept.size
        receive(kept, b"m" * int(size * SMALLEST))
        assert (kept.size == before) is taken, size


def test_no_more_is_kept_than_a_bound_and_what_is_in_use_counts():
    kept = KeptBuffers()
    messages = [receive(kept, b"m" * LARGEST, LARGEST) for _ in range(3)]
    assert [len(message) for message in messages] == [LARGEST] * 3
    assert kept.size == MOST
    begun = [LargeMessage(LARGEST, kept) for _ in range(2)]
    assert [one.held for one in begun] == [0, 0]
    messages.clear()
    begun = [LargeMessage(LARGEST, kept) for _ in range(3)]
    assert [one.held for one in begun] == [LARGEST, LARGEST, 0]
    receive(kept, b"m" * LARGEST, LARGEST)
    assert kept.size == MOST
    del begun
    small = receive(kept, b"m" * SMALLEST)
    assert kept.size == LARGEST + SMALLEST, "the oldest makes room"
    assert small == b"m" * SMALLEST


def test_a_message_that_is_cut_off_gives_back_what_it_took():
    kept = KeptBuffers()
    receive(kept, b"m" * SMALLEST)
    message = LargeMessage(SMALLEST, kept)
    message.add(b"m")
    assert message.held == SMALLEST
    assert LargeMessage(SMALLEST, kept).held == 0
    del message
    assert LargeMessage(SMALLEST, kept).held == SMALLEST


def test_another_thread_takes_and_keeps_nothing():
    kept, found = KeptBuffers(), []
    receive(kept, b"m" * SMALLEST)

    def elsewhere():
        found.append(kept.take(SMALLEST))
        receive(kept, b"m" * (2 * SMALLEST))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert found == [None]
    assert kept.size == SMALLEST


def test_it_is_let_go_after_a_while_without_large_messages(monkeypatch):
    now = 100.0
    monkeypatch.setattr(fast_parser, "monotonic", lambda: now)
    parser = FastParser(LARGEST, lambda message: None, lambda data: True, None)
    pose = server_frame(2, b"a pose")
    parser.feed(memoryview(pose), 100)  # has nothing to let go
    frame = server_frame(2, b"m" * SMALLEST)
    for part in (frame[:-1], frame[-1:]):
        parser.feed(memoryview(part), 100)
    assert kept_buffers().size == SMALLEST
    parser.feed(memoryview(frame)[:-1], 100)
    now += 20
    parser.feed(memoryview(frame)[-1:], 100)
    assert kept_buffers().size == SMALLEST, "a slow one is not the end"
    now += 9
    parser.feed(memoryview(pose), 100)
    assert kept_buffers().size == SMALLEST
    image = server_frame(2, b"i" * LARGE)  # received in parts as well, and not kept
    for part in (image[:-1], image[-1:]):
        parser.feed(memoryview(part), 100)
    now += 2
    parser.feed(memoryview(pose), 100)
    assert kept_buffers().size == 0


def test_it_goes_with_the_last_connection_that_had_a_large_message():
    parsers = [FastParser(LARGEST, lambda message: None, None, None) for _ in range(2)]
    frame = server_frame(2, b"m" * SMALLEST)
    for parser in parsers:
        for part in (frame[:100_000], frame[100_000:]):
            parser.feed(memoryview(part), 100)
    assert kept_buffers().size == SMALLEST
    parsers[0].close()
    assert kept_buffers().size == SMALLEST
    parsers[1].close()
    assert kept_buffers().size == 0


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_a_message_that_somebody_has_never_changes(monkeypatch, masked, seed):
    monkeypatch.setattr(large_message, "_SMALLEST", LARGE)
    rng = random.Random(seed)
    arrived = []
    parser = FastParser(1 << 20, arrived.append, lambda data: True, None, masked=masked)
    make_frame = client_frame if masked else server_frame
    held, reused, buffers = [], 0, set()
    for number in range(60):
        size = rng.choice((10, LARGE, LARGE + 1, rng.randrange(LARGE, 3 * LARGE)))
        content = rng.randbytes(size)
        frame = make_frame(2, packb({"etype": str(number), "value": content}))
        start = 0
        while start < len(frame):
            stop = start + rng.randrange(1, 100_000)
            parser.feed(memoryview(frame)[start:stop], 100)
            start = stop
        (message,) = arrived
        arrived.clear()
        if type(message) is memoryview:
            reused += id(message.obj) in buffers
            buffers.add(id(message.obj))
        event = decode(message)
        assert event == {"etype": str(number), "value": content}
        if rng.random() < 0.5:
            held.append((message[1:], bytes(message)[1:]))
        if held and rng.random() < 0.4:
            view, content = held.pop(rng.randrange(len(held)))
            assert view == content
            del view
        del message
    assert reused > 5
    assert all(view == content for view, content in held)
