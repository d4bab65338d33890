"""Link after link: each dial to the exact virtual second, and every call in between."""

from __future__ import annotations

import gc
import math
import ssl
import tracemalloc
from contextlib import nullcontext

import msgpack
import pytest
import trio
import trio.testing

from tests.behaviour.numbered_events import Number, numbers
from tests.memory_network import HANG, network, refuse
from tests.repetitions import cancel_everywhere
from tests.resource_counts import task_count
from tests.stream_wrappers import PassthroughStream
from vuer_trio import (
    Backoff,
    CallTimeout,
    ClientClosed,
    Connected,
    ConnectionClosed,
    ConnectionFailed,
    Disconnected,
    Fifo,
    OutboxFull,
    RecvTimeout,
    codec,
    open_vuer_client,
)
from vuer_trio._net.rejection import Rejected
from vuer_trio.events import ClientEvent

URI = "ws://memory.test:8012"

pytestmark = pytest.mark.trio


@pytest.fixture(params=["websockets", "trio-websocket"])
def opened(request):
    """``opened(Backoff(...), ...)``: a client of this transport; ``jitter`` is off."""

    def client(*backoff, heartbeat=math.inf, **options):
        names = ("initial", "maximum", "attempts", "first", "replay")
        settings = {name: options.pop(name) for name in names if name in options}
        return open_vuer_client(
            URI,
            transport=request.param,
            reconnect=Backoff(jitter=0, **settings),
            heartbeat=heartbeat,
            **options,
        )

    return client


async def up(conn):
    await conn.accept()


async def lost(conn):
    """Accept, and end TCP once the client has said something."""
    await conn.accept()
    await conn.recv()
    await conn.abort()


def closes(code, seconds=0.0):
    async def script(conn):
        await conn.accept()
        await conn.recv()
        await trio.sleep(seconds)
        await conn.close(code, "restart")

    return script


def lives(seconds):
    async def script(conn):
        await conn.accept()
        await conn.recv()
        await trio.sleep(seconds)
        await conn.abort()

    return script


async def settled():
    await trio.testing.wait_all_tasks_blocked()


async def gap(client):
    """Until there is no link."""
    changes = client.link_changes()
    while client.connected:
        await anext(changes)


async def back(client):
    """Until there is another link."""
    async for change in client.link_changes():
        if isinstance(change, Connected):
            return


DOWN = ConnectionRefusedError(111, "Connection refused")


# ---- when to dial


async def test_each_dial_comes_after_its_delay(autojump_clock, opened):
    async with network(lost, *[DOWN] * 8, up) as net, opened() as client:
        await back(client)
        delays = [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
        assert net.times == [sum(delays[:n]) for n in range(10)]
        assert client.generation == 2
        assert client.statistics().reconnects == 1


async def test_jitter_makes_a_delay_a_share_longer_or_shorter(autojump_clock):
    times = set()
    for _ in range(20):
        async with network(lost, up) as net:
            async with open_vuer_client(URI, reconnect=Backoff(jitter=0.5)) as client:
                await back(client)
            times.add(net.times[1])
    assert len(times) > 15
    assert all(0.25 <= time <= 0.75 for time in times)


async def test_true_is_the_default_backoff(autojump_clock):
    async with network(lost, up) as net:
        async with open_vuer_client(URI, reconnect=True) as client:
            await back(client)
    assert 0.45 <= net.times[1] <= 0.55


@pytest.mark.parametrize("off", [None, False])
async def test_without_it_nothing_is_dialled_again(autojump_clock, off):
    async with network(lost, up) as net:
        async with open_vuer_client(URI, reconnect=off) as client:
            with pytest.raises(ConnectionClosed):
                await client.recv()
            await trio.sleep(1000)
    assert net.times == [0]


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 1012, 4000])
async def test_every_close_of_the_peers_is_redialled(autojump_clock, opened, code):
    async with network(closes(code), up) as net, opened() as client:
        changes = client.link_changes()
        ended = await anext(changes)
        assert (ended.code, ended.reason) == (code, "restart")
        assert (client.close_code, client.close_reason) == (code, "restart")
        assert not client.connected
        assert await anext(changes) == Connected(2)
        assert client.connected
        assert (client.close_code, client.close_reason) == (None, None)
        assert len(net.times) == 2


