"""What a server makes of a client's frames: the fast parser with a library, and that alone."""

from __future__ import annotations

from collections.abc import Iterator

from tests.fuzz.targets import client_parser
from tests.fuzz.targets._frames import MAX_SIZE, check, frames
from tests.unit.test_server_fast_parser import KINDS, make_frame, through_us

MAX_LEN = 800


def seeds() -> Iterator[bytes]:
    for seed in client_parser.seeds():
        stream, out, at = seed[2:], b"", 0
        for size, width, stop in frames(stream):
            first, payload = stream[at], stream[at + 2 + width : stop]
            is_masked = bool(stream[at + 1] & 0x80) if at + 1 < len(stream) else True
            frame = make_frame(first & 15, payload, fin=bool(first & 128), rsv=first >> 4 & 7)
            out += frame if not is_masked and size < 1000 else stream[at:stop]
            at = stop
        yield seed[:2] + out


def one_input(data: bytes) -> None:
    check(data, KINDS, lambda kind: kind(MAX_SIZE), through_us)
