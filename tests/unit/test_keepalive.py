"""Time: heartbeats, timeouts and patience, each to the exact virtual second."""

from __future__ import annotations

import itertools
import logging
import math
from contextlib import asynccontextmanager

import pytest
import trio

from tests.scripted_server import memory_peer
from tests.stream_wrappers import ThrottledStream
from vuer_trio import (
    CallTimeout,
    ConnectionClosed,
    ConnectionFailed,
    Fifo,
    InboxEmpty,
    InboxFull,
    RecvTimeout,
    open_vuer_client,
)
from vuer_trio._net.trio_streams import TrioStream
from vuer_trio.events import ClientEvent

pytestmark = [
    pytest.mark.trio,
    pytest.mark.parametrize("transport", ["websockets", "wsproto", "trio-websocket"]),
]


@pytest.fixture
def seconds():
    """The virtual time since the last call of ``seconds.start()``."""

    class Seconds:
        began = 0.0

        def start(self):
            self.began = trio.current_time()

        def __call__(self):
            return round(trio.current_time() - self.began, 6)

    return Seconds()


def ev(value=0):
    return ClientEvent(etype="E", value=value)


async def mute(conn):
    """Accept, and answer nothing."""
    conn.auto_pong = conn.answer_close = False
    await conn.accept()


@asynccontextmanager
async def connected(transport, script=mute, *, stream=None, **options):
    """A client that is left without waiting for the peer's close, and its peer."""
    async with memory_peer(script) as peer:
        client = open_vuer_client(
            peer.uri,
            stream=peer.stream if stream is None else stream(peer.stream),
            transport=transport,
            **options,
        )
        async with client:
            yield client, peer.conn


async def enter(client):
    async with client:
        pass


# ---- the heartbeat


async def test_a_silent_peer_is_pinged_after_a_heartbeat_and_lost_after_as_much_again(
    autojump_clock, transport, seconds
):
    async with connected(transport) as (client, conn):
        seconds.start()
        await conn.wait_until(lambda: conn.keepalive)
        assert seconds() == 20
        with pytest.raises(ConnectionClosed, match=r"no sign of life within 20 s") as error:
            await client.recv()
        assert seconds() == 40
        assert (error.value.code, error.value.normal) == (1006, False)
        assert len(conn.keepalive) == 1
        assert not client.connected
        assert (client.close_code, client.close_reason) == (1006, error.value.reason)
        with pytest.raises(ConnectionClosed):
            client.send @ ev()


async def test_the_heartbeat_is_an_option_and_counts_from_the_last_byte(
    autojump_clock, transport, seconds
):
    async def script(conn):
        await mute(conn)
        await trio.sleep(2)
        await conn.send_event({"etype": "LAST", "data": None})

    async with connected(transport, script, heartbeat=3.0) as (client, _):
        seconds.start()
        await client.recv()
        assert seconds() == 2
        with pytest.raises(ConnectionClosed, match=r"within 3 s"):
            await client.recv()
        assert seconds() == 2 + 2 * 3


@pytest.mark.parametrize("delay", [0, 0.5, 19.5])
async def test_a_pong_is_life_however_soon_or_late_it_comes(
    autojump_clock, transport, delay, seconds
):
    pinged = []

    async def script(conn):
        conn.auto_pong = False
        await conn.accept()
        for n in range(4):
            await conn.wait_until(lambda n=n: len(conn.keepalive) > n)
            pinged.append(trio.current_time() - seconds.began)
            if delay:
                await trio.sleep(delay)
            await conn.pong(conn.keepalive[n])

    async with connected(transport, script) as (client, _):
        seconds.start()
        await trio.sleep(100)
        assert client.connected, client.close_reason
        expected = [t for n in range(4) if (t := 20 + n * (20 + delay)) < 100]
        assert pinged == pytest.approx(expected)
        assert client.statistics().rtt == pytest.approx(delay)


async def test_data_is_life_and_then_nobody_is_pinged(autojump_clock, transport, seconds):
    async def script(conn):
        await mute(conn)
        for n in range(10):
            await trio.sleep(19)
            await conn.send_event({"etype": "TICK", "data": n})

    async with connected(transport, script) as (client, conn):
        seconds.start()
        await trio.sleep(191)
        assert client.connected
        assert conn.keepalive == []
        await client.wait_closed()
        assert seconds() == 190 + 40
        assert len(conn.keepalive) == 1