async def test_a_message_over_the_limit_is_redialled(autojump_clock, opened):
    async def too_much(conn):
        await conn.accept()
        await conn.recv()
        await conn.send(bytes(2000))

    async with network(too_much, up), opened(max_size=1000) as client:
        changes = client.link_changes()
        assert (await anext(changes)).code == 1009
        assert await anext(changes) == Connected(2)


async def test_a_lost_heartbeat_is_redialled(autojump_clock, opened):
    async def mute(conn):
        conn.auto_pong = False
        await conn.accept()

    async with network(mute, up) as net, opened(heartbeat=20) as client:
        changes = client.link_changes()
        ended = await anext(changes)
        assert "no sign of life" in ended.reason
        await anext(changes)
        assert net.times == [0, 40.5]
        await trio.sleep(100)
        assert client.connected


async def test_the_timeout_is_of_each_dial(autojump_clock, opened):
    async with network(lost, HANG, DOWN, HANG, up) as net, opened(connect_timeout=7) as client:
        await back(client)
        assert net.times == [0, 0.5, 0.5 + 7 + 1, 8.5 + 2, 10.5 + 7 + 4]


async def test_the_delay_starts_anew_only_after_a_link_that_lived_longer_than_the_maximum(
    autojump_clock, opened
):
    plans = [lives(1), lives(0), lives(8), lives(8.5), lives(0), up]
    async with network(*plans) as net, opened(initial=1, maximum=8) as client:
        while client.generation < 6:
            await back(client)
    gaps = [b - a for a, b in zip(net.times, net.times[1:], strict=False)]
    assert gaps == [1 + 1, 0 + 2, 8 + 4, 8.5 + 1, 0 + 2]


async def test_a_slow_close_does_not_make_a_link_live_longer(autojump_clock, opened):
    """Its life ends with the peer's close frame, not with the stream."""

    async def lingers(conn):
        conn.answer_close = False
        await conn.accept()
        await conn.recv()
        await trio.sleep(7.5)
        await conn.send_raw(b"\x88\x02\x03\xe9")

    async with network(lost, lingers, up) as net:
        async with opened(initial=2, maximum=8, close_timeout=1) as client:
            while client.generation < 3:
                await back(client)
            assert net.times == [0, 2, 2 + 7.5 + 1 + 4]


# ---- the first dial


async def test_the_first_dial_is_tried_once(autojump_clock, opened):
    async with network(DOWN, up) as net:
        with pytest.raises(ConnectionFailed) as caught:
            async with opened():
                pytest.fail("opened")
        assert caught.value.__cause__ is DOWN
        assert net.times == [0]


async def test_the_first_dial_is_retried_on_request(autojump_clock, opened):
    plans = [DOWN, HANG, refuse(503), up]
    async with network(*plans) as net, opened(first=True, connect_timeout=3) as client:
        assert net.times == [0, 0.5, 0.5 + 3 + 1, 4.5 + 2]
        assert client.generation == 1
        await client.send(Number(value=1))
        await client.flush()
        assert numbers(net.connections[-1].messages) == [1]


async def test_a_first_dial_may_be_retried_too_often(autojump_clock, opened):
    async with network(DOWN) as net:
        with pytest.raises(ConnectionFailed) as caught:
            async with opened(first=True, attempts=3):
                pytest.fail("opened")
        assert caught.value.__cause__ is DOWN
        assert net.times == [0, 0.5, 1.5]


async def test_a_first_dial_that_can_not_succeed_is_not_retried(autojump_clock, opened):
    async with network(refuse(401), up) as net:
        with pytest.raises(ConnectionFailed) as caught:
            async with opened(first=True):
                pytest.fail("opened")
        assert caught.value.status == 401
        assert net.times == [0]


@pytest.mark.parametrize("plan", [DOWN, HANG])
async def test_a_first_dial_can_be_cancelled_while_it_is_retried(autojump_clock, opened, plan):
    tasks = task_count()
    async with network(plan):
        with trio.move_on_after(100) as scope:
            async with opened(first=True):
                pytest.fail("opened")
        assert scope.cancelled_caught
        assert trio.current_time() - scope.deadline == 0
    assert task_count() == tasks


# ---- giving up


