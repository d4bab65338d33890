"""What a client, a session and an agent have in common, told of each of them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import pytest
import sniffio
import trio

from tests.behaviour.numbered_events import Number, numbers
from tests.behaviour.raw_client import eventually
from tests.behaviour.scripted_relay import frame, relay_script
from tests.behaviour.user_stream import open_stream
from tests.repetitions import cancel_everywhere
from tests.scripted_server import serve_peer
from vuer_trio import (
    CallTimeout,
    ClientClosed,
    ConnectionClosed,
    EncodeError,
    Fifo,
    InboxEmpty,
    InboxFull,
    OutboxFull,
    RecvTimeout,
    open_vuer_server,
)
from vuer_trio.arc import RateLimit
from vuer_trio.events import ServerEvent

pytestmark = pytest.mark.anyio

WELCOME = frame("relay", ["me"], {"relay": "r", "version": "1", "capabilities": []}, type="welcome")


@dataclass
class Side:
    """One end, and what the other end does; all messages carry a number."""

    it: Any
    #: a message for it to send
    message: Callable[[Any], Any]
    #: the number in one that it has received
    number: Callable[[Any], Any]
    #: what the other end has got
    got: Callable[[], list[Any]]
    #: the other end sends a number, closes with a code, or is gone without a word
    send: Callable[[Any], Awaitable[object]]
    close: Callable[[int, str], Awaitable[object]]
    vanish: Callable[[], Awaitable[object]]

    def send_nowait(self, n: Any) -> None:
        message = self.message(n)
        if isinstance(message, dict):
            self.it.send_nowait(message["to"], message["payload"])
        else:
            self.it.send_nowait(message)


@asynccontextmanager
async def a_client(open_client: Any, new_server: Any, open_agent: Any, **options: Any) -> Any:
    async with serve_peer() as peer, open_client(peer.uri, **options) as client:
        conn = await peer.connection()
        yield Side(
            client,
            lambda n: Number(value=n),
            lambda event: event.data,
            lambda: numbers(conn.messages),
            lambda n: conn.send_event({"etype": "N", "data": n}),
            conn.close,
            conn.abort,
        )


@asynccontextmanager
async def a_session(open_client: Any, new_server: Any, open_agent: Any, **options: Any) -> Any:
    app, got = new_server(**options), []

    async with open_vuer_server(app) as server:
        stream = await open_stream(server)
        async with anyio.create_task_group() as tasks:
            client = open_client(server.uri, stream=stream, close_timeout=0.1)

            async def keep() -> None:
                async with client:
                    try:
                        async for event in client:
                            got.append(event.data)
                    except (ConnectionClosed, ClientClosed):
                        pass

            tasks.start_soon(keep)
            await eventually(lambda: app.sessions and app.sessions[0].client_info)
            (session,) = app.sessions
            if session.statistics().inbox:
                assert session.recv_nowait() == "INIT"
            yield Side(
                session,
                lambda n: ServerEvent(n, etype="NUMBER"),
                lambda event: event.value,
                lambda: got,
                lambda n: client.send(Number(value=n)),
                client.aclose,
                stream.aclose,
            )
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def an_agent(open_client: Any, new_server: Any, open_agent: Any, **options: Any) -> Any:
    async with (
        serve_peer(relay_script(welcome=WELCOME)) as peer,
        open_agent(peer.uri, token="t", **options) as agent,
    ):
        conn = await peer.connection()

        def got() -> list[Any]:
            messages = map(json.loads, conn.messages)
            return [m["payload"] for m in messages if m["to"] != ["relay"]]

        yield Side(
            agent,
            lambda n: {"to": ["*"], "payload": n},
            lambda message: message.payload,
            got,
            lambda n: conn.send_text(frame("bob", ["*"], n)),
            conn.close,
            conn.abort,
        )


KINDS = {"client": a_client, "session": a_session, "agent": an_agent}


@pytest.fixture(params=KINDS)
def opened(request: Any, open_client: Any, new_server: Any, open_agent: Any) -> Any:
    """``async with opened(...) as side``; options are those that all three have."""

    def make(**options: Any) -> Any:
        return KINDS[request.param](open_client, new_server, open_agent, **options)

    return make


async def test_what_is_sent_in_any_way_arrives_in_order(opened):
    async with opened() as side:
        it = side.it
        await it.send_many(map(side.message, (0, 1, 2)))
        side.send_nowait(3)
        await it.send_many([])
        async with it.send_channel as channel:
            await channel.send(side.message(4))
            channel.send_nowait(side.message(5))
        with pytest.raises((trio.ClosedResourceError, anyio.ClosedResourceError)):
            await channel.send(side.message("never"))
        await it.send_channel.send(side.message(6))
        await it.flush(timeout=60)
        await eventually(lambda: len(side.got()) == 7)
        assert side.got() == list(range(7))
        assert it.statistics().sent >= 7


async def test_what_arrives_is_received_in_any_way_in_order(opened):
    async with opened() as side:
        it = side.it
        with pytest.raises(InboxEmpty):
            it.recv_nowait()
        for n in range(9):
            await side.send(n)
        await eventually(lambda: it.statistics().inbox == 9)
        assert [side.number(m) for m in await it.recv_many(limit=2)] == [0, 1]
        assert side.number(it.recv_nowait()) == 2
        channel = it.receive_channel
        assert side.number(await channel.receive()) == 3
        assert side.number(channel.receive_nowait()) == 4
        assert side.number(await it.recv(timeout=60)) == 5
        async for message in it:
            assert side.number(message) == 6
            break
        assert [side.number(m) for m in await it.recv_many()] == [7, 8]
        with pytest.raises((trio.WouldBlock, anyio.WouldBlock)):
            channel.receive_nowait()
        with pytest.raises(RecvTimeout, match=r"within 0\.01 s"):
            await it.recv(timeout=0.01)
        with pytest.raises(ValueError, match="limit must be at least 1"):
            await it.recv_many(limit=0)
        statistics = it.statistics()
        assert statistics.inbox == statistics.inbox_bytes == statistics.dropped == 0
        assert statistics.received >= 9


async def test_who_waits_in_a_channel_gets_what_comes_and_clones_are_closed_alone(opened):
    async with opened() as side:
        channel = side.it.receive_channel
        clone, got = channel.clone(), []

        async def receive(end):
            async for message in end:
                got.append(side.number(message))

        async def waits_in_vain():
            with pytest.raises((trio.ClosedResourceError, anyio.ClosedResourceError)):
                await clone.receive()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(waits_in_vain)
            await anyio.wait_all_tasks_blocked()
            await clone.aclose()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive, channel)
            await side.send(1)
            await eventually(lambda: got == [1])
            await side.close(1000, "")
        assert got == [1]


async def test_what_is_known_of_a_connection(opened, backend):
    async with opened() as side:
        it = side.it
        transport = it.transport
        assert transport == ("wsproto" if backend.transport == "wsproto" else backend.transport)
        assert (it.connected, it.close_code, it.close_reason) == (True, None, None)
        statistics = it.statistics()
        assert statistics.silence >= 0
        assert statistics.reconnects == statistics.lost == 0
        await side.close(1000, "enough")
        with anyio.fail_after(60):
            await it.wait_closed()
        assert (it.connected, it.close_code, it.close_reason) == (False, 1000, "enough")
        assert it.transport == transport
        await it.wait_closed()  # at once


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, "enough"), (1011, "it broke"), (None, "")], ids=str
)
async def test_calls_that_wait_end_with_the_connection(opened, code, reason):
    """Each of them is told, also when it is called later; a normal close ends iteration."""
    async with opened(inbox=Fifo(1024)) as side:
        it, ended = side.it, {}
        receiving, sending = it.receive_channel, it.send_channel

        async def iterate():
            async for _ in it:
                raise AssertionError("nothing was sent")

        async def try_(name, call):
            try:
                ended[name] = await call()
            except Exception as exc:
                ended[name] = exc

        waiting = {
            "recv": it.recv,
            "recv_many": it.recv_many,
            "recv within": lambda: it.recv(timeout=60),
            "iterating": iterate,
            "receiving": receiving.receive,
            "waiting": it.wait_closed,
        }
        async with anyio.create_task_group() as tasks:
            for name, call in waiting.items():
                tasks.start_soon(try_, name, call)
            await anyio.wait_all_tasks_blocked()
            assert not ended
            await (side.vanish() if code is None else side.close(code, reason))
            with anyio.fail_after(60):
                await it.wait_closed()
        check_endings(ended, code, reason)
        ended.clear()
        for name, call in waiting.items():
            await try_(name, call)
        check_endings(ended, code, reason)
        for name, call in {
            "send_many": lambda: it.send_many([side.message(1)]),
            "sending": lambda: sending.send(side.message(1)),
            "flush": it.flush,
        }.items():
            await try_(name, call)
        lost = ended.pop("sending")
        if sniffio.current_async_library() == "asyncio":
            assert isinstance(lost, anyio.BrokenResourceError)
        else:
            assert isinstance(lost, trio.BrokenResourceError)
        assert [ended[name].code for name in ("send_many", "flush")] == [code or 1006] * 2
        with pytest.raises(ConnectionClosed):
            side.send_nowait(1)
        with pytest.raises(ConnectionClosed):
            it.recv_nowait()
        assert it.close_code == (code or 1006)
        assert it.close_reason == reason or code is None


def check_endings(ended: dict[str, Any], code: int | None, reason: str) -> None:
    assert ended["waiting"] is None
    for name in ("recv", "recv_many", "recv within"):
        assert isinstance(ended[name], ConnectionClosed), name
        assert ended[name].code == (code or 1006)
        assert ended[name].reason == reason or code is None
    channel = ended["receiving"]
    if code == 1000:
        assert ended["iterating"] is None
        assert isinstance(channel, trio.EndOfChannel | anyio.EndOfStream)
    else:
        assert isinstance(ended["iterating"], ConnectionClosed)
        assert isinstance(channel, trio.BrokenResourceError | anyio.BrokenResourceError)


async def test_after_closing_here_calls_say_so(opened):
    async with opened() as side:
        it = side.it
        receiving, sending = it.receive_channel, it.send_channel
        await it.aclose()
        for call in (
            it.recv,
            it.recv_many,
            it.flush,
            lambda: it.flush(timeout=1),
            lambda: it.send_many([side.message(1)]),
        ):
            with pytest.raises(ClientClosed, match="closed by this side"):
                await call()
        with pytest.raises((trio.ClosedResourceError, anyio.ClosedResourceError)):
            await receiving.receive()
        with pytest.raises((trio.ClosedResourceError, anyio.ClosedResourceError)):
            await sending.send(side.message(1))
        with pytest.raises(ClientClosed):
            side.send_nowait(1)
        with pytest.raises(ClientClosed):
            it.recv_nowait()
        with anyio.fail_after(60):
            await it.wait_closed()
        assert not it.connected


async def test_many_are_encoded_before_any_is_sent(opened):
    async with opened() as side:
        with pytest.raises(EncodeError):
            await side.it.send_many([side.message(1), side.message(object())])
        await side.it.send_many([side.message(2)])
        await eventually(lambda: side.got() == [2])


@pytest.mark.no_cover
async def test_a_cancelled_call_leaves_nothing_behind(opened):
    """What was to be sent is sent whole or not at all; what has arrived is received once."""

    async def scenario(here):
        got = []
        async with opened(outbox=Fifo(2), inbox=Fifo(64)) as side:
            it = side.it
            with pytest.raises(InboxEmpty):
                it.recv_nowait()
            for n in range(5):
                await side.send(n)
            async with here:
                await it.send_many(map(side.message, ("a", "b", "c")))
                await it.send_channel.send(side.message("d"))
                await it.flush(timeout=60)
                got += [side.number(m) for m in await it.recv_many(limit=2)]
                got.append(side.number(await it.receive_channel.receive()))
                got.append(side.number(await it.recv(timeout=60)))
                async for message in it:
                    got.append(side.number(message))
                    break
            assert it.connected
            with anyio.fail_after(60):
                while len(got) < 5:
                    got.append(side.number(await it.recv()))
                await it.send_many([side.message("last")])
                await eventually(lambda: side.got()[-1:] == ["last"], 20)
            assert got == list(range(5))
            whole = [["a", "b", "c"][:length] + rest for length in (0, 3) for rest in ([], ["d"])]
            assert side.got()[:-1] in whole
            assert here.cancelled or side.got()[:-1] == ["a", "b", "c", "d"]

            # what waits for the end, which comes
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(side.close, 1000, "")
                with anyio.fail_after(60):
                    await it.wait_closed()

    assert await cancel_everywhere(scenario) > 10
    if sniffio.current_async_library() == "asyncio":
        await cancel_everywhere(scenario, native=True)


async def test_waiting_for_the_end_can_be_cancelled(opened):
    async with opened() as side:
        with anyio.move_on_after(0.01) as scope:
            await side.it.wait_closed()
        assert scope.cancelled_caught
        with anyio.move_on_after(0.01) as scope:
            await side.it.recv_many()
        assert scope.cancelled_caught
        await side.send(1)
        assert [side.number(m) for m in await side.it.recv_many()] == [1]


# ---- a session


@pytest.mark.parametrize("first", ["recv_many", "channel"])
@pytest.mark.no_cover
async def test_the_first_receiving_of_a_session_ends_the_dropping(new_server, open_client, first):
    app = new_server()
    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        for n in range(1_500):
            await client.send(Number(value=n))
        await eventually(lambda: app.sessions and app.sessions[0].statistics().received > 1_500)
        (session,) = app.sessions
        dropped = session.statistics().dropped
        assert dropped == 1_501 - 1_024  # INIT among them
        got = await session.recv_many(limit=10) if first == "recv_many" else []
        channel = session.receive_channel if first == "channel" else None

        async def send_more():
            for n in range(1_500, 4_000):  # from now on a full inbox stops the reader
                await client.send(Number(value=n))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send_more)
            await anyio.sleep(0.05)
            while len(got) < 4_001 - dropped:
                if channel is None:
                    got += await session.recv_many()
                else:
                    got.append(await channel.receive())
        assert [event.value for event in got] == list(range(dropped - 1, 4_000))
        assert got[0].dropped_before == dropped
        assert session.statistics().dropped == dropped


async def test_a_task_of_a_session_that_waits_for_its_end_ends_with_it(new_server, open_client):
    app, ended = new_server(), []

    @app.spawn
    async def main(session):
        try:
            await session.wait_closed()
        finally:
            ended.append("cancelled")

    async with open_vuer_server(app) as server:
        async with open_client(server.uri):
            await eventually(lambda: app.sessions)
            (session,) = app.sessions
        with anyio.fail_after(60):
            await session.wait_closed()
        assert ended == ["cancelled"]
        assert session.close_code == 1000


# ---- a full outbox and a full inbox


async def test_a_full_outbox(opened):
    async with opened(outbox=Fifo(4)) as side:
        it = side.it
        with pytest.raises(OutboxFull, match="is full: 4 of 4 messages"):
            for n in range(5):
                side.send_nowait(n)
        with pytest.raises((trio.WouldBlock, anyio.WouldBlock)):
            it.send_channel.send_nowait(side.message("too much"))
        await it.send_many(map(side.message, (4, 5)))  # waits for room
        await eventually(lambda: side.got() == list(range(6)))


async def test_a_flush_behind_a_full_inbox_says_so(opened):
    async with opened(inbox=Fifo(2)) as side:
        with pytest.raises(InboxEmpty):
            side.it.recv_nowait()
        for n in range(50):
            await side.send(n)
        await eventually(lambda: side.it.statistics().inbox >= 2)
        with pytest.raises((InboxFull, CallTimeout)):
            await side.it.flush(timeout=5)
        got = []
        while len(got) < 50:
            got += await side.it.recv_many()
        assert [side.number(m) for m in got] == list(range(50))
        await side.it.flush(timeout=60)


# ---- an agent


@pytest.fixture
def agent(open_agent: Any) -> Callable[..., Any]:
    return lambda **options: an_agent(None, None, open_agent, **options)


async def test_the_form_of_a_message_that_is_a_map(agent):
    async with agent() as side:
        full = {"to": ["a", "b"], "payload": None, "type": "data", "ref": "r", "priority": 1}
        await side.it.send_many([full, {"to": ("*",), "payload": {"n": 1}}])
        side.it.send_nowait(["a"], "now", "alert", ref="r", priority=2)
        conn = side.close.__self__
        await eventually(lambda: len(conn.messages) == 3)
        assert [json.loads(text) for text in conn.messages] == [
            {**full, "to": ["a", "b"]},
            {"to": ["*"], "payload": {"n": 1}},
            {"to": ["a"], "type": "alert", "ref": "r", "payload": "now", "priority": 2},
        ]


@pytest.mark.parametrize(
    ("message", "error", "says"),
    [
        ("hello", TypeError, "a message must be a mapping with at least"),
        ({"payload": 1}, TypeError, 'at least "to" and "payload"'),
        ({"to": ["*"]}, TypeError, 'at least "to" and "payload"'),
        ({"to": "bob", "payload": 1}, TypeError, "to must be a list of agent ids"),
        ({"to": [], "payload": 1}, ValueError, "at least one agent id"),
        ({"to": ["*"], "payload": 1, "from": "me"}, TypeError, "from= is set by the relay"),
        ({"to": ["*"], "payload": 1, "type": 7}, TypeError, "message_type must be a str"),
        ({"to": ["*"], "payload": 1, "ref": 7}, TypeError, "ref must be a str"),
        ({"to": ["*"], "payload": {1}}, EncodeError, "what JSON cannot carry"),
    ],
)
async def test_maps_that_are_no_message(agent, message, error, says):
    async with agent() as side:
        with pytest.raises(error, match=says):
            await side.it.send_many([{"to": ["*"], "payload": 1}, message])
        with pytest.raises(error, match=says):
            side.it.send_channel.send_nowait(message)
        await side.it.send_many([{"to": ["*"], "payload": 2}])
        await eventually(lambda: side.got() == [2])


async def test_every_way_to_send_takes_a_place_in_the_rate_limit(agent):
    async with agent(rate_limit=RateLimit(4, per=60)) as side:
        it = side.it
        await it.send_many(map(side.message, (1, 2)))
        it.send_channel.send_nowait(side.message(3))
        with anyio.move_on_after(0.05) as scope:  # there is one place, and two are needed
            await it.send_many(map(side.message, ("never", "never")))
        assert scope.cancelled_caught
        with pytest.raises(ValueError, match=r"at most 4 messages.*got 5"):
            await it.send_many(map(side.message, range(5)))
        it.send_nowait(["*"], 4)
        with pytest.raises(OutboxFull, match="rate limit"):
            it.send_nowait(["*"], "never")
        with pytest.raises((trio.WouldBlock, anyio.WouldBlock)):
            it.send_channel.send_nowait(side.message("never"))
        with anyio.move_on_after(0.05) as scope:
            await it.send_channel.send(side.message("never"))
        assert scope.cancelled_caught
        it.send_nowait(["relay"], {"agents": []}, "list_subscriptions")  # takes none
        await eventually(lambda: side.got() == [1, 2, 3, 4])


async def test_what_was_not_sent_gives_its_places_back(agent):
    async with agent(rate_limit=RateLimit(2, per=60), outbox=Fifo(1)) as side:
        it = side.it
        it.send_nowait(["*"], 1)  # fills the outbox, in this step
        with pytest.raises(OutboxFull, match="is full"):
            it.send_nowait(["*"], "never")
        with pytest.raises(EncodeError):
            it.send_nowait(["*"], {1})
        await it.flush(timeout=60)
        it.send_nowait(["*"], 2)
        await eventually(lambda: side.got() == [1, 2])
        with pytest.raises(OutboxFull, match="rate limit"):
            it.send_nowait(["*"], "never")


async def test_a_question_that_was_not_asked_leaves_no_command_behind(agent):
    async with agent(outbox=Fifo(1)) as side:
        it = side.it
        await eventually(lambda: it._account.confirmed)
        commands = it._there.dispatcher.commands
        it.send_nowait(["*"], 1)  # fills the outbox, in this step
        assert await it.ask("?", timeout=0) is None
        assert commands._pending == []
        assert await it.ask("?", timeout=0.2) is None
        assert it._there.dispatcher.echoes
        await it.subscribe(["me"])
        assert await it.list_subscriptions() == ["me"]
        assert side.got() == [1, "?"]


async def test_an_agent_before_its_first_connection(open_agent):
    agent = open_agent("ws://localhost:1", token="t")
    message = {"to": ["*"], "payload": 1}
    for call in (agent.recv, agent.recv_many, agent.flush, lambda: agent.send_many([message])):
        with pytest.raises(ClientClosed, match="Not connected"):
            await call()
    for call in (agent.recv_nowait, lambda: agent.send_nowait(["*"], 1)):
        with pytest.raises(ClientClosed, match="Not connected"):
            call()
    statistics = agent.statistics()
    assert (statistics.sent, statistics.silence) == (0, None)
    assert agent.transport is agent.close_code is agent.close_reason is None
    await agent.wait_closed()


async def test_a_channel_of_an_agent_is_there_for_its_next_connection(open_agent):
    async with serve_peer(relay_script(welcome=WELCOME)) as peer:
        agent = open_agent(peer.uri, token="t")
        sending, receiving = agent.send_channel, agent.receive_channel
        for n in range(2):
            async with agent:
                await sending.send({"to": ["*"], "payload": n})
                conn = await peer.connection(n)
                await conn.send_text(frame("bob", ["*"], n))
                assert (await receiving.receive()).payload == n
            await conn.wait_disconnected()
            assert [json.loads(text)["payload"] for text in conn.messages] == [n]
