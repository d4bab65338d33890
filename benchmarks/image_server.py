"""A server that shows two cameras: ``image_server.py KIND PORT SECONDS``.

KIND is ``vuer``, or a policy of this library's: ``Fifo``, ``DropOldest`` (of 100 messages, as vuer
has it), ``Latest``, ``Latest(in_flight=None)``. Each camera is a node that is upserted 30 times a
second with 100 kB, what JPEG makes of 1280 x 720, or with ``SIZE`` bytes of the environment.
``at`` is when, in microseconds of the monotonic clock, which the viewer's process shares. Before
them comes a node that is upserted once.

TCP has the congestion control that most systems have, or that of the environment's ``CONTROL``.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from typing import Any

__all__ = ["CAMERAS", "NO_WINDOW", "ONCE", "now"]

CAMERAS, ONCE = ("left", "right"), "once"
NO_WINDOW = "Latest(in_flight=None)"
#: images a second of each camera, bytes of one
RATE, SIZE = 30.0, int(os.environ.get("SIZE", "100000"))


def choose_congestion_control(name: str) -> None:
    """Of every socket of this process that listens, and so of those that it accepts."""
    listen = socket.socket.listen

    def listening(self: socket.socket, *args: int) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            self.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, name.encode())
        listen(self, *args)

    socket.socket.listen = listening  # type: ignore[method-assign]


def now() -> int:
    return time.monotonic_ns() // 1000


def serve(kind: str, host: str, port: int, seconds: float) -> None:
    images = [os.urandom(SIZE) for _ in range(8)]
    if kind == "vuer":
        import asyncio

        from vuer import Vuer
        from vuer.schemas import Box

        app: Any = Vuer(host=host, port=port)
        sleep, start = asyncio.sleep, app.start
    else:
        import trio

        import vuer_trio
        from vuer_trio import Vuer as Ours
        from vuer_trio.schemas import Box  # type: ignore[assignment]

        policies = {
            "Fifo": vuer_trio.Fifo(65_536, max_bytes=1 << 30),
            "DropOldest": vuer_trio.DropOldest(100),  # as many as vuer keeps
            "Latest": vuer_trio.Latest(),
            NO_WINDOW: vuer_trio.Latest(in_flight=None),
        }
        app = Ours(host, port, outbox=policies[kind], stall_timeout=600)
        sleep, start = trio.sleep, app.start

    @app.spawn
    async def main(session: Any) -> None:
        session.upsert @ Box(key=ONCE)
        begin = time.monotonic()
        for n in range(round(seconds * RATE)):
            for camera in CAMERAS:
                session.upsert(Box(key=camera, at=now(), image=images[n % 8]), to="bgChildren")
                # Halfway between two images of the other camera.
                part = n + (0.5 if camera == CAMERAS[0] else 1)
                await sleep(max(0.0, begin + part / RATE - time.monotonic()))
        await sleep(60)

    start()


if __name__ == "__main__":
    choose_congestion_control(os.environ.get("CONTROL", "cubic"))
    serve(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
