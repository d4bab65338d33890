"""`listen` itself: addresses, what goes wrong in a greeting, no room, and a cancellation at every
step of it."""

from __future__ import annotations

import errno
import gc
import logging
import socket

import anyio
import pytest
import sniffio
import trio

from tests.behaviour.test_incoming_requests import GOOD, head, masked, send_raw, status_of
from tests.behaviour.transport_harness import (
    MAX_SIZE,
    RecordingSink,
    connected,
    serving,
    tls_contexts,
)
from tests.resource_counts import Census, open_sockets, task_count
from vuer_trio._net.listeners import bind
from vuer_trio._runtime import runtime
from vuer_trio._websocket import accept as listen_module
from vuer_trio._websocket.accept import ListenOptions, greet_stream, listen

pytestmark = pytest.mark.anyio


# ---- addresses


async def test_all_addresses_of_a_host_share_a_port(backend):
    async with serving(backend, host="localhost") as server:
        assert {port for _, port in server.addresses} == {server.port}
        assert ("127.0.0.1", server.port) in server.addresses
        async with connected(server.uri()):
            pass
    async with serving(backend, host=None) as server:
        assert len({port for _, port in server.addresses}) == 1
        async with connected(server.uri()):
            pass


async def test_a_port_that_is_taken_is_an_os_error_that_names_it(backend):
    async with serving(backend) as server:
        listening = ListenOptions("127.0.0.1", server.port, MAX_SIZE, transport=backend.transport)
        before = Census.take()
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1, port {server.port}: ") as e:
            await listen(server.rt, listening, server.echo, lambda addresses: None)
        assert e.value.errno == errno.EADDRINUSE
        assert before.left_behind() == []


async def test_a_host_that_is_none_of_this_machine_is_an_os_error(backend):
    rt = runtime()
    for host in ("nowhere.invalid", "203.0.113.1"):
        with pytest.raises(OSError, match=f"cannot listen on {host}, port 0: .*: .*host"):
            await listen(rt, ListenOptions(host, 0, MAX_SIZE), None, lambda addresses: None)


async def test_a_port_for_root_is_an_os_error_that_says_so(backend, monkeypatch):
    def forbidden(listener, address):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("vuer_trio._net.listeners._listen", forbidden)
    with pytest.raises(PermissionError, match=r"port 80: .*: ports below 1024 are for root"):
        await listen(runtime(), ListenOptions("127.0.0.1", 80, 1), None, lambda addresses: None)


async def test_a_port_can_be_listened_on_again_at_once(backend):
    async with serving(backend) as server:
        async with connected(server.uri()):
            pass
    async with serving(backend, port=server.port) as again:
        assert again.port == server.port


async def test_a_transport_that_can_not_be_had_is_a_value_error(backend, monkeypatch):
    rt = runtime()
    monkeypatch.setattr(listen_module, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="needs that package"):
        await listen(rt, ListenOptions(None, 0, 1, transport="websockets"), None, None)
    if rt.name == "asyncio":
        with pytest.raises(ValueError, match="runs on Trio only"):
            await listen(rt, ListenOptions(None, 0, 1, transport="trio-websocket"), None, None)


async def test_a_port_that_is_free_on_one_address_only_is_not_taken(backend, monkeypatch):
    """Another port is tried for all."""
    tries = []
    with socket.socket() as taken:
        taken.bind(("127.0.0.2", 0))
        taken.listen()

        async def resolve(host, port):
            tries.append(port)
            first = ("127.0.0.1", 0)
            kind = (socket.AF_INET, socket.SOCK_STREAM, 0, "")
            return [(*kind, first), (*kind, ("127.0.0.2", 0))]

        with pytest.raises(OSError, match="port") as error:
            await bind("x", taken.getsockname()[1], resolve)
        assert error.value.errno == errno.EADDRINUSE
        listeners = await bind("x", 0, resolve)
        assert len({listener.getsockname()[1] for listener in listeners}) == 1
        for listener in listeners:
            listener.close()


# ---- greetings that fail


async def test_what_a_greeting_raises_is_logged_and_ends_nobody_else(backend, caplog):
    caplog.set_level(logging.DEBUG, "vuer_trio.server")

    async def greet(server, incoming):
        if incoming.request.target == "/fail":
            raise KeyError("a fault of the program's")
        await server.echo(incoming)

    async with serving(backend, greet) as server, connected(server.uri()) as sink:
        assert await send_raw(server, head(b"Host: x", first=b"GET /fail HTTP/1.1")) == b""
        sink.send(b"still here")
        with anyio.fail_after(60):
            await sink.until(lambda: sink.messages)
    errors = [record for record in caplog.records if record.levelno >= logging.WARNING]
    (error,) = errors
    assert error.exc_info[0] is KeyError
    assert "127.0.0.1:" in error.getMessage()


