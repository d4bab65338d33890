"""Under pytest-asyncio, without any anyio in sight."""

import asyncio

import box_robot
import pytest

from vuer_trio.testing import FakeHeadset, cancel_everywhere, wave


@pytest.mark.asyncio
async def test_it_follows_the_hand(vuer_server):
    async with vuer_server(box_robot.new_app()) as server:
        async with FakeHeadset(server, wave(seconds=0.1)) as headset:
            await asyncio.wait_for(headset.played(), 30)
            assert headset.sent == 12
            assert headset.scene.get("robot")["position"][1] > 1.2


@pytest.mark.asyncio
async def test_it_may_be_cancelled_anywhere(vuer_server):
    async def scenario():
        async with vuer_server(box_robot.new_app()) as server:
            async with FakeHeadset(server, wave(seconds=0.02, rate=100)) as headset:
                await headset.played()

    assert await cancel_everywhere(scenario, native=True) > 20
