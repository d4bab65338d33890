"""`Latest` on a server, on every backend: a slow client sees the newest of each node."""

from __future__ import annotations

import math
import socket

import anyio
import msgpack
import pytest
import trio

from tests.behaviour.memory_server import memory_server
from tests.behaviour.raw_client import eventually, masked, pack, raw
from tests.behaviour.test_server_tls import files, trusting  # noqa: F401  # a fixture
from tests.behaviour.test_stalled_clients import never_reads
from tests.repetitions import times
from vuer_trio import CallTimeout, Latest, SceneStore, Vuer, open_vuer_server
from vuer_trio._net import asyncio_streams, socket_options, trio_backend
from vuer_trio.events import Add, ClientEvent, GrabRender, Remove, ServerEvent, Set, Update, Upsert
from vuer_trio.scene import Scene
from vuer_trio.schemas import Box, ImageBackground

MIB = 1 << 20


@pytest.fixture
def stalled(new_server):
    """``async with stalled() as (app, session, client)``: more is being written than fits on the
    way to the client, which has not read any of it. ``client.rest()`` is what comes behind."""
    return lambda **options: Stalled(new_server(outbox=Latest(), **options))


class Stalled:
    def __init__(self, app):
        self.app = app

    async def __aenter__(self):
        self._server = open_vuer_server(self.app)
        server = await self._server.__aenter__()
        self._raw = raw(server.port)
        client = await self._raw.__aenter__()
        await client.handshake()
        await client.send(masked(pack("INIT")))
        await eventually(lambda: self.app.sessions and self.app.sessions[0].client_info == {})
        (session,) = self.app.sessions
        session @ ServerEvent(bytes(16 * MIB), etype="PLUG")
        await eventually(lambda: not session._connection.outbox.items)
        await anyio.sleep(0.05)

        async def rest():
            """All events behind the one that stood in the way, up to one of the type END."""
            session @ ServerEvent(None, etype="END")
            with anyio.fail_after(60):
                while b"END" not in client.received[-200:]:
                    client.received += await client.stream.receive(MIB)
            events = [msgpack.unpackb(data) for opcode, data in client.frames() if opcode == 2]
            start = [event["etype"] for event in events].index("PLUG") + 1
            return events[start:-1]

        client.rest = rest
        return self.app, session, client

    async def __aexit__(self, *exc):
        await self._raw.__aexit__(*exc)
        await self._server.__aexit__(*exc)


def in_short(events):
    return [(e["etype"], *(n["key"] for n in e["data"]["nodes"])) for e in events]


def plane(side, n):
    return ImageBackground(key=side, src=b"%d" % n + bytes(50_000), to="bgChildren")


@pytest.mark.anyio
@pytest.mark.parametrize("way", ["session", "broadcast", "store"])
async def test_two_planes_by_turns_both_arrive_and_what_is_never_said_again(stalled, way):
    async with stalled() as (app, session, client):
        store = SceneStore()
        things = {"session": session, "broadcast": app.broadcast, "store": store}[way]
        async with store.subscribe(session):
            things.upsert @ Box(key="once")
            for n in range(100):
                for side in ("left", "right"):
                    things.upsert(plane(side, n), to="bgChildren")
            statistics = session.statistics()
            assert (statistics.replaced, statistics.dropped, statistics.skipped) == (198, 0, 0)
            assert session._connection.outbox.bytes < 17 * MIB
            events = await client.rest()
        if way != "session":
            events = [event for event in events if event["etype"] != "SET"]
        else:
            del events[0]
        assert in_short(events) == [("UPSERT", "once"), ("UPSERT", "left"), ("UPSERT", "right")]
        assert [event["data"]["nodes"][0]["src"][:2] for event in events[1:]] == [b"99"] * 2
        assert session.statistics().sent == 2 + len(events) + 1


