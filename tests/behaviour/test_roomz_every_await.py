"""Cancels a whole life of a Roomz client once at each of its steps, and looks at what is left."""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio
import trio.testing
from support import task_count
from test_every_await import CancelAt

from roomz_peer import MEMORY, ack_of, client_of, enter, memory_network, message
from vuer_trio.roomz import ClientError, ConnectionState

pytestmark = pytest.mark.trio


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


@pytest.mark.parametrize("transport", ["trio-websocket", "websockets"])
@pytest.mark.parametrize("life", [in_a_block, by_hand, handled])
async def test_a_cancellation_at_any_step_leaves_nothing_behind(
    life, transport, tmp_path, autojump_clock, monkeypatch
):
    tasks = task_count()
    step, ran_through = 1, False
    while not ran_through:
        async with memory_network(talks, listens) as net:
            client = client_of(MEMORY, tmp_path, transport=transport)
            cancel = CancelAt(step)
            trio.lowlevel.add_instrument(cancel)
            try:
                with cancel.scope:
                    await life(client)
                ran_through = not cancel.scope.cancelled_caught
            finally:
                trio.lowlevel.remove_instrument(cancel)
            with trio.CancelScope(shield=True), trio.fail_after(60):
                with suppress(ClientError):
                    await client.disconnect()
                for conn in net.connections:
                    await conn.wait_disconnected()
            assert client.connection_state is ConnectionState.DISCONNECTED
            for conn in net.connections:
                assert conn.protocol_error is None
        await trio.testing.wait_all_tasks_blocked()
        assert task_count() == tasks, f"cancelled at step {step}"
        step += 1
    assert step > 15
