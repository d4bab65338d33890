"""Handlers, and answers to a server's requests."""

from __future__ import annotations

import logging

import anyio
import pytest

from tests.behaviour.numbered_events import Number
from tests.scripted_server import serve_peer
from vuer_trio import ConnectionClosed, Fifo, ProtocolError

pytestmark = pytest.mark.anyio


def request(etype="GRAB_RENDER", uuid="u1", **extra):
    return {
        "etype": etype,
        "uuid": uuid,
        "data": {"quality": 0.5},
        "key": "DEFAULT",
        "rtype": f"{etype}_RESPONSE@{uuid}",
        **extra,
    }


async def replies(conn, count):
    found = []
    while len(found) < count:
        event = await conn.recv_event()
        if event["etype"] not in ("INIT", "NUMBER"):
            found.append(event)
    return found


@pytest.mark.parametrize("form", ["async", "sync", "decorator"])
async def test_a_request_is_answered_under_its_rtype_and_not_received(open_client, form):
    found = []

    async def script(conn):
        await conn.accept()
        await conn.send_event(request())
        await conn.send_event({"etype": "N", "data": 1})
        found.extend(await replies(conn, 1))

    client = None

    def answer(event):
        assert event == "GRAB_RENDER"
        return {"frame": b"jpeg", "quality": event.data["quality"]}

    async def answer_later(event):
        await anyio.sleep(0.001)
        return answer(event)

    async with serve_peer(script) as peer:
        client = open_client(peer.uri)
        if form == "decorator":
            assert client.answer("GRAB_RENDER")(answer_later) is answer_later
        else:
            client.answer("GRAB_RENDER", answer_later if form == "async" else answer)
        async with client:
            assert (await client.recv(timeout=60)).etype == "N"
            await peer.join()
    (reply,) = found
    assert reply["etype"] == "GRAB_RENDER_RESPONSE@u1"
    assert reply["value"] == {"frame": b"jpeg", "quality": 0.5}
    assert reply["key"] == "DEFAULT"


async def test_an_answer_that_raises_is_logged_and_ends_nothing(open_client, caplog):
    async def script(conn):
        await conn.accept()
        await conn.send_event(request(uuid="u1", data={"camera": None}))
        await conn.send_event(request(uuid="u2"))
        (reply,) = await replies(conn, 1)
        assert reply["etype"] == "GRAB_RENDER_RESPONSE@u2"

    def fn(event):
        if "camera" in event.data:
            raise ValueError("no camera")
        return 1

    async with serve_peer(script) as peer:
        client = open_client(peer.uri)
        client.answer("GRAB_RENDER", fn)
        async with client:
            await peer.join()
    assert "no camera" in caplog.text
    assert "GRAB_RENDER" in caplog.text


async def test_an_answer_that_can_not_be_encoded_is_logged(open_client, caplog):
    async def script(conn):
        await conn.accept()
        await conn.send_event(request())
        await conn.send_event({"etype": "N", "data": 1})

    async with serve_peer(script) as peer:
        client = open_client(peer.uri)
        client.answer("GRAB_RENDER", lambda event: {1, 2})
        async with client:
            await client.recv(timeout=60)
            await client.flush()
            assert client.connected
    assert "EncodeError" in caplog.text


async def test_an_etype_has_one_answer_and_it_can_be_taken_back(open_client):
    client = open_client("ws://localhost:1")
    cleanup = client.answer("X", lambda event: 1)
    with pytest.raises(ValueError, match="X is answered already"):
        client.answer("X", lambda event: 2)
    cleanup()
    cleanup()
    client.answer("X", lambda event: 2)
    with pytest.raises(TypeError, match="not callable"):
        client.on("X", 3)
    with pytest.raises(TypeError, match="etype must be a str"):
        client.on(3, print)


async def test_slow_answers_run_beside_each_other(open_client):
    count = 200  # more than run at once

    async def script(conn):
        await conn.accept()
        for n in range(count):
            await conn.send_event(request(uuid=str(n)))
        found = await replies(conn, count)
        assert {reply["etype"] for reply in found} == {
            f"GRAB_RENDER_RESPONSE@{n}" for n in range(count)
        }

    running, most, many = 0, 0, anyio.Event()

    async def fn(event):
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running > 10:
            many.set()
        await many.wait()
        await anyio.sleep(0.01)
        running -= 1

    async with serve_peer(script) as peer:
        client = open_client(peer.uri)
        client.answer("GRAB_RENDER", fn)
        async with client:
            with anyio.fail_after(60):
                await peer.join()
    assert 10 < most <= 65


async def test_handlers_run_in_order_and_recv_gets_the_events_too(open_client):
    async def script(conn):
        await conn.accept()
        for n in range(50):
            await conn.send_event({"etype": "N", "data": n})
        await conn.send_event({"etype": "OTHER", "data": -1})
        await conn.close()

    seen, once, concurrent = [], [], []

    async def slow(event):
        if event.data % 2 == 0:
            await anyio.sleep(0.001)
        seen.append(event.data)

    async with serve_peer(script) as peer:
        client = open_client(peer.uri)
        client.on("N", slow)
        client.on("N", once.append, once=True)
        client.on("N", concurrent.append, concurrent=True)
        async with client:
            received = [event.data async for event in client]
            await client.wait_closed()
    assert received == [*range(50), -1]
    assert seen == list(range(50))
    assert [event.data for event in once] == [0]
    assert sorted(event.data for event in concurrent) == list(range(50))


