"""Tests of a teleoperated robot, without a headset, a browser, a socket, or waiting.

    pip install "vuer-trio[testing]"
    python -m pytest examples/test_harness.py

`new_app` is the robot to be tested; the fixture `vuer_server` is part of the package.
"""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from vuer_trio import RecvTimeout, Vuer, VuerSession
from vuer_trio.schemas import Box, DefaultScene
from vuer_trio.testing import FakeHeadset, cancel_everywhere, wave


def new_app(moves: list) -> Vuer:
    app = Vuer()

    @app.spawn(client="browser")
    async def drive(session: VuerSession):
        session.set @ DefaultScene(Box(key="gripper"))
        while True:
            try:
                event = await session.recv(timeout=0.5)
            except RecvTimeout:  # no movement: stop
                return moves.append("stop")
            if event == "HAND_MOVE":
                moves.append(event.value["right"][12:15])
                session.upsert @ Box(key="gripper", position=moves[-1])

    return app


@pytest.mark.trio
async def test_the_gripper_follows_the_hand(vuer_server, autojump_clock):
    moves = []
    app = new_app(moves)
    async with vuer_server(app) as server, FakeHeadset(server, wave(seconds=10)) as headset:
        await headset.played()
        await wait_all_tasks_blocked()  # the robot has answered
        assert headset.scene.get("gripper")["position"] == moves[-1]
        await headset.client.wait_closed()
    assert (len(moves), moves[-1]) == (601, "stop")
    assert trio.current_time() == pytest.approx(10.5, abs=0.1)  # virtual seconds


@pytest.mark.trio
async def test_whenever_the_operator_vanishes_the_robot_ends(vuer_server, autojump_clock):
    async def scenario(here):
        script = wave(seconds=0.1, rate=20)
        async with vuer_server(new_app([])) as server:
            async with here, FakeHeadset(server, script) as headset:
                await headset.played()
            await trio.sleep(1)
            assert server.sessions == ()

    assert await cancel_everywhere(scenario) > 50