async def all_calls_raise(client, what):
    async def iterate():
        async for _ in client:
            pass

    for call in (
        client.recv,
        client.recv_many,
        client.flush,
        lambda: client.send(Number()),
        lambda: client.send_many([Number()]),
        iterate,
    ):
        with pytest.raises(what) as caught:
            await call()
    with pytest.raises(what):
        client.send @ Number()
    with pytest.raises(what):
        await client.send
    with pytest.raises(what):
        client.recv_nowait()
    return caught.value


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_some_answers_are_final(autojump_clock, opened, status, caplog):
    async with network(lost, DOWN, refuse(status), up) as net, opened() as client:
        changes = client.link_changes()
        with pytest.raises(ConnectionFailed):
            await client.recv()
        error = await all_calls_raise(client, ConnectionFailed)
        assert (error.uri, error.status) == (client.uri, status)
        assert isinstance(error.__cause__, Rejected)
        assert f"HTTP {status}" in str(error)
        assert not client.connected
        assert [type(change) async for change in changes] == [Disconnected]
        await trio.sleep(1000)
        assert len(net.times) == 3
    assert "gave up: could not connect" in caplog.text


@pytest.mark.parametrize(
    "failure",
    [
        ssl.SSLCertVerificationError(1, "certificate verify failed"),
        ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"),
        TypeError("headers: 1"),
        ValueError("headers: a line break"),
        KeyError("TOKEN"),
    ],
    ids=lambda e: type(e).__name__,
)
async def test_some_failures_are_final(autojump_clock, opened, failure):
    async with network(lost, failure, up) as net, opened() as client:
        with pytest.raises(ConnectionFailed) as caught:
            await client.recv()
        assert caught.value.uri == client.uri
        assert caught.value.__cause__ is failure
        assert str(failure) in str(caught.value)
        assert len(net.times) == 2


@pytest.mark.parametrize(
    "failure",
    [
        DOWN,
        ConnectionResetError(104, "Connection reset by peer"),
        TimeoutError("timed out"),
        OSError(113, "No route to host"),
        refuse(400),
        refuse(429),
        refuse(500),
        refuse(502),
        refuse(503),
        Rejected("the server closed the stream before it answered"),
        ConnectionFailed("of another client", uri="ws://elsewhere"),
        ssl.SSLEOFError(8, "EOF occurred in violation of protocol"),
        ssl.SSLZeroReturnError(6, "TLS/SSL connection has been closed (EOF)"),
    ],
    ids=lambda e: type(e).__name__,
)
async def test_others_are_not(autojump_clock, opened, failure):
    async with network(lost, failure, up) as net, opened() as client:
        await back(client)
        assert net.times == [0, 0.5, 1.5]


async def test_it_gives_up_after_so_many_failed_dials_in_a_row(autojump_clock, opened):
    plans = [lost, DOWN, DOWN, lost, DOWN, DOWN, HANG]
    async with network(*plans) as net, opened(attempts=3, connect_timeout=5) as client:
        with pytest.raises(ConnectionFailed, match="not open within 5 s") as caught:
            await client.recv()
        assert isinstance(caught.value.__cause__, TimeoutError)
        assert len(net.times) == 7
        await all_calls_raise(client, ConnectionFailed)
        await client.wait_closed()


async def test_giving_up_wakes_who_waits(autojump_clock, opened):
    raised = []

    async def call(fn, *args):
        with pytest.raises(ConnectionFailed):
            await fn(*args)
        raised.append(round(trio.current_time() - began, 6))

    async with network(lives(1), DOWN) as net:
        async with opened(attempts=2, outbox=Fifo(2)) as client:
            await settled()
            began = trio.current_time()
            await gap(client)
            client.send @ Number(value=0)
            client.send @ Number(value=1)
            async with trio.open_nursery() as nursery:
                for fn in (client.recv, client.flush, client.recv_many):
                    nursery.start_soon(call, fn)
                nursery.start_soon(call, client.send, Number(value=2))
            with pytest.raises(ConnectionClosed, match="2 messages were not sent") as caught:
                await client.aclose()
            assert "could not connect" in str(caught.value)
            assert isinstance(caught.value.__cause__, ConnectionFailed)
    assert raised == [2.5] * 4
    assert net.times == [0, 1.5, 2.5]


