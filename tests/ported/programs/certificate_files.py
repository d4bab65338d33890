"""TLS, as a headset wants it."""

from vuer import Vuer
from vuer.schemas import DefaultScene, Hands

app = Vuer(host="0.0.0.0", cert="./cert.pem", key="./key.pem", queries={"grid": "False"})


@app.add_handler("HAND_MOVE")
async def on_hand(event, session):
    print("left", len(event.value["left"]), "pinch", event.value["leftState"]["pinch"])


@app.spawn(start=True)
async def main(session):
    session.set @ DefaultScene(Hands(stream=True, key="hands"))
    await session.forever()
