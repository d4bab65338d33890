"""Streams of frames, for the parsers of both roles: the fast one with a library, and that alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

from tests.fuzz.cutting import cut
from vuer_trio._websocket import fast_parser, large_message

__all__ = ["LARGE", "MAX_SIZE", "check", "frames", "walk"]

#: bytes of a message, and of one that is received in pieces: small, so that inputs may be
MAX_SIZE, LARGE = 300, 150


def check(
    data: bytes,
    kinds: dict[str, tuple[Any, Callable[..., Any]]],
    make: Callable[[Any], Any],
    through_us: Callable[..., Any],
) -> None:
    """The first byte says which library, whether bytes come with the handshake; the second, how
    the rest is cut."""
    if len(data) < 2:
        return
    head, stream = data[0], data[2:]
    name = "wsproto" if head & 1 else "websockets"
    ends_within, lenient = walk(stream)
    if lenient and name == "wsproto":
        return  # it refuses a length that is not minimal, which is the sender's fault alone
    kind, alone = kinds[name]
    chunks = cut(stream, data[1])
    expected = alone(chunks, MAX_SIZE)
    with patch.object(fast_parser, "LARGE", LARGE), patch.object(large_message, "_SMALLEST", LARGE):
        found = through_us(chunks, make(kind), with_handshake=bool(head & 2), max_size=MAX_SIZE)
    if ends_within and found["ending"] != expected["ending"]:
        assert found["messages"] == expected["messages"], (found, expected)
        if found["ending"][:2] == ("us", 1007):  # before the whole of the frame, as it should
            assert expected["ending"][0] == "loss", (found, expected)
        else:  # the library fails at a header; a small frame is waited for
            assert (expected["ending"][0], found["ending"][0]) == ("us", "loss"), (found, expected)
            assert found["written"] == expected["written"][:-1], (found, expected)
        return
    assert found == expected, f"{chunks}: {found}, not {expected}"


def walk(stream: bytes) -> tuple[bool, bool]:
    """Whether a stream ends within a frame, and whether a length is longer than it must be."""
    lenient = False
    for size, width, stop in frames(stream):
        lenient |= (width == 2 and size < 126) or (width == 8 and size < 65_536)
        if stop > len(stream):
            return True, lenient
    return False, lenient


def frames(stream: bytes) -> Iterator[tuple[int, int, int]]:
    """Of each: its size, how many more bytes its length has, and where it ends."""
    at = 0
    while at < len(stream):
        head = stream[at : at + 2]
        if len(head) < 2:
            yield 0, 0, len(stream) + 1
            return
        size = head[1] & 0x7F
        width = {126: 2, 127: 8}.get(size, 0)
        length = stream[at + 2 : at + 2 + width]
        if width:
            size = int.from_bytes(length) if len(length) == width else 1 << 63
        at += 2 + width + size + (4 if head[1] & 0x80 else 0)
        yield size, width, at
