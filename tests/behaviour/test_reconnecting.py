"""Reconnecting, over TCP, on every backend. Exact times: ``tests/unit/test_connection.py``."""

from __future__ import annotations

import gc
import ssl

import anyio
import pytest

from tests.behaviour.numbered_events import Number, numbers
from tests.free_ports import free_port
from tests.resource_counts import PATIENCE, Census, open_sockets, task_count
from tests.scripted_server import serve_peer
from vuer_trio import (
    Backoff,
    ClientClosed,
    Connected,
    ConnectionClosed,
    ConnectionFailed,
    Disconnected,
    Fifo,
)

pytestmark = pytest.mark.anyio

SOON = Backoff(initial=0.01, maximum=0.05)
REPLAY = Backoff(initial=0.01, maximum=0.05, replay=True)


async def generation(client, number):
    """Wait for that connection."""
    changes = client.link_changes()
    with anyio.fail_after(60):
        while client.generation < number:
            await anext(changes)


async def gap(client):
    changes = client.link_changes()
    with anyio.fail_after(60):
        while client.connected:
            await anext(changes)


async def reset(conn):
    await conn.abort()


async def end(conn):
    await conn.end_tcp()


def close(code):
    async def leave(conn):
        await conn.close(code, "restart")

    leave.__name__ = f"close_{code}"
    return leave


every_end = pytest.mark.parametrize(
    "leave", [reset, end, close(1000), close(1001), close(1011)], ids=lambda f: f.__name__
)


@every_end
async def test_it_is_back_after_every_end(open_client, leave):
    async with serve_peer() as peer, open_client(peer.uri, reconnect=SOON) as client:
        changes = client.link_changes()
        for n in range(5):
            conn = await peer.connection(n)
            await client.send(Number(value=n))
            await client.flush()
            assert client.connected
            assert b"INIT" in conn.messages[0]
            assert numbers(conn.messages) == [n]
            await leave(conn)
            await generation(client, n + 2)
        seen = []
        async for change in changes:
            seen.append(change)
            if change == Connected(6):
                break
    assert [type(change) for change in seen] == [Disconnected, Connected] * 5
    assert [c.generation for c in seen if isinstance(c, Connected)] == [2, 3, 4, 5, 6]
    assert client.statistics().reconnects == 5


async def test_a_server_that_was_away_is_found_again(open_client):
    port = free_port()
    async with serve_peer(port=port) as peer:
        client = await open_client(peer.uri, reconnect=SOON).connect()
        await (await peer.connection()).recv()
    await gap(client)
    assert not client.connected
    for n in range(3):
        client.send @ Number(value=n)
    await anyio.sleep(0.1)  # some dials are refused
    assert not client.connected
    async with serve_peer(port=port) as peer:
        await client.flush(timeout=60)
        conn = await peer.connection()
        assert b"INIT" in conn.messages[0]
        assert numbers(conn.messages) == [0, 1, 2]
        await client.close()
        assert conn.close_code == 1000


async def test_receiving_goes_on(open_client):
    async def script(conn):
        await conn.accept()
        await conn.recv()
        for n in range(3):
            await conn.send_event({"etype": "N", "data": (peer.connections.index(conn), n)})
        await conn.close(1000)

    async with serve_peer(script) as peer, open_client(peer.uri, reconnect=SOON) as client:
        seen = []
        with anyio.fail_after(60):
            async for event in client:
                seen.append(tuple(event.data))
                if len(seen) == 12:
                    break
        assert seen == [(link, n) for link in range(4) for n in range(3)]


async def test_waiting_calls_are_served_by_the_next_link(open_client):
    async def script(conn):
        first = len(peer.connections) == 1
        conn.auto_pong = not first
        await conn.accept()
        if first:
            await conn.wait_until(lambda: conn.keepalive)
            await conn.abort()
        else:
            await conn.wait_until(lambda: len(conn.messages) == 2)
            await conn.send_event({"etype": "N", "data": 1})

    async with serve_peer(script) as peer:
        async with open_client(peer.uri, reconnect=SOON, outbox=Fifo(2)) as client:
            with anyio.fail_after(60):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(client.flush)
                    await gap(client)
                    await client.send(Number(value=0))
                    assert (await client.recv()).data == 1
            assert client.generation == 2


