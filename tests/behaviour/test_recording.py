"""Recording connections, on every backend: what is on the wire is in the file, whatever happens."""

from __future__ import annotations

import gc
import logging
import math
import os
import signal
import sys
import threading
from contextlib import asynccontextmanager, nullcontext

import anyio
import msgpack
import pytest

from tests.recording_files import fill_the_disk, need_mcap
from tests.resource_counts import task_count
from tests.scripted_server import serve_peer
from vuer_trio import Backoff, DropOldest, open_vuer_server
from vuer_trio._connection.link import Link
from vuer_trio._runtime import runtime
from vuer_trio.events import ClientEvent, ServerEvent, Set
from vuer_trio.record import (
    DamagedRecording,
    NotARecording,
    Recorder,
    open_recording,
    replay,
    replay_server,
)
from vuer_trio.record.file import RecordingFile
from vuer_trio.record.outline import outline

need_mcap()
pytestmark = pytest.mark.anyio


def number(n):
    return ClientEvent(etype="NUMBER", value=n)


async def eventually(condition):
    with anyio.fail_after(60):
        while not condition():
            await anyio.sleep(0.001)


async def echoing(conn):
    """Answers each NUMBER with a SET of it."""
    await conn.accept()
    while (event := await conn.recv_event()) is not None:
        if event["etype"] == "NUMBER":
            await conn.send_event({"etype": "SET", "data": event["value"]})


@asynccontextmanager
async def opened(open_client, uri):
    """A client whose INIT is out, so that it is in no recording."""
    async with open_client(uri) as client:
        await client.flush(timeout=60)
        yield client


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.mcap"


# ---- a client


async def test_both_directions_of_a_client_from_its_init_on(open_client, path):
    async with serve_peer(echoing) as peer:
        client = open_client(peer.uri)
        async with Recorder(path, client, interval=0.01) as recorder, client:
            for n in range(50):  # each way of sending: by the sender itself, and by the writer
                await client.send(number(n))
                assert (await client.recv(timeout=60)).data == n
            for n in range(50, 150):
                client.send @ number(n)
            await client.send_many(number(n) for n in range(150, 200))
            for n in range(50, 200):
                assert (await client.recv(timeout=60)).data == n
            await eventually(lambda: recorder.written > 1)
        assert recorder.written == 401
        assert recorder.counts == {"/sent/INIT": 1, "/sent/NUMBER": 200, "/received/SET": 200}
        assert (recorder.dropped, recorder.waiting, recorder.error) == (0, 0, None)
        assert repr(recorder) == f"<Recorder {path}, 401 written, 0 dropped>"
        on_the_wire = [bytes(message) for message in peer.connections[0].messages]
    recording = open_recording(path)
    assert recording.complete
    assert (recording.uri, recording.side) == (client.uri, "client")
    entries = list(recording)
    assert [e.payload for e in entries if e.direction == "sent"] == on_the_wire
    assert [e.event["data"] for e in entries if e.sender == "server"] == list(range(200))
    times = [e.log_time for e in entries]
    assert times == sorted(times)
    place = {
        (e.direction, e.event.get("value", e.event.get("data"))): n
        for n, e in enumerate(entries)
        if e.etype != "INIT"
    }
    assert all(place["sent", n] < place["received", n] for n in range(200))


async def test_a_client_that_is_open_already(open_client, path):
    async with serve_peer(echoing) as peer, opened(open_client, peer.uri) as client:
        await client.send(number(0))
        await client.recv(timeout=60)
        async with Recorder(path, client):
            await client.send(number(1))
            await client.recv(timeout=60)
        await client.send(number(2))
        await client.recv(timeout=60)
    entries = list(open_recording(path))
    assert [(e.direction, e.etype) for e in entries] == [("sent", "NUMBER"), ("received", "SET")]
    assert [e.event.get("value", e.event.get("data")) for e in entries] == [1, 1]


