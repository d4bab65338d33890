"""The memory of large messages is used again, and never while somebody has one."""

from __future__ import annotations

import gc
import random
import threading

import pytest
from msgpack import packb

from tests.unit.test_fast_parser import make_frame as server_frame
from tests.unit.test_server_fast_parser import make_frame as client_frame
from vuer_trio._websocket import large_message
from vuer_trio._websocket.fast_parser import FastParser
from vuer_trio._websocket.large_message import KeptBuffers, LargeMessage, kept_buffers
from vuer_trio._websocket.transport import LARGE
from vuer_trio.codec import decode

SMALLEST, LARGEST, MOST = (1 << n for n in (20, 25, 26))


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


def test_a_buffer_is_not_taken_by_a_message_of_less_than_half_its_size():
    kept = KeptBuffers()
    for size, taken in ((4, False), (1, False), (2, True), (3, True), (8, False), (4, True)):
        before = kept.size
        receive(kept, b"m" * (size * SMALLEST))
        assert (kept.size == before) is taken


def test_no_more_is_kept_than_a_bound():
    kept = KeptBuffers()
    messages = [receive(kept, b"m" * LARGEST, LARGEST) for _ in range(4)]
    assert kept.size == MOST
    assert [len(message) for message in messages] == [LARGEST] * 4


def test_a_message_that_is_cut_off_leaves_nothing():
    kept = KeptBuffers()
    receive(kept, b"m" * SMALLEST)
    message = LargeMessage(SMALLEST, kept)
    message.add(b"m")
    del message
    assert kept.size == 0
    assert LargeMessage(LARGEST, kept)._buffer == b""  # what is claimed is not allocated


def test_nothing_is_kept_after_a_while_without_large_messages(monkeypatch):
    now = 100.0
    monkeypatch.setattr(large_message, "monotonic", lambda: now)
    parser = FastParser(LARGEST, lambda message: None, lambda data: True, None)
    parser.feed(memoryview(server_frame(10, b"")), 100)  # has nothing to give back
    parser.feed(memoryview(server_frame(2, b"m" * SMALLEST)), 100)
    parser.feed(memoryview(server_frame(2, b"m" * SMALLEST)[:-1]), 100)
    parser.feed(memoryview(b"m"), 100)
    kept = kept_buffers()
    assert kept.size == SMALLEST
    now += 9
    parser.feed(memoryview(server_frame(10, b"")), 100)
    assert kept.size == SMALLEST
    now += 2
    parser.feed(memoryview(server_frame(10, b"")), 100)
    assert kept.size == 0


def test_what_is_kept_goes_with_the_last_connection_that_had_a_large_message():
    parsers = [FastParser(LARGEST, lambda message: None, None, None) for _ in range(2)]
    frame = server_frame(2, b"m" * SMALLEST)
    for parser in parsers:
        for part in (frame[:100_000], frame[100_000:]):
            parser.feed(memoryview(part), 100)
    kept = kept_buffers()
    assert kept.size == SMALLEST
    others = []
    thread = threading.Thread(target=lambda: others.append(kept_buffers()))
    thread.start()
    thread.join()
    assert others[0] is not kept
    parsers[0].close()
    del kept
    assert kept_buffers().size == SMALLEST
    parsers[1].close()
    gc.collect()
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
