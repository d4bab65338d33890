"""What a handler sends goes out at the end of its step, in the order in which it was sent."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from vuer_trio import Fifo, Latest, open_vuer_server
from vuer_trio.events import ClientEvent, ServerEvent

pytestmark = pytest.mark.anyio


class Said(ServerEvent):
    etype = "SAID"


def say(n):
    return Said(n)


async def in_one_step(session, first):
    session.send @ say(first)
    return first + 1


async def several_in_one_step(session, first):
    for n in range(first, first + 3):
        session.send @ say(n)
    return first + 3


async def before_and_after_it_waits(session, first):
    session.send @ say(first)
    await anyio.lowlevel.checkpoint()
    session.send @ say(first + 1)
    await session.send(say(first + 2))
    await anyio.sleep(0.001)
    session.send @ say(first + 3)
    await session.send(say(first + 4))
    return first + 5


async def awaited(session, first):
    session.send @ say(first)
    await session.send(say(first + 1))
    session.send @ say(first + 2)
    return first + 3


async def behind_a_large_one(session, first):
    session.send @ say(first)
    session.send @ Said(first + 1, filler=bytes(200_000))
    session.send @ say(first + 2)
    return first + 3


KINDS = [in_one_step, several_in_one_step, before_and_after_it_waits, awaited, behind_a_large_one]
COUNTS = [1, 3, 5, 3, 3]


@pytest.mark.parametrize("outbox", [Fifo(1024), Latest()], ids=["Fifo", "Latest"])
async def test_answers_arrive_in_the_order_in_which_handlers_send_them(
    new_server, open_client, outbox
):
    app, said = new_server(outbox=outbox), 0

    @app.add_handler("ASK")
    async def ask(event, session):
        nonlocal said
        said = await KINDS[event.value](session, said)

    arrived, expected = [], 0
    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        for rounds in (1, 5):  # questions one by one, and several at once
            for kind in [*range(len(KINDS)), *reversed(range(len(KINDS)))]:
                for _ in range(rounds):
                    client.send @ ClientEvent(etype="ASK", value=kind)
                expected += rounds * COUNTS[kind]
                while len(arrived) < expected:
                    event = await client.recv(timeout=60)
                    if event == "SAID":
                        arrived.append(event.data)
    assert arrived == list(range(expected))


async def test_a_handler_that_sends_and_raises_has_sent(new_server, open_client, caplog):
    app = new_server()

    @app.add_handler("ASK")
    async def ask(event, session):
        session.send @ say(1)
        raise ZeroDivisionError

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        client.send @ ClientEvent(etype="ASK")
        while await client.recv(timeout=60) != "SAID":
            pass
    assert "ZeroDivisionError" in caplog.text


async def test_a_handler_that_sends_and_waits_has_sent(new_server, open_client):
    app, released = new_server(), anyio.Event()

    @app.add_handler("ASK")
    async def ask(event, session):
        session.send @ say(1)
        await released.wait()

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        client.send @ ClientEvent(etype="ASK")
        while await client.recv(timeout=60) != "SAID":
            pass
        released.set()
