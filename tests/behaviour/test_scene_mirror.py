"""``client.scene``: the server's scene, kept while its events are read."""

from __future__ import annotations

import anyio
import pytest

from tests.behaviour.numbered_events import go, on_go
from tests.scripted_server import serve_peer
from vuer_trio import Backoff, Fifo, ProtocolError

pytestmark = pytest.mark.anyio

SOON = Backoff(initial=0.01, maximum=0.05)


def box(key, **props):
    return {"tag": "Box", "key": key, **props}


def scene(*children, **slots):
    return {"etype": "SET", "data": {"tag": "Scene", "children": list(children), **slots}}


def upsert(*nodes):
    return {"etype": "UPSERT", "data": {"nodes": list(nodes), "to": None}}


async def reads(client, count):
    """Wait until the client has read that many messages."""
    with anyio.fail_after(60):
        while client.statistics().received < count:
            await anyio.sleep(0.001)


async def test_without_the_option_there_is_none(open_client):
    client = open_client("ws://localhost:1")
    with pytest.raises(RuntimeError, match="mirror_scene=True"):
        client.scene


async def test_the_option_is_a_bool(open_client):
    with pytest.raises(TypeError, match="mirror_scene must be True or False, got 'yes'"):
        open_client("ws://localhost:1", mirror_scene="yes")


async def test_it_follows_what_is_read_and_recv_gets_all_events_too(open_client):
    async def script(conn):
        await conn.accept()
        await conn.send_event(scene(box("a"), bgChildren=[box("bg")]))
        await conn.send_event(upsert(box("a", x=1), box("b")))
        await conn.send_event({"etype": "UPDATE", "data": {"nodes": [{"key": "bg", "x": 2}]}})
        await conn.send_event({"etype": "REMOVE", "data": {"keys": ["b"]}})
        await conn.send_event({"etype": "OTHER", "data": 1})

    async with serve_peer(script) as peer, open_client(peer.uri, mirror_scene=True) as client:
        kept = client.scene
        await reads(client, 5)  # nobody has received anything
        assert client.scene is kept
        assert kept.to_dict()["children"] == [box("a", x=1)]
        assert kept.get("bg") == box("bg", x=2)
        events = [await client.recv() for _ in range(5)]
        assert [event.etype for event in events] == ["SET", "UPSERT", "UPDATE", "REMOVE", "OTHER"]
        events[0].data["children"].append(box("mine"))  # the user's own
        assert "mine" not in kept
    assert kept.to_dict()["children"] == [box("a", x=1)]
    assert client.scene is kept


async def test_a_handler_and_recv_find_the_event_applied(open_client):
    async def script(conn):
        await conn.accept()
        for n in range(20):
            await conn.send_event(upsert(box("a", x=n)))
        await conn.close()

    seen = []
    async with serve_peer(script) as peer:
        client = open_client(peer.uri, mirror_scene=True)

        @client.on("UPSERT")
        async def handle(event):
            seen.append((event.data["nodes"][0]["x"], client.scene.get("a")["x"]))

        async with client:
            async for event in client:
                assert client.scene.get("a")["x"] >= event.data["nodes"][0]["x"]
            await client.wait_closed()
    assert [at for at, _ in seen] == list(range(20))
    assert all(now >= at for at, now in seen)


async def test_a_full_inbox_stops_the_mirror_with_the_reader(open_client):
    count = 200

    script = on_go([upsert(box("a", x=n, pad=bytes(10_000))) for n in range(count)])
    async with (
        serve_peer(script) as peer,
        open_client(peer.uri, mirror_scene=True, inbox=Fifo(5)) as client,
    ):
        await go(client)
        for n in range(count):
            event = await client.recv(timeout=60)
            assert event.data["nodes"][0]["x"] == n
            assert client.scene.get("a")["x"] >= n
        assert client.scene.get("a")["x"] == count - 1


