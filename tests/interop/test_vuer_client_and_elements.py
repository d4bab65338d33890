"""The real client, in a subprocess, and the real elements, at our server."""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

import anyio
import pytest

from vuer_trio import open_vuer_server

pytestmark = [pytest.mark.anyio, pytest.mark.interop]

pytest.importorskip("vuer", reason="needs the dependency group `interop`")

PROGRAM = """
import asyncio, json, sys
from vuer import VuerClient
from vuer.events import ClientEvent

class Move(ClientEvent):
    etype = "MOVE"

async def main():
    async with VuerClient(uri=sys.argv[1]) as client:
        scene = await client.recv(timeout=60)
        await client.send(Move(value=[1, 2.5, 3]))
        client.send @ Move(value=[4, 5, 6])
        moved = [await client.recv(timeout=60) for _ in range(2)]
        print(json.dumps([[event.etype, event.data] for event in (scene, *moved)]))

asyncio.run(main())
"""


@pytest.mark.parametrize("root", ["vuer", "vuer_trio"])
async def test_the_real_client_moves_a_box(new_server: Any, root: str) -> None:
    schemas = importlib.import_module(f"{root}.schemas")
    app = new_server()
    told = []

    @app.add_handler("MOVE")
    async def on_move(event: Any, session: Any) -> None:
        session.upsert @ schemas.Box(key="box", position=event.value)

    @app.spawn(client="python")
    async def main(session: Any) -> None:
        told.append(session.client_info["clientVersion"])
        session.set @ schemas.Scene(schemas.Box(key="box", args=[1, 1, 1]))
        await session.forever()

    async with open_vuer_server(app) as server:
        uri = server.uri.replace("localhost", "127.0.0.1")
        done = await anyio.run_process([sys.executable, "-c", PROGRAM, uri])
    scene, first, second = json.loads(done.stdout)
    box = {"tag": "Box", "key": "box"}
    assert scene[0] == "SET"
    assert scene[1]["children"] == [{**box, "args": [1, 1, 1]}]
    assert first == ["UPSERT", {"nodes": [{**box, "position": [1, 2.5, 3]}], "to": None}]
    assert second == ["UPSERT", {"nodes": [{**box, "position": [4, 5, 6]}], "to": None}]
    assert told == ["0.1.6"]