async def test_handlers_and_answers_go_on(open_client):
    async def script(conn):
        await conn.accept()
        await conn.recv()
        n = len(peer.connections)
        await conn.send_event({"etype": "N", "data": n})
        await conn.send_event({"etype": "ASK", "rtype": f"REPLY@{n}", "data": n})
        answers.append(await conn.recv_event())
        if n < 4:
            await conn.abort()

    seen, answers = [], []
    async with serve_peer(script) as peer:
        client = open_client(peer.uri, reconnect=SOON)
        client.on("N", lambda event: seen.append(event.data))
        client.answer("ASK", lambda event: -event.data)
        async with client:
            await generation(client, 4)
            conn = await peer.connection(3)
            with anyio.fail_after(60):
                await conn.wait_finished()
    assert seen == [1, 2, 3, 4]
    assert [(a["etype"], a["value"]) for a in answers] == [(f"REPLY@{n}", -n) for n in seen]


async def test_headers_are_asked_for_at_each_dial(open_client):
    asked = []

    def headers():
        asked.append(len(asked))
        return {"Authorization": f"token {len(asked)}"}

    async with serve_peer() as peer:
        async with open_client(peer.uri, headers=headers, reconnect=SOON) as client:
            for n in range(3):
                conn = await peer.connection(n)
                await conn.recv()
                assert conn.request.headers["Authorization"] == f"token {n + 1}"
                await conn.abort()
                await generation(client, n + 2)
        assert asked == [0, 1, 2, 3]


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_refusal_is_final(open_client, status):
    async def script(conn):
        if len(peer.connections) == 1:
            await conn.accept()
            await conn.recv()
            await conn.abort()
        elif len(peer.connections) == 2:
            await conn.reject(503)
        else:
            await conn.reject(status, "go away")

    async with serve_peer(script) as peer, open_client(peer.uri, reconnect=SOON) as client:
        with anyio.fail_after(60):
            with pytest.raises(ConnectionFailed, match="go away") as caught:
                await client.recv()
        assert (caught.value.uri, caught.value.status) == (client.uri, status)
        assert f"HTTP {status}" in str(caught.value.__cause__)
        with pytest.raises(ConnectionFailed):
            client.send @ Number()
        with pytest.raises(ConnectionFailed):
            await client.flush()
        await anyio.sleep(0.2)
        assert len(peer.connections) == 3


async def test_a_certificate_that_is_not_trusted_is_final(open_client):
    port = free_port()
    context = None
    async with serve_peer(tls=True, port=port) as peer:
        context = ssl.create_default_context()
        # The context is asked at each dial: the second one trusts nobody any more.
        client = open_client(peer.uri, ssl_context=peer.client_ssl_context, reconnect=SOON)
        await client.connect()
        conn = await peer.connection()
        await conn.recv()
        object.__setattr__(client._options, "ssl_context", context)
        await conn.abort()
        with anyio.fail_after(60):
            with pytest.raises(ConnectionFailed, match="certificate"):
                await client.recv()
        assert len(peer.connections) == 1
        assert peer.tls_errors
        await client.close()


async def test_tls_that_is_cut_off_is_not_final(open_client):
    """As by a proxy whose server is away: it accepts, and hangs up in the TLS handshake."""
    port = free_port()
    async with serve_peer(tls=True, port=port) as peer:
        client = open_client(peer.uri, ssl_context=peer.client_ssl_context, reconnect=SOON)
        await client.connect()
        await (await peer.connection()).recv()

    hung_up = 0

    async def hang_up(stream):
        nonlocal hung_up
        await stream.receive()
        await stream.aclose()
        hung_up += 1

    with anyio.fail_after(60):
        async with await anyio.create_tcp_listener(
            local_host="127.0.0.1", local_port=port
        ) as listener:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(listener.serve, hang_up)
                while hung_up < 3:
                    await anyio.sleep(0.01)
                tasks.cancel_scope.cancel()
    async with serve_peer(tls=True, port=port) as peer:
        await generation(client, 2)
        await client.send(Number(value=1))
        await client.close()
        assert numbers((await peer.connection()).messages) == [1]


