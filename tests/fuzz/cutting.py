"""An input in pieces, as a stream may come."""

from __future__ import annotations

import random

__all__ = ["cut"]


def cut(data: bytes, how: int) -> list[bytes]:
    """0: whole. 1: byte by byte. Any other number is a way of its own."""
    if how == 0:
        return [data] if data else []
    if how == 1:
        return [data[i : i + 1] for i in range(len(data))]
    chance, pieces, start = random.Random(how), [], 0
    while start < len(data):
        stop = start + chance.choice((1, 2, 3, 4, 7, 13, 60))
        pieces.append(data[start:stop])
        start = stop
    return pieces
