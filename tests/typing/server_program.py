"""A server of a user's, with every way to take part in it: `mypy --strict` must say nothing.

It is checked, not run.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import Any, Literal, assert_type

import trio

from vuer_trio import (
    Discard,
    DropOldest,
    Fifo,
    Latest,
    SceneStore,
    Vuer,
    VuerSession,
    open_vuer_client,
    open_vuer_server,
    xr,
)
from vuer_trio.events import ClientEvent, Event, Frame, GrabRender, ServerEvent, Set, Upsert
from vuer_trio.schemas import Box, DefaultScene, ImageBackground, Sphere

app = Vuer(
    host="localhost",
    port=8012,
    inbox=DropOldest(100),
    outbox=Fifo(1000, max_bytes=2**20),
    origins=["https://vuer.ai"],
)
other = Vuer(None, inbox=Discard(), outbox=Latest(), backend="asyncio", floats="single")
store = SceneStore()


class Robot:
    """Its methods are handlers."""

    speed = 0.0

    def on_speed(self, event: ClientEvent, session: VuerSession) -> None:
        self.speed = float(event.value)
        session.update({"key": "robot", "speed": self.speed})

    async def run(self, session: VuerSession, *, rate: float = 50.0) -> None:
        while True:
            session.upsert(Box(key="robot", position=[self.speed, 0, 0]))
            await trio.sleep(1 / rate)


robot = Robot()
assert_type(app.add_handler("SPEED", robot.on_speed), Callable[[], None])


@app.add_handler("SET_POSITION")
async def on_position(event: ClientEvent, session: VuerSession) -> None:
    session.upsert(Box(key="box", args=[0.3, 0.3, 0.3], position=event.value))
    session.upsert @ [Box(key="a"), Sphere(key="b", args=[0.1, 20, 20])]
    session.upsert(Box(key="c"), Box(key="d"), to="a")
    session.upsert(to="a") @ Box(key="e")
    picture = await session.grab_render(ttl=2.0, quality=0.5)
    assert_type(picture, ClientEvent)


@app.add_handler("CLICK", once=True, concurrent=True)
def on_click(event: ClientEvent, session: VuerSession) -> str:
    session.remove("box")
    return event.etype


@app.add_handler("*")
def on_any(event: Event, *rest: object) -> None:
    print(event.etype, event.ts, rest)


app.add_handler("CLICK", lambda event, session: session.spawn_task(watch, session))


async def watch(session: VuerSession) -> None:
    async for event in session:
        assert_type(event, ClientEvent)
        await session.send(Upsert(Box(key="box", position=event.value)))
    assert_type(await session.recv(timeout=1.0), ClientEvent)
    assert_type(await session.till("CLICK", timeout=5), ClientEvent)
    await session.rpc(GrabRender(), ttl=1)


@app.spawn
async def main(session: VuerSession) -> None:
    session.set(DefaultScene(Box(key="box"), up=[0, 0, 1]))
    session.start_soon(watch, session)
    session @ Set(DefaultScene())
    async with store.subscribe(session):
        await session.flush()
        await session.forever()


@app.spawn(client="python")
async def for_python(session: VuerSession) -> int:
    session.add(ImageBackground(src="https://host/a.png", key="eye"), to="bgChildren")
    await session.aclose(1000, "enough")
    return 1


app.spawn(robot.run)
app.spawn(partial(robot.run, rate=10.0))
app.spawn(lambda session: watch(session))


@other.bind
async def frames(session: VuerSession) -> AsyncGenerator[ServerEvent | Frame, None]:
    yield Set(DefaultScene())
    for x in range(10):
        yield Frame(Upsert(Box(key="box", position=[x, 0, 0])), frame_rate=30)


def motors(event: Event) -> None:
    move: xr.HandMove = xr.hands(event)
    if move.right is not None:
        assert_type(move.right.pinch, bool | None)
        pose = xr.change_axes(move.right.joint("index-finger-tip"), xr.Y2Z)
        print(pose[:3, 3].tolist(), move.right.positions.mean())
    stick = xr.controllers(event).left
    if stick is not None:
        assert_type(stick.thumbstick_value, tuple[float, float] | None)
        assert_type(stick.touchpad, Literal["pressed", "touched", False] | None)
    body = xr.body(event)
    parts: list[xr.Joints | None] = [body.body, body.left_hand]
    print(parts, xr.head(event).matrix)


async def serve() -> None:
    async with open_vuer_server(app, port=0) as server:
        async with open_vuer_client(server.uri, inbox=Latest()) as client:
            client.send @ ClientEvent(etype="SET_POSITION", value=[1, 2, 3])
        app.broadcast.upsert(Box(key="box"))
        sessions: tuple[VuerSession, ...] = app.sessions
        info: Any = [session.client_info for session in sessions]
        print(info, server.port)


if __name__ == "__main__":
    app.start()