async def test_it_gives_up_when_the_server_stays_away(open_client):
    async with serve_peer() as peer:
        backoff = Backoff(initial=0.01, maximum=0.05, attempts=3)
        client = await open_client(peer.uri, reconnect=backoff).connect()
        await (await peer.connection()).recv()
    with anyio.fail_after(60):
        with pytest.raises(ConnectionFailed) as caught:
            await client.recv()
        await client.wait_closed()
    assert isinstance(caught.value.__cause__, OSError)
    await client.close()


async def test_leaving_in_the_gap(open_client):
    async with serve_peer() as peer:
        backoff = Backoff(initial=50, maximum=50)
        client = await open_client(peer.uri, reconnect=backoff, close_timeout=50).connect()
        conn = await peer.connection()
        await conn.recv()
        await conn.abort()
        await gap(client)
        for n in range(3):
            client.send @ Number(value=n)
        with anyio.fail_after(30):
            with pytest.raises(ConnectionClosed, match="3 messages were not sent"):
                await client.close()
            await client.wait_closed()
        with pytest.raises(ClientClosed):
            client.send @ Number()
        assert len(peer.connections) == 1


async def test_leaving_in_the_middle_of_a_dial(open_client):
    async def script(conn):
        if len(peer.connections) == 1:
            await conn.accept()
            await conn.recv()
            await conn.abort()
        else:
            await conn.wait_request()  # and never answer

    before = Census.take()
    async with serve_peer(script) as peer:
        with anyio.fail_after(9):
            async with open_client(peer.uri, reconnect=SOON):
                conn = await peer.connection(1)
                await conn.wait_request()
        with anyio.fail_after(60):
            await conn.wait_disconnected()
    await before.assert_nothing_left(PATIENCE)


@pytest.mark.parametrize("replay", [False, True])
async def test_under_traffic_nothing_is_duplicated_or_with_replay_nothing_lost(open_client, replay):
    """Each link is cut after some messages; order is kept on each."""
    count = 2000

    async def script(conn):
        await conn.accept()
        if len(peer.connections) < 8:
            n = 40 * len(peer.connections)
            await conn.wait_until(lambda: len(conn.messages) > n)
            await conn.abort()

    async with serve_peer(script) as peer:
        backoff = REPLAY if replay else SOON
        async with open_client(peer.uri, reconnect=backoff, outbox=Fifo(64)) as client:
            with anyio.fail_after(60):
                for n in range(count):
                    await client.send(Number(value=n, pad=bytes(200)))
                    if n % 10 == 0:
                        await anyio.sleep(0.001)
                await client.flush()
        links = [numbers(conn.messages) for conn in peer.connections]
    assert len(links) == 8
    arrived = [n for link in links for n in link]
    for link in links:
        assert link == list(range(link[0], link[-1] + 1))  # whole and in order
    if replay:
        assert sorted(set(arrived)) == list(range(count))
        assert client.statistics().lost == 0
    else:
        assert arrived == sorted(set(arrived))
        assert client.statistics().lost <= count - len(arrived)


@pytest.mark.slow
async def test_no_task_or_socket_grows(open_client):
    async def script(conn):
        await conn.accept()
        await conn.recv()
        await conn.recv()
        await conn.abort()

    async with serve_peer(script) as peer, open_client(peer.uri, reconnect=SOON) as client:
        tasks = sockets = 0
        for n in range(1, 31):
            await generation(client, n)
            if n in (10, 30):
                with anyio.fail_after(PATIENCE):
                    while not client.connected or any(
                        not conn._reader_done for conn in peer.connections[:-1]
                    ):
                        await anyio.sleep(0.01)
                gc.collect()
            if n == 10:
                tasks, sockets = task_count(), open_sockets()
            if n == 30:
                with anyio.fail_after(PATIENCE):
                    while task_count() > tasks or open_sockets() > sockets:
                        await anyio.sleep(0.01)
            client.send @ Number(value=n)
            await gap(client)
