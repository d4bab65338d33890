"""Leaving a block and losing a link: who learns what, and when."""

from __future__ import annotations

import gc
import logging

import anyio
import pytest
import trio

from tests.behaviour.numbered_events import Number, go, numbers, on_go, stream
from tests.scripted_server import serve_peer
from vuer_trio import (
    ClientClosed,
    ConnectionClosed,
    ConnectionFailed,
    Fifo,
    VuerClient,
)

pytestmark = pytest.mark.anyio


async def test_everything_sent_without_waiting_arrives_before_the_close(open_client):
    async with serve_peer() as peer:
        async with open_client(peer.uri, outbox=Fifo(10_000)) as client:
            for n in range(5000):
                client.send @ Number(value=n)
        conn = await peer.connection()
        assert numbers(conn.messages) == list(range(5000))
        await conn.wait_disconnected()
        assert (conn.close_code, conn.eof, conn.reset) == (1000, True, False)
    assert (client.close_code, client.connected) == (1000, False)


async def test_unread_events_do_not_destroy_what_was_just_sent(open_client):
    flood = on_go(stream(2000, pad=bytes(1000)))
    async with serve_peer(flood) as peer:
        async with open_client(peer.uri, inbox=Fifo(10)) as client:
            await go(client)
            assert (await client.recv()).data == 0
            await anyio.sleep(0.05)
            client.send @ Number(value="last")
        conn = await peer.connection()
        assert numbers(conn.messages) == ["go", "last"]
        assert (conn.close_code, conn.reset) == (1000, False)


async def test_every_call_after_leaving_says_that_we_closed(open_client):
    async with serve_peer() as peer:
        async with open_client(peer.uri) as client:
            pass
        with pytest.raises(ClientClosed, match="closed by this side"):
            client.send @ Number()
        for call in (
            lambda: client.send(Number()),
            lambda: client.send_many([Number()]),
            client.recv,
            lambda: client.recv(timeout=1),
            client.recv_many,
            client.flush,
            client.__anext__,
        ):
            with pytest.raises(ClientClosed):
                await call()
        with pytest.raises((trio.ClosedResourceError, anyio.ClosedResourceError)):
            await client.receive_channel.receive()
        with pytest.raises(ClientClosed):
            client.recv_nowait()
        await client.aclose()


async def test_calls_before_connecting_say_so(open_client):
    client = open_client("ws://localhost:1")
    with pytest.raises(ConnectionError, match="Not connected"):
        await client.send(Number())
    with pytest.raises(ConnectionError, match="Not connected"):
        await client.recv()
    with pytest.raises(ClientClosed, match="Not connected"):
        client.send @ Number()
    with pytest.raises(ClientClosed, match="Not connected"):
        await client.flush()
    assert not client.connected
    assert client.close_code is None
    await client.close()
    await client.wait_closed()
    assert "not connected" in repr(client)


@pytest.mark.parametrize("exc", [ValueError("mine"), KeyboardInterrupt(), SystemExit(3)])
async def test_the_bodys_exception_leaves_bare(open_client, exc):
    async with serve_peer() as peer:
        with pytest.raises(type(exc)) as caught:
            async with open_client(peer.uri):
                raise exc
        assert caught.value is exc
        assert exc.__cause__ is None
        assert exc.__context__ is None


async def test_the_bodys_group_leaves_untouched(open_client):
    group = ExceptionGroup("mine", [ValueError("a"), OSError("b")])
    async with serve_peer() as peer:
        with pytest.raises(ExceptionGroup) as caught:
            async with open_client(peer.uri):
                raise group
        assert caught.value is group
        assert len(group.exceptions) == 2


async def test_a_loss_behind_the_bodys_back_is_the_context_of_what_it_raised(open_client):
    error = ValueError("mine")
    async with serve_peer() as peer:
        with pytest.raises(ValueError, match="mine"):
            async with open_client(peer.uri) as client:
                conn = await peer.connection()
                await conn.recv()
                await conn.abort()
                await client.wait_closed()
                raise error
    assert isinstance(error.__context__, ConnectionClosed)
    assert error.__context__.code == 1006


