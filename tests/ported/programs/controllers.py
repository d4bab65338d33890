"""Motion controllers, and a pulse when one is squeezed."""

from vuer import Vuer
from vuer.events import HapticActuatorPulse
from vuer.schemas import DefaultScene, MotionControllers

app = Vuer(queries=dict(grid=False))


@app.add_handler("CONTROLLER_MOVE")
async def on_controller(event, session):
    state = event.value["rightState"]
    print("thumb", state["thumbstickValue"], "trigger", state["triggerValue"], state["aButton"])
    if state["trigger"]:
        session @ HapticActuatorPulse(right={"strength": 1.0, "duration": 50.0})


@app.spawn(start=True)
async def main(session):
    session.set @ DefaultScene(
        bgChildren=[MotionControllers(stream=True, key="mc", left=True, right=True)]
    )
    await session.forever()