async def test_large_messages_and_what_is_no_event(open_client, path):
    big = os.urandom(300_000)

    async def script(conn):
        await conn.accept()
        await conn.send_event({"etype": "MESH", "data": big})
        await conn.send(b"\xc1")
        await conn.send_text("hello")
        await conn.recv()
        await conn.recv()
        await conn.close()

    async with serve_peer(script) as peer:
        client = open_client(peer.uri)
        async with Recorder(path, client), client:
            await client.send(ClientEvent(etype="PHOTO", value=big))
            with anyio.fail_after(60):
                await client.wait_closed()
    entries = list(open_recording(path))
    assert [e.event["data"] for e in entries if e.etype == "MESH"] == [big]
    assert [e.event["value"] for e in entries if e.etype == "PHOTO"] == [big]
    assert [e.payload for e in entries if not e.etype] == [b"\xc1", b"hello"]


async def test_it_goes_on_over_links_that_are_lost(open_client, path):
    async def script(conn):
        await conn.accept()
        await conn.recv()  # INIT
        await conn.recv()
        await conn.send_event({"etype": "SET", "data": 1})
        await conn.close(1012)

    soon = Backoff(initial=0.01, maximum=0.05)
    async with serve_peer(script) as peer:
        client = open_client(peer.uri, reconnect=soon)
        async with Recorder(path, client), client:
            for n in range(3):
                await eventually(lambda n=n: client.generation > n and client.connected)
                await client.send(number(n))
                await client.recv(timeout=60)
    etypes = [(e.direction, e.etype) for e in open_recording(path)]
    once = [("sent", "INIT"), ("sent", "NUMBER"), ("received", "SET")]
    assert etypes[:9] == once * 3


async def test_two_recorders_of_one_client_and_one_entered_again(open_client, tmp_path):
    async with serve_peer(echoing) as peer, opened(open_client, peer.uri) as client:
        outer = Recorder(tmp_path / "outer.mcap", client)
        inner = Recorder(tmp_path / "inner.mcap", client, etypes=["SET"], overwrite=True)
        async with outer:
            for n in range(2):
                async with inner:
                    with pytest.raises(RuntimeError, match="already recording"):
                        await inner.__aenter__()
                    await client.send(number(n))
                    await client.recv(timeout=60)
    assert len(list(open_recording(outer.path))) == 4
    assert [e.event["data"] for e in open_recording(inner.path)] == [1]


async def test_pings_are_no_messages(open_client, path):
    async with serve_peer(echoing) as peer:
        client = open_client(peer.uri, reconnect=Backoff(replay=True))
        async with Recorder(path, client), client:
            for n in range(300):
                client.send @ number(n)
            await client.flush(timeout=60)
    assert [e.event["value"] for e in open_recording(path) if e.etype == "NUMBER"] == [*range(300)]


# ---- a session


async def test_a_session_of_a_server(new_server, open_client, path):
    app = new_server()

    @app.spawn
    async def main(session):
        async with Recorder(path, session):
            session @ Set({"tag": "Scene"})
            app.broadcast @ ServerEvent("to all", etype="NOTE")  # framed already
            async for event in session:
                if event == "LAST":
                    break

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        client.send @ number(1)  # comes with INIT
        assert await client.recv(timeout=60) == "SET"
        client.send @ ClientEvent(etype="LAST")
        with anyio.fail_after(60):
            await client.wait_closed()
    recording = open_recording(path)
    assert recording.side == "server"
    assert recording.uri.startswith("127.0.0.1:")
    entries = [(e.direction, e.sender, e.etype) for e in recording]
    assert entries == [
        ("received", "client", "INIT"),
        ("received", "client", "NUMBER"),
        ("sent", "server", "SET"),
        ("sent", "server", "NOTE"),
        ("received", "client", "LAST"),
    ]
    assert next(iter(recording)).event["value"]["client"] == "python"


# ---- endings


async def test_what_the_block_raises_comes_out_and_the_file_is_whole(open_client, path):
    async with serve_peer(echoing) as peer, opened(open_client, peer.uri) as client:
        with pytest.raises(KeyError, match="mine"):
            async with Recorder(path, client):
                await client.send(number(1))
                await client.recv(timeout=60)
                raise KeyError("mine")
        assert client.connected
    assert [e.etype for e in open_recording(path)] == ["NUMBER", "SET"]


