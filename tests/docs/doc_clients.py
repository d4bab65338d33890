"""What the client does that a serving program of the guide talks to, by name."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import trio

from tests.http_post import post
from vuer_trio import VuerClient
from vuer_trio.events import ClientEvent
from vuer_trio.testing import hand_move


async def moves(client: VuerClient) -> None:
    """The scene has a box, and moves it."""
    scene = await client.recv(timeout=60)
    assert scene == "SET"
    assert "box" in [node["key"] for node in scene.data["children"]]
    client.send @ ClientEvent(etype="SET_POSITION", value=[1, 2, 3])
    moved = await client.recv(timeout=60)
    assert moved.data["nodes"][0] == {"tag": "Box", "key": "box", "position": [1, 2, 3]}


async def watches(client: VuerClient) -> None:
    """The server moves the box."""
    assert await client.recv(timeout=60) == "SET"
    for n in range(3):
        assert (await client.recv(timeout=60)).data["nodes"][0]["position"] == [n, 0, 0]


async def sees_a_box(client: VuerClient) -> None:
    scene = await client.recv(timeout=60)
    (box,) = (node for node in scene.data["children"] if node["tag"] == "Box")
    assert (box["key"], box["position"]) == ("box", [0, 0.5, 0])


async def sees_a_ring(client: VuerClient) -> None:
    """Twelve balls, which move."""
    assert await client.recv(timeout=60) == "SET"
    first, second = [(await client.recv(timeout=60)).data["nodes"] for _ in range(2)]
    assert [node["tag"] for node in first] == ["Sphere"] * 12
    assert all(a["position"] != b["position"] for a, b in zip(first, second, strict=True))


async def asks_for_a_place(client: VuerClient) -> None:
    """The box goes there."""
    await sees_a_box(client)
    client.send @ ClientEvent(etype="SET_POSITION", value=[1, 2, 3])
    moved = await client.recv(timeout=60)
    assert moved.data["nodes"][0]["position"] == [1, 2, 3]


async def renders(client: VuerClient) -> None:
    """It is asked for a picture, and has one."""
    changes = client.link_changes()
    scene = await client.recv(timeout=60)
    assert {"Box", "GrabRender"} <= {node["tag"] for node in scene.data["children"]}
    request = await client.recv(timeout=60)
    assert (request.etype, request.data["quality"]) == ("GRAB_RENDER", 0.8)
    client.send @ ClientEvent(etype=request.rtype, value={"frame": b"\xff\xd8 JPEG"[:7]})
    assert (await anext(changes)).code == 1000


async def operates(client: VuerClient) -> None:
    """Somebody's hands move for half a second, and then no more."""
    assert await client.recv(timeout=60) == "SET"
    start = trio.current_time()
    for n in range(30):
        client.send @ hand_move(right=(0.2, 1.2, n / 60))
        await trio.sleep_until(start + n / 60)
    await trio.sleep(1)


async def sees_an_arm(client: VuerClient) -> None:
    """Its joints move, and nothing else is sent again."""
    scene = await client.recv(timeout=60)
    (arm,) = (node for node in scene.data["children"] if node["tag"] == "Urdf")
    assert str(arm["src"]).endswith("/workspace/arm.urdf")
    first, second = [(await client.recv(timeout=60)).data["nodes"][0] for _ in range(2)]
    assert first.keys() == {"key", "jointValues"}
    assert first["jointValues"].keys() == {"turn", "elbow", "slide"}
    assert first["jointValues"] != second["jointValues"]


async def shows_a_hand(client: VuerClient) -> None:
    """Somebody's right hand, after a moment in which it is not seen."""
    assert await client.recv(timeout=60) == "SET"
    for right in (None, (0.2, 1.2, -0.4)):
        client.send @ hand_move(right=right)
        for _ in range(3):  # the program, which waits for nothing else, comes to its turn meanwhile
            await client.flush(timeout=60)


async def sees_two_cameras(client: VuerClient) -> None:
    """Each camera's node is upserted again and again."""
    assert await client.recv(timeout=60) == "SET"
    seen: Counter[str] = Counter()
    while len(seen) < 2 or min(seen.values()) < 3:
        shown = await client.recv(timeout=60)
        assert shown.data["to"] == "bgChildren"
        (node,) = shown.data["nodes"]
        assert node["src"].startswith(b"\xff\xd8")
        seen[node["key"]] += 1
    assert set(seen) == {"camera-left", "camera-right"}


async def watches_a_stream(client: VuerClient) -> None:
    """The scene has a video plane, and where that says is a stream."""
    scene = await client.recv(timeout=60)
    (plane,) = (node for node in scene.data["children"] if node["tag"] == "WebRTCVideoPlane")
    address = f"http://{urlsplit(client.uri).netloc}{plane['src']}"
    for where, wanted in ((address, 400), (f"{address}s", 404)):
        status, _, body = await trio.to_thread.run_sync(post, where, b"{}")
        assert status == wanted, body


CLIENTS: dict[str, Callable[[VuerClient], Awaitable[None]]] = {
    name: fn for name, fn in list(globals().items()) if inspect.iscoroutinefunction(fn)
}
