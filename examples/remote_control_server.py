"""A Vuer server with a box that `remote_control_client.py` moves.

    python examples/remote_control_server.py

Port 8012, or the one in VUER_PORT. The scene is at https://vuer.ai?ws=ws://localhost:8012.
"""

from vuer_trio import Vuer, VuerSession
from vuer_trio.schemas import Box, DefaultScene

app = Vuer()


def box_at(position):
    return Box(key="box", args=[0.3, 0.3, 0.3], position=position)


@app.add_handler("SET_POSITION")
async def on_position(event, session: VuerSession):
    x, y, z = event.value["position"]
    print(f"box at {x:.3f} {y:.3f} {z:.3f}", flush=True)
    session.upsert @ box_at([x, y, z])


@app.spawn(start=True)
async def main(session: VuerSession):
    session.set @ DefaultScene(box_at([0, 0.5, 0]))
    await session.forever()
