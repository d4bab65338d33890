"""Backoff, deadlines and heartbeat of the Roomz client, to the virtual second."""

from __future__ import annotations

import logging

import pytest
import trio
import trio.testing

from tests.memory_network import HANG
from tests.resource_counts import task_count
from tests.scripted_roomz_server import MEMORY, ack_of, client_of, enter, memory_network, message
from vuer_trio.roomz import AsyncClient, ConnectionError, ConnectionState
from vuer_trio.roomz import session as visit

pytestmark = pytest.mark.trio


@pytest.fixture(autouse=True)
def no_jitter(monkeypatch):
    monkeypatch.setattr(visit.random, "uniform", lambda low, high: low)


async def stays(conn):
    await enter(conn)


async def leaves(conn):
    await enter(conn)
    await conn.close(1012)


class Log(list):
    """Events of a client, with their times."""

    def __init__(self, client: AsyncClient) -> None:
        self.began = trio.current_time()
        for name in ("authenticated", "disconnect", "error", "message"):
            client.on(name, lambda data, name=name: self.note(name, data))

    def note(self, name, data):
        self.append((round(trio.current_time() - self.began, 3), name, data.get("code")))


async def test_the_delays_double_until_it_gives_up(tmp_path, autojump_clock):
    async with memory_network(leaves, OSError("no")) as net:
        client = client_of(MEMORY, tmp_path, reconnect_delay=1.0)
        log = Log(client)
        async with client:
            assert client.connected
            with pytest.raises(ConnectionError, match=r"gave up reconnecting.*no") as lost:
                async for _ in client:
                    pass
            assert lost.value.status == 503
            assert client.connection_state is ConnectionState.DISCONNECTED
            assert client.user is None
        assert net.times == [0, 1, 3, 7, 15, 31]
    assert log == [(0, "authenticated", None), (0, "disconnect", None), (31, "error", 503)]


async def test_the_budget_and_the_delay_are_new_for_each_gap(tmp_path, autojump_clock):
    no = OSError("no")
    plans = [leaves, no, no, leaves, no, no, stays]
    async with memory_network(*plans) as net:
        options = {"reconnect_delay": 2.0, "max_reconnect_attempts": 3}
        client = client_of(MEMORY, tmp_path, **options)
        log = Log(client)
        async with client:
            await trio.sleep(60)
            assert client.connected
        assert net.times == [0, 2, 6, 14, 16, 20, 28]
    names = [name for _, name, _ in log]
    assert names == ["authenticated", "disconnect"] * 3


async def test_the_jitter_is_half_a_second_at_most(monkeypatch):
    monkeypatch.setattr(visit.random, "uniform", lambda low, high: high)
    options = {"reconnect_delay": 0.2, "max_reconnect_attempts": 100}
    delays = AsyncClient(MEMORY, **options)._settings.delays()
    assert delays.after_link(0) == pytest.approx(0.3)
    assert [delays.after_failure() for _ in range(3)][-1] == pytest.approx(1.6 + 0.5)
    assert max(delays.after_failure() for _ in range(90)) == 300.5
    assert AsyncClient(MEMORY, reconnect_delay=0)._settings.delays().after_link(0) > 0


async def test_no_attempts_at_all(tmp_path, autojump_clock):
    async with memory_network(leaves) as net:
        client = client_of(MEMORY, tmp_path, max_reconnect_attempts=0)
        log = Log(client)
        async with client:
            with pytest.raises(ConnectionError, match="gave up"):
                async for _ in client:
                    pass
        assert net.times == [0]
    assert [name for _, name, _ in log] == ["authenticated", "disconnect", "error"]


@pytest.mark.parametrize("after", [0.5, 4.0])  # in the first delay, in the first dial
async def test_disconnect_stops_reconnecting(after, tmp_path, autojump_clock):
    tasks = task_count()
    async with memory_network(leaves, HANG) as net:
        client = client_of(MEMORY, tmp_path)
        log = Log(client)
        await client.connect()
        await trio.sleep(after)
        assert client.connection_state is ConnectionState.RECONNECTING
        await client.disconnect()
        assert client.connection_state is ConnectionState.DISCONNECTED
        assert round(trio.current_time() - log.began, 3) == after
        await trio.sleep(100)
        assert client.connection_state is ConnectionState.DISCONNECTED
        assert net.times == [0, 1][: 1 + (after > 1)]
        assert [name for _, name, _ in log] == ["authenticated", "disconnect"]
        assert [e.name async for e in client] == ["authenticated", "disconnect"]
    assert task_count() == tasks


async def test_connecting_again_enables_reconnecting_again(tmp_path, autojump_clock):
    async with memory_network(stays, leaves, stays) as net:
        async with client_of(MEMORY, tmp_path) as client:
            await client.disconnect()
            await client.connect()
            await trio.sleep(10)
            assert client.connected
        assert net.times == [0, 0, 1]


async def says_nothing(conn):
    await conn.wait_disconnected()


async def opens_only(conn):
    await conn.accept()
    await conn.send_text('0{"pingInterval":100,"pingTimeout":100}')