@pytest.mark.parametrize("life", ["data", "half a frame", "a ping", "an old pong"])
async def test_any_byte_after_the_ping_is_life(autojump_clock, transport, life, seconds):
    async def script(conn):
        await mute(conn)
        await conn.wait_until(lambda: conn.keepalive)
        await trio.sleep(7)
        if life == "data":
            await conn.send_event({"etype": "TICK", "data": 1})
        elif life == "half a frame":
            await conn.send_raw(b"\x82")
        elif life == "a ping":
            await conn.ping(b"you?")
        else:
            await conn.pong(b"unasked")

    async with connected(transport, script) as (client, conn):
        seconds.start()
        await conn.wait_until(lambda: len(conn.keepalive) == 2)
        # The answer to the ping at 20 was due at 40, and life at 27 is good for 20 more.
        assert seconds() == 47
        await client.wait_closed()
        assert seconds() == 67


async def test_a_heartbeat_may_be_switched_off(autojump_clock, transport):
    async with connected(transport, heartbeat=math.inf) as (client, conn):
        await trio.sleep(50_000)
        assert client.connected
        assert conn.keepalive == []


async def test_sending_is_no_sign_of_life_of_the_peer(autojump_clock, transport, seconds):
    async with connected(transport) as (client, conn):
        seconds.start()
        await trio.sleep(0.5)  # not in the very instant of the loss
        with pytest.raises(ConnectionClosed, match="no sign of life"):
            while True:
                await client.send(ev())
                await trio.sleep(1)
        assert seconds() == 40.5
        assert len(conn.messages) == 1 + 40


async def test_a_ping_is_not_late_while_what_the_system_holds_moves(
    autojump_clock, transport, seconds, monkeypatch
):
    """A slow line may need longer for the system's buffer than a peer has for its answer."""

    def arrived(wire):
        return min(wire.position, round(1000 * seconds()))  # 1 kB/s

    seconds.start()
    monkeypatch.setattr(TrioStream, "position", 100_000)
    monkeypatch.setattr(TrioStream, "arrived", property(arrived))
    async with connected(transport) as (client, conn):
        await client.wait_closed()
        assert 120 <= seconds() <= 122.5, "a heartbeat after the ping was there, or a look later"
        assert len(conn.keepalive) == 1


async def test_a_line_that_stops_is_lost_however_much_the_system_holds(
    autojump_clock, transport, seconds, monkeypatch
):
    monkeypatch.setattr(TrioStream, "position", 100_000)
    monkeypatch.setattr(TrioStream, "arrived", 50_000)
    async with connected(transport) as (client, _):
        seconds.start()
        await client.wait_closed()
        assert seconds() == 40


# ---- a full inbox


async def flood(conn):
    """800 KB, which no inbox of these tests holds."""
    await conn.accept()
    for n in range(80):
        await conn.send_event({"etype": "DATA", "data": n, "fill": b"x" * 10_000})


SMALL = Fifo(2)


async def test_a_ping_is_not_late_while_a_full_inbox_stops_the_reader(autojump_clock, transport):
    async with connected(transport, flood, inbox=SMALL) as (client, conn):
        assert (await client.recv()).data == 0
        await trio.sleep(500)
        assert client.connected, client.close_reason
        assert conn.keepalive, "the peer is asked all the same"
        for n in range(1, 80):
            assert (await client.recv(timeout=5)).data == n
        await trio.sleep(500)
        assert client.connected, client.close_reason


async def test_after_a_full_inbox_the_heartbeat_is_as_exact_as_before(
    autojump_clock, transport, seconds
):
    async def script(conn):
        conn.auto_pong = conn.answer_close = False
        await flood(conn)

    async with connected(transport, script, inbox=SMALL) as (client, _):
        await client.recv()
        await trio.sleep(123)
        seconds.start()
        for _ in range(79):
            await client.recv()
        await client.wait_closed()
        assert seconds() == 40


async def test_after_ten_seconds_a_warning_names_the_cure(autojump_clock, transport, caplog):
    async with connected(transport, flood, inbox=SMALL) as (client, _):
        await client.recv()
        await trio.testing.wait_all_tasks_blocked()
        with caplog.at_level(logging.WARNING, "vuer_trio.link"):
            await trio.sleep(9.99)
            assert caplog.records == []
            await trio.sleep(0.02)
            [record] = caplog.records
            await trio.sleep(500)
            assert len(caplog.records) == 1, "once is enough"
    assert record.name == "vuer_trio.link"
    text = record.getMessage()
    assert "full for 10 s" in text
    assert "receive more often" in text
    assert "inbox=Fifo(" in text
    assert "memory.test" in text


