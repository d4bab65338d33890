"""What the client does that a serving program of the guide talks to, by name."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable

from vuer_trio import VuerClient
from vuer_trio.events import ClientEvent


async def moves(client: VuerClient) -> None:
    """The scene has a box, and moves it."""
    scene = await client.recv(timeout=5)
    assert scene == "SET"
    assert "box" in [node["key"] for node in scene.data["children"]]
    client.send @ ClientEvent(etype="SET_POSITION", value=[1, 2, 3])
    moved = await client.recv(timeout=5)
    assert moved.data["nodes"][0] == {"tag": "Box", "key": "box", "position": [1, 2, 3]}


async def watches(client: VuerClient) -> None:
    """The server moves the box."""
    assert await client.recv(timeout=5) == "SET"
    for n in range(3):
        assert (await client.recv(timeout=5)).data["nodes"][0]["position"] == [n, 0, 0]


CLIENTS: dict[str, Callable[[VuerClient], Awaitable[None]]] = {
    name: fn for name, fn in list(globals().items()) if inspect.iscoroutinefunction(fn)
}
