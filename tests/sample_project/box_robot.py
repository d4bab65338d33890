"""A robot that is a box: it goes where the right hand is, and stops when nobody has moved it."""

from vuer_trio import RecvTimeout, Vuer, VuerSession
from vuer_trio.events import ServerEvent
from vuer_trio.schemas import Box, DefaultScene

#: seconds without a hand, after which it stops
PATIENCE = 2.0


def new_app() -> Vuer:
    app = Vuer()

    @app.spawn(client="browser")
    async def drive(session: VuerSession):
        session.set @ DefaultScene(Box(key="robot", position=[0, 0, 0]))
        while True:
            try:
                event = await session.recv(timeout=PATIENCE)
            except RecvTimeout:
                session @ ServerEvent({"after": PATIENCE}, etype="STOPPED")
                return
            if event == "HAND_MOVE":
                session.upsert @ Box(key="robot", position=event.value["right"][12:15])
            elif event == "TAKE_PICTURE":
                picture = await session.grab_render()
                session @ ServerEvent(len(picture.value["frame"]), etype="PICTURE")

    return app
