"""Everything that a person in front of a scene can move."""

from functools import partial

from vuer import Vuer
from vuer.schemas import Box, Gamepad, KeyboardMonitor, Movable, PointerControls, Scene

app = Vuer()


async def tell(name, event, session):
    value = event.value
    print(name, event.etype, sorted(value) if isinstance(value, dict) else value)


for etype in ("HEAD_MOVE", "OBJECT_MOVE", "GAMEPAD", "GAMEPAD-0", "KeyDown", "KeyUp"):
    app.add_handler(etype, partial(tell, "device"))


@app.spawn(start=True)
async def main(session):
    session.set @ Scene(
        Movable(Box(key="box"), key="movable", localRotation=True),
        bgChildren=[
            KeyboardMonitor(key="keyboard", enabled=True),
            Gamepad(index=0, key="gamepad-0"),
            PointerControls(key="pointer"),
        ],
    )
    await session.forever()
