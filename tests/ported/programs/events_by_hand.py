"""The events behind the verbs, and some that have none."""

from vuer import Vuer, VuerSession
from vuer.events import Add, End, HapticActuatorPulse, Noop, Remove, Set, Update, Upsert
from vuer.schemas import Box, Scene

app = Vuer()


@app.spawn(start=True)
async def main(session: VuerSession):
    session @ Set(Scene())
    session @ Add(Box(key="a"), Box(key="b"), to="children")
    session @ Update(Box(key="a", position=[1, 2, 3]), strict=True)
    session @ Upsert(Box(key="c"), to="a")
    session @ Remove("a", "b")
    session @ Noop()
    session @ HapticActuatorPulse(left={"strength": 0.5, "duration": 100.0}, right=None)
    session @ End()
    await session.forever()
