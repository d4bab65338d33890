"""Receiving, answering, and the ways in which the real server ends a connection."""

from __future__ import annotations

import logging
import math
import socket
import time

import anyio
import anyio.lowlevel
import psutil
import pytest

from tests.interop.reference_calls import Pose, ask, event, open_nursery, report_of
from vuer_trio import (
    ConnectionClosed,
    ConnectionFailed,
    Fifo,
    ProtocolError,
    RecvTimeout,
    VuerError,
)

pytestmark = [pytest.mark.anyio, pytest.mark.interop]

MIB = 1 << 20
TRUNCATED_MAP = b"\x82\xa5etype\xa3SET"


# ---- events


@pytest.mark.slow
async def test_the_five_scene_events(open_client, reference_server):
    async with open_client(reference_server.uri) as client:
        client.send @ event("SCENE")
        scene, upsert, add, update, remove = [await client.recv(timeout=60) for _ in range(5)]
    assert scene == "SET"
    assert (scene.data["tag"], scene.data["children"][0]["key"]) == ("Scene", "box")
    assert upsert == "UPSERT"
    assert upsert.data["nodes"] == [
        {"tag": "Box", "key": "box", "args": [2, 2, 2], "position": [0, 0.5, 0]}
    ]
    assert add == "ADD"
    assert (add.data["to"], add.data["nodes"][0]["args"]) == ("box", [0.25])
    assert update == "UPDATE"
    assert update.data["nodes"] == [{"tag": "Sphere", "key": "ball", "position": [1, 2, 3]}]
    assert update.strict is False
    assert remove == "REMOVE"
    assert remove.data == {"keys": ["ball"]}
    assert repr(remove) == "server<REMOVE>({'keys': ['ball']})"
    for received in (scene, upsert, add, update, remove):
        assert received.value is received.data
        assert received.raw["data"] is received.data
        assert type(received.ts) is float
        assert abs(received.ts - time.time()) < 3600  # both in seconds
    assert len({scene, upsert, add, update, remove}) == 5  # hashable, and not equal


async def test_every_way_to_receive(open_client, reference_server):
    async with open_client(reference_server.uri) as client:
        client.send @ event("BURST", 20)
        assert (await client.recv()).data == 0
        assert (await client.recv(timeout=60)).data == 1
        assert (await client.receive_channel.receive()).data == 2
        async for tick in client:
            assert tick.data == 3
            break
        rest = []
        while len(rest) < 16:
            rest += await client.recv_many()
        assert [tick.data for tick in rest] == list(range(4, 20))
        with pytest.raises(RecvTimeout):
            await client.recv(timeout=0.02)
        assert await ask(client, "ECHO", "still here") == "still here"


