"""A server that forwards an operator's poses to robots.

    python examples/teleoperation_server.py      # in one terminal
    python examples/teleoperation_robot.py       # in another
    python examples/teleoperation_operator.py    # in a third

The port is 8012 or VUER_PORT. A slow robot gets only the newest pose, because the outbox of each
session keeps one event of each type. Without the key, `Latest` would keep the newest change of each
node of a scene, and all other events.
"""

from vuer_trio import Latest, Vuer, VuerSession
from vuer_trio.events import ServerEvent

app = Vuer(outbox=Latest(key=lambda event: event.etype))


@app.add_handler("POSE")
async def on_pose(event, session: VuerSession):
    app.broadcast @ ServerEvent(event.value, etype="POSE")


@app.spawn(start=True)
async def main(session: VuerSession):
    await session.forever()
