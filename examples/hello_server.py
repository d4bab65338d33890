"""A Vuer server with a box that `hello_client.py` moves.

    python examples/hello_server.py

Port 8012, or the one in VUER_PORT. The scene is at https://vuer.ai?ws=ws://localhost:8012.
"""

from vuer_trio import Vuer, VuerSession
from vuer_trio.schemas import Box, DefaultScene

app = Vuer()


def box_at(position):
    return Box(key="box", args=[0.3, 0.3, 0.3], position=position)


@app.add_handler("HELLO")
async def on_hello(event, session: VuerSession):
    print(f"HELLO: {event.value['message']}", flush=True)
    session.upsert @ box_at([0, 0.5, 0])


@app.add_handler("MOVE_BOX")
async def on_move(event, session: VuerSession):
    print(f"MOVE_BOX: {event.value['position']}", flush=True)
    session.upsert @ box_at(event.value["position"])


@app.spawn(start=True)
async def main(session: VuerSession):
    session.set @ DefaultScene()
    await session.forever()
