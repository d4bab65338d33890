"""Questions of the program's own, by the session and by the app."""

import asyncio

from vuer import Vuer
from vuer.events import ServerRPC
from vuer.schemas import Scene

app = Vuer()


class Ask(ServerRPC):
    etype = "ASK"

    def __init__(self, data=None, **kwargs):
        super().__init__(data, **kwargs)
        self.rtype = f"ASK_RESPONSE@{self.uuid}"


class Mute(ServerRPC):
    etype = "MJ_STEP"

    def __init__(self):
        super().__init__({})
        self.rtype = f"MJ_STEP_RESPONSE@{self.uuid}"


@app.spawn(start=True)
async def main(session):
    session.set @ Scene()
    answer = await session.rpc(Ask({"n": 1}), ttl=5.0)
    print("one", answer.value)
    answer = await app.rpc(session.CURRENT_WS_ID, Ask({"n": 2}), ttl=5.0)
    print("two", answer.value)
    try:
        await session.rpc(Mute(), ttl=0.1)
    except asyncio.TimeoutError:
        print("no answer")
    await session.forever()