async def test_an_inbox_that_was_chosen_drops_nothing_even_if_nobody_ever_receives(
    autojump_clock, transport, seconds
):
    async with connected(transport, flood, inbox=SMALL) as (client, _):
        await trio.sleep(500)
        assert client.connected, client.close_reason
        seconds.start()
        with pytest.raises(InboxFull, match="receive first"):
            await client.flush()
        assert seconds() == 0
        events = [await client.recv(timeout=5) for _ in range(80)]
        assert [event.data for event in events] == list(range(80))
        assert {event.dropped_before for event in events} == {0}
        assert client.statistics().dropped == 0


# ---- the inbox of who has chosen none

MANY = 5000  # messages; the default inbox holds 1024


def bursts(*counts):
    """A script that sends so many numbers, a hundred a time, whenever a message has come."""

    async def script(conn):
        await conn.accept()
        numbers = itertools.count()
        for count in counts:
            await conn.recv()
            for n in itertools.islice(numbers, count):
                await conn.send_event({"etype": "DATA", "data": n})

    return script


async def data(client, count):
    events = [await client.recv(timeout=5) for _ in range(count)]
    assert {event.dropped_before for event in events} == {0}
    return [event.data for event in events]


@pytest.mark.no_cover
async def test_a_burst_at_the_opening_reaches_who_receives_within_a_second(
    autojump_clock, transport, caplog
):
    async with connected(transport, bursts(MANY)) as (client, _):
        await trio.sleep(0.99)
        assert client.statistics().received < MANY
        assert await data(client, MANY) == list(range(MANY))
        assert client.statistics().dropped == 0
    assert caplog.records == []


@pytest.mark.no_cover
async def test_a_client_that_only_sends_does_not_stop_its_reader_for_long(
    autojump_clock, transport, caplog
):
    async with connected(transport, bursts(MANY, 3000)) as (client, _):
        await trio.sleep(0.99)
        assert 1024 <= client.statistics().received < MANY
        assert caplog.records == []
        await trio.sleep(0.02)
        assert client.statistics().received == MANY
        [record] = caplog.records
        assert (record.name, record.levelno) == ("vuer_trio.link", logging.WARNING)
        text = record.getMessage()
        for part in ("memory.test", "within 1 s", "newest 1024", "Discard()", "Fifo(...)"):
            assert part in text
        await trio.sleep(500)
        assert client.connected, client.close_reason
        await client.flush(timeout=5)

        first = await client.recv()
        assert (first.data, first.dropped_before) == (MANY - 1024, MANY - 1024)
        await client.send(ev())
        await trio.sleep(5)  # somebody receives, if slowly: nothing is dropped any more
        assert await data(client, 1023 + 3000) == list(range(MANY - 1023, MANY + 3000))
        assert client.statistics().dropped == MANY - 1024
    assert [r for r in caplog.records if "keeps the newest" in r.getMessage()] == [record]


async def received_once(client):
    with pytest.raises(InboxEmpty):
        client.recv_nowait()


async def received_until_cancelled(client):
    with pytest.raises(RecvTimeout):
        await client.recv(timeout=0)


async def asked_for_many(client):
    with trio.move_on_after(0):
        await client.recv_many()


async def iterated(client):
    with trio.move_on_after(0):
        async for _ in client:
            pass


async def took_the_channel(client):
    assert client.receive_channel


@pytest.mark.parametrize(
    "attend",
    [received_once, received_until_cancelled, asked_for_many, iterated, took_the_channel],
)
@pytest.mark.no_cover
async def test_who_has_ever_tried_to_receive_loses_nothing_however_late(
    autojump_clock, transport, attend
):
    async with connected(transport, bursts(0, MANY)) as (client, _):
        await attend(client)
        await client.send(ev())
        await trio.sleep(300)
        assert client.connected, client.close_reason
        with pytest.raises(InboxFull):
            await client.flush()
        assert await data(client, MANY) == list(range(MANY))


