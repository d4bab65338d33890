"""Under anyio's plugin, on both of its backends."""

import box_robot
import pytest

from vuer_trio.events import ClientEvent
from vuer_trio.testing import hand_move


@pytest.mark.anyio
async def test_only_browsers_get_a_scene(vuer_pair):
    async with vuer_pair(box_robot.new_app()) as (server, client):
        await client.send(hand_move())
        await client.flush()
        assert len(server.sessions) == 1
        assert client.statistics().received == 0


@pytest.mark.anyio
async def test_it_gets_what_was_sent(vuer_server, vuer_client):
    from vuer_trio import Vuer

    app, got = Vuer(), []
    app.add_handler("POSE", lambda event, session: got.append(event.value))
    async with vuer_server(app) as server, vuer_client(server) as client:
        for n in range(3):
            await client.send(ClientEvent(etype="POSE", value=n))
        await client.flush()
    assert got == [0, 1, 2]
