"""Each call, cancelled at every place where that can happen, on every backend: nothing is lost,
comes twice, is torn or left behind."""

from __future__ import annotations

import json
from contextlib import suppress

import anyio
import anyio.lowlevel
import pytest
import sniffio

from tests.behaviour.numbered_events import Number, numbers
from tests.repetitions import cancel_everywhere
from tests.scripted_roomz_server import ack_of, client_of, enter
from tests.scripted_server import peer_inside, serve_peer
from vuer_trio import Backoff, Fifo, VuerError
from vuer_trio.events import ServerEvent, ServerRPC
from vuer_trio.testing.server import open_memory_server

pytestmark = [pytest.mark.anyio, pytest.mark.no_cover]

SOON = Backoff(initial=0.001, maximum=0.001, first=True)


@pytest.fixture(params=[peer_inside, serve_peer], ids=["memory", "tcp"])
def open_peer(request):
    """Over either kind of byte stream: a user's own, and the sockets of the library."""
    return request.param


async def everywhere(scenario) -> int:
    """In each way that the running library has; how many places there are."""
    places = await cancel_everywhere(scenario)
    if sniffio.current_async_library() == "asyncio":
        await cancel_everywhere(scenario, native=True)
    return places


async def gone(peer) -> list:
    """What a peer has got, when all its clients have left."""
    with anyio.fail_after(60):
        for conn in peer.connections:
            await conn.wait_disconnected()
            assert conn.protocol_error is None, "a frame was torn"
    return [numbers([m for m in conn.messages if type(m) is bytes]) for conn in peer.connections]


async def counts(conn):
    """A request, the numbers from 0 to 5, then whatever."""
    await conn.accept()
    await conn.send_event({"etype": "ASK", "uuid": "1", "rtype": "ASKED@1", "key": "k", "data": 1})
    for n in range(6):
        await conn.send_event({"etype": "N", "data": n})
    await conn.wait_ended()


async def answer(event):
    await anyio.lowlevel.checkpoint()


# ---- the client


async def test_a_whole_life(open_client, open_peer):
    async def scenario(here):
        sent, got = [], []
        async with open_peer(counts) as peer:
            async with here:
                client = open_client(peer.uri, outbox=Fifo(2))
                client.answer("ASK", answer)
                async with client:
                    for n in range(4):
                        await client.send(Number(value=n))
                        sent.append(n)
                    got += [(await client.recv()).data for _ in range(6)]
                    await client.send_many([Number(value=4), Number(value=5)])
                    sent += [4, 5]
            arrived = await gone(peer)
            assert not client.connected
        if here.cancelled:  # leaving at once offers what waits, in order
            assert all(a == list(range(len(a))) and len(a) <= len(sent) for a in arrived)
        else:
            assert (arrived, got) == ([sent], list(range(6)))

    assert await everywhere(scenario) > 40


async def test_opening(open_client, open_peer):
    async def scenario(here):
        async with open_peer() as peer:
            client = open_client(peer.uri)
            async with here:
                await client.connect()
            assert client.connected is not here.cancelled
            if not client.connected:
                await client.connect()
            await client.send(Number(value=1))
            await client.flush()
            await client.close()
            *given_up, kept = await gone(peer)
            assert kept == [1]
            assert not any(given_up)

    assert await everywhere(scenario) > 10


async def test_sending(open_client, open_peer):
    """What has been sent arrives, once; what was cancelled does not."""

    async def scenario(here):
        sent = []
        async with open_peer() as peer, open_client(peer.uri, outbox=Fifo(2)) as client:
            async with here:
                for n in range(5):
                    await client.send(Number(value=n))
                    sent.append(n)
                await client.send @ Number(value=5)
                sent.append(5)
                await client.send_many([Number(value=6), Number(value=7)])
                sent += [6, 7]
                await client.send(Number(value=8, pad=bytes(70_000)))
                sent.append(8)
            await client.send(Number(value="after"))
            await client.flush()
            (arrived,) = [numbers(conn.messages) for conn in peer.connections]
            assert peer.connections[0].protocol_error is None
            assert arrived == [*sent, "after"]

    assert await everywhere(scenario) > 10


async def test_receiving(open_client, open_peer):
    async def scenario(here):
        got = []
        async with open_peer(counts) as peer, open_client(peer.uri) as client:
            assert await client.recv() == "ASK"
            async with here:
                for _ in range(2):
                    got.append((await client.recv()).data)
                got.append((await client.recv(timeout=50)).data)
                got += [event.data for event in await client.recv_many(2)]
                async for event in client:
                    got.append(event.data)
                    break
            while len(got) < 6:
                got.append((await client.recv(timeout=60)).data)
            assert got == list(range(6))

    assert await everywhere(scenario) > 2


async def test_flushing(open_client, open_peer):
    async def scenario(here):
        async with open_peer() as peer, open_client(peer.uri) as client:
            client.send @ Number(value=1)
            async with here:
                await client.flush()
                client.send @ Number(value=2)
                await client.flush(timeout=50)
            await client.flush(timeout=60)
            (arrived,) = [numbers(conn.messages) for conn in peer.connections]
            assert arrived in ([1], [1, 2])
            assert arrived == [1, 2] or here.cancelled

    assert await everywhere(scenario) > 10


async def restarts(conn):
    """Each connection has two numbers more."""
    await conn.accept()
    first = 2 * restarts.connections
    restarts.connections += 1
    for n in (first, first + 1):
        await conn.send_event({"etype": "N", "data": n})
    if restarts.connections < 3:
        await conn.close(1012, "restarting")
    await conn.wait_ended()


