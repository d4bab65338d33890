"""Agents in virtual time: what is waited for, how long, and what becomes of it."""

from __future__ import annotations

import json
import math

import pytest
import trio
import trio.testing

from tests.behaviour.scripted_relay import frame, relay_script
from tests.memory_network import HANG, network, refuse
from tests.repetitions import cancel_everywhere
from tests.resource_counts import task_count
from vuer_trio import (
    Backoff,
    CallTimeout,
    ClientClosed,
    ConnectionClosed,
    ConnectionFailed,
    Fifo,
    RecvTimeout,
)
from vuer_trio.arc import AuthenticationError, RateLimit, RateLimited, open_arc_client

pytestmark = pytest.mark.trio

WELCOME = frame("relay", ["me"], {"version": "1"}, type="welcome", id="w")
STEADY = Backoff(initial=1, maximum=8, jitter=0)


@pytest.fixture(params=["websockets", "trio-websocket"])
def opened(request):
    def client(**options):
        options = {"heartbeat": math.inf, "token": "tok", "rate_limit": None} | options
        return open_arc_client("http://memory.test", transport=request.param, **options)

    return client


def up(**options):
    return relay_script(welcome=WELCOME, **options)


def closes(code, reason="why", after=0.0):
    async def script(conn):
        await conn.accept()
        await conn.send_text(WELCOME)
        await trio.sleep(after)
        await conn.close(code, reason)

    return script


def refuses(code, reason="why"):
    async def script(conn):
        await conn.accept()
        await conn.close(code, reason)

    return script


@pytest.fixture(autouse=True)
async def began(autojump_clock):
    global BEGAN
    BEGAN = trio.current_time()


BEGAN = 0.0


def now():
    """Virtual seconds since the test began."""
    return round(trio.current_time() - BEGAN, 6)


# ---- opening


async def test_no_welcome_is_waited_for_so_long(autojump_clock, opened):
    async with network(relay_script()), opened(welcome_timeout=3) as client:
        assert now() == 3
        assert client.relay_info == {}
        await client.subscribe(["a"])


async def test_the_timeout_is_of_the_whole_dial(autojump_clock, opened):
    async with network(HANG):
        with pytest.raises(ConnectionFailed, match="within 7 s"):
            await opened(connect_timeout=7).connect()
        assert now() == 7
    async with network(relay_script()):
        with pytest.raises(ConnectionFailed, match="within 7 s"):
            await opened(connect_timeout=7, welcome_timeout=30).connect()


async def test_a_relay_that_is_silent_for_ever_can_be_left(autojump_clock, opened):
    tasks = task_count()
    async with network(relay_script()) as net:
        with trio.move_on_after(1) as scope:
            await opened(welcome_timeout=9).connect()
        assert scope.cancelled_caught
        conn = await net.connection()
        await conn.wait_disconnected()
    await trio.testing.wait_all_tasks_blocked()
    assert task_count() == tasks


# ---- waiting


async def test_a_question_ends_at_its_deadline(autojump_clock, opened):
    async with network(up()), opened() as client:
        assert await client.ask("?", timeout=30) is None
        assert now() == 30
        assert await client.ask("?", ["a"], timeout=0.5) is None
        assert now() == 30.5
        assert await client.ask_all("?", timeout=2) == []
        assert now() == 32.5
        assert len(client._there.dispatcher.asks) == 0


async def test_the_deadline_of_a_question_is_of_its_turn_too(autojump_clock, opened):
    async with network(up()), opened(rate_limit=RateLimit(1, per=60)) as client:
        await client.broadcast(1)
        assert await client.ask("?", timeout=10) is None
        assert now() == 10
        await client.broadcast(2)  # the question took no turn
        assert now() == 60


async def test_commands_that_nobody_waits_for_are_forgotten(autojump_clock, opened):
    async with network(up(answer=lambda m: [])), opened(reply_timeout=0.1) as client:
        for n in range(300):
            with pytest.raises(CallTimeout):
                await client.subscribe([str(n)])
        assert len(client._there.dispatcher.commands._pending) == 256


async def test_a_command_ends_at_its_deadline(autojump_clock, opened):
    async with network(up(answer=lambda m: [])), opened(reply_timeout=4) as client:
        for call in (client.list_subscriptions, lambda: client.subscribe(["a"])):
            before = now()
            with pytest.raises(CallTimeout, match="within 4 s"):
                await call()
            assert now() == before + 4
        with pytest.raises(RecvTimeout):
            await client.recv(timeout=2)
        assert now() == 10


