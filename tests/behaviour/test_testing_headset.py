"""The fake headset, the pair, and the fixtures."""

from __future__ import annotations

import io

import anyio
import pytest
import trio
import trio.testing
from PIL import Image

from tests.repetitions import cancel_everywhere
from vuer_trio import Backoff, ConnectionClosed, Vuer, xr
from vuer_trio.events import ClientEvent, ServerEvent
from vuer_trio.schemas import Box, DefaultScene
from vuer_trio.testing import (
    FakeHeadset,
    Stall,
    assert_no_leaks,
    camera_move,
    controller_move,
    faulty,
    hand_move,
    small_jpeg,
    wave,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def kept(new_server):
    """An app that keeps what comes, and its events."""
    app, events = new_server(), []

    @app.spawn
    async def main(session):
        events.append(session.client_info)
        session.set @ DefaultScene(Box(key="box"))
        async for event in session:
            if event == "RENDER_PLEASE":
                reply = await session.grab_render(key="DEFAULT")
                session @ ServerEvent(reply.value, etype="RENDERED")
            else:
                events.append(event)

    return app, events


async def test_it_plays_its_script_and_shows_the_scene(kept, vuer_server, backend):
    app, events = kept
    async with assert_no_leaks(), vuer_server(app) as server:
        script = [(0, camera_move()), (0.001, hand_move()), (0, controller_move(left=None))]
        async with FakeHeadset(server, script, transport=backend.transport) as headset:
            await headset.played()
            assert headset.sent == 3
            while headset.scene.get("box") is None:
                await anyio.sleep(0.001)
    info, init, camera, hands, controllers = events
    assert (init.etype, init.value) == ("INIT", info)
    assert (info["client"], info["userAgent"]) == ("browser", "FakeHeadset")
    assert (camera.etype, camera.key) == ("CAMERA_MOVE", "defaultCamera")
    assert camera.value["camera"]["matrix"][12:15] == [0, 1.6, 0]
    assert (hands.etype, len(hands.value["left"]), len(hands.value["right"])) == (
        "HAND_MOVE",
        25 * 16,
        25 * 16,
    )
    assert hands.value["rightState"]["pinch"] is False
    assert controllers.etype == "CONTROLLER_MOVE"
    assert controllers.value["left"] is None
    assert controllers.value["leftState"] == {}
    assert xr.head(camera).position.tolist() == [0, 1.6, 0]
    assert xr.hands(hands).left.wrist[:3, 3].tolist() == [-0.2, 1.2, -0.4]
    assert xr.controllers(controllers).left is None
    assert xr.controllers(controllers).right.trigger is False
    assert controllers.value["right"][12:15] == [0.2, 1.2, -0.4]


async def test_it_renders(kept, vuer_server, backend):
    app, _ = kept
    async with vuer_server(app) as server:
        ask = [(0, ClientEvent(etype="RENDER_PLEASE"))]
        async with FakeHeadset(server, ask, transport=backend.transport) as headset:
            assert await headset.client.recv() == "SET"
            value = (await headset.client.recv(timeout=60)).value
        assert value.keys() == {"dpr", "delta", "width", "height", "frame"}
        picture = Image.open(io.BytesIO(value["frame"]))
        assert (picture.format, picture.size) == ("JPEG", (16, 16))
        assert headset.renders == 1

        async with FakeHeadset(server, ask, picture=lambda event: b"mine") as headset:
            assert await headset.client.recv() == "SET"
            assert (await headset.client.recv(timeout=60)).value["frame"] == b"mine"


async def test_what_it_says_of_itself_decides_which_program_runs(new_server, vuer_server):
    app, ran = new_server(), []

    @app.spawn(client="quest*")
    async def quest(session):
        ran.append(session.client_info["client"])
        await session.forever()

    async with vuer_server(app) as server:
        async with FakeHeadset(server, info={"client": "quest3"}) as headset:
            await headset.played()
        async with FakeHeadset(server) as headset:
            await headset.played()
    assert ran == ["quest3"]


async def test_a_connection_that_ends_ends_the_script(new_server, vuer_server, backend):
    app = new_server()

    @app.spawn
    async def main(session):
        await session.recv()

    async with assert_no_leaks(), vuer_server(app) as server:
        async with FakeHeadset(server, wave(seconds=60), transport=backend.transport) as headset:
            with pytest.raises(ConnectionClosed):
                await headset.played()
            assert headset.client.close_code == 1000
            assert headset.sent < 7200


@pytest.mark.parametrize("when", ["in the block", "while leaving"])
async def test_what_an_ended_connection_did_not_carry_is_no_error(
    new_server, vuer_server, backend, when
):
    app, enough = new_server(), anyio.Event()

    @app.spawn
    async def main(session):
        await enough.wait()

    def wrap(stream):  # the line carries no more than a few events of the headset's
        return faulty(stream, Stall(at=2000, on="sending"))

    async with vuer_server(app, wrap=wrap) as server:
        script = wave(seconds=60, rate=1000)
        async with FakeHeadset(server, script, transport=backend.transport) as headset:
            with anyio.fail_after(60):
                while headset.client.statistics().outbox < 3:
                    await anyio.sleep(0.001)
            enough.set()
            if when == "in the block":
                with pytest.raises(ConnectionClosed):
                    await headset.played()
    assert headset.client.close_code == 1000


async def test_a_line_that_is_stuck_while_the_headset_leaves_is_an_error(
    new_server, vuer_server, backend
):
    def wrap(stream):
        return faulty(stream, Stall(at=2000, on="sending"))

    async with vuer_server(new_server(), wrap=wrap) as server:
        script, options = wave(seconds=60, rate=1000), {"close_timeout": 0.1}
        with pytest.raises(ConnectionClosed, match="not sent"):
            async with FakeHeadset(
                server, script, transport=backend.transport, **options
            ) as headset:
                with anyio.fail_after(60):
                    while headset.client.statistics().outbox < 3:
                        await anyio.sleep(0.001)


async def test_the_exception_of_the_block_leaves_as_it_is(vuer_server):
    async with vuer_server() as server:
        with pytest.raises(KeyError):
            async with FakeHeadset(server, wave(seconds=60)):
                raise KeyError


async def test_what_the_script_raises_leaves_the_block(vuer_server, backend):
    def script():
        yield 0, camera_move()
        raise LookupError("torn")

    async with assert_no_leaks(), vuer_server() as server:
        with pytest.raises(LookupError, match="torn"):
            async with FakeHeadset(server, script(), transport=backend.transport):
                await anyio.sleep(60)


@pytest.mark.no_cover
async def test_a_headset_cancelled_everywhere(kept, vuer_server, backend):
    app, _ = kept

    async def scenario(here):
        async with vuer_server(app) as server:
            async with here:
                script = wave(seconds=0.01, rate=200)
                async with FakeHeadset(server, script, transport=backend.transport) as headset:
                    await headset.played()

    assert await cancel_everywhere(scenario) > 30


async def test_a_pair_and_its_misuse(new_server, vuer_server, vuer_client, vuer_pair):
    app = new_server()
    async with vuer_pair(app, reconnect=Backoff(initial=0.001)) as (server, client):
        await client.flush()
        assert server.sessions == app.sessions
        assert len(app.sessions) == 1
        with pytest.raises(RuntimeError, match="is already serving"):
            async with vuer_server(app):
                pass
        await app.sessions[0].aclose(1012)
        await client.flush(timeout=60)  # it has dialled again, through memory
        assert client.generation == 2
        async with vuer_client(server.uri) as another:
            await another.flush()
            assert len(app.sessions) == 2
    assert app.sessions == ()
    with pytest.raises(OSError, match="could not connect"):
        async with vuer_client(server, connect_timeout=5):
            pass
    with pytest.raises(TypeError, match=r"Vuer\(inbox=\.\.\.\)"):
        vuer_server(app, inbox=None)
    async with vuer_server(max_sessions=7) as made:
        assert made.app._options.max_sessions == 7


@pytest.mark.parametrize("grey", [0, 1, 127, 128, 129, 254, 255])
@pytest.mark.parametrize("size", [(1, 1), (8, 8), (16, 16), (33, 7)])
def test_the_jpeg_is_one(grey, size):
    picture = Image.open(io.BytesIO(small_jpeg(*size, grey)))
    picture.load()
    assert (picture.format, picture.mode, picture.size) == ("JPEG", "L", size)
    assert picture.getextrema() == (grey, grey)


def test_a_jpeg_that_can_not_be():
    for wrong in ((0, 1, 1), (1, 70_000, 1), (1, 1, 256)):
        with pytest.raises(ValueError, match="width and height must be"):
            small_jpeg(*wrong)


@pytest.mark.on_time
def test_the_times_of_a_script_are_exact_and_do_not_drift():
    async def main():
        app, times = Vuer(), []
        app.add_handler("HAND_MOVE", lambda event, session: times.append(trio.current_time()))
        from vuer_trio.testing import vuer_server

        async with vuer_server(app) as server, FakeHeadset(server, wave(10, rate=3)) as headset:
            began = trio.current_time()
            await headset.played()
        assert [round(t - began, 6) for t in times] == [round(n / 3, 6) for n in range(30)]

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
