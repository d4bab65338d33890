"""A Vuer server and a client that talk to each other, and what happens on both sides.

    pip install vuer==0.1.6
    python examples/demo.py

The server is the one of the `vuer` package; it runs as a second process, on a free port.
"""

import socket
import subprocess
import sys

import trio

from vuer_trio import RecvTimeout, open_vuer_client
from vuer_trio.events import ClientEvent


class SetPosition(ClientEvent):
    etype = "SET_POSITION"
    value = (0, 0, 0)


class TakePicture(ClientEvent):
    etype = "TAKE_PICTURE"


# ---- the client


async def talk(port, server):
    await until_listening(port, server)
    client = open_vuer_client(f"ws://127.0.0.1:{port}")

    @client.answer("GRAB_RENDER")
    async def render(event):
        return {"frame": b"\xff\xd8 a picture", "quality": event.data["quality"]}

    async with client:
        say("client", f"connected, with {client.transport}")

        client.send @ SetPosition(value=[1, 2, 3])  # enqueued now; never waits
        await client.send(SetPosition(value=[4, 5, 6]))  # waits for room, then enqueues
        await client.send @ SetPosition()  # waits for room first, then makes the event
        await client.flush(timeout=5)
        say("client", "sent three poses, and the server has read them")
        await show(server, 3)

        for _ in range(4):
            event = await client.recv(timeout=5)
            node = event.data if event == "SET" else event.data["nodes"][0]
            say("client", f"received {event.etype}: {node['tag']} {node.get('position', '')}")

        client.send @ TakePicture()
        await show(server, 2)
        async for event in client:
            say("client", f"received {event.etype}: {event.data['nodes'][0]['tag']}")
            break

        try:
            await client.recv(timeout=0.2)
        except RecvTimeout:
            say("client", "received nothing for 0.2 s: RecvTimeout")
    received = client.statistics().received
    say("client", f"left with close code {client.close_code}; {received} messages came in")


async def show(server, count):
    """Print the next lines that the server prints about itself."""
    for _ in range(count):
        line = None
        while not (line or "").startswith("server"):
            with trio.fail_after(10):
                line = await trio.to_thread.run_sync(server.stdout.readline, abandon_on_cancel=True)
            if not line:
                sys.exit("the server has ended")
        print(line, end="", flush=True)


def say(who, text):
    print(f"{who} | {text.rstrip()}", flush=True)


def main():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, __file__, "serve", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            trio.run(talk, port, server)
        finally:
            server.kill()


async def until_listening(port, server):
    while server.poll() is None:
        try:
            stream = await trio.open_tcp_stream("127.0.0.1", port)
        except OSError:
            await trio.sleep(0.05)
        else:
            return await stream.aclose()
    sys.exit("the server did not start; is it installed? pip install vuer==0.1.6")


# ---- the server, in the second process


def serve(port):
    from vuer import Vuer, VuerSession
    from vuer.schemas import Box, DefaultScene, Sphere

    app = Vuer(host="127.0.0.1", port=port)

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

    @app.spawn(start=True)
    async def main(session: VuerSession):
        session.set @ DefaultScene()
        await session.forever()


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(int(sys.argv[2]))
    else:
        main()
