"""A server that is attacked, in a process of its own, with every option at its default.

    python victim.py server trio websockets 20000        # or: relay asyncio websockets 0

It prints its port. A server has a large file at ``/big.bin``, answers each PING of a session with
ECHO, shows a large shared scene to a session whose INIT says ``{"client": "store"}``, and sends a
message of so many bytes to all sessions, 30 times a second.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

#: bytes of the file that slow readers ask for
_PAGE_SIZE = 4 << 20
#: messages that go to every session, a second
_RATE = 30
#: nodes of the scene that sessions share, about 1 kB each
_NODES = 5_000


def make_server(folder: str, transport: str) -> Any:
    from vuer_trio import SceneStore, Vuer
    from vuer_trio.events import ServerEvent
    from vuer_trio.schemas import Box, DefaultScene

    Path(folder, "index.html").write_text("<!doctype html><title>a scene</title>")
    Path(folder, "big.bin").write_bytes(bytes(_PAGE_SIZE))
    app = Vuer(
        host="127.0.0.1",
        port=0,
        client_root=folder,
        transport=transport,  # type: ignore[arg-type]
    )
    store = SceneStore()
    store.set @ DefaultScene(*(Box(key=f"b{n}", data="x" * 1000) for n in range(_NODES)))

    @app.add_handler("PING")
    def answer(event: Any, session: Any) -> None:
        session @ ServerEvent(event.value, etype="ECHO")

    @app.spawn(client="store")
    async def share(session: Any) -> None:
        async with store.subscribe(session):
            await session.forever()

    @app.spawn
    async def stay(session: Any) -> None:
        await session.forever()

    return app


async def serve(kind: str, transport: str, size: int, folder: str) -> None:
    from vuer_trio._runtime import runtime

    if kind == "relay":
        from vuer_trio.arc import open_arc_relay

        async with open_arc_relay("127.0.0.1", 0, transport=transport) as relay:
            print(relay.port, flush=True)
            await runtime().sleep(3600)
    else:
        from vuer_trio import open_vuer_server

        app = make_server(folder, transport)
        async with open_vuer_server(app) as server:
            print(server.port, flush=True)
            await tick(app, size, runtime().sleep)


async def tick(app: Any, size: int, sleep: Any) -> None:
    """What the operator's program does: it waits for all sessions, as it is documented."""
    from vuer_trio.events import Upsert
    from vuer_trio.schemas import Box

    pad, number = "x" * size, 0
    while True:
        number += 1
        await app.broadcast.send(Upsert(Box(key="robot", number=number, pad=pad)))
        await sleep(1 / _RATE)


def main() -> None:
    import resource

    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(limit, 16_384), limit))
    kind, library, transport, size = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        if library == "trio":
            import trio

            trio.run(serve, kind, transport, int(size), folder)
        else:
            import asyncio

            asyncio.run(serve(kind, transport, int(size), folder))


if __name__ == "__main__":
    main()