# ---- the rate


async def test_never_more_than_so_many_in_any_window(autojump_clock, opened):
    times = []

    def answer(message):
        if message["to"] != ["relay"]:
            times.append(now())
            return []
        return None

    async with network(up(answer=answer)), opened(rate_limit=RateLimit(3, per=10)) as client:
        for pause in (0, 4, 0, 0, 3, 0, 0, 0, 0, 50, 0, 0, 0):
            await trio.sleep(pause)
            await client.broadcast(1)
            await client.subscribe(["a"])  # does not count
    assert times == [0, 4, 4, 10, 14, 14, 20, 24, 24, 74, 74, 74, 84]
    for n, at in enumerate(times[3:]):
        assert at - times[n] >= 10


async def test_the_default_is_a_hundred_a_minute(autojump_clock):
    async with network(up()):
        client = open_arc_client("memory.test", token="tok", heartbeat=math.inf)
        async with client:
            for n in range(201):
                await client.broadcast(n)
            assert now() == 120


async def test_without_a_limit_nothing_waits(autojump_clock, opened):
    async with network(up()) as net:
        async with opened(rate_limit=None) as client:
            for n in range(500):
                await client.broadcast(n)
        assert now() == 0
        conn = await net.connection()
        assert [json.loads(text)["payload"] for text in conn.messages] == list(range(500))


async def test_who_waits_is_served_in_order_and_may_leave(autojump_clock, opened):
    sent = []

    async def send(client, n):
        await client.broadcast(n)
        sent.append((n, now()))

    async with network(up()), opened(rate_limit=RateLimit(1, per=10)) as client:
        await client.broadcast("first")
        async with trio.open_nursery() as nursery:
            for n in range(4):
                nursery.start_soon(send, client, n)
                await trio.testing.wait_all_tasks_blocked()
            with trio.move_on_after(5) as scope:
                await client.broadcast("left")
            assert scope.cancelled_caught
        assert sent == [(0, 10), (1, 20), (2, 30), (3, 40)]


async def test_who_waits_for_a_turn_learns_of_the_end(autojump_clock, opened):
    async with network(closes(1011, after=5)), opened(rate_limit=RateLimit(1, per=60)) as client:
        await client.broadcast(1)
        raised = []

        async def send():
            with pytest.raises(ConnectionClosed):
                await client.broadcast(2)
            raised.append(now())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            nursery.start_soon(send)
        assert raised == [5, 5]


async def test_what_waited_for_a_connection_counts_from_its_opening(autojump_clock, opened):
    arrived = []

    def answer(message):
        if message["to"] == ["relay"]:
            return None
        arrived.append((message["payload"], now()))
        return []

    plans = [closes(1012, after=1), ConnectionRefusedError(), up(answer=answer)]
    async with network(*plans) as net:
        async with opened(rate_limit=RateLimit(2, per=10), reconnect=STEADY) as client:
            await trio.sleep(1.5)
            with trio.fail_after(100):
                for n in range(5):
                    await client.broadcast(n)
        assert net.times == [0, 2, 4]
        assert arrived == [(0, 4), (1, 4), (2, 14), (3, 14), (4, 24)]


@pytest.mark.parametrize("gap", [False, True])
async def test_a_message_that_is_not_sent_has_taken_no_turn(autojump_clock, opened, gap):
    plans = [closes(1012, after=1), HANG] if gap else [up()]
    async with network(*plans):
        options = {"rate_limit": RateLimit(2, per=1000), "outbox": Fifo(1), "reconnect": STEADY}
        async with opened(**options) as client:
            await trio.sleep(2)
            assert client.connected != gap
            for _ in range(5):
                with trio.CancelScope() as scope:
                    scope.cancel()
                    await client.broadcast("cancelled")
                assert scope.cancelled_caught
            await client.broadcast(1)
            assert client._there.window.wait_time() == 0
            client._there.connection.outbox.clear()


# ---- losing and coming back


async def test_a_new_link_subscribes_anew(autojump_clock, opened):
    async with network(closes(1001, after=3), up()) as net:
        async with opened(reconnect=STEADY) as client:
            client._subscriptions.update({"a": None, "b": None})
            await trio.sleep(10)
            assert client.generation == 2
            assert net.times == [0, 4]
            assert await client.list_subscriptions() == ["a", "b"]
            conn = await net.connection(1)
            assert "subscribe" in conn.messages[0]