async def authenticates_only(conn):
    await conn.accept()
    await conn.send_text("0{}")
    await conn.send_text('42["authenticated",{"user":{}}]')


@pytest.mark.parametrize("script", [HANG, says_nothing, opens_only, authenticates_only])
async def test_the_timeout_is_for_the_whole_of_connecting(script, tmp_path, autojump_clock):
    tasks = task_count()
    async with memory_network(script) as net:
        began = trio.current_time()
        client = client_of(MEMORY, tmp_path, connection_timeout=0.5)
        with pytest.raises(ConnectionError, match=r"not connected .* within 0\.5 s"):
            await client.connect()
        assert trio.current_time() - began == pytest.approx(0.5)
        assert client.connection_state is ConnectionState.DISCONNECTED
        assert net.times == [0]
        await trio.testing.wait_all_tasks_blocked()
    assert task_count() == tasks


async def test_an_attempt_that_hangs_is_one_of_the_attempts(tmp_path, autojump_clock):
    async with memory_network(leaves, HANG, stays) as net:
        async with client_of(MEMORY, tmp_path, connection_timeout=4) as client:
            await trio.sleep(20)
            assert client.connected
        assert net.times == [0, 1, 1 + 4 + 2]


async def test_an_acknowledgement_that_never_comes(tmp_path, autojump_clock):
    async with memory_network(stays) as net:
        async with client_of(MEMORY, tmp_path) as client:
            began = trio.current_time()
            timeout = {"error": "Message acknowledgment timeout", "code": 408}
            assert await client.send("x") == timeout
            assert trio.current_time() - began == pytest.approx(5)
            assert await client.set_display_name("A") == timeout
            assert client.connected
            conn = await net.connection()
            await conn.send_text('431[{"status":"late"}]')
            await trio.sleep(1)
            assert client.connected


async def test_calls_that_wait_fail_when_the_connection_does(tmp_path, autojump_clock):
    async def reads_and_leaves(conn):
        await enter(conn)
        await conn.recv()
        await trio.sleep(1)
        await conn.close(1001)

    async with memory_network(reads_and_leaves, HANG):
        async with client_of(MEMORY, tmp_path) as client:
            began = trio.current_time()
            with pytest.raises(ConnectionError, match=r"has ended \(code 1001"):
                await client.send("x")
            assert trio.current_time() - began == pytest.approx(1)


async def test_a_call_is_cancelled_and_nothing_stays_behind(tmp_path, autojump_clock):
    async def answers_the_second(conn):
        await enter(conn)
        first, second = await conn.recv(), await conn.recv()
        await conn.send_text(ack_of(first, {"status": "first"}))
        await conn.send_text(ack_of(second, {"status": "second"}))

    async with memory_network(answers_the_second):
        async with client_of(MEMORY, tmp_path) as client:
            with trio.move_on_after(1) as scope:
                await client.send("x")
            assert scope.cancelled_caught
            assert await client.send("y") == {"status": "second"}


async def test_pings_are_answered_and_silence_ends_the_connection(tmp_path, autojump_clock, caplog):
    caplog.set_level(logging.INFO, "vuer_trio.link")

    async def pings_twice(conn):
        await enter(conn, pingInterval=25_000, pingTimeout=20_000)
        for _ in range(2):
            await trio.sleep(25)
            await conn.send_text("2")
            assert await conn.recv() == "3"

    async with memory_network(pings_twice, stays) as net:
        client = client_of(MEMORY, tmp_path)
        log = Log(client)
        async with client:
            await trio.sleep(90)
            assert client.connected
            await trio.sleep(10)
            assert client.connected
        conn = await net.connection()
        assert conn.protocol_error is None
        assert net.times == [0, 25 + 25 + 45 + 1]
    assert log[:3] == [
        (0, "authenticated", None),
        (95, "disconnect", None),
        (96, "authenticated", None),
    ]


async def test_any_data_is_life_and_the_terms_are_the_servers(tmp_path, autojump_clock):
    async def talks(conn):
        await enter(conn, pingInterval=2000, pingTimeout=1000)
        for _ in range(4):
            await trio.sleep(2.9)
            await conn.send_text(message("x"))

    async with memory_network(talks, stays) as net:
        async with client_of(MEMORY, tmp_path) as client:
            await trio.sleep(4 * 2.9 + 2.9)
            assert client.connected
            await trio.sleep(1.2)
        assert net.times == [0, 4 * 2.9 + 3 + 1]


async def test_a_handler_that_holds_everything_up_is_no_silence(tmp_path, autojump_clock):
    async def floods(conn):
        await enter(conn, pingInterval=1000, pingTimeout=1000)
        for n in range(20_000):
            await conn.send_text(message(str(n)))
        await trio.sleep(1000)

    seen = []

    async def slow(data):
        if not seen:
            await trio.sleep(30)
        seen.append(int(data["content"]))

    async with memory_network(floods, stays) as net:
        client = client_of(MEMORY, tmp_path)
        client.on("message", slow)
        async with client:
            await trio.sleep(29)
            assert client.connected
            await trio.sleep(1.5)
        assert net.times == [0]
    assert seen == list(range(20_000))