async def test_a_lost_link_does_not_cancel_the_body_and_every_call_raises_it(open_client):
    async with serve_peer() as peer:
        async with open_client(peer.uri) as client:
            conn = await peer.connection()
            await conn.recv()
            await conn.abort()
            for call in (
                client.recv,
                client.recv,
                lambda: client.send(Number()),
                client.flush,
                client.__anext__,
            ):
                with pytest.raises(ConnectionClosed, match="was lost") as caught:
                    await call()
                assert caught.value.code == 1006
            with pytest.raises(ConnectionClosed):
                client.send @ Number()
            assert isinstance(caught.value, ConnectionError)
            await anyio.sleep(0.01)
        assert client.close_code == 1006


async def test_messages_that_could_not_be_sent_are_counted(open_client):
    async with serve_peer(receive_buffer=4096) as peer:
        with pytest.raises(ConnectionClosed, match=r"\d+ messages were not sent") as caught:
            async with open_client(peer.uri, close_timeout=0.1) as client:
                conn = await peer.connection()
                await conn.wait_until(lambda: conn.messages)
                conn.stop_reading()
                for n in range(100):
                    client.send @ Number(value=n, pad=bytes(200_000))
        assert "nothing could be written for 0.1 s" in str(caught.value)
        assert caught.value.code == 1006


async def test_leaving_at_once_says_what_may_be_lost(open_client, caplog):
    async with serve_peer(receive_buffer=4096) as peer:
        with pytest.raises(ValueError, match="mine"), caplog.at_level(logging.WARNING):
            async with open_client(peer.uri) as client:
                conn = await peer.connection()
                await conn.wait_until(lambda: conn.messages)
                conn.stop_reading()
                for n in range(100):
                    client.send @ Number(value=n, pad=bytes(200_000))
                raise ValueError("mine")
    assert "with 100 messages enqueued" in caplog.text


async def test_what_was_sent_before_the_body_raised_still_goes_out(open_client):
    async with serve_peer() as peer:
        with pytest.raises(ValueError, match="mine"):
            async with open_client(peer.uri) as client:
                await client.flush()
                for n in range(100):
                    client.send @ Number(value=n)
                raise ValueError("mine")
        conn = await peer.connection()
        await conn.wait_disconnected()
        assert numbers(conn.messages) == list(range(100))
        assert conn.close_code == 1001


@pytest.mark.parametrize("code", [1000, 1001])
async def test_a_normal_close_ends_iteration(open_client, code):
    async def script(conn):
        await conn.accept()
        for n in range(3):
            await conn.send_event({"etype": "N", "data": n})
        await conn.close(code, "that is all")

    async with serve_peer(script) as peer, open_client(peer.uri) as client:
        assert [event.data async for event in client] == [0, 1, 2]
        assert [event.data async for event in client] == []
        with pytest.raises(ConnectionClosed, match="that is all") as caught:
            await client.recv()
        assert (caught.value.code, caught.value.reason) == (code, "that is all")
        assert caught.value.normal
        with pytest.raises(ConnectionClosed):
            client.send @ Number()
        assert (client.close_code, client.close_reason) == (code, "that is all")
        await peer.join()
        assert (await peer.connection()).close_code == code


@pytest.mark.parametrize("code", [1008, 1011, 4000])
async def test_any_other_close_raises_in_iteration(open_client, code):
    async def script(conn):
        await conn.accept()
        await conn.send_event({"etype": "N", "data": 0})
        await conn.close(code, "no")

    async with serve_peer(script) as peer, open_client(peer.uri) as client:
        seen = []
        with pytest.raises(ConnectionClosed, match=f"code {code}.*: no") as caught:
            async for event in client:
                seen.append(event.data)
        assert seen == [0]
        assert caught.value.code == code
        assert not caught.value.normal


async def test_run_carries_a_connection_in_a_nursery(open_client):
    async def script(conn):
        await conn.accept()
        await conn.send_event({"etype": "N", "data": 0})
        await conn.recv()
        await conn.recv()
        await conn.close(1000)

    async with serve_peer(script) as peer, anyio.create_task_group() as nursery:
        client = await nursery.start(open_client(peer.uri).run)
        assert isinstance(client, VuerClient)
        assert (await client.recv()).data == 0
        await client.send(Number(value=1))
        await client.wait_closed()
    assert client.close_code == 1000


async def test_run_raises_a_loss(open_client):
    async def script(conn):
        await conn.accept()
        await conn.recv()
        await conn.close(1011, "broken")

    async with serve_peer(script) as peer:
        with pytest.raises(ExceptionGroup) as caught:
            async with anyio.create_task_group() as nursery:
                await nursery.start(open_client(peer.uri).run)
        assert [type(e) for e in caught.value.exceptions] == [ConnectionClosed]
        assert caught.value.exceptions[0].code == 1011


