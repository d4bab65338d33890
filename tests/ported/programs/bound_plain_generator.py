"""The generator is not even async."""

from vuer import Vuer
from vuer.events import NOOP, Add, Set
from vuer.schemas import Box, Scene

app = Vuer()


def show(session):
    yield Set(Scene())
    while True:
        event = yield NOOP
        if event == "ON_CLICK" and event.value["key"] == "button":
            yield Add(Box(key=event.value["key"]))


app.bind(show).start()
