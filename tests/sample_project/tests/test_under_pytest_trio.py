"""Under pytest-trio, with its clock: minutes pass at once."""

import box_robot
import pytest
import trio

from vuer_trio.events import ClientEvent
from vuer_trio.testing import FakeHeadset, assert_no_leaks, cancel_everywhere, wave


@pytest.mark.trio
async def test_it_follows_the_hand(vuer_server, autojump_clock):
    async with vuer_server(box_robot.new_app()) as server:
        async with FakeHeadset(server, wave(seconds=600, rate=1)) as headset:
            await headset.played()
            assert trio.current_time() > 598
            x, y, z = headset.scene.get("robot")["position"]
    assert (round(x, 6), round(y, 6), round(z, 6)) == (0.3, 1.2, -0.4)


@pytest.mark.trio
async def test_it_stops_when_nobody_moves_it(vuer_server, autojump_clock):
    async with vuer_server(box_robot.new_app()) as server:
        async with FakeHeadset(server) as headset:
            began = trio.current_time()
            events = [event.etype async for event in headset.client]
            assert events == ["SET", "STOPPED"]
            assert trio.current_time() - began == pytest.approx(box_robot.PATIENCE, abs=0.001)


@pytest.mark.trio
async def test_it_takes_a_picture(vuer_server):
    async with assert_no_leaks(), vuer_server(box_robot.new_app()) as server:
        async with FakeHeadset(server, [(0, ClientEvent(etype="TAKE_PICTURE"))]) as headset:
            assert await headset.client.recv() == "SET"
            assert (await headset.client.recv()).value > 100
            assert headset.renders == 1


@pytest.mark.trio
async def test_it_may_be_cancelled_anywhere(vuer_server, autojump_clock):
    async def scenario(here):
        async with vuer_server(box_robot.new_app()) as server:
            async with here:
                async with FakeHeadset(server, wave(seconds=0.1, rate=20)) as headset:
                    await headset.played()
            assert here.cancelled or headset.sent == 4

    assert await cancel_everywhere(scenario) > 20
