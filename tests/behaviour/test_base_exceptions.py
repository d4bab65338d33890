"""Code of the user's may raise what is no Exception: it ends what an Exception would end there."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys

import anyio
import anyio.lowlevel
import pytest

from tests.behaviour.raw_client import eventually, witnessed
from tests.scripted_roomz_server import client_of, enter, message
from tests.scripted_server import accept_and_read, serve_peer
from vuer_trio import (
    Backoff,
    ConnectionClosed,
    ConnectionFailed,
    Latest,
    SceneStore,
    Vuer,
    open_vuer_server,
)
from vuer_trio.events import ClientEvent, ServerEvent, ServerRPC
from vuer_trio.testing import vuer_server as open_memory_server

pytestmark = pytest.mark.anyio


class Panic(BaseException):
    """As the panic of an extension, or an outcome of pytest's."""


class Speechless(Exception):
    """It has no text."""

    def __str__(self):
        raise RuntimeError("no text")

    __repr__ = __str__


class Empty(Exception):
    """It is false."""

    def __len__(self):
        return 0


ODD = {
    "panic": Panic,
    "exit": GeneratorExit,
    "group": lambda: BaseExceptionGroup("several", [Panic(), ValueError()]),
    "cancelled": asyncio.CancelledError,  # under Trio, too
    "speechless": Speechless,
    "empty": Empty,
}


@pytest.fixture(params=ODD)
def odd(request):
    """A function that raises it, whatever its arguments."""
    make = ODD[request.param]

    def raises(*args):
        raise make()

    async def raises_later(*args):
        await anyio.lowlevel.checkpoint()
        raises()

    raises.later = raises_later
    return raises


def errors(caplog):
    return [record for record in caplog.records if record.levelno >= logging.ERROR]


def event(etype, value=None):
    return ClientEvent(etype=etype, value=value)


# ---- a server


@pytest.mark.parametrize(
    "where", ["sync", "async", "concurrent", "task", "coroutine", "observe", "key"]
)
async def test_what_only_logs(new_server, open_client, caplog, odd, where):
    app = new_server(inbox=Latest(key=lambda e: odd() if e == "BAD" else (e.etype, e.value)))
    if where != "key":
        app = new_server()
    handlers = {
        "sync": odd,
        "async": odd.later,
        "concurrent": odd.later,
        "task": lambda event, session: session.spawn_task(odd.later),
        "coroutine": lambda event, session: session.spawn_task(odd.later()),
        "observe": lambda event, session: (session.observe(odd), None)[1],
        "key": lambda event, session: None,
    }
    app.add_handler("BAD", handlers[where], concurrent=where == "concurrent")
    answered = []
    app.add_handler("GOOD", lambda event, session: answered.append(event.value))
    async with witnessed(app, open_client) as both:
        async with open_client(both.server.uri) as bad:
            for n in range(3):
                await bad.send(event("BAD"))
                await bad.send(event("GOOD", n))
            await eventually(lambda: answered == [0, 1, 2])
            await bad.flush(timeout=60)
            assert bad.connected
            await eventually(lambda: len(errors(caplog)) >= 3)
            await both.echo()
        async with open_client(both.server.uri) as another:
            await another.flush(timeout=60)
        await both.nothing_is_left(idle=False)
    assert all(record.exc_info[1] is not None for record in errors(caplog))


@pytest.mark.parametrize("where", ["spawn", "bind", "start_soon", "start"])
async def test_what_ends_its_session_with_1011(new_server, open_client, caplog, odd, where):
    app = new_server()

    async def starts(task_status):
        task_status.started()
        await odd.later()

    @app.add_handler("GO")
    async def go(event, session):
        if where == "start_soon":
            session.start_soon(odd.later)
        elif where == "start":
            await session.start(starts)

    async def has_come(session):
        while await session.recv() != "GO":
            pass

    async def program(session):
        await has_come(session)
        await odd.later()

    async def generator(session):
        await has_come(session)
        yield ServerEvent(1, etype="ONE")
        odd()

    async with witnessed(app, open_client) as both:
        if where == "spawn":
            app.spawn(program)
        elif where == "bind":
            app.bind(generator)
        async with open_client(both.server.uri) as bad:
            await bad.send(event("GO"))
            with pytest.raises(ConnectionClosed) as caught:
                while True:
                    await bad.recv(timeout=60)
            assert caught.value.code == 1011
        await both.nothing_is_left(idle=False)
    assert len([r for r in errors(caplog) if "so the session of" in r.msg]) == 1