async def test_a_command_is_asked_again_on_the_next_link(autojump_clock, opened):
    async def mute(conn):
        await conn.accept()
        await conn.send_text(WELCOME)
        await conn.recv()
        await conn.abort()

    async with network(mute, up()), opened(reconnect=STEADY) as client:
        await client.subscribe(["a"])
        assert now() == 1
        assert await client.list_subscriptions() == ["a"]
        assert len(client._there.dispatcher.commands._pending) == 0


async def test_a_half_open_link_is_redialled(autojump_clock, opened):
    async def dead(conn):
        await conn.accept()
        await conn.send_text(WELCOME)
        conn.stop_reading()
        conn.auto_pong = False

    async with network(dead, up()) as net:
        async with opened(reconnect=STEADY, heartbeat=10, check_every=math.inf) as client:
            await trio.sleep(100)
            assert net.times == [0, 21]  # ten seconds of silence, ten for the pong, one
            assert client.generation == 2


async def test_a_half_open_link_is_lost_without_reconnecting(autojump_clock, opened):
    async def dead(conn):
        await conn.accept()
        await conn.send_text(WELCOME)
        conn.stop_reading()
        conn.auto_pong = False

    async with network(dead), opened(heartbeat=10) as client:
        with pytest.raises(ConnectionClosed, match="no sign of life"):
            await client.recv()
        assert now() == 20


def deaf_after(count):
    """A relay that forgets the connection after so many commands: it still pongs."""

    async def script(conn):
        seen = 0

        def answer(message):
            nonlocal seen
            seen += 1
            return None if seen <= count else []

        await relay_script(welcome=WELCOME, answer=answer)(conn)

    return script


async def test_a_link_to_which_nothing_is_delivered_is_redialled(autojump_clock, opened):
    async with network(deaf_after(1), up()) as net:
        async with opened(reconnect=STEADY, check_every=30, reply_timeout=5) as client:
            await client.subscribe(["a"])
            await trio.sleep(200)
            # thirty seconds of silence, five for the reply, a close in order, one of backoff
            assert net.times == [0, 36]
            first = await net.connection(0)
            assert first.close_code == 1001
            assert client.generation == 2
            assert await client.list_subscriptions() == ["a"]


async def test_a_relay_that_never_answers_is_not_taken_for_deaf(autojump_clock, opened):
    async with network(deaf_after(0)) as net, opened(reconnect=STEADY) as client:
        await trio.sleep(1000)
        assert net.times == [0]
        assert client.connected


async def test_a_subscription_that_the_relay_forgot_is_made_again(autojump_clock, opened):
    async def forgets(conn):
        subscribed = []

        def answer(message):
            if message["type"] == "subscribe":
                subscribed.append(message["payload"]["agents"])
                return [frame("relay", ["me"], message["payload"], type="subscribed")]
            return [frame("relay", ["me"], {"agents": ["b"]}, type="subscriptions")]

        conn.subscribed = subscribed
        await relay_script(welcome=WELCOME, answer=answer)(conn)

    async with network(forgets) as net, opened(reconnect=STEADY, check_every=30) as client:
        await client.subscribe(["a", "b"])
        await trio.sleep(40)
        conn = await net.connection()
        assert conn.subscribed == [["a", "b"], ["a"]]
        assert client.connected


async def test_messages_are_a_sign_that_the_relay_delivers(autojump_clock, opened):
    async def sinks(conn):
        await conn.accept()
        await conn.send_text(WELCOME)
        for n in range(20):
            await trio.sleep(20)
            await conn.send_text(frame("a", ["*"], n, id=str(n)))

    async with network(sinks) as net, opened(reconnect=STEADY, check_every=30) as client:
        for n in range(20):
            assert (await client.recv()).payload == n
        assert (await net.connection()).messages == []


@pytest.mark.parametrize("reconnect", [None, STEADY])
async def test_a_revoked_token_is_final(autojump_clock, opened, reconnect):
    async with network(closes(4001, "revoked", after=5)) as net:
        async with opened(reconnect=reconnect) as client:
            with pytest.raises(AuthenticationError, match="revoked"):
                await client.recv()
            assert now() == 5
            await trio.sleep(100)
            assert net.times == [0]
            for call in (client.list_subscriptions, lambda: client.ask("?")):
                with pytest.raises(AuthenticationError):
                    await call()