@pytest.mark.no_cover
async def test_a_channel_that_was_taken_before_the_opening_counts(autojump_clock, transport):
    async with memory_peer(bursts(MANY)) as peer:
        client = open_vuer_client(
            "ws://memory.test", stream=peer.stream, transport=transport, close_timeout=0
        )
        channel = client.receive_channel
        async with client:
            await trio.sleep(5)
            got = [(await channel.receive()).data for _ in range(MANY)]
            assert got == list(range(MANY))


async def test_a_flush_waits_until_the_inbox_gives_way(autojump_clock, transport, seconds):
    async with connected(transport, bursts(MANY)) as (client, _):
        await trio.sleep(0.25)
        seconds.start()
        await client.flush()
        assert seconds() == 0.75


@pytest.mark.no_cover
async def test_a_flush_fails_where_the_inbox_does_not_give_way_after_all(
    autojump_clock, transport, seconds
):
    async with connected(transport, bursts(MANY)) as (client, _):
        await trio.sleep(0.25)
        seconds.start()
        async with trio.open_nursery() as nursery:

            async def receive_one():
                await trio.sleep(0.5)
                await client.recv()

            nursery.start_soon(receive_one)
            with pytest.raises(InboxFull, match="receive first"):
                await client.flush()
            assert seconds() == 0.75


async def test_leaving_does_not_wait_for_an_inbox_that_is_full(autojump_clock, transport, seconds):
    async with connected(transport, bursts(MANY)) as (_client, _):
        await trio.sleep(0.25)
        seconds.start()
    assert seconds() == 0


# ---- flush


async def test_flush_times_out_exactly(autojump_clock, transport, seconds):
    async with connected(transport) as (client, conn):
        seconds.start()
        with pytest.raises(CallTimeout, match=r"within 3\.5 s"):
            await client.flush(timeout=3.5)
        assert seconds() == 3.5
        assert client.connected
        assert len(conn.keepalive) == 1


async def test_flush_returns_when_the_answer_comes(autojump_clock, transport, seconds):
    async def script(conn):
        await mute(conn)
        for n in range(2):
            await conn.wait_until(lambda n=n: len(conn.keepalive) > n)
            await trio.sleep(2)
            await conn.pong(conn.keepalive[n])

    async with connected(transport, script) as (client, conn):
        seconds.start()
        await client.send_many(ev(n) for n in range(5))
        await client.flush()
        assert seconds() == 2
        assert len(conn.messages) == 6, "the ping stood behind everything enqueued"
        await client.flush(timeout=2.5)
        assert seconds() == 4


async def test_one_answer_serves_all_flushes_before_it(autojump_clock, transport, seconds):
    async def script(conn):
        await mute(conn)
        await conn.wait_until(lambda: len(conn.keepalive) == 3)
        await trio.sleep(1)
        await conn.pong(conn.keepalive[1])

    async with connected(transport, script) as (client, _):
        seconds.start()
        ended = {}

        async def flush(n):
            try:
                await client.flush(timeout=5)
            except CallTimeout:
                ended[n] = None
            else:
                ended[n] = trio.current_time() - seconds.began

        async with trio.open_nursery() as nursery:
            for n in range(3):
                nursery.start_soon(flush, n)
                await trio.testing.wait_all_tasks_blocked()
        assert ended == {0: pytest.approx(1), 1: pytest.approx(1), 2: None}


async def test_flush_fails_at_once_when_a_full_inbox_has_stopped_the_reader(
    autojump_clock, transport, seconds
):
    async with connected(transport, flood, inbox=SMALL) as (client, _):
        await client.recv()
        await trio.testing.wait_all_tasks_blocked()
        seconds.start()
        with pytest.raises(InboxFull, match="receive first"):
            await client.flush()
        assert seconds() == 0


async def test_flush_works_as_soon_as_the_inbox_has_room_again(autojump_clock, transport):
    async with connected(transport, flood, inbox=SMALL) as (client, _):
        await client.recv()
        await trio.sleep(3)
        received = 1
        while received < 80:
            received += len(await client.recv_many())
        await client.flush(timeout=5)


async def test_flush_fails_while_the_reader_still_waits_for_more_room(
    autojump_clock, transport, seconds
):
    async with connected(transport, flood, inbox=Fifo(8)) as (client, _):
        await client.recv()
        await trio.sleep(3)
        before = client.statistics().inbox
        while client.statistics().inbox > 6:  # below the limit, above the half
            await client.recv()
        assert client.statistics().inbox < before
        seconds.start()
        with pytest.raises(InboxFull, match="receive first"):
            await client.flush(timeout=5)
        assert seconds() <= 1