async def test_what_a_task_raises_before_it_has_started_is_the_callers(
    new_server, open_client, odd, caplog
):
    app, caught = new_server(), []

    async def never_starts(task_status):
        await odd.later()

    @app.add_handler("GO")
    async def go(event, session):
        try:
            await session.start(never_starts)
        except BaseException as exc:
            caught.append(exc)

    async with witnessed(app, open_client) as both:
        await both.client.send(event("GO"))
        await eventually(lambda: caught)
        await both.echo()
    assert not errors(caplog)


async def test_a_subscriber_of_a_store_that_raises_is_alone_in_it(odd):
    class Subscriber:
        def __init__(self):
            self.events = []

        def send_nowait(self, event):
            if self.events and event.etype == "REMOVE":
                odd()
            self.events.append(event)

    class Good(Subscriber):
        def send_nowait(self, event):
            self.events.append(event)

    store, good = SceneStore(), Good()
    async with store.subscribe(good):
        with pytest.raises(BaseException) as caught:  # noqa: PT011  # whatever it is
            async with store.subscribe(Subscriber()):
                store.remove @ "box"
                await anyio.sleep(5)
        assert not isinstance(caught.value, AssertionError)
        assert [e.etype for e in good.events] == ["SET", "REMOVE"]


@pytest.mark.slow
async def test_a_cancellation_in_a_group_goes_on_and_the_rest_is_logged(
    new_server, open_client, caplog
):
    app, began = new_server(), []

    async def fails_when_cancelled():
        try:
            await anyio.sleep(100)
        finally:
            raise Panic("while cancelled")

    @app.add_handler("BAD")
    async def bad(event, session):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fails_when_cancelled)
            began.append(1)
            await anyio.sleep(100)

    async with witnessed(app, open_client) as both:
        async with open_client(both.server.uri) as client:
            await client.send(event("BAD"))
            await eventually(lambda: began)
        await both.nothing_is_left(idle=False)
    assert "while cancelled" in caplog.text
    assert len(errors(caplog)) == 1


# ---- a client


async def test_handlers_answers_and_witnesses_of_a_client(new_server, open_client, caplog, odd):
    app, replies = new_server(), []

    @app.spawn
    async def main(session):
        for n in range(2):
            session @ ServerEvent(n, etype="BAD")
        session @ ServerEvent(0, etype="BADLY")
        session @ ServerRPC(None, etype="ASK_BADLY", rtype="ASK_BADLY@{uuid}")
        replies.append(await session.rpc(ServerRPC(None, etype="ASK", rtype="ASK@{uuid}"), 5))
        await session.forever()

    async with open_vuer_server(app) as server:
        client = open_client(
            server.uri, inbox=Latest(key=lambda e: odd() if e == "BADLY" else e.etype)
        )
        client.on("BAD", odd)
        client.on("BAD", odd.later, concurrent=True)
        client.answer("ASK_BADLY", odd.later)
        client.answer("ASK", lambda event: "well")
        client.observe(odd)
        async with client:
            await eventually(lambda: replies)
            await client.flush(timeout=60)
            assert client.connected
        assert replies[0].value == "well"
    logged = [record.getMessage() for record in errors(caplog)]
    for what in ("the handler of BAD ", "the handler of ASK_BADLY ", "an observer", "key function"):
        assert any(what in line for line in logged), what


@pytest.mark.parametrize("reconnect", [None, Backoff(initial=0.001, first=True)])
async def test_headers_that_raise(open_client, odd, reconnect):
    async with serve_peer(accept_and_read) as peer:
        with pytest.raises(ConnectionFailed) as caught:
            async with open_client(peer.uri, headers=odd, reconnect=reconnect):
                pass
        causes, exc = [], caught.value
        while exc is not None:
            causes.append(type(exc))
            exc = exc.__cause__
        assert causes[-1] in (
            Panic,
            GeneratorExit,
            BaseExceptionGroup,
            asyncio.CancelledError,
            Speechless,
            Empty,
        )


# but an exception without a text: Trio formats what a task of the WebSocket library raises
@pytest.mark.parametrize("odd", [name for name in ODD if name != "speechless"], indirect=True)
@pytest.mark.parametrize("when", ["receive", "send"])
async def test_a_stream_of_the_users_that_raises(backend, open_client, odd, when):
    broken = []

    def wrapped(stream):
        return _Breaks(stream, broken, odd, when)

    async with open_memory_server(Vuer(transport=backend.transport), wrap=wrapped) as server:
        client = open_client(server.uri)
        try:
            async with client:
                await client.flush(timeout=60)
                broken.append(True)
                await client.send(event("X"))
                with pytest.raises(ConnectionClosed):
                    await client.flush(timeout=60)
                    await client.flush(timeout=60)
        except ConnectionClosed as exc:
            assert "not sent" in str(exc)  # noqa: PT017  # one may have been
        assert client.close_code == 1006


