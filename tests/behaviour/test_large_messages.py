"""Messages of a megabyte and more: their memory is used again, and no two are mixed up."""

from __future__ import annotations

import random
import ssl

import anyio
import anyio.lowlevel
import pytest
import trustme

from tests.recording_files import need_mcap
from vuer_trio import open_vuer_server
from vuer_trio._net.backend import net_backend
from vuer_trio._runtime import runtime
from vuer_trio._websocket import large_message
from vuer_trio._websocket.large_message import KeptBuffers, kept_buffers
from vuer_trio.events import ClientEvent, ServerEvent
from vuer_trio.record import Recorder, open_recording

pytestmark = pytest.mark.anyio

MIB = 1 << 20


@pytest.fixture(autouse=True)
def _nothing_is_kept_yet(monkeypatch):
    """By parsers of tests before, which the garbage collector has not seen."""
    monkeypatch.setattr(large_message._shared, "kept", None)


@pytest.fixture(scope="module")
def of_tls(tmp_path_factory):
    """The options of a server and of a client."""
    file = tmp_path_factory.mktemp("tls") / "chain.pem"
    authority = trustme.CA()
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(file)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return {"cert": file, "key": file}, {"ssl_context": context}


def contents(seed, count):
    rng = random.Random(seed)
    return [rng.randbytes(MIB + rng.randrange(MIB // 4)) for _ in range(count)]


def echoing(app):
    @app.add_handler("ECHO")
    async def echo(event, session):
        await session.send(ServerEvent(event.value, etype="ECHO"))

    return app


@pytest.fixture
def taken(monkeypatch):
    """Whether each large message that has begun took memory of one before it."""
    taken, take = [], KeptBuffers.take

    def seen(self, size):
        buffer = take(self, size)
        taken.append(buffer is not None)
        return buffer

    monkeypatch.setattr(KeptBuffers, "take", seen)
    return taken


@pytest.mark.slow
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
async def test_each_arrives_as_it_was_sent(new_server, open_client, of_tls, taken, tls):
    of_server, of_client = of_tls if tls else ({}, {})
    app = echoing(new_server(**of_server))
    async with open_vuer_server(app) as server, open_client(server.uri, **of_client) as client:
        for content in contents(1, 5):
            await client.send(ClientEvent(etype="ECHO", value=content))
            assert (await client.recv(timeout=60)).data == content
        several = contents(2, 4)
        for content in several:
            client.send @ ClientEvent(etype="ECHO", value=content)
        assert [(await client.recv(timeout=60)).data for _ in several] == several
        assert any(taken)
        assert kept_buffers().size > 0
    assert kept_buffers().size == 0


@pytest.mark.slow
async def test_what_an_observer_keeps_stays_as_it_is(new_server, open_client, tmp_path, taken):
    need_mcap()
    app, kept = echoing(new_server()), []
    sent = contents(3, 4)
    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        async with Recorder(tmp_path / "large.mcap", client):
            client.observe(lambda direction, messages: kept.extend(messages))
            for content in sent:
                await client.send(ClientEvent(etype="ECHO", value=content))
                assert (await client.recv(timeout=60)).data == content
        assert len(kept) == 2 * len(sent)
        kept[1].release()  # it is the observer's own
        for content, message in zip(sent[1:], kept[3::2], strict=True):
            assert content in bytes(message)
    received = [
        one.event["data"]
        for one in open_recording(tmp_path / "large.mcap")
        if one.direction == "received"
    ]
    assert received == sent


async def test_a_stream_reads_into_the_room(backend):
    """What belongs somewhere goes there, and what is read without a room does not."""
    place = memoryview(bytearray(500_000))
    content = random.Random(4).randbytes(900_000)
    got = bytearray()

    def take(data):
        if 100_000 <= len(got) < 600_000:
            assert data.obj is place.obj
        got.extend(data)
        return len(got) < len(content)

    def room():
        at = len(got) - 100_000
        return place[at : at + 70_000] if 0 <= at < len(place) else None

    async def send(stream):
        async with stream:
            await stream.send(content[:100_000])
            while len(got) < 100_000:
                await anyio.sleep(0.001)
            await stream.send(content[100_000:])

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, send)
        stream = await net_backend(runtime()).open_tcp("127.0.0.1", port)
        with anyio.fail_after(60):
            await stream.pump(take, room)
        await stream.aclose()
        tasks.cancel_scope.cancel()
    assert got == content
    assert place == content[100_000:600_000]


@pytest.mark.slow
async def test_a_peer_that_leaves_in_the_middle_leaves_nothing(new_server, open_client, taken):
    app = echoing(new_server())
    async with open_vuer_server(app) as server:
        for seed in range(3):
            with anyio.CancelScope() as scope:
                async with open_client(server.uri) as client:
                    for content in contents(seed, 2):
                        await client.send(ClientEvent(etype="ECHO", value=content))
                        assert (await client.recv(timeout=60)).data == content
                    client.send @ ClientEvent(etype="ECHO", value=bytes(8 * MIB))
                    await anyio.lowlevel.checkpoint()
                    scope.cancel()
    assert kept_buffers().size == 0
