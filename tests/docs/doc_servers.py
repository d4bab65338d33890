"""What the server does that a block of the guide talks to, by name."""

from __future__ import annotations

import inspect
import struct
from zlib import compress, crc32

import msgpack
import trio

from tests.scripted_server import PeerConnection, Script


def event(etype: str, data: object, **more: object) -> dict[str, object]:
    return {"etype": etype, "ts": 1_700_000_000_000, "data": data, **more}


async def listens(conn: PeerConnection) -> None:
    await conn.accept()


async def counts(conn: PeerConnection) -> None:
    """Three events and a normal close."""
    await conn.accept()
    for n in range(3):
        await conn.send_event(event("COUNT", n))
    await conn.close(1000)


async def poses(conn: PeerConnection) -> None:
    """An event for each of three that it receives, then a normal close."""
    await conn.accept()
    await conn.recv()  # INIT
    for n in range(3):
        await conn.recv()
        await conn.send_event(event("COUNT", n))
    await conn.close(1000)


async def watched(conn: PeerConnection) -> None:
    if (await conn.wait_request()).path == "/metrics":
        await conn.reject(404)
    else:
        await poses(conn)


async def scene(conn: PeerConnection) -> None:
    """A scene, two changes of it, and a click's echo."""
    await conn.accept()
    box = {"tag": "Box", "key": "box"}
    await conn.send_event(event("SET", {"tag": "Scene", "children": []}))
    await conn.send_event(
        event("UPSERT", {"nodes": [{**box, "position": [0, 0.5, 0]}], "to": None})
    )
    await conn.send_event(
        event("UPSERT", {"nodes": [{**box, "position": [1, 0.5, 0]}], "to": None})
    )


async def bad_frame(conn: PeerConnection) -> None:
    """A frame between two events that is not msgpack."""
    await conn.accept()
    await conn.send_event(event("COUNT", 0))
    await conn.send(b"\xc1")
    await conn.send_event(event("COUNT", 1))
    await conn.close(1000)


async def flood(conn: PeerConnection) -> None:
    """More than an inbox holds, before anything is received."""
    await conn.accept()
    for n in range(1500):
        await conn.send_event(event("COUNT", n))


async def big(conn: PeerConnection) -> None:
    """A message that is too large for a small `max_size`."""
    await conn.accept()
    await conn.send_event(event("MESH", bytes(100_000)))


async def picture(conn: PeerConnection) -> None:
    """A black PNG of two pixels."""

    def chunk(tag: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + tag + body + struct.pack(">I", crc32(tag + body))

    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 8, 0, 0, 0, 0))
    png += chunk(b"IDAT", compress(bytes(3))) + chunk(b"IEND", b"")
    await conn.accept()
    await conn.send_event(event("RENDER", png))


async def asks(conn: PeerConnection, count: int = 2) -> None:
    """Requests; then it says what came back."""
    await conn.accept()
    for n in range(1, count + 1):
        request = {"uuid": str(n), "rtype": f"GRAB_RENDER_RESPONSE@{n}", "key": "DEFAULT"}
        await conn.send_event(event("GRAB_RENDER", {"quality": 0.5}, **request))
    while (reply := await conn.recv_event()) is not None:
        if reply["etype"].startswith("GRAB_RENDER_RESPONSE@"):
            told = {k: v for k, v in reply.items() if k != "ts"}
            await conn.send_event(event("THANKS", told))


async def asks_once(conn: PeerConnection) -> None:
    await asks(conn, 1)


async def vanishes(conn: PeerConnection) -> None:
    """One event, and the connection is gone."""
    await conn.accept()
    await conn.send_event(event("COUNT", 0))
    await conn.recv()
    await conn.end_tcp()


async def vanishes_later(conn: PeerConnection) -> None:
    """One event; after the next one that it receives, the connection is gone."""
    await conn.accept()
    await conn.recv()  # INIT
    await conn.send_event(event("COUNT", 0))
    await conn.recv()
    await conn.end_tcp()


async def fails(conn: PeerConnection) -> None:
    """One event, and a close that is not a normal one."""
    await conn.accept()
    await conn.send_event(event("COUNT", 0))
    await conn.close(1011, "out of memory")


async def stalls(conn: PeerConnection) -> None:
    """Reads nothing after INIT."""
    await conn.accept()
    await conn.recv()
    conn.stop_reading()


async def refuses(conn: PeerConnection) -> None:
    await conn.reject(401, "who are you?")


async def wants_token(conn: PeerConnection) -> None:
    request = await conn.wait_request()
    if request.headers.get("Authorization") == "Bearer secret":
        await conn.accept()
    else:
        await conn.reject(401, "who are you?")


async def says_nothing(conn: PeerConnection) -> None:
    """Not even the answer to the handshake."""
    await conn.wait_request()
    await conn.wait_disconnected()


async def echoes(conn: PeerConnection) -> None:
    await conn.accept()
    while (got := await conn.recv_event()) is not None:
        if got["etype"] != "INIT":
            await conn.send(msgpack.packb(event("ECHO", got["value"])))


async def pauses(conn: PeerConnection) -> None:
    """Poses for a while, none for a while, poses again, and the end."""
    await conn.accept()
    for pause in (1.0, 0.0):
        for n in range(5):
            await conn.send_event(event("POSE", [n, 0, 0]))
            await trio.sleep(0.02)
        await trio.sleep(pause)
    await conn.close(1000)


async def restarts(conn: PeerConnection) -> None:
    await conn.accept()
    while (got := await conn.recv_event()) is not None:
        if got["etype"] == "RESTART":
            await conn.close(1012, "restarting")
            return
        if got["etype"] != "INIT":
            await conn.send(msgpack.packb(event("ECHO", got["value"])))


SERVERS: dict[str, Script] = {
    name: script for name, script in list(globals().items()) if inspect.iscoroutinefunction(script)
}