async def test_a_token_that_is_refused_later_is_final(autojump_clock, opened):
    plans = [closes(1012), refuses(4001, "Invalid or unregistered token")]
    async with network(*plans) as net:
        async with opened(reconnect=STEADY) as client:
            with pytest.raises(ConnectionFailed, match="does not accept the token"):
                await client.recv()
            await trio.sleep(100)
            assert net.times == [0, 1]


async def test_too_much_is_redialled_as_late_as_the_backoff_has_it(autojump_clock, opened):
    plans = [closes(4029, after=3), refuses(4029), refuse(429), ConnectionRefusedError(), up()]
    async with network(*plans) as net:
        async with opened(reconnect=STEADY) as client:
            await trio.sleep(100)
            assert net.times == [0, 11, 19, 27, 35]
            assert client.generation == 2


async def test_too_much_without_reconnecting(autojump_clock, opened):
    async with network(closes(4029, "slow down", after=3)), opened() as client:
        with pytest.raises(RateLimited, match="slow down"):
            await client.recv()
    async with network(refuses(4029, "slow down")):
        with pytest.raises(RateLimited, match="slow down"):
            await opened().connect()


async def test_a_question_outlives_a_link(autojump_clock, opened):
    def answer(message):
        if message["payload"] == "?":
            return None
        return [frame("a", ["me"], "late", type="answer", ref=asked[0])]

    asked = []

    async def dies(conn):
        await conn.accept()
        await conn.send_text(WELCOME)
        while not asked:
            message = json.loads(await conn.recv())
            if "ref" in message:
                asked.append(message["ref"])
        await conn.abort()

    async with network(dies, up(answer=answer)) as net, opened(reconnect=STEADY) as client:
        async with trio.open_nursery() as nursery:

            async def ask():
                assert await client.ask("?", ["a"], timeout=60) == "late"
                nursery.cancel_scope.cancel()

            nursery.start_soon(ask)
            await net.connection(1)
            await trio.sleep(1)
            await client.broadcast("tell")


async def test_leaving_in_a_gap_is_immediate(autojump_clock, opened):
    async with network(closes(1012), ConnectionRefusedError()):
        async with opened(reconnect=STEADY) as client:
            await trio.sleep(5)
            assert not client.connected
            at = now()
        assert now() == at
        with pytest.raises(ClientClosed):
            await client.recv()


# ---- every await, cancelled once


def answers_questions(message):
    if message["to"] == ["relay"]:
        return None
    if message.get("type") == "question":
        return [
            frame("a", ["*"], "other", id=f"o-{message['ref']}"),
            frame("a", ["me"], "yes", type="answer", ref=message["ref"], id=f"y-{message['ref']}"),
        ]
    return []


@pytest.mark.no_cover
async def test_a_cancellation_anywhere_leaves_nothing_behind(autojump_clock, opened):
    async def scenario(here):
        done = []
        async with network(up(answer=answers_questions)) as net:
            client = opened(rate_limit=RateLimit(3, per=5), reconnect=STEADY)
            async with here:
                await client.connect()
                await client.broadcast(1)
                await client.subscribe(["a"])
                done.append(await client.list_subscriptions())
                done.append(await client.ask("?", timeout=60))
                done.append((await client.recv()).payload)
                done.append(len(await client.ask_all("?", ["a"], timeout=60)))
                done.append((await client.recv()).payload)
                await client.send(["b"], 2, "x")  # waits for its turn
                await client.unsubscribe(["a"])
                await client.flush()
                await client.close()
            with trio.fail_after(60):
                if client._relay_session is not None and client.connected:
                    there = client._relay_session
                    assert len(there.dispatcher.asks) == len(there.dispatcher.commands) == 0
                    assert not there.connection.inbox.ignores_count
                    assert await client.ask("?", timeout=60) == "yes"  # it is of use
                await client.close()
                for conn in net.connections:
                    await conn.wait_disconnected()
                    assert conn.protocol_error is None
            assert done == [["a"], "yes", "other", 1, "other"][: len(done)]
            assert here.fired or len(done) == 5

    assert await cancel_everywhere(scenario) > 20
