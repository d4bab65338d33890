"""Frames with a number in them, in black and white squares that survive an encoder."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["COLUMNS", "READ", "READ_PART", "ROWS", "counted_frame", "number_in"]

#: squares; one bit each, the lowest first
COLUMNS, ROWS = 6, 4
#: in a page: the number in a part of the first of its videos, which are in `window.videos`. The
#: part is where it begins and how wide it is, of the whole; null for a video without pixels
READ_PART = """([left, width] = [0, 1]) => {
  const video = (window.videos || [])[0];
  if (!video || !video.videoWidth) return null;
  const [columns, rows] = [COLUMNS, ROWS];
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(video, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  let number = 0;
  for (let n = 0; n < columns * rows; n++) {
    const x = Math.floor((left + (n % columns + 0.5) / columns * width) * canvas.width);
    const y = Math.floor((Math.floor(n / columns) + 0.5) * canvas.height / rows);
    if (data[(y * canvas.width + x) * 4 + 1] > 127) number += 2 ** n;
  }
  return number;
}""".replace("COLUMNS", str(COLUMNS)).replace("ROWS", str(ROWS))
#: the same of the whole, in a list
READ = f"() => [({READ_PART})()]"


def counted_frame(number: int, width: int = 640, height: int = 480) -> np.ndarray[Any, Any]:
    """A frame that shows a number of up to 24 bits."""
    bits = [(number >> n & 1) * 255 for n in range(COLUMNS * ROWS)]
    small = np.array(bits, np.uint8).reshape(ROWS, COLUMNS)
    rows = np.arange(height) * ROWS // height
    columns = np.arange(width) * COLUMNS // width
    return np.repeat(small[rows][:, columns][:, :, None], 3, axis=2)


def number_in(frame: np.ndarray[Any, Any]) -> int:
    """The number that a frame shows."""
    height, width = frame.shape[:2]
    number = 0
    for n in range(COLUMNS * ROWS):
        y, x = (
            (n // COLUMNS * 2 + 1) * height // ROWS // 2,
            (n % COLUMNS * 2 + 1) * width // COLUMNS // 2,
        )
        number |= int(frame[y, x, 1] > 127) << n
    return number
