"""What a message in very many fragments costs while it is not whole."""

from __future__ import annotations

import tracemalloc

import pytest

from vuer_trio._websocket.websockets_protocol import WebsocketsServerProtocol
from vuer_trio._websocket.wsproto_protocol import WsprotoServerProtocol

CORES = [WebsocketsServerProtocol, WsprotoServerProtocol]
KEY = bytes(4)


@pytest.mark.no_cover
@pytest.mark.parametrize("core", CORES, ids=["websockets", "wsproto"])
@pytest.mark.parametrize("size", [0, 2])
def test_tiny_fragments_cost_no_more_than_their_bytes(core, size):
    frames = core(1 << 20)
    frames.receive(b"\x02\x80" + KEY)
    part = b"\x00" + bytes([0x80 | size]) + KEY + b"x" * size
    tracemalloc.start()
    try:
        for _ in range(50_000):
            assert frames.receive(part)
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 400_000
    assert frames.receive(b"\x80\x81" + KEY + b"y")
    assert frames.messages == [b"x" * size * 50_000 + b"y"]


@pytest.mark.parametrize("core", CORES, ids=["websockets", "wsproto"])
def test_pieces_are_joined_and_forgotten(core):
    frames = core(10)
    for _ in range(2):
        frames.receive(b"\x01\x82" + KEY + b"ab")
        frames.receive(b"\x00\x80" + KEY)
        frames.receive(b"\x80\x81" + KEY + b"c")
        frames.receive(b"\x82\x81" + KEY + b"d")
    assert frames.messages == [b"abc", b"d"] * 2
    assert [type(message).__name__ == "Text" for message in frames.messages] == [True, False] * 2


@pytest.mark.parametrize("core", CORES, ids=["websockets", "wsproto"])
def test_a_long_reason_is_cut_between_characters(core):
    frames = core(10)
    frames.close(1007, "ü" * 100)
    (sent,) = frames.out
    assert sent[4:] == ("ü" * 61).encode()
    assert frames.close_info is None