async def test_a_greeting_that_passes_a_failed_handshake_on_is_no_error(backend, caplog):
    caplog.set_level(logging.DEBUG, "vuer_trio.server")
    async with serving(backend) as server:
        data = head(*GOOD).replace(b"Version: 13", b"Version: 7")
        assert status_of(await send_raw(server, data)) == 426
        with anyio.fail_after(60):
            while "a bad upgrade" not in caplog.text:
                await anyio.sleep(0.01)
    assert [record.levelname for record in caplog.records] == ["DEBUG"]


# ---- no room


class Crowded:
    """A listening socket that has no room at first."""

    def __init__(self, listener, failures):
        self._listener = listener
        self.failures = failures

    def accept(self):
        if self.failures:
            raise self.failures.pop()
        return self._listener.accept()

    def __getattr__(self, name):
        return getattr(self._listener, name)


async def test_no_room_is_logged_once_and_waited_out(backend, monkeypatch, caplog):
    crowded = []

    async def bind_crowded(*args):
        (listener,) = await bind(*args)
        full = OSError(errno.EMFILE, "Too many open files")
        gone = ConnectionAbortedError(errno.ECONNABORTED, "gone")
        crowded.append(Crowded(listener, [full, full, gone]))
        return crowded

    monkeypatch.setattr(listen_module, "bind", bind_crowded)
    async with serving(backend) as server:
        async with connected(server.uri()) as sink:
            sink.send(b"in")
            with anyio.fail_after(60):
                await sink.until(lambda: sink.messages)
    assert crowded[0].failures == []
    (record,) = [record for record in caplog.records if record.name == "vuer_trio.server"]
    assert "Too many open files; raise the limit" in record.getMessage()


# ---- an open stream


async def stream_pair(tmp=None):
    """Two ends of a stream, of the running library's own."""
    if sniffio.current_async_library() == "trio":
        return trio.testing.memory_stream_pair()
    ends = socket.socketpair()
    return [await anyio.abc.SocketStream.from_socket(end) for end in wrap_inet(ends)]


def wrap_inet(ends):
    for end in ends:
        end.close()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    return near, far


async def test_one_open_stream_is_greeted_as_it_is(backend):
    rt = runtime()
    near, far = await stream_pair()
    listening = ListenOptions(None, 0, MAX_SIZE, transport=backend.transport)
    seen = []

    async def greet(incoming):
        seen.append((incoming.peer, incoming.secure, incoming.request.target))
        async with rt.open_nursery() as nursery:
            sink = RecordingSink(echo=True)
            await sink.carry(await incoming.accept(sink, nursery))
            nursery.cancel_scope.cancel()

    with anyio.fail_after(60):
        async with rt.open_nursery() as nursery:
            nursery.start_soon(greet_stream, rt, listening, far, greet)
            async with connected("ws://memory/x", backend.transport, stream=near) as sink:
                sink.send(b"over a stream", b"x" * 100_000)
                await sink.until(lambda: len(sink.messages) == 2)
    assert seen == [("a stream", False, "/x")]


# ---- a cancellation at every step


async def visit(server, context):
    """A page, an echo and a farewell; whether all went well."""
    options = {"ssl_context": context, "tls_standard_compatible": False} if context else {}
    try:
        async with await anyio.connect_tcp("127.0.0.1", server.port, **options) as stream:
            await stream.send(head(b"Host: x"))
            assert b"200 OK" in await stream.receive()
        async with await anyio.connect_tcp("127.0.0.1", server.port, **options) as stream:
            await stream.send(head(*GOOD) + masked(2, b"hi"))
            reply = b""
            while not reply.endswith(b"\x82\x02hi"):
                reply += await stream.receive()
            await stream.send(masked(8, b"\x03\xe8"))
            return (await stream.receive()) == b"\x88\x02\x03\xe8"
    except (anyio.EndOfStream, anyio.BrokenResourceError, AssertionError, OSError):
        return False


async def page_or_echo(server, incoming):
    if incoming.wants_websocket:
        await server.echo(incoming)
    else:
        await incoming.answer(200, (), b"page")


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
async def test_a_cancellation_at_any_step_leaves_nothing_behind(backend, caplog, secure):
    server_context, client_context = tls_contexts() if secure else (None, None)
    sockets, tasks = open_sockets(), task_count()
    step, well = 0, []
    while not (well and well[-1]):
        async with serving(backend, page_or_echo, context=server_context) as server:
            over = server.rt.Event()

            async def call(server, over):
                well.append(await visit(server, client_context))
                over.set()

            async with server.rt.open_nursery() as nursery:
                nursery.start_soon(call, server, over)
                for _ in range(step):
                    await anyio.lowlevel.checkpoint()
                with anyio.fail_after(20):
                    await server.stop()
                    await over.wait()
        with anyio.fail_after(60):
            while open_sockets() > sockets or task_count() > tasks:
                await anyio.sleep(0.001)
        step += 1 + step // 30
        assert step < 10_000
    gc.collect()
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []
    assert len(well) > 10
