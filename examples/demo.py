"""A Vuer server and a client in one program, which print what happens on both sides.

    python examples/demo.py

See `hello_server.py` and `hello_client.py` for two separate programs.
"""

import trio

from vuer_trio import RecvTimeout, Vuer, VuerClient, VuerSession, open_vuer_server
from vuer_trio.events import ClientEvent
from vuer_trio.schemas import Box, DefaultScene, Sphere

# ---- the server

app = Vuer(port=0)  # any free port


@app.add_handler("SET_POSITION")
async def on_position(event, session: VuerSession):
    say("server", f"{event.etype} {event.value}")
    session.upsert @ Box(key="box", position=event.value)


@app.add_handler("TAKE_PICTURE")
async def on_take_picture(event, session: VuerSession):
    say("server", "TAKE_PICTURE, so it asks the client for one: GRAB_RENDER")
    picture = await session.grab_render(quality=0.5)
    say("server", f"{picture.etype.split('@')[0]} {picture.value}")
    session.upsert @ Sphere(key="flash")


@app.spawn
async def main(session: VuerSession):
    say("server", f"a client has come: {session.client_info['client']}")
    session.set @ DefaultScene(Box(key="box"))
    await session.forever()


# ---- the client


class SetPosition(ClientEvent):
    etype = "SET_POSITION"
    value = (0, 0, 0)


class TakePicture(ClientEvent):
    etype = "TAKE_PICTURE"


async def talk(uri):
    client = VuerClient(uri, mirror_scene=True)

    @client.answer("GRAB_RENDER")
    async def render(event):
        return {"frame": b"\xff\xd8 a picture", "quality": event.data["quality"]}

    async with client:
        say("client", f"received {(await client.recv(timeout=5)).etype}, with {client.transport}")

        client.send @ SetPosition(value=[1, 2, 3])  # enqueued now; never waits
        await client.send(SetPosition(value=[4, 5, 6]))  # waits for room, then enqueues
        await client.send @ SetPosition()  # waits for room before creating the event
        for event in [await client.recv(timeout=5) for _ in range(3)]:
            node = event.data["nodes"][0]
            say("client", f"received {event.etype}: {node['tag']} {node['position']}")

        client.send @ TakePicture()
        async for event in client:
            say("client", f"received {event.etype}: {event.data['nodes'][0]['tag']}")
            break
        say("client", f"its scene has the box at {client.scene.get('box')['position']}")

        try:
            await client.recv(timeout=0.2)
        except RecvTimeout:
            say("client", "received nothing for 0.2 s: RecvTimeout")
    received = client.statistics().received
    say("client", f"left with close code {client.close_code}; {received} messages came in")


def say(who, text):
    print(f"{who} | {text}", flush=True)


async def both():
    async with open_vuer_server(app) as server:
        await talk(server.uri)


if __name__ == "__main__":
    trio.run(both)