async def test_a_cancelled_block_leaves_a_whole_file_and_no_task(open_client, path):
    async with serve_peer(echoing) as peer, opened(open_client, peer.uri) as client:
        before = task_count()
        with anyio.CancelScope() as scope:
            async with Recorder(path, client):
                await client.send(number(1))
                await client.recv(timeout=60)
                scope.cancel()
                await anyio.sleep(math.inf)
        assert scope.cancelled_caught
        await eventually(lambda: task_count() <= before)
    recording = open_recording(path)
    assert recording.complete
    assert [e.etype for e in recording] == ["NUMBER", "SET"]


async def test_a_cancel_while_the_file_is_made_leaves_nothing_open(open_client, path, monkeypatch):
    recorder = Recorder(path, open_client("ws://localhost:1"))
    scope, call, cancelled = anyio.CancelScope(), runtime().loop_caller(), threading.Event()
    create, made = RecordingFile.create, []

    def cancel():
        scope.cancel()
        cancelled.set()

    def slow(file):
        call(cancel)
        cancelled.wait(60)
        create(file)
        made.append(file)

    monkeypatch.setattr(RecordingFile, "create", slow)
    with scope:
        async with recorder:
            await anyio.sleep(math.inf)
    assert scope.cancelled_caught
    assert made[0].finished
    assert open_recording(path).complete


@pytest.mark.parametrize("foxglove", [False, True])
async def test_a_disk_that_hangs_keeps_a_cancelled_block_no_longer_than_its_patience(
    open_client, path, foxglove, monkeypatch
):
    monkeypatch.setattr("vuer_trio.record.recorder._PATIENCE", 0.1)
    hangs, called = threading.Event(), threading.Event()
    write = RecordingFile._write

    def stuck(self):
        called.set()
        hangs.wait(60)
        write(self)

    monkeypatch.setattr(RecordingFile, "_write", stuck)
    async with serve_peer(echoing) as peer, opened(open_client, peer.uri) as client:
        with anyio.CancelScope() as scope:
            async with Recorder(path, client, interval=0.001, foxglove=foxglove) as recorder:
                await client.send(number(1))
                await eventually(called.is_set)
                scope.cancel()
                await anyio.sleep(math.inf)
        assert scope.cancelled_caught
        with pytest.warns(DamagedRecording):
            open_recording(path)
        hangs.set()  # the threads go on by themselves
        await eventually(lambda: recorder._file.finished)
    assert open_recording(path).complete


# ---- disks


@pytest.mark.parametrize("foxglove", [False, True])
async def test_a_slow_disk_costs_events_that_are_counted_logged_and_noted(
    open_client, path, foxglove, monkeypatch, caplog
):
    slow = threading.Event()
    write = RecordingFile.write

    def waits(self):
        slow.wait(60)
        write(self)

    monkeypatch.setattr(RecordingFile, "write", waits)
    payload = bytes(1000)
    async with serve_peer(echoing) as peer, opened(open_client, peer.uri) as client:
        with caplog.at_level(logging.WARNING, "vuer_trio.record"):
            async with Recorder(
                path, client, max_bytes=20_000, interval=0.001, foxglove=foxglove
            ) as recorder:
                for n in range(100):
                    await client.send(ClientEvent(etype="POSE", value=[n, payload]))
                    if n % 5 == 4:  # so that what is written at once is no more
                        await client.flush(timeout=60)
                assert 0 < recorder.dropped < 100
                assert recorder.waiting < 30_000
                slow.set()
                await eventually(lambda: recorder.waiting == 0)
                await client.send(ClientEvent(etype="POSE", value=[100, payload]))
                await client.flush(timeout=60)
    assert recorder.written + recorder.dropped == 101
    (record,) = caplog.records
    assert "the disk is too slow" in record.getMessage()
    recording = open_recording(path)
    assert recording.dropped == recorder.dropped
    values = [e.event["value"][0] for e in recording]
    assert values == [*range(recorder.written - 1), 100]


