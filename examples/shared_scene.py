"""A scene shared by two clients: each sees what the other moves.

    python examples/shared_scene.py

The server runs in this program, too. Its scene is a SceneStore, so late clients get all of it.
"""

import trio

from vuer_trio import SceneStore, Vuer, VuerSession, open_vuer_client, open_vuer_server
from vuer_trio.events import ClientEvent
from vuer_trio.schemas import Box, DefaultScene

app = Vuer(port=0)  # any free port
store = SceneStore()
store.set @ DefaultScene(Box(key="box", position=[0, 0, 0]))


class MoveBox(ClientEvent):
    etype = "MOVE_BOX"


@app.add_handler("MOVE_BOX")
async def on_move(event, session: VuerSession):
    store.update @ {"key": "box", "position": event.value}


@app.spawn
async def main(session: VuerSession):
    async with store.subscribe(session):
        await session.forever()


async def show(name, client):
    event = await client.recv(timeout=5)
    print(f"{name}: {event.etype}, the box is at {client.scene.get('box')['position']}", flush=True)


async def both():
    async with (
        open_vuer_server(app) as server,
        open_vuer_client(server.uri, mirror_scene=True) as first,
    ):
        await show("first ", first)
        first.send @ MoveBox(value=[1, 0, 0])
        await show("first ", first)
        async with open_vuer_client(server.uri, mirror_scene=True) as second:
            await show("second", second)  # connected later, but has the whole scene
            for position in ([2, 0, 0], [3, 0, 0]):
                second.send @ MoveBox(value=position)
                await show("first ", first)
                await show("second", second)


trio.run(both)
