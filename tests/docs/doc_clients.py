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


async def sees_a_box(client: VuerClient) -> None:
    scene = await client.recv(timeout=5)
    (box,) = (node for node in scene.data["children"] if node["tag"] == "Box")
    assert (box["key"], box["position"]) == ("box", [0, 0.5, 0])


async def sees_a_ring(client: VuerClient) -> None:
    """Twelve balls, which move."""
    assert await client.recv(timeout=5) == "SET"
    first, second = [(await client.recv(timeout=5)).data["nodes"] for _ in range(2)]
    assert [node["tag"] for node in first] == ["Sphere"] * 12
    assert all(a["position"] != b["position"] for a, b in zip(first, second, strict=True))


async def asks_for_a_place(client: VuerClient) -> None:
    """The box goes there."""
    await sees_a_box(client)
    client.send @ ClientEvent(etype="SET_POSITION", value=[1, 2, 3])
    moved = await client.recv(timeout=5)
    assert moved.data["nodes"][0]["position"] == [1, 2, 3]


async def renders(client: VuerClient) -> None:
    """It is asked for a picture, and has one."""
    changes = client.link_changes()
    scene = await client.recv(timeout=5)
    assert {"Box", "GrabRender"} <= {node["tag"] for node in scene.data["children"]}
    request = await client.recv(timeout=5)
    assert (request.etype, request.data["quality"]) == ("GRAB_RENDER", 0.8)
    client.send @ ClientEvent(etype=request.rtype, value={"frame": b"\xff\xd8 JPEG"[:7]})
    assert (await anext(changes)).code == 1000


CLIENTS: dict[str, Callable[[VuerClient], Awaitable[None]]] = {
    name: fn for name, fn in list(globals().items()) if inspect.iscoroutinefunction(fn)
}
