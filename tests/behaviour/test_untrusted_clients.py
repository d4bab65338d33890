"""What strangers can do at a server: say nothing, come in numbers, and be a page of somebody's."""

from __future__ import annotations

import math
from contextlib import AsyncExitStack, suppress

import pytest
import trio

from tests.behaviour.memory_server import memory_server
from tests.behaviour.raw_client import eventually, masked, pack, raw, request
from tests.behaviour.test_server_limits import TRANSPORTS, Line, lockstep
from vuer_trio import ConnectionFailed, Fifo, Latest, Vuer, open_vuer_server
from vuer_trio._runtime import runtime
from vuer_trio._websocket.accept import ListenOptions, _Acceptor
from vuer_trio.events import ClientEvent, ServerEvent
from vuer_trio.testing import memory_stream_pair

INIT = masked(pack("INIT", {"client": "raw"}))


# ---- on every backend


@pytest.mark.anyio
async def test_who_sends_no_init_is_closed(new_server, open_client, caplog):
    app = new_server(init_timeout=0.3, close_timeout=0.3)
    app.add_handler("ECHO", lambda event, session: session @ ServerEvent(1, etype="ECHO"))
    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        async with raw(server.port) as silent, raw(server.port) as talks:
            for stranger in (silent, talks):
                await stranger.handshake()
            await talks.send(masked(pack("CAMERA_MOVE")))
            for stranger in (silent, talks):  # neither answers the close frame
                await stranger.read_to_the_end()
                assert stranger.close_frame() == (1008, "no INIT was sent within 0.3 s")
        await eventually(lambda: len(server.server.connections) == 1)
        client.send @ ClientEvent(etype="ECHO")
        assert await client.recv(timeout=60) == "ECHO"
    assert "init_timeout=" in caplog.text
    assert "Traceback" not in caplog.text


@pytest.mark.anyio
@pytest.mark.parametrize("outbox", [Fifo(), Latest()], ids=["fifo", "latest"])
async def test_broadcasts_go_out_with_the_init(new_server, open_client, outbox):
    app = new_server(outbox=outbox)
    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        await client.flush(timeout=60)
        async with raw(server.port) as silent, raw(server.port) as answered:
            for stranger in (silent, answered):
                await stranger.handshake()
            await eventually(lambda: len(app.sessions) == 3)
            for n in range(3):
                app.broadcast @ ServerEvent(n, etype=f"NEWS{n}")
                await app.broadcast.send(ServerEvent(n, etype=f"SENT{n}"))
            assert [(await client.recv(timeout=60)).data for _ in range(6)] == [0, 0, 1, 1, 2, 2]
            app.sessions[-1] @ ServerEvent(3, etype="OWN")  # they go before it
            assert await answered.data(7) == [0, 0, 1, 1, 2, 2, 3]
            await silent.stays_silent()
            await silent.send(INIT)
            assert await silent.data(6) == [0, 0, 1, 1, 2, 2]


@pytest.mark.anyio
async def test_without_a_bound_for_init_broadcasts_go_out_at_once(new_server):
    app = new_server(init_timeout=math.inf)
    async with open_vuer_server(app) as server, raw(server.port) as silent:
        await silent.handshake()
        await eventually(lambda: len(app.sessions) == 1)
        app.broadcast @ ServerEvent(1, etype="NEWS")
        assert await silent.data(1) == [1]


@pytest.mark.slow
@pytest.mark.anyio
async def test_silent_sockets_keep_nobody_out(new_server, open_client):
    """More of them than there are sessions: who says INIT gets in, and stays."""
    app = new_server(max_sessions=20, init_timeout=math.inf)
    async with open_vuer_server(app) as server, AsyncExitStack() as stack:
        operators, silent = [], []
        for _ in range(3):
            for _ in range(15):
                stranger = await stack.enter_async_context(raw(server.port))
                await stranger.handshake()
                silent.append(stranger)
            operator = await stack.enter_async_context(open_client(server.uri))
            await operator.flush(timeout=60)
            operators.append(operator)
        first = silent[0]
        await first.send(masked(b"", 8))
        await first.read_to_the_end()
        assert first.close_frame() == (1008, "no INIT was sent, and others want to get in")
        for operator in operators:
            await operator.flush(timeout=60)
        await eventually(lambda: len(server.server.connections) == 20)


@pytest.mark.anyio
async def test_who_has_said_init_gives_way_to_nobody(new_server, open_client):
    async with open_vuer_server(new_server(max_sessions=3)) as server, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(open_client(server.uri)) for _ in range(3)]
        for client in clients:
            await client.flush(timeout=60)
        for _ in range(3):
            with pytest.raises(ConnectionFailed) as refused:
                async with open_client(server.uri):
                    pass
            assert refused.value.status == 503
        for client in clients:
            await client.flush(timeout=60)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("localhost:8012", "http://evil.test", 403),
        ("evil.test:8012", "http://evil.test:8012", 403),
        ("localhost:8012", "http://evil@localhost", 403),
        ("localhost:8012", "http://evil\\@localhost", 403),
        ("localhost:8012", "http://", 403),
        ("localhost:8012", "http://\x1b[31mred", 403),
        ("localhost:8012", "null", 403),
        ("evil.test:8012", None, 101),
        ("evil.test:8012", "https://vuer.ai", 101),
        ("robot.local:8012", "http://robot.local:8012", 101),
        ("10.0.0.7:8012", "http://10.0.0.7:8012", 101),
        ("told.example", "https://told.example", 101),
        ("told.example:8012", "http://told.example:8012", 101),
        ("a.ngrok.app", "https://a.ngrok.app", 101),
    ],
)
async def test_which_pages_open_a_session(new_server, caplog, host, origin, status):
    app = new_server(hosts=["told.example", "*.ngrok.app"])
    async with open_vuer_server(app) as server, raw(server.port) as client:
        head = request().replace(b"Host: localhost", f"Host: {host}".encode())
        if origin is not None:
            head = head.replace(b"\r\n\r\n", f"\r\nOrigin: {origin}\r\n\r\n".encode("latin-1"))
        await client.send(head)
        while b"\r\n\r\n" not in client.received:
            client.received += await client.stream.receive()
        found = int(client.received.split()[1])
        assert found == status or (found == 400 and "\x1b" in (origin or ""))
    assert "\x1b" not in caplog.text