async def test_every_event_read_before_the_close_is_handled(open_client):
    async def script(conn):
        await conn.accept()
        for n in range(20):
            await conn.send_event({"etype": "N", "data": n})
        await conn.close()

    seen = []

    async def slow(event):
        await anyio.sleep(0.002)
        seen.append(event.data)

    async with serve_peer(script) as peer:
        client = open_client(peer.uri)
        client.on("N", slow)
        await client.run()
    assert seen == list(range(20))


async def test_click_and_on_click_are_one_type(open_client):
    async def script(conn):
        await conn.accept()
        await conn.send_event({"etype": "ON_CLICK", "data": 1})
        await conn.close()

    seen = []
    async with serve_peer(script) as peer:
        client = open_client(peer.uri)
        client.on("CLICK", seen.append)
        async with client:
            event = await client.recv()
            assert event == "CLICK"
            assert event == "ON_CLICK"
            await client.wait_closed()
    assert len(seen) == 1


async def test_a_handler_that_raises_is_logged_and_the_next_runs(open_client, caplog):
    async def script(conn):
        await conn.accept()
        for n in range(2):
            await conn.send_event({"etype": "N", "data": n})
        await conn.close()

    seen = []
    async with serve_peer(script) as peer:
        client = open_client(peer.uri)

        @client.on("N")
        def first(event):
            raise RuntimeError("boom")

        cleanup = client.on("N", seen.append)
        assert callable(cleanup)
        await client.run()
    assert [event.data for event in seen] == [0, 1]
    assert caplog.text.count("RuntimeError: boom") == 2


async def test_a_handler_may_send_and_close(open_client):
    async def script(conn):
        await conn.accept()
        await conn.send_event({"etype": "N", "data": 1})

    async with serve_peer(script) as peer:
        client = open_client(peer.uri)

        @client.on("N")
        async def last(event):
            await client.send(Number(value="from a handler"))
            await client.flush()
            with anyio.CancelScope():  # closing ends the handler's own task
                await client.close()

        async with client:
            await client.wait_closed()
        conn = await peer.connection()
        assert conn.close_code in (1000, 1001)
        assert b"from a handler" in conn.messages[1]


async def test_malformed_frames_reach_recv_past_the_handlers(open_client):
    async def script(conn):
        await conn.accept()
        await conn.send(b"\xc1")
        await conn.send_text("text")
        await conn.send_event({"etype": "N", "data": 1})

    seen = []
    async with serve_peer(script) as peer:
        client = open_client(peer.uri)
        client.on("N", seen.append)
        async with client:
            for frame in (b"\xc1", b"text"):
                with pytest.raises(ProtocolError) as caught:
                    await client.recv(timeout=60)
                assert caught.value.frame == frame
            event = await client.recv(timeout=60)
            await anyio.wait_all_tasks_blocked()
    assert seen == [event]


async def test_a_full_queue_of_calls_stops_the_reader(open_client):
    async def script(conn):
        await conn.accept()
        for n in range(300):
            await conn.send_event({"etype": "N", "data": n, "pad": bytes(10_000)})

    release = anyio.Event()
    seen = []

    async def stuck(event):
        await release.wait()
        seen.append(event.data)

    async with serve_peer(script) as peer:
        client = open_client(peer.uri, inbox=Fifo(10))
        client.on("N", stuck)

        async def receive():  # the inbox is not what is full
            for n in range(300):
                assert (await client.recv()).data == n

        async with client, anyio.create_task_group() as tasks:
            tasks.start_soon(receive)
            conn = await peer.connection()
            await anyio.sleep(0.1)
            assert client.statistics().received < 150
            assert not conn.finished or client.statistics().bytes_received < 3_000_000
            release.set()
            with anyio.fail_after(60):
                while len(seen) < 300:
                    await anyio.sleep(0.01)
    assert seen == list(range(300))


async def test_handlers_added_while_connected_work(open_client, caplog):
    async def script(conn):
        await conn.accept()
        await conn.recv()
        await conn.recv()
        await conn.send_event({"etype": "N", "data": 1})
        await conn.recv()
        await conn.abort()

    seen = []
    with caplog.at_level(logging.ERROR):
        async with serve_peer(script) as peer, open_client(peer.uri) as client:
            cleanup = client.on("N", seen.append)
            await client.send(Number(value=1))
            assert (await client.recv(timeout=60)).data == 1
            cleanup()
            await client.send(Number(value=2))
            with pytest.raises(ConnectionClosed):
                await client.recv(timeout=60)
    assert [event.data for event in seen] == [1]
    assert not caplog.records