async def test_run_ends_when_the_client_is_closed(open_client):
    async with serve_peer() as peer, anyio.create_task_group() as nursery:
        client = await nursery.start(open_client(peer.uri).run)
        await client.send(Number(value=1))
        await client.close()
    assert numbers((await peer.connection()).messages) == [1]


async def test_connect_in_a_nursery_does_not_disturb_it(open_client):
    async with serve_peer() as peer, anyio.create_task_group() as nursery:
        client = await open_client(peer.uri).connect(nursery)
        with pytest.raises(RuntimeError, match="already"):
            await client.connect(nursery)
        conn = await peer.connection()
        await conn.recv()
        await conn.abort()
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert await client.connect(nursery) is client
        assert client.generation == 2
        assert client.statistics().reconnects == 1
        await client.send(Number(value=2))
        await client.close()
        assert numbers((await peer.connection(1)).messages) == [2]


async def test_the_bare_connect_and_close(open_client):
    async with serve_peer() as peer:
        client = open_client(peer.uri)
        await client.connect()
        await client.send(Number(value=1))
        await client.close()
        assert numbers((await peer.connection()).messages) == [1]
        with pytest.raises(ClientClosed):
            await client.send(Number(value=2))
        await client.connect()
        await client.close()
        assert client.generation == 2


async def test_a_client_collected_while_open_is_a_resource_warning(open_client):
    async with serve_peer() as peer:
        client = await open_client(peer.uri).connect()
        conn = await peer.connection()
        await conn.recv()
        with pytest.warns(ResourceWarning, match="never closed"):
            del client
            gc.collect()
        with anyio.fail_after(60):
            await conn.wait_disconnected()


async def test_a_client_may_be_entered_again(open_client):
    async with serve_peer() as peer:
        client = open_client(peer.uri)
        for n in range(3):
            async with client as same:
                assert same is client
                with pytest.raises(RuntimeError, match="already"):
                    async with client:
                        pass
                await client.send(Number(value=n))
            conn = await peer.connection(n)
            assert numbers(conn.messages) == [n]
    assert client.generation == 3


async def test_nobody_listens(open_client):
    with pytest.raises(ConnectionFailed, match="is a Vuer server running there") as caught:
        async with open_client("ws://127.0.0.1:1"):
            pytest.fail("it opened")
    assert caught.value.uri == "ws://127.0.0.1:1"
    assert caught.value.status is None
    assert isinstance(caught.value.__cause__, OSError)
    for open_it in (
        lambda: open_client("ws://127.0.0.1:1").connect(),
        lambda: open_client("ws://127.0.0.1:1").run(),
    ):
        with pytest.raises(ConnectionFailed):
            await open_it()


async def test_two_leavers_wait_for_one_close(open_client):
    async with serve_peer() as peer, open_client(peer.uri) as client:
        await client.send(Number(value=1))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.aclose)
            tasks.start_soon(client.aclose)
        assert (await peer.connection()).close_code == 1000


async def test_a_close_with_a_code_of_ours(open_client):
    async with serve_peer() as peer, open_client(peer.uri) as client:
        await client.aclose(4001, "bye")
        conn = await peer.connection()
        assert (conn.close_code, conn.close_reason) == (4001, "bye")


async def test_a_receiver_that_waits_learns_that_another_task_closed(open_client):
    caught = []

    async def receive(client):
        try:
            await client.recv()
        except ClientClosed as exc:
            caught.append(exc)

    async with serve_peer() as peer, open_client(peer.uri) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive, client)
            await anyio.wait_all_tasks_blocked()
            await client.aclose()
    assert len(caught) == 1


async def test_a_fault_in_the_background_is_one_error_with_its_cause(
    open_client, monkeypatch, caplog
):
    fault = RuntimeError("a fault of the library's own")

    def deliver(self, messages):
        raise fault

    async def script(conn):
        await conn.accept()
        await conn.recv()
        await conn.send_event({"etype": "N", "data": 1})

    async with serve_peer(script) as peer:
        async with open_client(peer.uri) as client:
            monkeypatch.setattr("vuer_trio._connection.link.Link.deliver", deliver)
            for _ in range(2):
                with pytest.raises(ConnectionClosed, match="the reader failed") as caught:
                    await client.recv()
                assert caught.value.__cause__ is fault
                assert caught.value.code == 1006
        await (await peer.connection()).wait_disconnected()
    assert "a fault of the library's own" in caplog.text
