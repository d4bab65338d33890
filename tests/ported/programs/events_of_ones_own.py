"""Types that neither library knows, both ways."""

from vuer import Vuer
from vuer.events import ClientEvent, ServerEvent
from vuer.schemas import Scene

app = Vuer()


class Status(ServerEvent):
    etype = "STATUS"

    def __init__(self, text, **kwargs):
        super().__init__({"text": text}, level=1, **kwargs)


class Command(ClientEvent):
    etype = "COMMAND"


@app.add_handler("COMMAND")
async def on_command(event, session):
    print("command", event.value, event.key, event == Command.etype)
    session @ Status("done")


@app.spawn(start=True)
async def main(session):
    session.set @ Scene()
    session @ Status("ready", ts=12.5)
    await session.forever()