@pytest.mark.anyio
async def test_with_origins_none_all_get_in(new_server, open_client):
    async with open_vuer_server(new_server(origins=None)) as server:
        headers = {"Host": "evil.test", "Origin": "http://evil@localhost"}
        async with open_client(server.uri, headers=headers) as client:
            await client.flush(timeout=60)


# ---- in virtual time


@pytest.mark.trio
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_silent_socket_has_ten_seconds_whatever_else_it_does(transport, autojump_clock):
    """One that reads and answers, one that reads nothing, one that reads slowly what it gets."""
    app = Vuer(transport=transport, close_timeout=1, outbox=Fifo(100))

    @app.bind
    async def main(session):
        for _ in range(50):
            yield ServerEvent(b"x" * 1_000_000, etype="NOISE")
        await session.forever()

    async with memory_server(app) as server, trio.open_nursery() as nursery:

        async def read(line, size, pause):
            with suppress(trio.BrokenResourceError):
                while await line.read(size):
                    line.received = b""
                    await trio.sleep(pause)

        for size, pause in ((65_536, 0.0001), (1, 1000), (1000, 0.5)):
            line = Line(server.connect(lockstep))
            await line.handshake()
            nursery.start_soon(read, line, size, pause)
        began = trio.current_time()
        await trio.sleep(9.5)
        assert len(app.sessions) == 3
        while server.serving.server.connections:
            await trio.sleep(0.1)
        assert 10 <= trio.current_time() - began <= 10 + 1 + 1 + 1.5
        nursery.cancel_scope.cancel()


@pytest.mark.trio
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_who_says_init_in_time_stays(transport, autojump_clock):
    async with memory_server(Vuer(transport=transport, heartbeat=math.inf)) as server:
        line = Line(server.connect())
        await line.handshake()
        await trio.sleep(9.9)
        await line.stream.send_all(INIT)
        await trio.sleep(1000)
        assert len(server.app.sessions) == 1


@pytest.mark.trio
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_who_gives_way_is_gone_soon_though_it_reads_nothing(transport, autojump_clock):
    """Of a flood of them never many are left, on their way out."""
    app = Vuer(transport=transport, max_sessions=10, close_timeout=1)

    @app.bind
    async def main(session):
        yield ServerEvent(b"x" * 1_000_000, etype="NOISE")
        await session.forever()

    async with memory_server(app) as server:
        for _ in range(200):
            line = Line(server.connect(lockstep))
            await line.handshake()
            assert (
                len(server.serving.server.connections) <= 10 + 64 + 5
            )  # that are being ended just now
        assert len(server.serving.server.connections) > 10
        await trio.sleep(3)
        assert len(server.serving.server.connections) == 10


@pytest.mark.trio
async def test_one_address_has_a_quarter_of_the_sessions(autojump_clock, caplog):
    app = Vuer(max_sessions=8, init_timeout=math.inf, heartbeat=math.inf)
    async with memory_server(app) as server, trio.open_nursery() as nursery:
        acceptor = _Acceptor(runtime(), ListenOptions(None, 0, 1000), server.serving.server._greet)

        async def connect(host, *, init=True):
            near, far = memory_stream_pair()

            async def open_wire():
                return acceptor.backend.wrap(far)

            nursery.start_soon(acceptor.meet, open_wire, f"{host}:5", False, host)
            await near.send_all(request())
            answer = await near.receive_some()
            if init:
                await near.send_all(INIT)
                await trio.sleep(0.1)
            return int(answer.split()[1])

        assert [await connect("10.0.0.1") for _ in range(3)] == [101, 101, 503]
        assert "max_sessions_per_host=" in caplog.text
        assert [await connect(f"2001:db8::{n}") for n in range(3)] == [101, 101, 503]
        assert [await connect("10.0.0.2", init=False) for _ in range(5)] == [101] * 5
        assert [await connect("127.0.0.1") for _ in range(5)] == [101] * 4 + [503]
        assert len(server.serving._places) == 8
        for session in app.sessions:
            session._abort()
        while server.serving.server.connections:
            await trio.sleep(0.1)
        assert await connect("10.0.0.1") == 101
        server.cancel()  # with which the connections of the nursery end


@pytest.mark.trio
async def test_a_server_that_ends_says_goodbye_to_those_without_an_init(autojump_clock):
    async with memory_server(Vuer(init_timeout=math.inf)) as server:
        line = Line(server.connect())
        await line.handshake()
        await trio.sleep(1)
        server.scope.cancel()
        await server.ended.wait()
        while await line.read(1000):
            pass
        assert b"\x03\xe9the server is going away" in line.received