@pytest.mark.slow
async def test_large_messages_arrive_whole(open_client, reference_server):
    # bytes that differ everywhere, so that a missing or misplaced block is seen
    block = b"".join(n.to_bytes(4) for n in range(MIB // 4))
    async with open_client(reference_server.uri) as client:
        for size in (65_535, 65_536, 700_000, MIB, 3 * MIB):
            value = (block * 3)[:size]
            assert await ask(client, "ECHO", value) == value
        for _ in range(3):
            client.send @ event("ECHO", block)
        for _ in range(3):
            assert (await client.recv(timeout=60)).data == block


@pytest.mark.no_cover
async def test_a_backlog_of_small_messages_arrives_whole(open_client, reference_server):
    count = 20_000
    async with open_client(reference_server.uri, inbox=Fifo(2 * count)) as client:
        client.send @ event("BURST", count)
        first = await client.recv(timeout=60)
        time.sleep(0.2)  # noqa: ASYNC251 - meanwhile the system's buffers fill
        rest = [(await client.recv(timeout=60)).data for _ in range(count - 1)]
        assert [first.data, *rest] == list(range(count))


async def test_two_receivers_share_the_events(open_client, reference_server, backend):
    received = [[], []]

    async def receive(mine):
        async for tick in client:
            mine.append(tick.data)
            await anyio.lowlevel.checkpoint()

    async with open_client(reference_server.uri) as client, open_nursery(backend) as nursery:
        for mine in received:
            nursery.start_soon(receive, mine)
        client.send @ event("BURST", 2000)
        await client.flush(timeout=60)
        client.send @ event("CLOSE")
    assert sorted(received[0] + received[1]) == list(range(2000))
    assert all(mine and mine == sorted(mine) for mine in received)


async def test_malformed_messages_are_one_error_each(open_client, reference_server):
    broken = [b"\xc1", TRUNCATED_MAP, b"", b"\x01", b"\x90", b"\x81\xa1a\x01"]
    broken += [b"\x81\xa5etype\xa1X\x00", b"\x82\xa5etype\xa1X\x01\x02"]
    async with open_client(reference_server.uri) as client:
        client.send @ event("MALFORMED", broken)
        for message in broken:
            with pytest.raises(ProtocolError) as caught:
                await client.recv(timeout=60)
            assert caught.value.frame == message
        assert await client.recv(timeout=60) == "AFTER"
        client.send @ event("TEXT", "grüße")
        with pytest.raises(ProtocolError, match="text frame") as caught:
            await client.recv(timeout=60)
        assert caught.value.frame == "grüße".encode()
        assert client.connected
        assert await ask(client, "ECHO", 1) == 1


async def test_iteration_can_be_resumed_after_a_malformed_message(open_client, reference_server):
    seen = []
    async with open_client(reference_server.uri) as client:
        client.send @ event("MALFORMED")
        client.send @ event("ECHO", "last")
        while "ECHO" not in seen:
            try:
                async for received in client:
                    seen.append(received.etype)
                    if received == "ECHO":
                        break
            except ProtocolError as exc:
                seen.append(exc.frame)
    assert [what for what in seen if what != "ECHO"] == [b"\xc1", TRUNCATED_MAP, "AFTER"]
    assert seen.count("ECHO") == 1


# ---- answers and handlers


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_request_is_answered(open_client, reference_server, kind):
    requests = []

    def render(request):
        requests.append(request)
        return {"frame": b"\xff\xd8", "key": request.key}

    async def render_later(request):
        await anyio.sleep(0.01)
        return render(request)

    async with open_client(reference_server.uri) as client:
        client.answer("GRAB_RENDER", render if kind == "sync" else render_later)
        # the next event is the server's word of the answer: the request is not delivered
        grabbed = await ask(client, "GRAB", reply="GRABBED")
        assert grabbed["value"] == {"frame": b"\xff\xd8", "key": "DEFAULT"}
    (request,) = requests
    assert (request.etype, request.data) == ("GRAB_RENDER", {"quality": 0.5})
    assert grabbed["etype"] == request.rtype == f"GRAB_RENDER_RESPONSE@{request.uuid}"


async def test_an_answer_that_raises_is_logged_and_ends_nothing(
    open_client, reference_server, caplog
):
    async with open_client(reference_server.uri) as client:

        @client.answer("GRAB_RENDER")
        def render(request):
            raise LookupError("no canvas")

        with caplog.at_level(logging.ERROR, "vuer_trio"):
            grabbed = await ask(client, "GRAB", {"ttl": 0.2}, reply="GRABBED")
        assert grabbed == {"error": "TimeoutError"}
        assert await ask(client, "ECHO", 1) == 1
    (record,) = caplog.records
    assert record.name == "vuer_trio.handlers"
    assert "GRAB_RENDER" in record.getMessage()
    assert str(record.exc_info[1]) == "no canvas"


async def test_a_request_that_is_not_answered_reaches_recv(open_client, reference_server):
    async with open_client(reference_server.uri) as client:
        unanswer = client.answer("GRAB_RENDER", lambda request: 1)
        unanswer()
        client.send @ event("GRAB", {"ttl": 5})
        request = await client.recv(timeout=60)
        assert (request.etype, request.key) == ("GRAB_RENDER", "DEFAULT")
        client.send @ event(request.rtype, "by hand")
        assert (await client.recv(timeout=60)).data["value"] == "by hand"


async def test_handlers_run_in_order_and_recv_gets_the_events_as_well(
    open_client, reference_server
):
    handled = []

    async def slow_at_first(tick):
        await anyio.sleep(0.01 if tick.data < 3 else 0)
        handled.append(tick.data)

    async with open_client(reference_server.uri) as client:
        client.on("TICK", slow_at_first)
        client.send @ event("BURST", 100)
        received = [(await client.recv(timeout=60)).data for _ in range(100)]
        client.send @ event("CLOSE")
        await client.wait_closed()  # the handlers of what was read are done then
        assert handled == received == list(range(100))


# ---- a client that only sends


@pytest.mark.slow
@pytest.mark.no_cover
async def test_answers_that_nobody_receives_stop_nothing(open_client, reference_server, tag):
    count = 100_000
    process = psutil.Process()
    async with open_client(reference_server.uri) as client:
        client.send @ event("TAG", tag)
        client.send @ event("ECHO_MODE", True)
        await client.flush(timeout=60)
        start = peak = process.memory_info().rss
        for n in range(0, count, 500):
            await client.send_many(Pose(value=n + i) for i in range(500))
            peak = max(peak, process.memory_info().rss)
        await client.flush(timeout=60)
        peak = max(peak, process.memory_info().rss)
        numbers = client.statistics()
        assert client.connected
        assert numbers.inbox == 1024  # the newest
        assert numbers.dropped > 1024
        assert numbers.received == numbers.dropped + numbers.inbox
        assert (await client.recv()).dropped_before == numbers.dropped
    assert peak - start < 80 * MIB
    async with open_client(reference_server.uri) as client:
        report = await report_of(client, tag, wait=10, tail=3)
    assert report["count"] == count
    assert report["events"] == [["POSE", count - 3 + n] for n in range(3)]


# ---- endings


@pytest.mark.parametrize("code", [1000, 1001])
async def test_a_normal_close_ends_the_iteration(open_client, reference_server, code):
    async with open_client(reference_server.uri) as client:
        client.send @ event("BURST", 10)
        await client.flush(timeout=60)
        client.send @ event("CLOSE", code)
        assert [tick.data async for tick in client] == list(range(10))
        assert [tick async for tick in client] == []
        for call in (client.recv, client.flush, lambda: client.send(Pose())):
            with pytest.raises(ConnectionClosed) as caught:
                await call()
            assert caught.value.code == code
        assert (client.connected, client.close_code) == (False, code)


@pytest.mark.parametrize("code", [1011, 4000])
async def test_any_other_close_is_raised_after_the_events(open_client, reference_server, code):
    received = []
    async with open_client(reference_server.uri) as client:
        client.send @ event("BURST", 10)
        await client.flush(timeout=60)
        client.send @ event("CLOSE", code)
        with pytest.raises(ConnectionClosed, match=f"code {code}") as caught:
            await receive_all(client, received)
        assert caught.value.code == code
        with pytest.raises(ConnectionClosed):
            client.send @ Pose()
    assert received == list(range(10))


async def receive_all(client, received):
    async for tick in client:
        received.append(tick.data)


@pytest.mark.slow
async def test_a_killed_server_is_noticed_at_once(open_client, fresh_reference_server, backend):
    async def kill_soon():
        await anyio.sleep(0.05)
        fresh_reference_server.kill()

    # No heartbeat would notice it.
    async with open_client(fresh_reference_server.uri, heartbeat=math.inf) as client:
        assert await ask(client, "ECHO", 1) == 1
        async with open_nursery(backend) as nursery:
            nursery.start_soon(kill_soon)
            with pytest.raises(ConnectionClosed) as caught, anyio.fail_after(60):
                await client.recv()
        assert caught.value.code == client.close_code == 1006
        assert not client.connected
        for call in (client.recv, client.flush, lambda: client.send(Pose()), client.recv_many):
            with pytest.raises(ConnectionClosed) as caught:
                await call()
            assert caught.value.code == 1006
        for call in (client.recv_nowait, lambda: client.send @ Pose()):
            with pytest.raises(ConnectionClosed):
                call()


@pytest.mark.slow
async def test_connect_again_after_a_loss(open_client, fresh_reference_server):
    server = fresh_reference_server
    client = open_client(server.uri)
    await client.connect()
    client.send @ event("DIE")
    with pytest.raises(ConnectionClosed) as caught:
        await client.recv(timeout=60)
    assert caught.value.code == 1006
    assert server.wait_dead() == 1
    with pytest.raises(ConnectionFailed):
        await client.connect()
    with pytest.raises(VuerError):
        await client.send(Pose())
    server.restart()
    await client.connect()
    assert (client.connected, client.generation, client.close_code) == (True, 2, None)
    report = await ask(client, "REPORT")
    assert (report["first"], report["events"]) == ("INIT", [])
    assert await ask(client, "ECHO", "again") == "again"
    await client.close()


# ---- no connection at all


async def test_nobody_listens(open_client):
    with socket.socket() as taken:  # bound, so that nobody else can listen there
        taken.bind(("127.0.0.1", 0))
        uri = f"ws://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConnectionFailed, match=r"is a Vuer server running") as caught:
            async with open_client(uri):
                pytest.fail("it opened")
    assert isinstance(caught.value, ConnectionError)
    assert caught.value.uri.rstrip("/") == uri
    assert uri in str(caught.value)
    assert caught.value.status is None
    assert isinstance(caught.value.__cause__, OSError)


async def test_a_path_that_is_no_websocket(open_client, reference_server):
    client = open_client(f"{reference_server.uri}/nope")
    with pytest.raises(ConnectionFailed, match="404") as caught:
        await client.connect()
    assert caught.value.status == 404
    assert caught.value.uri == f"{reference_server.uri}/nope"
    assert not client.connected