async def test_what_was_received_before_can_be_received_after_giving_up(autojump_clock, opened):
    async def script(conn):
        await conn.accept()
        for n in range(3):
            await conn.send_event({"etype": "N", "data": n})
        await conn.abort()

    async with network(script, refuse(404)), opened() as client:
        await client.wait_closed()
        seen = []
        with pytest.raises(ConnectionFailed):
            async for event in client:
                seen.append(event.data)
        assert seen == [0, 1, 2]


async def test_run_raises_when_it_gives_up(autojump_clock, opened):
    async with network(lost, refuse(403)):
        with pytest.raises(ExceptionGroup) as caught:
            async with trio.open_nursery() as nursery:
                await nursery.start(opened().run)
        assert [type(e) for e in caught.value.exceptions] == [ConnectionFailed]


async def test_run_goes_on_from_link_to_link_and_returns_when_we_close(autojump_clock, opened):
    async with network(lost, closes(1000), closes(1001), closes(1011), up) as net:
        async with trio.open_nursery() as nursery:
            client = await nursery.start(opened().run)
            while client.generation < 5:
                await back(client)
            await client.close()
        assert len(net.times) == 5
        with pytest.raises(ClientClosed):
            await client.recv()


async def test_a_client_that_gave_up_can_be_connected_again(autojump_clock, opened):
    async with network(lost, refuse(404), up) as net, trio.open_nursery() as nursery:
        client = await opened().connect(nursery)
        await client.wait_closed()
        await client.connect(nursery)
        assert client.generation == 2
        await client.send(Number(value=1))
        await client.close()
        assert numbers((await net.connection(2)).messages) == [1]


# ---- in the gap


async def test_sending_follows_the_room_and_the_queue_comes_after_init(autojump_clock, opened):
    async with network(lives(1), *[DOWN] * 5, up) as net, opened(outbox=Fifo(3)) as client:
        await gap(client)
        assert not client.connected
        client.send @ Number(value=0)
        await client.send(Number(value=1))
        permit = await client.send
        with pytest.raises(OutboxFull):
            client.send @ Number(value=9)
        with trio.move_on_after(3) as scope:
            await client.send(Number(value=9))
        assert scope.cancelled_caught
        permit @ Number(value=2)
        assert not client.connected
        await client.send(Number(value=3))  # waits for the link
        assert client.connected
        await client.flush()
        conn = net.connections[-1]
        assert b"INIT" in conn.messages[0]
        assert numbers(conn.messages[1:]) == [0, 1, 2, 3]
        assert client.statistics().lost == 0


def event(etype, value):
    return ClientEvent(etype=etype, value=value)


def said(conn):
    """What a link carried, INIT's value aside."""
    events = [msgpack.unpackb(message) for message in conn.messages]
    return [e["etype"] if e["etype"] == "INIT" else (e["etype"], e["value"]) for e in events]


async def test_what_is_retained_comes_after_init_and_before_the_queue(autojump_clock, opened):
    async with network(lives(1), lives(1), up) as net, opened() as client:
        await client.send(event("CAMERA", 1), retain=True)
        await client.send(event("POSE", 1), retain=True)
        await client.send(event("CAMERA", 2), retain=True)
        await client.send(event("CAMERA", 3))
        await client.flush()
        await gap(client)
        client.send @ event("CLICK", 1)
        await back(client)
        await client.flush()
        first, second = net.connections
        camera, pose = ("CAMERA", 2), ("POSE", 1)
        assert said(first) == ["INIT", ("CAMERA", 1), pose, camera, ("CAMERA", 3)]
        assert said(second) == ["INIT", pose, camera, ("CLICK", 1)]
        await back(client)
        await client.flush()
        assert said(net.connections[2]) == ["INIT", pose, camera]
        assert client.statistics().sent == 5


async def test_what_is_retained_during_a_dial_is_the_newest(autojump_clock, opened):
    async def slow(conn):
        await conn.wait_request()
        await trio.sleep(5)
        await conn.accept()

    async with network(lives(1), slow) as net, opened() as client:
        await client.send(event("POSE", 1), retain=True)
        await gap(client)
        await trio.sleep(3)
        await client.send(event("POSE", 2), retain=True)
        assert not client.connected
        await back(client)
        await client.flush()
        assert said(net.connections[1]) == ["INIT", ("POSE", 2), ("POSE", 2)]


