"""A viewer of two cameras: ``image_viewer.py URI SECONDS`` prints, as JSON, what it saw.

``images`` are a list of (seconds since the first one, camera, age in seconds); ``once`` is whether
the node has come that the server shows once.
"""

from __future__ import annotations

import json
import sys
import time

import msgpack
from image_server import CAMERAS, ONCE, now
from websockets.sync.client import ClientConnection, connect

__all__: list[str] = []

#: seconds that a server has to start
_PATIENCE = 90.0


def view(uri: str, seconds: float) -> dict[str, object]:
    images: list[tuple[float, str, float]] = []
    once = False
    with _connected(uri) as server:
        init = {"etype": "INIT", "ts": 0, "value": {"client": "viewer"}}
        server.send(msgpack.packb(init))
        begin = time.monotonic()
        while (left := begin + seconds - time.monotonic()) > 0:
            try:
                frame = server.recv(timeout=left)
            except TimeoutError:
                break
            event = msgpack.unpackb(frame)
            for node in event["data"]["nodes"]:
                if node["key"] in CAMERAS:
                    age = (now() - node["at"]) / 1e6
                    images.append((round(time.monotonic() - begin, 4), node["key"], age))
                once |= node["key"] == ONCE
    return {"images": images, "once": once}


def _connected(uri: str) -> ClientConnection:
    """The server may still be starting."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return connect(uri, compression=None, max_size=None, ping_interval=None)
        except (ConnectionError, TimeoutError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


if __name__ == "__main__":
    print(json.dumps(view(sys.argv[1], float(sys.argv[2]))))