async def test_the_last_handlers_have_five_seconds_each(tmp_path, autojump_clock, caplog):
    async def talks(conn):
        await enter(conn)
        for content in ("4", "4", "6", "0"):
            await conn.send_text(message(content))

    seen = []

    async def slow(data):
        seen.append(data["content"])
        await trio.sleep(int(data["content"]))

    async with memory_network(talks):
        client = client_of(MEMORY, tmp_path)
        client.on("message", slow)
        await client.connect()
        await trio.sleep(0.5)
        began = trio.current_time()
        await client.disconnect()
        assert trio.current_time() - began == pytest.approx(3.5 + 4 + 5)
    assert seen == ["4", "4", "6"]
    assert "2 events were not handled" in caplog.text


async def test_who_does_not_iterate_keeps_the_newest_events(tmp_path, autojump_clock):
    async def talks(conn):
        await enter(conn)
        for n in range(3000):
            await conn.send_text(message(str(n)))

    async with memory_network(talks):
        async with client_of(MEMORY, tmp_path) as client:
            await trio.sleep(1)
            first = await anext(client)
            second = await anext(client)
        assert first.data["content"] == str(3000 - 1024)
        assert first.dropped_before == 3001 - 1024
        assert second.dropped_before == 0


async def test_the_name_is_restored_before_it_is_connected_again(tmp_path, autojump_clock):
    async def takes_a_name(conn):
        await enter(conn)
        asked = await conn.recv()
        await conn.send_text(ack_of(asked, {"status": "ok", "display_name": "&lt;A&gt;"}))
        await conn.close(1012)

    restored = []

    async def wants_it_back(conn):
        await enter(conn)
        asked = await conn.recv()
        restored.append(asked)
        await trio.sleep(2)
        assert not client.connected
        await conn.send_text(ack_of(asked, {"status": "ok", "display_name": "&lt;A&gt;"}))

    async with memory_network(takes_a_name, wants_it_back):
        client, users = client_of(MEMORY, tmp_path), []
        client.on("authenticated", lambda data: users.append(data["user"]["display_name"]))
        async with client:
            await client.set_display_name("<A>")
            await trio.sleep(10)
            assert client.connected
            assert client.display_name == "&lt;A&gt;"
    assert restored == ['421["set_display_name",{"display_name":"<A>"}]']
    assert users == [None, "&lt;A&gt;"]


@pytest.mark.parametrize(("size", "in_time"), [(10, True), (10_000, False)])
async def test_no_event_is_lost_while_the_name_is_restored(
    tmp_path, autojump_clock, caplog, size, in_time
):
    named = {"status": "ok", "display_name": "A"}

    async def takes_a_name(conn):
        await enter(conn)
        await conn.send_text(ack_of(await conn.recv(), named))
        await conn.close(1012)

    async def floods_before_it_answers(conn):
        await enter(conn)
        asked = await conn.recv()
        for n in range(1500):
            await conn.send_text(message(f"{n} {'x' * size}"))
        await conn.send_text(ack_of(asked, named))

    heard: list[str] = []
    async with memory_network(takes_a_name, floods_before_it_answers):
        client = client_of(MEMORY, tmp_path)
        client.on("authenticated", lambda data: heard.append(data["user"]["display_name"]))
        client.on("message", lambda data: heard.append(data["content"].partition(" ")[0]))
        async with client:
            await client.set_display_name("A")
            start = trio.current_time()
            await trio.sleep(4)
            assert client.connected is in_time
            # 4 MiB stop the reader, and the answer behind them is not read for 5 seconds
            with trio.fail_at(start + (5 if in_time else 7)):
                while len(heard) < 1502:
                    await trio.sleep(0.5)
    assert heard == [None, "A" if in_time else None, *map(str, range(1500))]
    assert ("the display name 'A' was not restored" in caplog.text) is not in_time


@pytest.mark.parametrize(
    "options",
    [
        {"reconnect_delay": -1},
        {"reconnect_delay": float("nan")},
        {"max_reconnect_attempts": -1},
        {"connection_timeout": 0},
        {"connection_timeout": "5"},
        {"connection_timeout": True},
        {"reconnect": "no"},
        {"reconnect_delay": "1"},
        {"reconnect_delay": float("inf")},
        {"max_reconnect_attempts": 2.5},
        {"max_reconnect_attempts": None},
        {"session_cache_file": 5},
        {"transport": "pigeon"},
        {"server_url": "localhost:8000"},
        {"server_url": "ftp://localhost"},
        {"server_url": "http://"},
        {"server_url": "http://localhost?x=1"},
        {"server_url": "http://local host"},
        {"server_url": 5},
        {"session_token": 5},
    ],
)
async def test_options_that_can_not_be(options):
    (name,) = options
    with pytest.raises((ValueError, TypeError)) as wrong:
        AsyncClient(**{"server_url": MEMORY, **options})
    assert name in str(wrong.value) or "WebSocket URI" in str(wrong.value)