async def test_receiving_waits_for_the_next_link(autojump_clock, opened):
    async def greet(conn):
        await conn.accept()
        await conn.send_event({"etype": "N", "data": len(net.connections)})
        await conn.recv()
        await conn.abort()

    async with network(greet, DOWN, greet, DOWN, greet, up) as net, opened() as client:
        assert (await client.recv()).data == 1
        with pytest.raises(RecvTimeout):
            await client.recv(timeout=1)
        assert (await client.recv(timeout=10)).data == 2
        async for event in client:
            assert event.data == 3
            break


async def test_flush_waits_for_the_next_link(autojump_clock, opened):
    async with network(lives(1), DOWN, up) as net, opened() as client:
        await gap(client)
        await client.send(Number(value=1))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.flush)
            nursery.start_soon(client.flush)
            with pytest.raises(CallTimeout):
                await client.flush(timeout=0.1)
        assert client.connected
        assert numbers(net.connections[-1].messages) == [1]
        assert len(net.connections[-1].keepalive) == 2


async def test_a_flush_of_the_lost_link_is_completed_by_the_next(autojump_clock, opened):
    async def mute(conn):
        conn.auto_pong = False
        await conn.accept()
        await conn.wait_until(lambda: len(conn.keepalive) == 2)
        await conn.abort()

    async with network(mute, up), opened() as client:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.flush)
            nursery.start_soon(client.flush)
        assert client.generation == 2


async def test_flushes_that_nobody_waits_for_take_no_room(autojump_clock, opened):
    async with network(lost, *[DOWN] * 10, up) as net, opened(outbox=Fifo(5)) as client:
        await gap(client)
        for _ in range(100):
            with pytest.raises(CallTimeout):
                await client.flush(timeout=0.1)
        assert client.statistics().outbox == 0
        await client.flush()
        assert len(net.connections[-1].keepalive) == 1


async def test_handlers_go_on_from_link_to_link_and_may_be_added_in_the_gap(autojump_clock, opened):
    seen, ran = [], []

    async def script(conn):
        await conn.accept()
        await conn.recv()
        await conn.send_event({"etype": "N", "data": len(net.connections)})
        await conn.send_event({"etype": "ASK", "rtype": "R", "data": {}})
        await conn.wait_until(lambda: len(conn.messages) == 2)
        if len(net.connections) < 5:
            await conn.abort()

    async def slow(event):
        ran.append("began")
        await trio.sleep(2)  # longer than the gap
        ran.append("ended")

    async with network(lost, *[script] * 4) as net, opened(maximum=0.5) as client:
        await gap(client)
        client.on("N", lambda event: seen.append(event.data))
        client.on("ASK", slow)
        client.answer("ASK", lambda event: "answer")
        while client.generation < 5:
            await back(client)
        await trio.sleep(10)
    assert seen == [2, 3, 4, 5]
    assert ran == ["began", "ended"] * 4


async def test_a_full_inbox_stops_the_reader_of_the_next_link_too(autojump_clock, opened):
    async def script(conn):
        await conn.accept()
        await conn.recv()
        for n in range(4):
            await conn.send_event({"etype": "N", "data": 4 * len(net.connections) + n})
        await trio.sleep(1)
        if len(net.connections) == 1:
            await conn.abort()

    async with network(script, script) as net, opened(inbox=Fifo(4), heartbeat=2) as client:
        client.on("NOTHING", print)
        with trio.move_on_after(0.5):
            await client.recv()
            await trio.sleep_forever()
        await trio.sleep(20)
        seen = [(await client.recv(timeout=100)).data for _ in range(7)]
        assert seen == [5, 6, 7, 8, 9, 10, 11]
        assert client.generation == 2


async def test_silence_counts_through_the_gap(autojump_clock, opened):
    async with network(lives(1), *[DOWN] * 10), opened() as client:
        await gap(client)
        before = client.statistics().silence
        await trio.sleep(20)
        assert client.statistics().silence == pytest.approx(before + 20)


# ---- what is on its way


class Stuck(PassthroughStream):
    """Takes nothing more once it is told so."""

    stuck = False

    async def send_all(self, data):
        if self.stuck:
            await trio.sleep_forever()
        await super().send_all(data)


