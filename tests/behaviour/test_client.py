"""The three ways to send, the ways to receive, and what a client tells about itself."""

from __future__ import annotations

import anyio
import pytest

from tests.scripted_server import serve_peer
from vuer_trio import (
    InboxEmpty,
    RecvTimeout,
)
from vuer_trio.events import ClientEvent

pytestmark = pytest.mark.anyio


class SetPosition(ClientEvent):
    etype = "SET_POSITION"
    value = [0, 0, 0]  # noqa: RUF012 - the documents' form


async def echo(conn):
    """Send back every event but INIT, as ECHO with its value as data."""
    await conn.accept()
    while (event := await conn.recv_event()) is not None:
        if event["etype"] != "INIT":
            await conn.send_event({"etype": "ECHO", "ts": 1500, "data": event["value"]})


async def test_every_way_to_send_arrives_in_order_after_init(open_client):
    async with serve_peer() as peer:
        async with open_client(peer.uri) as client:
            client.send @ SetPosition(value=[1, 2, 3])
            await client.send(SetPosition())
            await client.send @ SetPosition(value=2)
            client.send_nowait(SetPosition(value=3))
            await client.send_many(SetPosition(value=n) for n in (4, 5))
            permit = await client.send
            permit @ SetPosition(value=6)
            await client.send_channel.send(SetPosition(value=7))
            client.send_channel.send_nowait(SetPosition(value=8))
        conn = await peer.connection()
        events = [decode(message) for message in conn.messages]
    assert [event["etype"] for event in events] == ["INIT"] + ["SET_POSITION"] * 9
    assert [event["value"] for event in events[1:]] == [[1, 2, 3], [0, 0, 0], 2, 3, 4, 5, 6, 7, 8]
    assert events[0]["value"]["client"] == "python"
    assert (conn.close_code, conn.protocol_error, conn.eof) == (1000, None, True)


def decode(message):
    import msgpack

    return msgpack.unpackb(message)


async def test_every_way_to_receive(open_client):
    async with serve_peer(echo) as peer, open_client(peer.uri) as client:
        await client.send_many(SetPosition(value=n) for n in range(8))
        event = await client.recv()
        assert (event.etype, event.data, event.value, event.ts) == ("ECHO", 0, 0, 1.5)
        assert (await client.recv(timeout=60)).data == 1
        with anyio.fail_after(60):
            while client.statistics().inbox < 6:
                await anyio.sleep(0.001)
        assert client.recv_nowait().data == 2
        assert [e.data for e in await client.recv_many(limit=2)] == [3, 4]
        assert (await client.receive_channel.receive()).data == 5
        async for event in client:
            assert event.data == 6
            break
        assert [e.data for e in await client.recv_many()] == [7]
        with pytest.raises(InboxEmpty):
            client.recv_nowait()
        with pytest.raises(RecvTimeout, match=r"within 0\.01 s"):
            await client.recv(timeout=0.01)
        assert client.connected