@pytest.mark.slow
async def test_a_client_that_never_receives_has_the_whole_scene(open_client):
    count = 3000  # more than the inbox keeps

    async def script(conn):
        await conn.accept()
        for n in range(count):
            await conn.send_event({"etype": "ADD", "data": {"nodes": [box(str(n))]}})

    async with serve_peer(script) as peer, open_client(peer.uri, mirror_scene=True) as client:
        await reads(client, count)
        assert client.statistics().dropped > 0
        assert [node["key"] for node in client.scene] == [str(n) for n in range(count)]


async def test_what_is_malformed_does_no_harm(open_client):
    async def script(conn):
        await conn.accept()
        await conn.send_event(scene(box("a")))
        await conn.send(b"\xc1")
        for data in (None, 1, [], {"nodes": 1, "keys": 1}, {"nodes": [None, 1], "keys": [[1], {}]}):
            for etype in ("SET", "ADD", "UPDATE", "UPSERT", "REMOVE"):
                if not (etype == "SET" and isinstance(data, dict)):
                    await conn.send_event({"etype": etype, "data": data})
        await conn.send_event(upsert(box("b"), {"key": ["x"]}, box("root")))

    async with serve_peer(script) as peer, open_client(peer.uri, mirror_scene=True) as client:
        await reads(client, 26)
        assert client.connected
        assert client.scene.to_dict()["children"] == [box("a"), box("b")]
        assert (await client.recv()).etype == "SET"
        with pytest.raises(ProtocolError):
            await client.recv()


@pytest.mark.parametrize("silent", [False, True], ids=["sets anew", "silent"])
async def test_a_new_link_starts_from_nothing(open_client, silent):
    go = anyio.Event()

    async def script(conn):
        await conn.accept()
        await conn.recv()
        if peer.connections.index(conn) == 0:
            await conn.send_event(scene(box("a"), box("ghost"), bgChildren=[box("bg")]))
            await go.wait()
            await conn.abort()
        elif not silent:
            await conn.send_event(scene(box("a")))  # omits the background

    async with serve_peer(script) as peer:
        async with open_client(peer.uri, mirror_scene=True, reconnect=SOON) as client:
            kept = client.scene
            await reads(client, 1)
            assert "ghost" in kept
            changes = client.link_changes()
            go.set()
            await anext(changes)
            await anext(changes)
            assert client.generation == 2
            if not silent:
                await reads(client, 2)
            assert client.scene is kept
            assert "ghost" not in kept
            assert "bg" not in kept
            assert ("a" in kept) is not silent


async def test_it_stays_as_it_was_in_the_gap(open_client):
    async def script(conn):
        await conn.accept()
        await conn.recv()
        await conn.send_event(scene(box("a")))
        await go.wait()

    go = anyio.Event()
    rare = Backoff(initial=1000, maximum=1000)
    async with serve_peer(script) as peer:
        async with open_client(peer.uri, mirror_scene=True, reconnect=rare) as client:
            await reads(client, 1)
            changes = client.link_changes()
            await peer.connections[0].abort()
            await anext(changes)
            assert not client.connected
            assert "a" in client.scene
            go.set()


async def test_a_client_entered_again_starts_from_nothing(open_client):
    async def script(conn):
        await conn.accept()
        if peer.connections.index(conn) == 0:
            await conn.send_event(scene(box("a")))

    async with serve_peer(script) as peer:
        client = open_client(peer.uri, mirror_scene=True)
        async with client:
            await reads(client, 1)
            assert "a" in client.scene
        assert "a" in client.scene
        async with client:
            assert "a" not in client.scene


async def test_latest_answers_and_the_mirror_go_together(open_client):
    async def script(conn):
        await conn.accept()
        await conn.send_event(scene(box("a")))
        await conn.send_event({"etype": "GRAB_RENDER", "data": {}, "rtype": "R@1", "uuid": "1"})
        while (event := await conn.recv_event())["etype"] != "R@1":
            pass
        assert event["value"] == {"boxes": 1}

    async with serve_peer(script) as peer:
        client = open_client(peer.uri, mirror_scene=True)
        client.answer("GRAB_RENDER", lambda event: {"boxes": len(list(client.scene))})
        async with client:
            await peer.join()
            assert client.latest("SET").data["children"] == [box("a")]