async def lose_half_way(net, client):
    """The link is lost with 3 messages on their way, and 2 enqueued."""
    conn = await net.connection()
    await conn.wait_until(lambda: len(conn.messages) == 1)
    await client.flush()
    net.streams[0].stuck = True
    for n in range(3):
        client.send @ Number(value=n)
    await settled()
    client.send @ Number(value=3)
    client.send @ Number(value=4)
    await settled()
    assert client.statistics().outbox == 5
    await conn.abort()
    await gap(client)


async def test_what_was_on_its_way_is_lost_and_counted(autojump_clock, opened, caplog):
    async with network(up) as net:
        net.wrap = Stuck
        async with opened() as client:
            await lose_half_way(net, client)
            numbers_now = client.statistics()
            assert (numbers_now.lost, numbers_now.outbox) == (3, 2)
            await back(client)
            await client.flush()
            assert numbers(net.connections[1].messages) == [3, 4]
            assert (client.statistics().lost, client.statistics().outbox) == (3, 0)
    assert "3 messages were in flight" in caplog.text


async def test_a_message_that_was_begun_is_lost_once(autojump_clock, opened):
    """One that went out past the writer, if the transport can."""
    async with network(up, DOWN) as net:
        net.wrap = Stuck
        async with opened() as client:
            await client.flush()
            await settled()
            net.streams[0].stuck = True
            await client.send(Number(value=1))
            await settled()
            await (await net.connection()).abort()
            await gap(client)
            assert client.statistics().lost == 1
        # nothing was left to be sent


async def test_leaving_in_the_gap_counts_what_is_lost_only_once(autojump_clock, opened):
    async with network(up, DOWN) as net:
        net.wrap = Stuck
        with pytest.raises(ConnectionClosed, match=r"^2 messages were not sent"):
            async with opened() as client:
                await lose_half_way(net, client)
        assert client.statistics().lost == 3


async def test_room_that_the_lost_messages_took_is_free_again(autojump_clock, opened):
    async with network(up) as net:
        net.wrap = Stuck
        async with opened(outbox=Fifo(5)) as client:
            await lose_half_way(net, client)
            for n in range(5, 8):
                client.send @ Number(value=n)
            with pytest.raises(OutboxFull):
                client.send @ Number(value=8)
            await back(client)
            await client.flush()
            assert numbers(net.connections[1].messages) == [3, 4, 5, 6, 7]


# ---- leaving


@pytest.mark.parametrize("plan", [DOWN, HANG])
@pytest.mark.parametrize("enqueued", [0, 1, 3])
async def test_leaving_between_two_links_is_immediate(autojump_clock, opened, plan, enqueued):
    left = (
        pytest.raises(ConnectionClosed, match=f"^{enqueued} message") if enqueued else nullcontext()
    )
    async with network(lost, plan) as net:
        with left:
            async with opened(connect_timeout=50) as client:
                await gap(client)
                await trio.sleep(40)
                for n in range(enqueued):
                    client.send @ Number(value=n)
                began, dials = trio.current_time(), len(net.times)
        assert trio.current_time() == began
        with pytest.raises(ClientClosed):
            client.send @ Number()
        await trio.sleep(1000)
        assert len(net.times) == dials


@pytest.mark.parametrize("plan", [DOWN, HANG])
async def test_a_close_from_another_task_is_immediate(autojump_clock, opened, plan):
    async with network(lost, plan), trio.open_nursery() as nursery:
        client = await opened(connect_timeout=50).connect(nursery)
        await gap(client)
        await trio.sleep(40)
        began = trio.current_time()
        await client.close()
        assert trio.current_time() == began
        await client.wait_closed()
        assert not nursery.child_tasks
        with pytest.raises(ClientClosed):
            await client.recv()


@pytest.mark.parametrize("plan", [DOWN, HANG])
@pytest.mark.parametrize("how", ["raise", "cancel"])
async def test_a_body_that_fails_between_two_links_leaves_at_once(
    autojump_clock, opened, plan, how, caplog
):
    tasks = task_count()
    began = trio.current_time()
    async with network(lost, plan):
        with trio.CancelScope() as scope:
            with pytest.raises(KeyError) if how == "raise" else nullcontext():
                async with opened(connect_timeout=50) as client:
                    await gap(client)
                    await trio.sleep(40)
                    client.send @ Number()
                    began = trio.current_time()
                    if how == "raise":
                        raise KeyError
                    scope.cancel()
                    await trio.sleep_forever()
        assert trio.current_time() == began
    assert "1 messages enqueued" in caplog.text
    assert task_count() == tasks


