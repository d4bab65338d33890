"""``"*"``: handlers of every event, of the server and of a client."""

from __future__ import annotations

import anyio
import pytest

from tests.behaviour.numbered_events import stream
from tests.scripted_server import serve_peer
from vuer_trio import Latest, open_vuer_server
from vuer_trio.events import ClientEvent

pytestmark = pytest.mark.anyio


def event(etype, value=None):
    return ClientEvent(etype=etype, value=value)


async def test_they_are_called_in_turn_with_the_handlers_of_a_type(new_server, open_client):
    app, called = new_server(), []

    def record(name):
        async def handler(event, session):
            await anyio.lowlevel.checkpoint()
            called.append((name, event.etype))

        return handler

    app.add_handler("A", record("first"))
    app.add_handler("*", record("every"))
    app.add_handler("A", record("last"))
    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        await client.send_many([event("A"), event("ON_CLICK"), event("*")])
        with anyio.fail_after(60):
            while ("every", "*") not in called:
                await anyio.sleep(0.001)
    assert called == [
        ("every", "INIT"),
        ("first", "A"),
        ("every", "A"),
        ("last", "A"),
        ("every", "ON_CLICK"),
        ("every", "*"),
    ]


async def test_once_concurrent_and_taking_back(new_server, open_client):
    app, once, concurrent, taken_back = new_server(), [], [], []
    ended = anyio.Event()

    async def waits(event, session):
        concurrent.append(event.etype)
        if event == "B":
            ended.set()
        await ended.wait()  # it keeps no other call waiting

    app.add_handler("*", lambda event, session: once.append(event.etype), once=True)
    app.add_handler("*", waits, concurrent=True)
    take_back = app.add_handler("*", lambda event, session: taken_back.append(event.etype))
    take_back()
    take_back()
    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        await client.send_many([event("A"), event("B")])
        with anyio.fail_after(60):
            await ended.wait()
    assert once == ["INIT"]
    assert sorted(concurrent) == ["A", "B", "INIT"]  # they start beside each other
    assert taken_back == []


async def test_a_reply_to_a_request_is_not_among_them(new_server, open_client):
    app, seen = new_server(), []

    @app.add_handler("*")
    def see(event, session):
        seen.append(event.etype)

    @app.add_handler("GO")
    async def ask(event, session):
        seen.append((await session.grab_render(ttl=5)).value)

    async with open_vuer_server(app) as server:
        client = open_client(server.uri)
        client.answer("GRAB_RENDER", lambda event: "picture")
        async with client:
            await client.send(event("GO"))
            with anyio.fail_after(60):
                while len(seen) < 3:
                    await anyio.sleep(0.001)
    assert seen == ["INIT", "GO", "picture"]


async def test_a_client_sees_every_event_with_its_own_handlers_and_recv(open_client):
    async def script(conn):
        await conn.accept()
        await conn.send_event({"etype": "A", "data": 1})
        await conn.send_event({"etype": "ASK", "data": 2, "rtype": "REPLY@1"})
        await conn.send_event({"etype": "B", "data": 3})
        await conn.recv()  # INIT
        await conn.recv()  # the reply
        await conn.close()

    every, named = [], []
    async with serve_peer(script) as peer:
        client = open_client(peer.uri)
        client.on("A", named.append)
        client.on("*", every.append)
        client.answer("ASK", lambda event: None)
        async with client:
            received = [event.data async for event in client]
            await client.wait_closed()
    assert [event.data for event in named] == [1]
    assert [event.data for event in every] == [1, 2, 3]
    assert received == [1, 3]  # an answered request is not delivered to it


async def test_under_latest_the_newest_of_each_type_waits(open_client):
    async def script(conn):
        await conn.accept()
        for item in stream(10, "A") + stream(10, "B"):
            await conn.send_event(item)
        await conn.close()

    every = []

    async def slow(event):
        await anyio.sleep(0.01)
        every.append((event.etype, event.data))

    async with serve_peer(script) as peer:
        client = open_client(peer.uri, inbox=Latest())
        client.on("*", slow)
        await client.run()
    assert ("A", 9) in every
    assert ("B", 9) in every


async def test_nobody_answers_every_request(open_client):
    with pytest.raises(ValueError, match="an answer is for one etype"):
        open_client("ws://localhost:1").answer("*", print)