@pytest.mark.anyio
async def test_what_makes_the_scene_and_what_is_asked_stays_in_order(stalled):
    async with stalled() as (_, session, client):
        wanted = Scene()

        def both(event):
            session @ event
            wanted.apply(event)

        async def asks():
            with pytest.raises(CallTimeout):
                await session.rpc(GrabRender(), ttl=0.01)

        both(Set({"tag": "Scene", "children": [{"tag": "Box", "key": "a"}]}))
        for n in range(5):
            both(Upsert({"key": "a", "n": n}))
            both(Update({"key": "a", "color": f"{n}"}))
        await asks()
        both(Upsert({"key": "a", "n": 5}))
        both(Add({"tag": "Box", "key": "b"}, to="a"))
        both(Upsert({"key": "b", "n": 5}, to="a"))
        both(Upsert({"key": "b", "m": 6}, to="a"))
        session @ ServerEvent(None, etype="REPLY")
        both(Upsert({"key": "a", "n": 6}))
        both(Remove("b"))
        both(Upsert({"key": "a", "n": 7}))
        events = await client.rest()
        assert [event["etype"] for event in events] == [
            *("SET", "UPSERT", "GRAB_RENDER", "UPSERT", "ADD", "UPSERT", "REPLY", "UPSERT"),
            *("REMOVE", "UPSERT"),
        ]
        shown = Scene()
        for event in events:
            shown.apply(event)
        assert shown.to_dict() == wanted.to_dict()
        assert shown.get("a")["n"] == 7
        assert session.statistics().replaced == 10


@pytest.mark.anyio
async def test_a_flush_that_is_given_up_leaves_no_old_images_behind(stalled):
    async with stalled() as (_, session, client):
        for n in range(20):
            session.upsert(plane("left", n), to="bgChildren")
            with pytest.raises(CallTimeout):
                await session.flush(timeout=0.001)
        assert len(session._connection.outbox.items) == 1
        (event,) = await client.rest()
        assert event["data"]["nodes"][0]["src"][:2] == b"19"


@pytest.mark.anyio
async def test_every_way_to_send_replaces(stalled):
    async with stalled() as (_, session, client):
        permit = await session.send
        session @ Upsert({"key": "a", "n": 0})
        await session.send(Upsert({"key": "a", "n": 1}))
        await session.send @ Upsert({"key": "a", "n": 2})
        session.send_nowait(Upsert({"key": "a", "n": 3}))
        await session.send.many([Upsert({"key": "a", "n": 4}), Upsert({"key": "a", "n": 5})])
        permit @ Upsert({"key": "a", "n": 6})
        await anyio.to_thread.run_sync(session.threadsafe.upsert, {"key": "a", "n": 7})
        (event,) = await client.rest()
        assert event["data"]["nodes"] == [{"key": "a", "n": 7}]
        assert session.statistics().replaced == 7


@pytest.mark.anyio
async def test_queue_bounds_of_one_lose_no_node(new_server, open_client):
    app = new_server(outbox=Latest(max_keys=1))

    @app.spawn
    async def main(session):
        session.set @ {"tag": "Scene"}
        session.upsert @ Box(key="a")
        for n in range(50):
            session.upsert @ Box(key=f"b{n}")
        session.update @ {"key": "a", "n": 1}

    async with (
        open_vuer_server(app) as server,
        open_client(server.uri, mirror_scene=True) as client,
    ):
        await client.wait_closed()
        assert len(list(client.scene)) == 51
        assert client.scene.get("a")["n"] == 1


# ---- in virtual time