async def test_a_nursery_cancelled_in_the_gap_takes_the_client_along(autojump_clock, opened):
    async with network(lost, DOWN) as net:
        async with trio.open_nursery() as nursery:
            client = await opened().connect(nursery)
            await gap(client)
            nursery.cancel_scope.cancel()
        assert repr(client).endswith("gone>")
        dials = len(net.times)
        await trio.sleep(1000)
        assert len(net.times) == dials
        with pytest.raises(ClientClosed):
            client.send @ Number()


async def test_a_nursery_cancelled_over_an_open_link_is_no_loss(autojump_clock, opened):
    async with network(up) as net:
        net.wrap = Stuck
        async with trio.open_nursery() as nursery:
            client = await opened().connect(nursery)
            await client.flush()
            changes = client.link_changes()
            net.streams[0].stuck = True
            client.send @ Number()
            await settled()
            nursery.cancel_scope.cancel()
        assert [change.code async for change in changes] == [1001]
        assert client.statistics().lost == 0
        await trio.sleep(1000)
        assert len(net.times) == 1
        with pytest.raises(ConnectionClosed, match="1 message was not sent"):
            await client.close()


@pytest.mark.parametrize("answers", [True, False])
async def test_nothing_is_dialled_after_our_own_close(autojump_clock, opened, answers):
    async def script(conn):
        conn.answer_close = answers
        await conn.accept()
        await conn.wait_ended()
        if not answers:
            await conn.abort()

    async with network(script, up) as net:
        async with opened() as client:
            changes = client.link_changes()
        assert [type(change) async for change in changes] == [Disconnected]
        await trio.sleep(1000)
        assert net.times == [0]


async def test_a_link_that_is_lost_while_we_leave_stays_lost(autojump_clock, opened):
    async def script(conn):
        await conn.accept()
        await trio.sleep(5)
        await conn.abort()

    async with network(script, up) as net:
        net.wrap = Stuck
        with pytest.raises(ConnectionClosed, match=r"^2 messages were not sent"):
            async with opened(close_timeout=60) as client:
                await settled()
                net.streams[0].stuck = True
                client.send @ Number(value=1)
                client.send @ Number(value=2)
        await trio.sleep(1000)
        assert net.times == [0]


async def test_a_close_in_the_last_step_of_a_dial_wins(autojump_clock, opened):
    """The dial has succeeded, and its task has yet to run."""
    for steps in range(40):
        async with network(lost, up), trio.open_nursery() as nursery:
            client = await opened().connect(nursery)
            changes = client.link_changes()
            await gap(client)
            await trio.sleep(0.5)
            for _ in range(steps):
                await trio.lowlevel.checkpoint()
            connected = client.connected
            await client.close()
            kinds = [type(change) async for change in changes]
            assert kinds == [Disconnected, Connected, Disconnected][: 3 if connected else 1]
            assert client.generation == (2 if connected else 1)
        if connected:
            break
    assert connected
    assert steps > 3


async def test_a_client_collected_in_the_gap_dials_no_more(autojump_clock, opened):
    async with network(lost, DOWN) as net:
        client = await opened().connect()
        await gap(client)
        await trio.sleep(10)
        with pytest.warns(ResourceWarning, match="never closed"):
            del client
            gc.collect()
        dials = len(net.times)
        await trio.sleep(1000)
        assert len(net.times) == dials


async def test_a_client_in_the_gap_is_connected_already(autojump_clock, opened):
    async with network(lost, DOWN), trio.open_nursery() as nursery:
        client = await opened().connect(nursery)
        await gap(client)
        with pytest.raises(RuntimeError, match="already"):
            await client.connect(nursery)
        await client.close()


# ---- large messages


async def hears(conn):
    await conn.accept()
    while True:
        await conn.recv()


