"""A JPEG of a single grey, made without an imaging library: the smallest that every reader accepts.

ITU-T T.81, baseline, one component. All blocks are flat, so each is one DC difference and the end
of its block; two tiny Huffman tables are enough.
"""

from __future__ import annotations

import struct

__all__ = ["small_jpeg"]

_SIDE = 8  # pixels of a block
#: the quantiser of all coefficients; a flat block's DC is 8 times its level, so the level goes out
_QUANTISER = 8


def small_jpeg(width: int = 16, height: int = 16, grey: int = 128) -> bytes:
    """A picture of that size in pixels, of a single grey from 0 to 255; about 150 bytes.

    Raises ValueError for an invalid size or grey.
    """
    if not (0 < width < 65_536 and 0 < height < 65_536 and 0 <= grey < 256):
        raise ValueError(
            "width and height must be from 1 to 65535 pixels, and grey from 0 to 255, "
            f"got {width}, {height} and {grey}"
        )
    blocks = -(-width // _SIDE) * -(-height // _SIDE)
    return b"".join(
        [
            b"\xff\xd8",
            _segment(0xE0, b"JFIF\0" + struct.pack(">HBHHBB", 0x0101, 0, 1, 1, 0, 0)),
            _segment(0xDB, b"\0" + bytes([_QUANTISER]) * 64),
            _segment(0xC0, struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\0"),
            # DC: the sizes 0 to 8 have four bits each, their own number
            _segment(0xC4, b"\x00" + bytes([0, 0, 0, 9, *[0] * 12]) + bytes(range(9))),
            # AC: nothing but the end of the block, one bit
            _segment(0xC4, b"\x10" + bytes([1, *[0] * 15]) + b"\0"),
            _segment(0xDA, b"\x01\x01\0\0\x3f\0"),
            _scan(grey - 128, blocks),
            b"\xff\xd9",
        ]
    )


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _scan(level: int, blocks: int) -> bytes:
    size = abs(level).bit_length()
    value = level if level >= 0 else level + (1 << size) - 1
    bits = f"{size:04b}" + (f"{value:0{size}b}" if size else "") + "0" + "00000" * (blocks - 1)
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