async def test_flush_fails_after_a_second_when_the_inbox_fills_meanwhile(
    autojump_clock, transport, seconds
):
    async def script(conn):
        await mute(conn)
        await conn.wait_until(lambda: conn.keepalive)
        await flood_on(conn)

    async def flood_on(conn):
        for n in range(80):
            await conn.send_event({"etype": "DATA", "data": n, "fill": b"x" * 10_000})

    async with connected(transport, script, inbox=SMALL) as (client, _):
        seconds.start()
        with pytest.raises(InboxFull, match="receive first"):
            await client.flush()
        assert seconds() == 1


async def test_flush_raises_what_ended_the_link(autojump_clock, transport, seconds):
    async with connected(transport) as (client, _):
        seconds.start()
        with pytest.raises(ConnectionClosed, match="no sign of life"):
            await client.flush()
        assert seconds() == 40
        with pytest.raises(ConnectionClosed, match="no sign of life"):
            await client.flush(timeout=1)
        assert seconds() == 40


# ---- opening


@pytest.mark.parametrize("given", [{}, {"connect_timeout": 2.5}, {"open_timeout": 0.5}])
@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 101 Switching"])
async def test_opening_gives_up_exactly_in_time(autojump_clock, transport, given, answer, seconds):
    async def script(conn):
        await conn.wait_request()
        if answer:
            await conn.send_raw(answer)

    expected = next(iter(given.values()), 10)
    async with memory_peer(script) as peer:
        client = open_vuer_client(peer.uri, stream=peer.stream, transport=transport, **given)
        seconds.start()
        with pytest.raises(ConnectionFailed, match=f"not open within {expected:g} s") as error:
            await enter(client)
        assert seconds() == expected
        assert isinstance(error.value.__cause__, TimeoutError)
        assert (error.value.status, error.value.uri) == (None, peer.uri)
        await peer.conn.wait_disconnected()
        assert seconds() == expected, "nothing was left open"


# ---- leaving


@pytest.mark.parametrize("patience", [1.0, 4.5])
async def test_an_unanswered_close_takes_close_timeout_and_is_no_error(
    autojump_clock, transport, patience, seconds
):
    async with connected(transport, close_timeout=patience) as (client, conn):
        client.send @ ev()
        seconds.start()
    assert seconds() == patience
    assert conn.close_code == 1000
    assert len(conn.messages) == 2


async def test_an_answered_close_takes_as_long_as_the_answer(autojump_clock, transport, seconds):
    async def script(conn):
        await mute(conn)
        await conn.wait_ended()
        await trio.sleep(0.75)
        await conn.send_raw(b"\x88\x02\x03\xe8")
        await conn.end_tcp()

    async with connected(transport, script) as (_, conn):
        seconds.start()
    assert seconds() == 0.75
    assert conn.close_code == 1000


async def test_a_peer_that_never_ends_its_stream_is_waited_for_only_so_long(
    autojump_clock, transport, seconds
):
    async def script(conn):
        await mute(conn)
        await trio.sleep(1)
        await conn.send_raw(b"\x88\x02\x03\xe9")

    async with connected(transport, script, close_timeout=3) as (client, conn):
        seconds.start()
        with pytest.raises(ConnectionClosed) as error:
            await client.recv()
        assert (error.value.code, seconds()) == (1001, 1)
        await client.wait_closed()
        assert seconds() == 1 + 3
        assert conn.close_code == 1001
    assert seconds() == 1 + 3


async def test_leaving_because_the_body_raised_takes_no_time(autojump_clock, transport, seconds):
    with pytest.raises(ZeroDivisionError):
        async with connected(transport) as (client, _):
            await client.send(ev())
            seconds.start()
            raise ZeroDivisionError
    assert seconds() == 0


async def test_leaving_because_of_a_cancellation_takes_no_time(autojump_clock, transport, seconds):
    async with memory_peer(mute) as peer:
        client = open_vuer_client(peer.uri, stream=peer.stream, transport=transport)
        with trio.move_on_after(5) as scope:
            seconds.start()
            async with client:
                await trio.sleep_forever()
        assert scope.cancelled_caught
        assert seconds() == 5
        await peer.conn.wait_disconnected()
        assert seconds() == 5


