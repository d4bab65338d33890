"""What a client makes of a server's frames: the fast parser with a library, and that alone."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.fuzz.targets._frames import MAX_SIZE, check
from tests.unit.test_fast_parser import FAULTS, KINDS, PIECES, make_core, make_frame, through_us

MAX_LEN = 700


def seeds() -> Iterator[bytes]:
    chance = random.Random(0)
    for n, make in enumerate((PIECES | FAULTS).values()):
        frame = min((make(chance) for _ in range(5)), key=len)
        yield bytes((n & 3, n % 3)) + make_frame(2, b"before") + frame[:400] + make_frame(1, b"a")
    yield b"\0\0" + make_frame(2, bytes(200)) + make_frame(2, bytes(301))


def one_input(data: bytes) -> None:
    check(data, KINDS, lambda kind: make_core(kind, MAX_SIZE), through_us)
