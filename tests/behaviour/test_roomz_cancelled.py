"""Cancels a whole life of a Roomz client at every place, and looks at what is left."""

from __future__ import annotations

from contextlib import suppress

import anyio
import pytest

from tests.repetitions import cancel_everywhere
from tests.scripted_roomz_server import ack_of, client_of, enter, message
from tests.scripted_server import peer_inside
from vuer_trio.roomz import ClientError, ConnectionState

pytestmark = [pytest.mark.anyio, pytest.mark.no_cover]


async def talks(conn):
    """Answers what it gets, and closes after the second."""
    await enter(conn)
    for n in range(2):
        asked = await conn.recv()
        if asked is None:
            return
        await conn.send_text(message(f"broadcast {n}"))
        await conn.send_text(ack_of(asked, {"status": "ok", "display_name": "A"}))
    await conn.close(1012)


def talks_then_listens():
    """The first connection is closed, the others stay."""
    scripts = iter([talks])

    async def script(conn):
        await next(scripts, listens)(conn)

    return script


async def listens(conn):
    await enter(conn)
    while (asked := await conn.recv()) is not None:
        await conn.send_text(ack_of(asked, {"status": "ok", "display_name": "A"}))


async def in_a_block(client):
    async with client:
        await client.send("one")
        assert (await anext(client)).name == "authenticated"
        await client.set_display_name("A")
        while (await anext(client)).name != "disconnect":
            pass
        await anext(client)  # connected again, the name is restored
        assert client.display_name == "A"
        await client.send("two")


async def by_hand(client):
    await client.connect()
    await client.send("one")
    await client.disconnect()


async def handled(client):
    """Its handlers are cancelled, too."""

    async def handler(data):
        await client.send("from the handler")
        await client.disconnect()

    client.on("authenticated", handler)
    await client.run()


@pytest.mark.parametrize("life", [in_a_block, by_hand, handled])
async def test_a_cancellation_anywhere_leaves_nothing_behind(life, backend, tmp_path):
    async def scenario(here):
        async with peer_inside(talks_then_listens()) as peer:
            url = peer.uri.replace("ws:", "http:")
            client = client_of(url, tmp_path, transport=backend.transport, reconnect_delay=0.001)
            async with here:
                await life(client)
            with anyio.fail_after(60):
                with suppress(ClientError):
                    await client.disconnect()
                for conn in peer.connections:
                    await conn.wait_disconnected()
            assert client.connection_state is ConnectionState.DISCONNECTED
            assert not any(conn.protocol_error for conn in peer.connections)

    assert await cancel_everywhere(scenario, native=backend.runtime != "trio") > 15
