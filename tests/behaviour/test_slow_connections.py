"""A line that moves is alive, however slowly: what leaves is seen by the byte."""

from __future__ import annotations

import socket
import threading

import anyio
import anyio.to_thread
import pytest

from tests.behaviour.transport_harness import tls_contexts
from tests.free_ports import free_port
from vuer_trio._net import dial
from vuer_trio._net.address import parse_address
from vuer_trio._net.backend import net_backend
from vuer_trio._net.connect_options import ConnectOptions
from vuer_trio._runtime import runtime

pytestmark = pytest.mark.anyio
DEADLINE = 60  # seconds; only broken code gets there
#: bytes; more than the system holds
MUCH = 32 << 20
#: bytes that the peer may read until something of it is seen: less than a step of a long write
LITTLE = 200_000


async def open_stream(backend, port, context):
    scheme = "ws" if context is None else "wss"
    address = parse_address(f"{scheme}://localhost:{port}")
    return await dial.open_stream(
        net_backend(runtime()), ConnectOptions(address, 1 << 20, tls=context)
    )


@pytest.mark.parametrize("secure", [False, True], ids=["tcp", "tls"])
async def test_progress_is_seen_by_the_byte(backend, secure):
    theirs_context, ours_context = tls_contexts() if secure else (None, None)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    listener.bind(("127.0.0.1", 0))
    listener.listen(1)
    accepted = []

    def accept():
        peer, _ = listener.accept()
        peer.settimeout(DEADLINE)
        if theirs_context is not None:
            peer = theirs_context.wrap_socket(peer, server_side=True)
        accepted.append(peer)

    with anyio.fail_after(DEADLINE):
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        wire = await open_stream(backend, listener.getsockname()[1], ours_context)
        await anyio.to_thread.run_sync(thread.join)
        [peer] = accepted
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wire.send_all, bytes(MUCH))
            await stalled(wire)
            for _ in range(3):
                assert wire.arrived < wire.position, "the system holds what the peer does not read"
                before, read, arrived = wire.progress, 0, wire.arrived
                while wire.progress == before:
                    assert read < LITTLE, "the peer reads, and nothing seems to leave"
                    read += len(await anyio.to_thread.run_sync(peer.recv, 4096))
                    await anyio.sleep(0.001)
                await stalled(wire)
                assert wire.arrived > arrived
            tasks.cancel_scope.cancel()
        await wire.aclose()
        peer.close()
        listener.close()


async def stalled(wire):
    """Park until nothing leaves any more."""
    seen = -1.0
    while seen != wire.progress:
        seen = wire.progress
        await anyio.sleep(0.05)


# ---- Happy Eyeballs


@pytest.fixture
def hole():
    """A port of ::1 that swallows what would connect: its queue is full."""
    with socket.socket(socket.AF_INET6) as listener:
        listener.bind(("::1", 0))
        listener.listen(0)
        callers = []
        for _ in range(4):
            caller = socket.socket(socket.AF_INET6)
            caller.setblocking(False)
            callers.append(caller)
            caller.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for caller in callers:
            caller.close()


def found(family, address, port):
    rest = (0, 0) if family is socket.AF_INET6 else ()
    return (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port, *rest))


@pytest.fixture
def robot(monkeypatch):
    """Sets the addresses of the host robot.test."""
    resolve, addresses = socket.getaddrinfo, []

    def getaddrinfo(host, *args, **options):
        if host in ("robot.test", b"robot.test"):
            return list(addresses)
        return resolve(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return addresses


async def test_an_address_that_swallows_what_it_is_sent_costs_a_moment(
    open_client, new_server, hole, robot
):
    from vuer_trio import open_vuer_server

    async with open_vuer_server(new_server(host="127.0.0.1")) as server:
        robot += [
            found(socket.AF_INET6, "::1", hole),
            found(socket.AF_INET6, "::1", hole),
            found(socket.AF_INET, "127.0.0.1", server.port),
        ]
        async with open_client(f"ws://robot.test:{hole}", connect_timeout=10) as client:
            await client.flush(timeout=60)


async def test_addresses_that_refuse_are_left_at_once_and_the_first_is_named(
    open_client, new_server, robot
):
    from vuer_trio import ConnectionFailed, open_vuer_server

    robot += [found(socket.AF_INET, "127.0.0.1", free_port())] * 100
    with pytest.raises(ConnectionFailed, match=r"refused.*is a Vuer server running there"):
        async with open_client("ws://robot.test:1", connect_timeout=10):
            pass
    async with open_vuer_server(new_server(host="127.0.0.1")) as server:
        robot.append(found(socket.AF_INET, "127.0.0.1", server.port))
        async with open_client("ws://robot.test:1", connect_timeout=10) as client:
            await client.flush(timeout=60)


@pytest.mark.slow
async def test_a_dial_that_is_cancelled_in_the_race_leaves_nothing_open(open_client, hole, robot):
    from tests.behaviour.raw_client import eventually
    from tests.resource_counts import open_sockets, task_count

    robot += [found(socket.AF_INET6, "::1", hole)] * 3
    before = open_sockets(), task_count()
    for seconds in (0, 0.01, 0.3, 0.6):
        with anyio.move_on_after(seconds):
            async with open_client(f"ws://robot.test:{hole}"):
                pass
    await eventually(lambda: (open_sockets(), task_count()) <= before)
