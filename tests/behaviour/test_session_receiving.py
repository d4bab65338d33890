"""Where an event of a client's goes, and when: to who waits for it, to handlers, to `recv`."""

from __future__ import annotations

import anyio
import pytest
import trio

from tests.behaviour.memory_server import memory_server
from tests.behaviour.raw_client import eventually
from vuer_trio import CallTimeout, Vuer, open_vuer_client, open_vuer_server
from vuer_trio.events import ClientEvent, Frame, Noop, ServerEvent, ServerRPC


def event(etype, value=None):
    return ClientEvent(etype=etype, value=value)


@pytest.mark.anyio
async def test_until_the_first_recv_the_newest_are_kept(new_server, open_client):
    app, got = new_server(), []

    @app.spawn
    async def main(session):
        await session.till("GO")
        while len(got) < 1024:
            got.append(await session.recv(timeout=60))
        session @ Noop()
        got.extend([e async for e in session])

    async with open_vuer_server(app) as server:
        async with open_client(server.uri) as client:
            for n in range(3_000):
                await client.send(event("N", n))
            client.send @ event("GO")
            assert await client.recv(timeout=60) == "NOOP"
            for n in range(3_000):  # from now on a full inbox stops the reader: none is lost
                await client.send(event("N", n))
        await eventually(lambda: len(got) == 4_024 or not app.sessions)
    assert [e.value for e in got[:1023]] == list(range(3_000 - 1023, 3_000))
    assert got[1023] == "GO"
    assert got[0].dropped_before == 3_000 + 2 - 1024  # INIT among them
    assert [e.value for e in got[1024:]] == list(range(3_000))


@pytest.mark.anyio
async def test_a_reply_is_for_who_asked_and_a_late_one_is_an_event(new_server, open_client):
    app, handled = new_server(), []

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        await eventually(lambda: app.sessions and app.sessions[0].client_info)
        (session,) = app.sessions
        assert await session.recv(timeout=60) == "INIT"
        request = ServerRPC(None, etype="ASK")
        request.rtype = f"ASK_RESPONSE@{request.uuid}"
        app.add_handler(request.rtype, lambda event, session: handled.append(event.value))

        async def answer(value):
            got = await client.recv(timeout=60)
            client.send @ event(got.rtype, value)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(answer, "in time")
            assert (await session.rpc(request, ttl=10)).value == "in time"
        with pytest.raises(CallTimeout):
            await session.rpc(request, ttl=0.01)
        await answer("late")
        late = await session.recv(timeout=60)
        assert (late.etype, late.value) == (request.rtype, "late")
        await eventually(lambda: handled == ["late"])


@pytest.mark.anyio
async def test_who_waits_sees_an_event_that_handlers_have_not_come_to(new_server, open_client):
    app, gate, handled = new_server(), anyio.Event(), []

    @app.add_handler("N")
    async def slow(event, session):
        await gate.wait()
        handled.append(event.value)

    @app.spawn
    async def main(session):
        while (await session.till("N")).value < 9:
            pass
        session @ ServerEvent(len(handled), etype="SEEN")
        gate.set()
        await session.forever()

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        for n in range(10):
            client.send @ event("N", n)
            await client.flush(timeout=60)
        assert (await client.recv(timeout=60)).data == 0
        await eventually(lambda: handled == list(range(10)))


@pytest.mark.on_time
@pytest.mark.trio
async def test_frames_go_out_by_the_clock(autojump_clock):
    """Each lasts 1/frame_rate; one that was late does not delay the next."""
    app = Vuer(transport="websockets")

    @app.bind
    async def main(session):
        for n in range(20):
            if n == 10:
                await trio.sleep(0.095)  # some work: nearly all of this frame's time
            yield Frame(ServerEvent(n, etype="N"), frame_rate=10)
        yield ServerEvent(None, etype="LAST")  # at once

    times = []
    async with memory_server(app) as server:
        began = trio.current_time()
        async with open_vuer_client(stream=server.connect(), transport="websockets") as client:
            async for got in client:
                times.append((got.data, trio.current_time() - began))
    expected = [*((n, n / 10) for n in range(20)), (None, 2.0)]
    expected[10] = (10, 1.095)
    assert [what for what, _ in times] == [what for what, _ in expected]
    assert [at for _, at in times] == pytest.approx([at for _, at in expected], abs=0.005)


@pytest.mark.anyio
async def test_once_is_once_for_all_sessions(new_server, open_client, caplog):
    app, seen = new_server(), []
    async with open_vuer_server(app) as server:
        clients = [open_client(server.uri) for _ in range(5)]
        for client in clients:
            await client.connect()
        for turn in range(5):
            cleanup = app.add_handler("N", lambda event, session: seen.append(event), once=True)
            for client in clients:
                client.send @ event("N", turn)
            for client in clients:
                await client.flush(timeout=60)
            cleanup()
        await eventually(lambda: len(seen) >= 5)
        for client in clients:
            await client.aclose()
        await eventually(lambda: not server.server.connections)
    assert [e.value for e in seen] == list(range(5))
    assert "Traceback" not in caplog.text