@pytest.mark.parametrize("foxglove", [False, True])
async def test_a_disk_that_fails_lets_the_block_go_on_and_is_raised_at_its_end(
    open_client, path, foxglove, caplog
):
    async with serve_peer(echoing) as peer, opened(open_client, peer.uri) as client:
        with pytest.raises(OSError, match="No space left on device") as caught:
            async with Recorder(path, client, interval=0.001, foxglove=foxglove) as recorder:
                await client.send(number(0))
                await client.recv(timeout=60)
                await eventually(lambda: recorder.written == 2)
                fill_the_disk(recorder._file)
                for n in range(1, 5):
                    await client.send(number(n))
                    assert (await client.recv(timeout=60)).data == n
                await eventually(lambda: recorder.error is not None)
                await client.send(number(5))
                assert (await client.recv(timeout=60)).data == 5
        assert caught.value.filename == str(path)
        assert recorder.dropped >= 2
        assert recorder.written == 2
        assert recorder.written + recorder.dropped == 12
        assert client.connected
    assert "the recording has ended" in caplog.text
    gc.collect()
    with pytest.warns(DamagedRecording):
        assert [e.etype for e in open_recording(path)] == ["NUMBER", "SET"]


@pytest.mark.parametrize("left_by", ["its end", "an exception", "a cancellation"])
async def test_a_disk_that_fails_at_the_last_moment_is_in_the_log(
    open_client, path, caplog, left_by
):
    async with serve_peer(echoing) as peer, opened(open_client, peer.uri) as client:
        full = pytest.raises(OSError, match="No space left on device")
        raised = {"its end": full, "an exception": pytest.raises(KeyError)}
        with anyio.CancelScope() as scope, raised.get(left_by, nullcontext()):
            async with Recorder(path, client, interval=60) as recorder:
                fill_the_disk(recorder._file)
                await client.send(number(0))
                await client.recv(timeout=60)
                if left_by == "an exception":
                    raise KeyError
                if left_by == "a cancellation":
                    scope.cancel()
                    await anyio.sleep(60)
    assert caplog.text.count("the recording has ended") == 1


async def test_a_file_that_is_there_already(open_client, path):
    path.write_bytes(b"precious")
    client = open_client("ws://localhost:1")
    with pytest.raises(FileExistsError):
        async with Recorder(path, client):
            raise AssertionError("not reached")
    assert path.read_bytes() == b"precious"


async def test_arguments_that_can_not_be(open_client, path):
    client = open_client("ws://localhost:1")
    for error, options in [
        (ValueError, {"interval": 0}),
        (ValueError, {"interval": math.inf}),
        (TypeError, {"interval": "1"}),
        (ValueError, {"chunk_size": 0}),
        (TypeError, {"max_bytes": 1.5}),
        (ValueError, {"compression": "gzip"}),
        (TypeError, {"etypes": "SET"}),
        (TypeError, {"foxglove": "yes"}),
    ]:
        with pytest.raises(error, match=next(iter(options))):
            Recorder(path, client, **options)
    with pytest.raises(TypeError, match="a client or a session, got str"):
        Recorder(path, "ws://localhost:8012")
    assert not path.exists()


# ---- the process is killed

_KILLED = """
import sys, trio, asyncio
from vuer_trio import open_vuer_client
from vuer_trio.events import ClientEvent
from vuer_trio.record import Recorder

async def main():
    async with open_vuer_client(sys.argv[1], transport=sys.argv[4]) as client:
        async with Recorder(sys.argv[2], client, interval=0.02):
            n = 0
            while True:
                await client.send(ClientEvent(etype="NUMBER", value=n))
                await client.recv()
                n += 1

if sys.argv[3] == "trio":
    trio.run(main)
else:
    asyncio.run(main())
"""


@pytest.mark.slow
async def test_of_a_killed_process_all_but_the_last_chunk_is_there(backend, path):
    async with serve_peer(echoing) as peer:
        process = await anyio.open_process(
            [sys.executable, "-c", _KILLED, peer.uri, path, backend.anyio[0], backend.transport],
            stdout=None,
            stderr=None,
        )
        try:
            with anyio.fail_after(60):
                while not path.exists() or chunks_in(path) < 3:
                    await anyio.sleep(0.01)
            with pytest.warns(DamagedRecording, match="still running"):
                before = len(list(open_recording(path)))
        finally:
            os.kill(process.pid, signal.SIGKILL)
            with anyio.CancelScope(shield=True):
                await process.wait()
        sent = [msgpack.unpackb(m)["value"] for m in peer.connections[0].messages][1:]
    with pytest.warns(DamagedRecording, match="was killed"):
        recording = open_recording(path)
    assert not recording.complete
    entries = list(recording)
    assert len(entries) >= before > 0
    numbers = [e.event["value"] for e in entries if e.etype == "NUMBER"]
    # Without a hole. The recorder may have come when some had been sent already.
    assert numbers == sent[numbers[0] : numbers[0] + len(numbers)]