@pytest.mark.trio
@pytest.mark.parametrize("way", ["session", "broadcast", "store"])
@pytest.mark.no_cover
async def test_what_a_session_holds_that_never_reads_is_bounded_by_its_nodes(way, autojump_clock):
    """Minutes of two planes at 10 images a second, and a robot of 20 parts beside them."""
    seconds = times(60, 600)
    app = Vuer(outbox=Latest(), heartbeat=math.inf, stall_timeout=math.inf)
    image = bytes(10_000)
    async with memory_server(app) as server, trio.open_nursery() as nursery:
        _, session = await never_reads(server, nursery)
        store = SceneStore()
        things = {"session": session, "broadcast": app.broadcast, "store": store}[way]
        async with store.subscribe(session):
            outbox, most, began = session._connection.outbox, 0, trio.current_time()
            while trio.current_time() < began + seconds:
                for side in ("left", "right"):
                    things.upsert({"key": side, "src": image}, to="bgChildren")
                things.update @ [{"key": f"part{n}", "matrix": [1.0] * 16} for n in range(20)]
                await trio.sleep(0.1)
                most = max(most, outbox.bytes)
                assert outbox.count < 8
            assert most < 5 * len(image)
            assert session.statistics().replaced > 3 * seconds * 10 - 10
            assert (session.statistics().dropped, session.statistics().skipped) == (0, 0)
        nursery.cancel_scope.cancel()


# ---- the sockets


@pytest.fixture
def prepared(monkeypatch):
    """The sockets that were prepared."""
    found = []

    def noted(sock):
        real(sock)
        found.append(sock)

    real = socket_options.prepare_socket
    for module in (trio_backend, asyncio_streams):
        monkeypatch.setattr(module, "prepare_socket", noted)
    return found


def is_bounded(sock):
    if not hasattr(socket, "TCP_NOTSENT_LOWAT"):
        return sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) <= 2 * 262_144
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == 16_384


@pytest.mark.anyio
@pytest.mark.parametrize("secure", [False, True], ids=["tcp", "tls"])
async def test_both_ends_leave_little_to_the_system(
    new_server,
    open_client,
    prepared,
    secure,
    files,  # noqa: F811
):
    folder, authority = files
    options = {"cert": folder / "cert.pem", "key": folder / "key.pem"} if secure else {}
    trust = {"ssl_context": trusting(authority)} if secure else {}
    async with (
        open_vuer_server(new_server(**options)) as server,
        open_client(server.uri, **trust) as client,
    ):
        await client.flush(timeout=60)
        assert len(prepared) == 2
        assert all(map(is_bounded, prepared))


@pytest.mark.anyio
async def test_so_does_a_relay(open_relay, open_agent, prepared):
    async with open_relay() as relay, open_agent(relay.url):
        still_open = [sock for sock in prepared if sock.fileno() >= 0]
        assert len(still_open) == 2
        assert all(map(is_bounded, still_open))


@pytest.mark.anyio
@pytest.mark.parametrize("size", [MIB, 64_000], ids=["long", "short"])
@pytest.mark.parametrize("secure", [False, True], ids=["tcp", "tls"])
async def test_a_long_message_is_written_without_the_bound_but_for_its_end(
    new_server,
    open_client,
    prepared,
    monkeypatch,
    size,
    secure,
    files,  # noqa: F811
):
    real, bounds = socket_options._bound, []

    def noted(sock, bound):
        real(sock, bound)
        bounds.append(bound)

    folder, authority = files
    options = {"cert": folder / "cert.pem", "key": folder / "key.pem"} if secure else {}
    trust = {"ssl_context": trusting(authority)} if secure else {}
    app = new_server(**options)

    @app.add_handler("LONG")
    async def answer(event, session):
        await session.send(ServerEvent(event.value, etype="LONG"))

    async with (
        open_vuer_server(app) as server,
        open_client(server.uri, **trust) as client,
    ):
        await client.flush(timeout=60)
        monkeypatch.setattr(socket_options, "_bound", noted)
        await client.send(ClientEvent(etype="LONG", value=bytes(size)))
        assert len((await client.recv(timeout=60)).data) == size
        await client.flush(timeout=60)
        assert bounds == ([0x7FFF_FFFF, 16_384] * 2 if size == MIB else [])
        assert all(map(is_bounded, prepared))
