"""A server that takes an operator's poses, and passes them on to robots.

    python examples/teleoperation_server.py      # in one terminal
    python examples/teleoperation_robot.py       # in another
    python examples/teleoperation_operator.py    # in a third

Port 8012, or the one in VUER_PORT. A robot that reads slowly gets the newest pose, and no old ones:
the outbox of each session keeps one event of each type.
"""

from vuer_trio import Latest, Vuer, VuerSession
from vuer_trio.events import ServerEvent

app = Vuer(outbox=Latest())


@app.add_handler("POSE")
async def on_pose(event, session: VuerSession):
    app.broadcast @ ServerEvent(event.value, etype="POSE")


@app.spawn(start=True)
async def main(session: VuerSession):
    await session.forever()
