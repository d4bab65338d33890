"""An app for another process: `multiprocessing` pickles it where it does not fork."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import pytest
import trio

from tests import PROGRAMS
from tests.free_ports import free_port
from vuer_trio import Backoff, Latest, Vuer, open_vuer_client, open_vuer_server
from vuer_trio.events import ClientEvent
from vuer_trio.schemas import Box, DefaultScene
from vuer_trio.server.options import ServerOptions

pytestmark = pytest.mark.anyio


class Robot:
    """As teleoperation servers are written."""

    def __init__(self, **options):
        self.app = Vuer(host="127.0.0.1", port=0, **options)
        self.app.robot = "arm"
        self.app.add_handler("HAND_MOVE")(self.on_hands)
        self.app.add_handler("*", self.on_every)
        self.app.spawn(start=False, client="py*")(self.main)
        self.app.add_route("/status", status)
        self.seen = []

    async def on_hands(self, event, session):
        self.seen.append(event.value)
        session.upsert @ Box(key="hand")

    def on_every(self, event, session):
        self.seen.append(event.etype)

    async def main(self, session):
        session.set @ DefaultScene(Box(key="box"))
        await session.forever()


def status():
    return {"ok": True}


def there_and_back(thing):
    return pickle.loads(pickle.dumps(thing))


@pytest.mark.parametrize("first", ["robot", "app"])
async def test_a_copy_serves_what_the_app_would(backend, first):
    robot = Robot(queue_len=3, queries={"grid": False}, workspace=".")
    copied = there_and_back(robot) if first == "robot" else there_and_back(robot.app)
    app = copied.app if first == "robot" else copied
    assert app is not robot.app
    assert app.robot == "arm"
    async with (
        open_vuer_server(app) as server,
        open_vuer_client(server.uri, mirror_scene=True) as client,
    ):
        await client.recv()
        await client.send(ClientEvent(etype="HAND_MOVE", value=7))
        event = await client.recv()
        assert event.data["nodes"][0]["key"] == "hand"
        app.broadcast.upsert @ Box(key="all")
        await client.recv()
        assert {node["key"] for node in client.scene} >= {"box", "hand", "all"}
    assert robot.seen == []
    if first == "robot":
        assert copied.seen[-2:] == [7, "HAND_MOVE"]


def test_the_options_are_those_of_the_app():
    robot = Robot(outbox=Latest(), token="secret", floats="single", cors="*")
    app = there_and_back(robot.app)
    for name in ServerOptions.__dataclass_fields__:
        if name not in ("workspace", "outbox"):
            assert getattr(app._options, name) == getattr(robot.app._options, name), name
    assert type(app._options.outbox) is Latest
    app.port = 8013
    assert (app.port, robot.app.port) == (8013, 0)


def test_a_copy_in_the_same_process_has_its_own_sessions():
    robot = Robot()
    app = copy.copy(robot.app)
    assert app.broadcast is not robot.app.broadcast
    assert app.sessions == ()


async def test_what_is_of_this_process_does_not_go(backend):
    app = Robot().app
    async with open_vuer_server(app):
        with pytest.raises(TypeError, match="cannot go to another process while it serves"):
            pickle.dumps(app)
    pytest.importorskip("aiortc")
    app.create_webrtc_stream("camera")
    with pytest.raises(TypeError, match="the stream 'camera' cannot go to another process"):
        pickle.dumps(app)


@pytest.mark.no_cover
def test_an_app_serves_in_a_process_that_is_not_forked():
    port = free_port()
    program = [sys.executable, str(PROGRAMS / "server_in_a_process.py"), str(port)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        trio.run(move_a_hand, f"ws://127.0.0.1:{port}")
        said, _ = process.communicate(timeout=60)
    assert said.splitlines()[-1] == "hand [0.5, 1.5]"
    assert process.returncode == 0


async def move_a_hand(uri):
    soon = Backoff(initial=0.05, maximum=0.1, first=True)
    with trio.fail_after(60):
        async with open_vuer_client(uri, reconnect=soon) as client:
            event = await client.recv()
            assert event.data["children"][0]["key"] == "hands"
            await client.send(ClientEvent(etype="HAND_MOVE", value={"left": [0.5, 1.5]}))
            await client.flush()
