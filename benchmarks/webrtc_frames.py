"""Numbers in frames: 24 black and white squares along the upper edge, the lowest bit first."""

from __future__ import annotations

from typing import Any

__all__ = ["BITS", "NUMBER", "draw"]

BITS = 24
#: in a page: the number in an image of a canvas, ``data`` of its upper rows
NUMBER = """(data, width) => {
  const side = width / 24;
  let number = 0;
  for (let n = 0; n < 24; n++) {
    const at = Math.floor(side / 2) * width + Math.floor((n + 0.5) * side);
    if (data[at * 4 + 1] > 127) number += 2 ** n;
  }
  return number;
}"""


def draw(frame: Any, number: int) -> None:
    """The lowest 24 bits of a number, into an array of a frame."""
    width = frame.shape[1]
    side = width // BITS
    for n in range(BITS):
        left = n * width // BITS
        frame[: side + 8, left : (n + 1) * width // BITS] = 255 * (number >> n & 1)