class _Breaks:
    """A stream that raises from some time on, in one of its methods."""

    def __init__(self, stream, broken, odd, when):
        self._stream, self._broken, self._odd, self._when = stream, broken, odd, when

    def __getattr__(self, name):
        found = getattr(self._stream, name)
        ways = {"receive": ("receive", "receive_some"), "send": ("send", "send_all")}
        if name not in ways[self._when]:
            return found

        async def call(*args):
            if self._broken and self._when == "send":
                self._odd()
            result = await found(*args)
            if self._broken:
                self._odd()
            return result

        return call


# ---- an agent, and a room


async def test_a_listening_agent(open_relay, open_agent, caplog, odd):
    seen = []

    async def handler(message):
        if message.payload == "bad":
            await odd.later()
        seen.append(message.payload)

    def only_some(message):
        return odd() if message.payload == "filtered badly" else True

    def at_the_door(message):
        return odd() if message.payload == "let in" else True

    async with open_relay() as relay, open_agent(relay.url, filter=at_the_door) as client:
        async with anyio.create_task_group() as tasks:
            listen = client.listen
            tasks.start_soon(lambda: listen(handler, filter=only_some))
            for payload in ("bad", "filtered badly", "let in", "good"):
                await client.direct(client.agent_id, payload)
            await eventually(lambda: seen == ["let in", "good"])
            tasks.cancel_scope.cancel()
        assert client.connected
    assert len(errors(caplog)) == 3


async def test_a_handler_in_a_room(backend, tmp_path, caplog, odd):
    seen = []

    async def talks(conn):
        await enter(conn)
        for content in "ab":
            await conn.send_text(message(content))

    async with serve_peer(talks) as peer:
        client = client_of(peer.uri, tmp_path, transport=backend.transport)
        client.on("message", odd)
        client.on("message", odd.later)
        client.on("message", lambda data: seen.append(data["content"]))
        async with client:
            await eventually(lambda: seen == ["a", "b"])
            assert client.connected
    assert len(errors(caplog)) == 4


# ---- what is to end the program

#: prints what each end of a program came to; asyncio leaves tasks behind when one ends so
_ENDS = """
import asyncio, sys, trio
from vuer_trio import Vuer, open_vuer_client, open_vuer_server
from vuer_trio.events import ClientEvent

async def program(where, end):
    app, ended = Vuer(port=0), []

    def ends(*args):
        if not ended:  # asyncio goes on for a moment, to cancel its tasks
            ended.append(True)
            raise end()

    async def ends_later(*args):
        ends()

    handlers = {
        "sync": ends,
        "async": ends_later,
        "task": lambda event, session: session.spawn_task(ends_later),
        "soon": lambda event, session: session.start_soon(ends_later),
        "observe": lambda event, session: (session.observe(ends), None)[1],
        "spawn": lambda event, session: None,
    }
    app.add_handler("END", handlers[where])

    @app.spawn
    async def main(session):
        async for event in session:
            if where == "spawn" and event == "END":
                ends()

    async with open_vuer_server(app) as server, open_vuer_client(server.uri) as client:
        while True:
            await client.send(ClientEvent(etype="END"))
            await client.flush(timeout=60)

def deep():
    return BaseExceptionGroup("", [ValueError(), BaseExceptionGroup("", [SystemExit(3)])])

for where in ("sync", "async", "task", "soon", "observe", "spawn"):
    for end in (KeyboardInterrupt, lambda: SystemExit(3), deep):
        try:
            if sys.argv[1] == "trio":
                trio.run(program, where, end)
            else:
                asyncio.run(program(where, end))
        except BaseException as exc:
            print(where, type(exc).__name__, flush=True)
"""


@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_who_wants_to_end_the_program_does(backend):
    command = [sys.executable, "-c", _ENDS, backend]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout.split("\n")[:-1] == [
        f"{where} {end}"
        for where in ("sync", "async", "task", "soon", "observe", "spawn")
        for end in ("KeyboardInterrupt", "SystemExit", "SystemExit")
    ], done.stderr