async def test_a_large_message_is_let_go_as_soon_as_it_is_sent(autojump_clock, opened):
    """So that the next one may take its memory."""
    large = ClientEvent(etype="LARGE", value=bytes(2_000_000))
    async with network(hears), opened() as client:
        ours, held = tracemalloc.Filter(True, codec.__file__), []
        tracemalloc.start()
        try:
            for _ in range(2):
                await client.send(large)
                await settled()
                found = tracemalloc.take_snapshot().filter_traces([ours])
                held.append(sum(one.size for one in found.statistics("filename")))
        finally:
            tracemalloc.stop()
        assert held[0] < 4_100_000, "the buffer of the encoder"
        assert held[1] - held[0] < 100_000


# ---- changes


async def test_the_changes_are_reported_in_order(autojump_clock, opened):
    plans = [lives(1), DOWN, closes(1001, 2), DOWN, DOWN, closes(4000), up]
    async with network(*plans), opened(maximum=1) as client:
        began = trio.current_time()
        first, second = client.link_changes(), client.link_changes()
        while client.generation < 4:
            await back(client)
        await client.aclose()
        changes = [change async for change in first]
        assert changes == [change async for change in second]
        seen = [c.generation if isinstance(c, Connected) else c.code for c in changes]
        assert seen == [1006, 2, 1001, 3, 4000, 4, 1000]
        heard = [c.last_activity - began for c in changes if isinstance(c, Disconnected)]
        assert heard == pytest.approx([1, 4.5, 7, 8], abs=1e-6) or heard[0] == 0
        assert [change async for change in client.link_changes()] == []


async def test_a_watcher_waits_and_its_cancellation_loses_nothing(autojump_clock, opened):
    async with network(lives(5), up), opened() as client:
        changes = client.link_changes()
        with trio.move_on_after(1) as scope:
            await anext(changes)
        assert scope.cancelled_caught
        assert isinstance(await anext(changes), Disconnected)
        with trio.CancelScope() as scope:
            scope.cancel()
            await anext(changes)
        assert await anext(changes) == Connected(2)


@pytest.mark.no_cover
async def test_a_watcher_that_never_looks_keeps_the_newest_thousand(autojump_clock, opened):
    async with network(lives(0)), opened(maximum=0.5) as client:
        changes = client.link_changes()
        changed = client.link_changes()
        while client.generation < 510:
            await anext(changed)
        await client.aclose()
        seen = [change async for change in changes]
        assert len(seen) == 1000
        assert isinstance(seen[-1], Disconnected)


async def test_there_is_nothing_to_watch_before_a_connection(autojump_clock, opened):
    with pytest.raises(ClientClosed, match="no connection to watch"):
        opened().link_changes()


# ---- cancelled everywhere


@pytest.mark.no_cover
@pytest.mark.parametrize("replay", [False, True])
async def test_a_cancellation_anywhere_leaves_nothing_behind(autojump_clock, opened, replay):
    async def script(conn):
        await conn.accept()
        await conn.recv()
        await conn.recv()
        await conn.abort()

    async def scenario(here):
        async with network(script, DOWN, lost, up) as net:
            async with here, opened(replay=replay, outbox=Fifo(2)) as client:
                client.answer("ASK", print)
                for n in range(4):
                    await client.send(Number(value=n))
                await client.flush()
                while client.generation < 3:
                    await back(client)
                await client.flush()
            for conn in net.connections:
                with trio.fail_after(60):
                    await conn.wait_disconnected()
                assert conn.protocol_error is None
            dials = len(net.times)
            await trio.sleep(100)
            assert len(net.times) == dials
            if not here.cancelled:
                assert net.connections[-1].close_code == 1000

    assert await cancel_everywhere(scenario) > 50


async def test_a_fault_of_ours_in_a_task_of_the_link_is_told_and_redialled(
    autojump_clock, opened, monkeypatch, caplog
):
    from vuer_trio._connection.keepalive import Keepalive

    async def broken(self, link, transport):
        await trio.sleep(3)
        raise LookupError("a bug")

    monkeypatch.setattr(Keepalive, "beat", broken)
    async with network(up), opened(heartbeat=20) as client:
        changes = client.link_changes()
        assert "LookupError('a bug')" in (await anext(changes)).reason
        assert await anext(changes) == Connected(2)
    assert "Traceback" in caplog.text