@pytest.mark.slow
async def test_receiving_over_reconnections(open_client):
    async def scenario(here):
        got, restarts.connections = [], 0
        async with peer_inside(restarts) as peer:
            async with open_client(peer.uri, reconnect=SOON) as client:
                async with here:
                    while len(got) < 6:
                        got.append((await client.recv()).data)
                while len(got) < 6:
                    got.append((await client.recv(timeout=60)).data)
                assert got == list(range(6))
                assert client.generation == 3
            await gone(peer)

    assert await everywhere(scenario) > 30


@pytest.mark.slow
async def test_a_life_with_reconnections(open_client):
    async def scenario(here):
        got, restarts.connections = [], 0
        async with peer_inside(restarts) as peer:
            async with here:
                async with open_client(peer.uri, reconnect=SOON) as client:
                    while len(got) < 6:
                        got.append((await client.recv()).data)
                    await client.send(Number(value=1))
            arrived = await gone(peer)
            assert got == list(range(len(got)))
            assert here.cancelled or arrived[-1] == [1]

    assert await everywhere(scenario) > 60


async def test_closing(open_client, open_peer):
    async def scenario(here):
        async with open_peer() as peer:
            client = await open_client(peer.uri).connect()
            for n in range(3):
                client.send @ Number(value=n)
            async with here:
                await client.close()
            assert not client.connected
            with suppress(VuerError):
                await client.close()
            ((arrived),) = await gone(peer)
            assert arrived == list(range(len(arrived)))
            if not here.cancelled:
                assert len(arrived) == 3
                assert peer.connections[0].close_code == 1000

    assert await everywhere(scenario) > 10


# ---- the server


async def test_a_session_asks(new_server, open_client):
    """A reply is that of its own request; a cancelled request leaves nothing to wait for it."""

    async def scenario(here):
        app, asked, got, told = new_server(), [], [], []
        app.add_handler(
            "NUMBER", lambda event, session: session @ ServerEvent(None, etype="BEHIND")
        )
        done = anyio.Event()

        @app.spawn
        async def main(session):
            async with here:
                for n in range(3):
                    got.append((await session.rpc(ServerRPC(n, etype="ASK"), ttl=50)).value)
                await session.send(ServerEvent("sent", etype="SAID"))
                got.append("sent")
                await session.flush()
            got.append((await session.rpc(ServerRPC("after", etype="ASK"), ttl=30)).value)
            done.set()
            await session.forever()

        async with open_memory_server(app) as server:
            client = open_client(server.uri)

            @client.answer("ASK")
            async def answer(event):
                asked.append(event.data)
                return [event.data]

            async with client:
                with anyio.fail_after(60):
                    await done.wait()
                client.send @ Number(value="behind")
                await client.flush()
                while "BEHIND" not in told:
                    told.append((await client.recv(timeout=60)).etype)
                replies = [reply for reply in got if reply != "sent"]
                assert replies == [[n] for n in range(len(replies) - 1)] + [["after"]]
                assert set(asked) == {*range(len(asked) - 1), "after"}  # answered side by side
                assert len(replies) <= len(asked)
                assert told.count("SAID") == got.count("sent")
                (waiting,) = [session._dispatcher.waiting for session in app.sessions]
                assert (waiting.count, waiting._tills) == (0, {})

    assert await everywhere(scenario) > 10


# ---- the siblings


async def test_an_agent_asks(open_relay, open_agent):
    async def scenario(here):
        async with open_relay() as relay:
            answered = []
            async with (
                open_agent(relay.url, token=token_of(relay, "answers")) as other,
                open_agent(relay.url, token=token_of(relay, "asks"), rate_limit=None) as agent,
                anyio.create_task_group() as tasks,
            ):

                async def answers():
                    async for message in other:
                        answered.append(message.payload)
                        await other.reply(message, ["to", message.payload])

                tasks.start_soon(answers)
                got = []
                async with here:
                    for n in range(2):
                        got.append(await agent.ask(n, to=["answers"], timeout=50))
                got.append(await agent.ask("after", to=["answers"], timeout=30))
                tasks.cancel_scope.cancel()
            assert got == [["to", n] for n in range(len(got) - 1)] + [["to", "after"]]
            assert answered == [*range(len(answered) - 1), "after"]
            assert len(got) <= len(answered) <= len(got) + here.cancelled

    assert await everywhere(scenario) > 10


def token_of(relay, agent_id) -> str:
    return relay.registry.register(agent_id)[1]


async def listens(conn):
    await enter(conn)
    while (asked := await conn.recv()) is not None:
        await conn.send_text(ack_of(asked, {"status": "ok"}))


async def test_a_visitor_sends(backend, tmp_path):
    async def scenario(here):
        async with peer_inside(listens) as peer:
            sent = []
            url = peer.uri.replace("ws:", "http:")
            client = client_of(url, tmp_path, transport=backend.transport)
            async with client:
                async with here:
                    for n in range(3):
                        assert await client.send(str(n)) == {"status": "ok"}
                        sent.append(str(n))
                assert await client.send("after") == {"status": "ok"}
            await gone(peer)
            packets = [packet for packet in peer.connections[0].messages if packet[:2] == "42"]
            contents = [json.loads(packet[packet.index("[") :])[1]["content"] for packet in packets]
            assert contents[: len(sent)] == sent
            assert contents[-1] == "after"
            assert len(contents) <= len(sent) + 1 + here.cancelled

    assert await everywhere(scenario) > 10