def chunks_in(path):
    try:
        return len(outline(path).chunks)
    except NotARecording:  # it is being made
        return 0


# ---- witnesses


async def test_a_witness_that_raises_is_logged_and_disturbs_nobody(open_client, caplog):
    seen = []

    def raises(direction, messages):
        raise RuntimeError("mine")

    async with serve_peer(echoing) as peer:
        client = open_client(peer.uri)
        remove_first, remove = (
            client.observe(raises),
            client.observe(lambda direction, messages: seen.append((direction, len(messages)))),
        )
        async with client:
            await client.send(number(1))
            await client.recv(timeout=60)
            remove_first()
            remove_first()
            remove()
            await client.send(number(2))
            await client.recv(timeout=60)
    assert seen == [("sent", 1), ("sent", 1), ("received", 1)]
    assert caplog.text.count("an observer of a connection raised") == 3
    with pytest.raises(
        TypeError, match="fn must be a function of the direction and the messages, got None"
    ):
        client.observe(None)


async def test_no_observer_costs_no_call(open_client, monkeypatch):
    def shown(*args):
        raise AssertionError("nobody is there to be shown it")

    monkeypatch.setattr("vuer_trio._connection.link.tell_observers", shown)
    for method in (Link.deliver, Link._write_batch, Link._write_now):
        assert "tell_observers" in method.__code__.co_names
        assert method.__globals__["tell_observers"] is shown
    async with serve_peer(echoing) as peer, open_client(peer.uri) as client:
        await client.send(number(1))
        assert (await client.recv(timeout=60)).data == 1


# ---- playing it again


async def record_numbers(open_client, path, count=20):
    async with serve_peer(echoing) as peer:
        client = open_client(peer.uri)
        async with Recorder(path, client), client:
            for n in range(count):
                await client.send(number(n))
                await client.recv(timeout=60)
    return open_recording(path)


async def test_a_client_plays_what_a_client_has_sent(open_client, path):
    recording = await record_numbers(open_client, path)
    async with serve_peer(echoing) as peer:
        async with open_client(peer.uri) as client:
            assert await replay(recording, client.send, speed=math.inf) == 20
            for n in range(20):
                assert (await client.recv(timeout=60)).data == n
        events = [msgpack.unpackb(message) for message in peer.connections[0].messages]
    assert [event["etype"] for event in events] == ["INIT"] + ["NUMBER"] * 20
    assert [event["value"] for event in events[1:]] == list(range(20))
    assert [event["ts"] for event in events[1:]] == [
        e.event["ts"] for e in recording if e.etype == "NUMBER"
    ]


async def test_a_server_plays_what_a_server_has_sent_to_each_client(open_client, path, backend):
    recording = await record_numbers(open_client, path)
    app = replay_server(recording, port=0, speed=100, transport=backend.transport)
    async with open_vuer_server(app) as server:
        for _ in range(2):
            async with open_client(server.uri) as client:
                with anyio.fail_after(60):
                    data = [event.data async for event in client]
            assert data == list(range(20))
            assert client.close_code == 1000


async def test_a_server_that_loops_plays_until_its_client_leaves(open_client, path, backend):
    recording = await record_numbers(open_client, path)
    app = replay_server(
        recording, port=0, speed=math.inf, loop=True, etypes=["SET"], transport=backend.transport
    )
    async with open_vuer_server(app) as server:
        async with open_client(server.uri, inbox=DropOldest(10_000)) as client:
            data = [(await client.recv(timeout=60)).data for _ in range(65)]
        await eventually(lambda: not app.sessions)
    assert data == [*range(20)] * 3 + [*range(5)]
