"""A server with a camera: ``webrtc_server.py KIND PORT WIDTH HEIGHT CODEC``.

KIND is ``vuer``, or a library that this one runs under: ``Trio``, ``asyncio``. A thread pushes 30
frames a second to the stream ``camera``, each with the time in it: milliseconds of the system's
clock, as the squares of `webrtc_frames.py`, on a picture that moves, so that an encoder has
something to do.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

import numpy as np
from webrtc_frames import draw

__all__ = ["RATE"]

#: frames a second
RATE = 30.0
#: pixels that the picture moves from frame to frame
_STEP = 4


def backgrounds(width: int, height: int) -> list[Any]:
    """A picture with soft and with hard edges, at several places."""
    y, x = np.mgrid[0:height, 0 : width + 64 * _STEP]
    waves = 128 + 60 * np.sin(x / 23) * np.cos(y / 31)
    noise = np.random.default_rng(1).integers(0, 40, waves.shape)
    grey = (waves + np.where((x // 40 + y // 40) % 2, noise, 0)).clip(0, 255).astype(np.uint8)
    whole = np.stack([grey, np.roll(grey, 7, 1), grey[::-1]], axis=2)
    return [np.ascontiguousarray(whole[:, n * _STEP : n * _STEP + width]) for n in range(64)]


def push(stream: Any, width: int, height: int) -> None:
    """For ever, from a thread."""
    stream.wait_ready_sync(60)
    pictures = backgrounds(width, height)
    began = time.monotonic()
    for n in range(10**9):
        frame = pictures[n % len(pictures)].copy()
        draw(frame, time.time_ns() // 1_000_000)
        stream.push_frame(frame)
        time.sleep(max(0.0, began + (n + 1) / RATE - time.monotonic()))


def main(kind: str, port: int, width: int, height: int, codec: str) -> None:
    options: dict[str, Any] = {}
    if kind == "vuer":
        from vuer import Vuer
    else:
        from vuer_trio import Vuer  # type: ignore[assignment]

        options["backend"] = kind.lower()
    app = Vuer(host="127.0.0.1", port=port, **options)

    @app.spawn
    async def session(session: Any) -> None:
        await session.forever()

    stream = app.create_webrtc_stream("camera", codec=codec)
    threading.Thread(target=push, args=(stream, width, height), daemon=True).start()
    app.start()


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5])