@asynccontextmanager
async def throttled(transport, script=mute, **options):
    streams = []

    def wrap(stream):
        streams.append(ThrottledStream(stream))
        return streams[0]

    async with connected(transport, script, stream=wrap, **options) as (client, conn):
        await conn.wait_until(lambda: len(conn.messages) == 1)
        await trio.testing.wait_all_tasks_blocked()
        yield client, conn, streams[0]


@pytest.mark.parametrize(("count", "what"), [(5, "5 messages were"), (1, "1 message was")])
async def test_a_drain_without_progress_gives_up_and_says_how_much_is_lost(
    autojump_clock, transport, count, what, seconds
):
    with pytest.raises(ConnectionClosed, match=f"^{what} not sent to ws://memory.test") as error:
        async with throttled(transport, close_timeout=2) as (client, _, stream):
            stream.seconds = math.inf
            for n in range(count):
                client.send @ ev(n)
            await trio.testing.wait_all_tasks_blocked()
            seconds.start()
    assert seconds() == 2
    assert "nothing could be written for 2 s" in str(error.value)
    assert error.value.code == 1006


async def test_a_slow_drain_is_no_loss_as_long_as_it_moves(autojump_clock, transport, seconds):
    async with throttled(transport, close_timeout=2) as (client, conn, stream):
        stream.seconds = 1.5
        client.send @ ev(b"x" * 1_000_000)
        client.send @ ev("last")
        seconds.start()
    assert seconds() > 3 * 1.5
    assert len(conn.messages) == 3
    assert conn.close_code == 1000


async def test_a_ping_behind_a_large_message_is_not_late_while_that_message_moves(
    autojump_clock, transport, seconds
):
    async def script(conn):
        conn.answer_close = False
        await conn.accept()

    async with throttled(transport, script, heartbeat=4, close_timeout=60) as (
        client,
        conn,
        stream,
    ):
        stream.seconds = 3
        client.send @ ev(b"x" * 2_000_000)
        seconds.start()
        await conn.wait_until(lambda: len(conn.messages) == 2)
        assert seconds() >= 15
        stream.seconds = 0
        await trio.sleep(100)
        assert client.connected, client.close_reason


async def test_a_ping_is_late_only_a_heartbeat_after_it_has_left(
    autojump_clock, transport, seconds
):
    """It left at the end of a long write: the peer has had no chance to answer before."""
    async with throttled(transport, heartbeat=20) as (client, conn, stream):
        stream.seconds = 15
        client.send @ ev(b"x" * 1_000_000)
        await conn.wait_until(lambda: conn.keepalive)
        seconds.start()
        await client.wait_closed()
        assert seconds() == 20


async def test_a_stream_that_takes_nothing_more_is_lost_in_time(autojump_clock, transport, seconds):
    async with throttled(transport) as (client, _, stream):
        stream.seconds = math.inf
        client.send @ ev()
        seconds.start()
        await client.wait_closed()
        assert seconds() == 40
        with pytest.raises(ConnectionClosed, match="no sign of life"):
            await client.recv()
        with pytest.raises(ConnectionClosed, match="1 message was not sent"):
            await client.aclose()


# ---- receiving


@pytest.mark.parametrize("timeout", [0, 0.5, 30])
async def test_recv_times_out_exactly(autojump_clock, transport, timeout, seconds):
    async with connected(transport, heartbeat=math.inf) as (client, _):
        seconds.start()
        with pytest.raises(RecvTimeout, match=f"within {timeout:g} s"):
            await client.recv(timeout=timeout)
        assert seconds() == timeout
        assert client.connected


async def test_recv_returns_what_comes_in_time(autojump_clock, transport, seconds):
    async def script(conn):
        await mute(conn)
        await trio.sleep(2)
        await conn.send_event({"etype": "E", "data": 1})

    async with connected(transport, script) as (client, _):
        seconds.start()
        assert (await client.recv(timeout=2.5)).data == 1
        assert seconds() == 2


async def test_what_is_there_is_received_even_without_time(autojump_clock, transport, seconds):
    async def script(conn):
        await mute(conn)
        await conn.send_event({"etype": "E", "data": 1})

    async with connected(transport, script) as (client, _):
        await trio.sleep(1)
        assert (await client.recv(timeout=0)).data == 1
