"""The servers that are compared: a process of its own for each, which prints its port.

    python servers.py "Trio, websockets" [CERT KEY]

With the two files it serves TLS. What a server does is asked for by events: BURST wants ``value``
upserts in its own session without an await, STREAM wants ``value`` upserts in every session, none
lost, ASK wants one, and COUNT wants one when so many of the other events have been handled. A
session shows that it is open by one SET.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from typing import Any

from messages import POSE

__all__ = ["REFERENCE", "SERVERS"]

#: what every other is compared with
REFERENCE = "vuer.Vuer"
#: name: (runtime, transport)
SERVERS: dict[str, tuple[str, str]] = {
    REFERENCE: ("asyncio", ""),
    "Trio, websockets": ("trio", "websockets"),
    "Trio, trio-websocket": ("trio", "trio-websocket"),
    "asyncio, websockets": ("asyncio", "websockets"),
}
#: messages that the reference's queue of a session holds; it drops the oldest beyond them
_THEIR_QUEUE = 100


def add_programs(app: Any, cube: Callable[[int], Any], scene: Callable[..., Any]) -> None:
    """What both do in the same words."""
    left = 0  # events, before a session hears that all were handled

    @app.add_handler("COUNT")
    async def count(event: Any, session: Any) -> None:
        nonlocal left
        left = event.value

    def handled(session: Any) -> None:
        nonlocal left
        left -= 1
        if not left:
            session.upsert @ cube(0)

    @app.add_handler(POSE)
    async def pose(event: Any, session: Any) -> None:
        assert len(event.value["matrix"]) == 16
        handled(session)

    @app.add_handler("HAND_MOVE")
    async def hands(event: Any, session: Any) -> None:
        assert len(event.value["left"]) == len(event.value["right"]) == 400
        handled(session)

    @app.add_handler("IMAGE")
    async def image(event: Any, session: Any) -> None:
        assert len(event.value) == 1 << 20
        handled(session)

    @app.add_handler("ASK")
    async def ask(event: Any, session: Any) -> None:
        session.upsert @ cube(event.value)

    @app.add_handler("BURST")
    async def burst(event: Any, session: Any) -> None:
        for n in range(event.value):
            session.upsert @ cube(n)

    @app.spawn
    async def main(session: Any) -> None:
        session.set @ scene(cube(0))
        await session.forever()


def serve_theirs(**tls: str) -> None:
    from vuer import Vuer
    from vuer.schemas import Box, DefaultScene

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    app = Vuer(host="127.0.0.1", port=port, **tls)
    sessions: list[Any] = []

    def cube(n: int) -> Any:
        return Box(key="cube", position=[0.25, 1.5, n * 0.001])

    add_programs(app, cube, DefaultScene)

    @app.add_handler("INIT")
    async def joined(event: Any, session: Any) -> None:
        sessions.append(session)

    @app.add_handler("STREAM")
    async def stream(event: Any, session: Any) -> None:
        # The fastest way that loses nothing: fill the queues, and wait until all are empty.
        for n in range(event.value):
            if n % _THEIR_QUEUE == 0:
                while any(session.uplink_queue for session in sessions):  # noqa: ASYNC110
                    await asyncio.sleep(0)
            element = cube(n)
            for session in sessions:
                session.upsert @ element

    print(port, flush=True)
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115  it prints with every connection
    app.start()


def serve_ours(runtime: str, transport: str, **tls: str) -> None:
    from vuer_trio import Vuer, open_vuer_server
    from vuer_trio.events import Upsert
    from vuer_trio.schemas import Box, DefaultScene

    app = Vuer(host="127.0.0.1", port=0, transport=transport, **tls)  # type: ignore[arg-type]

    def cube(n: int) -> Any:
        return Box(key="cube", position=[0.25, 1.5, n * 0.001])

    add_programs(app, cube, DefaultScene)

    @app.add_handler("STREAM")
    async def stream(event: Any, session: Any) -> None:
        for n in range(event.value):
            await app.broadcast.send(Upsert(cube(n)))

    async def serve(forever: Callable[[], Any]) -> None:
        async with open_vuer_server(app) as server:
            print(server.port, flush=True)
            await forever()

    if runtime == "trio":
        import trio

        trio.run(serve, trio.sleep_forever)
    else:
        asyncio.run(serve(asyncio.Event().wait))


def main() -> None:
    name = sys.argv[1]
    tls = dict(zip(("cert", "key"), sys.argv[2:], strict=False))
    if name == REFERENCE:
        serve_theirs(**tls)
    else:
        serve_ours(*SERVERS[name], **tls)


if __name__ == "__main__":
    main()
