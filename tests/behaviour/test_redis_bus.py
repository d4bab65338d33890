"""A scene that stores share through a real Redis; see also `test_bus`, and `tests/soak`."""

from __future__ import annotations

import logging
import os
import ssl
import sys

import anyio
import anyio.lowlevel
import pytest
import trustme

from tests.redis_server import RedisServer
from tests.repetitions import cancel_everywhere
from vuer_trio import Backoff, ConnectionFailed, OutboxFull, SceneStore
from vuer_trio.bus import RedisBus, redis_link
from vuer_trio.schemas import Box, Scene

pytestmark = pytest.mark.anyio

SOON = Backoff(initial=0.01, maximum=0.1)
PASSWORD = "pass word/of:Redis?"
QUOTED = "pass%20word%2Fof%3ARedis%3F"
STREAM = "vuer-trio:{scene:scene}:stream"


@pytest.fixture(params=["trio", "asyncio"])
def anyio_backend(request):
    return request.param


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def server(tmp_path_factory, authority):
    folder = tmp_path_factory.mktemp("redis")
    names = [str(folder / name) for name in ("cert", "key", "ca", "socket")]
    made = authority.issue_cert("localhost")
    made.private_key_pem.write_to_path(names[1])
    made.cert_chain_pems[0].write_to_path(names[0])
    authority.cert_pem.write_to_path(names[2])
    from tests.free_ports import free_port

    tls_port = free_port()
    redis = RedisServer(
        folder,
        *("--unixsocket", names[3]),
        *("--tls-port", str(tls_port), "--tls-cert-file", names[0], "--tls-key-file", names[1]),
        *("--tls-ca-cert-file", names[2], "--tls-auth-clients", "no"),
    )
    redis.tls_port, redis.socket = tls_port, names[3]
    with redis:
        yield redis


@pytest.fixture
def redis(server):
    server.command("FLUSHALL")
    return server


def bus_at(redis, **options):
    return RedisBus(redis.uri, **{"reconnect": SOON, "timeout": 30.0, **options})


async def eventually(condition):
    with anyio.fail_after(60):
        while not condition():
            await anyio.sleep(0.005)


# ---- the order


async def test_stores_share_a_scene(redis):
    one = SceneStore(Scene(Box(key="first")), bus=bus_at(redis))
    two = SceneStore(Scene(Box(key="never")), bus=bus_at(redis))
    async with one, two:
        for n in range(200):
            one.upsert @ Box(key="one", n=n)
            two.upsert @ Box(key="two", n=n)
            two.add @ Box(key=f"node{n}")
            if n % 3 == 0:
                one.remove @ f"node{n - 10}"
            if n % 20 == 0:
                await anyio.lowlevel.checkpoint()
        await one.flush()
        await two.flush()
        await eventually(lambda: one.scene_data == two.scene_data)
        late = SceneStore(bus=bus_at(redis))
        async with late:
            assert late.scene_data == one.scene_data
        other = SceneStore(bus=bus_at(redis, prefix="elsewhere"))
        async with other:
            assert list(other.scene) == []
    assert one.get("one")["n"] == one.get("two")["n"] == 199
    assert one.get("first") is not None
    assert one.get("never") is None


async def test_snapshots_are_made_and_old_entries_dropped(redis):
    one, two = SceneStore(bus=bus_at(redis)), SceneStore(bus=bus_at(redis))
    for store in (one, two):
        store._journal._look, store._journal._due, store._journal._keep = 0.01, 50, 0.05
    async with one, two:
        for n in range(150):
            (one, two)[n % 2].upsert @ Box(key=f"box{n % 5}", n=n)
            await (one, two)[n % 2].flush()
        await anyio.sleep(0.06)  # so that there is something old
        for n in range(60):
            one.add @ Box(key=f"more{n}")
        await one.flush()
        await eventually(lambda: length(redis) < 100)
        late = SceneStore(bus=bus_at(redis))
        async with late:
            await eventually(lambda: late.scene_data == one.scene_data == two.scene_data)
    assert len(list(late.scene)) == 65


def length(redis):
    return int(redis.command("XLEN", STREAM)[1:])


# ---- access


async def test_tls_is_checked(redis, authority):
    uri = f"rediss://localhost:{redis.tls_port}"
    context = ssl.create_default_context()
    authority.configure_trust(context)
    async with SceneStore(bus=RedisBus(uri, ssl_context=context)) as store:
        store.upsert @ Box(key="box")
        await store.flush()
        assert "box" in store.scene
    with pytest.raises(ConnectionFailed, match=r"(?i)certificate verify failed"):
        async with SceneStore(bus=RedisBus(uri)):
            pytest.fail("trusted a stranger")


async def test_a_unix_socket_and_another_database(redis):
    async with (
        SceneStore(Scene(Box(key="a")), bus=RedisBus(f"unix://{redis.socket}")) as one,
        SceneStore(Scene(Box(key="b")), bus=RedisBus(f"{redis.uri}/0")) as two,
        SceneStore(Scene(Box(key="c")), bus=RedisBus(f"unix://{redis.socket}?db=3")) as three,
    ):
        assert [node["key"] for node in one.scene] == ["a"]
        assert two.scene_data == one.scene_data
        assert [node["key"] for node in three.scene] == ["c"]


async def test_a_password(redis, caplog):
    caplog.set_level(logging.DEBUG)
    host = f"127.0.0.1:{redis.port}"
    redis.command("CONFIG", "SET", "requirepass", PASSWORD)
    try:
        bus = RedisBus(f"redis://:{QUOTED}@{host}")
        assert repr(bus) == f"<RedisBus redis://:***@{host}>"
        store = SceneStore(bus=bus)
        async with store:
            store.upsert @ Box(key="box")
            await store.flush()
        for wrong, match in (
            (f"redis://{host}", "put its password into the URI"),
            (f"redis://:{QUOTED}wrong@{host}", "check the user and the password"),
        ):
            with pytest.raises(ConnectionFailed, match=match) as raised:
                async with SceneStore(bus=RedisBus(wrong)):
                    pytest.fail("let in")
            for shown in (str(raised.value), repr(raised.value), raised.value.uri, repr(store)):
                assert PASSWORD not in shown
                assert QUOTED not in shown
    finally:
        with_password(redis, "CONFIG", "SET", "requirepass", "")
    assert PASSWORD not in caplog.text
    assert QUOTED not in caplog.text


def with_password(redis, *words):
    import socket

    lines = b""
    for command in (("AUTH", PASSWORD), words):
        lines += b"*%d\r\n" % len(command)
        lines += b"".join(b"$%d\r\n%b\r\n" % (len(w), w.encode()) for w in command)
    with socket.create_connection(("127.0.0.1", redis.port), timeout=30) as sock:
        sock.sendall(lines)
        answer = b""
        while answer.count(b"\r\n") < 2:
            answer += sock.recv(1000)
    assert answer == b"+OK\r\n+OK\r\n"


async def test_a_user_with_few_rights(redis):
    commands = "+@stream +@string +@keyspace +@scripting +@connection +time"
    words = ["ACL", "SETUSER", "vuer", "on", ">secret", "resetkeys", "~vuer-trio:*", "-@all"]
    redis.command(*words, *commands.split())
    redis.command("ACL", "SETUSER", "weak", "on", ">secret", "~*", "-@all", "+hello", "+time")
    host = f"127.0.0.1:{redis.port}"
    store = SceneStore(bus=RedisBus(f"redis://vuer:secret@{host}", reconnect=SOON))
    store._journal._look, store._journal._due = 0.01, 1
    async with store:
        store.upsert @ Box(key="box")
        await store.flush()
        await eventually(lambda: store._journal._since == 0)  # after a snapshot
    with pytest.raises(ConnectionFailed, match=r"its user needs \+@stream"):
        async with SceneStore(bus=RedisBus(f"redis://weak:secret@{host}")):
            pytest.fail("let in")


# ---- a Redis that refuses


async def test_without_memory_changes_wait_and_it_is_said(redis, caplog):
    store = SceneStore(bus=bus_at(redis), max_waiting=3)
    async with store:
        store.upsert @ Box(key="before")
        await store.flush()
        redis.command("CONFIG", "SET", "maxmemory", "1")
        try:
            for n in range(3):
                store.upsert @ Box(key=f"box{n}")
            await eventually(lambda: "OOM" in caplog.text)
            with pytest.raises(OutboxFull, match=r"has not taken 3 changes .*more memory"):
                store.upsert @ Box(key="too many")
            assert store.bus_connected
        finally:
            redis.command("CONFIG", "SET", "maxmemory", "0")
        await store.flush()
        store.upsert @ Box(key="after")
        await store.flush()
    keys = [node["key"] for node in store.scene]
    assert keys == ["before", "box0", "box1", "box2", "after"]
    assert "takes changes again" in caplog.text


async def test_a_replica_takes_no_changes(redis, caplog):
    store = SceneStore(bus=bus_at(redis))
    async with store:
        store.upsert @ Box(key="before")
        await store.flush()
        redis.command("REPLICAOF", "127.0.0.1", "1")  # nobody is there
        try:
            store.upsert @ Box(key="after")
            await eventually(lambda: "use the address of its primary" in caplog.text)
        finally:
            redis.command("REPLICAOF", "NO", "ONE")
        await store.flush()
    assert "after" in store.scene


async def test_keys_that_are_something_else(redis):
    redis.command("SET", STREAM, "a string")
    redis.command("HSET", STREAM.replace("stream", "snapshot"), "a", "hash")
    with pytest.raises(ConnectionFailed, match="hold something else: delete them, or use another"):
        async with SceneStore(bus=bus_at(redis)):
            pytest.fail("entered")
    async with SceneStore(bus=bus_at(redis), name="other") as store:
        assert store.bus_connected


async def test_entries_by_others_are_skipped(redis, caplog):
    store = SceneStore(Scene(Box(key="first")), bus=bus_at(redis))
    async with store:
        for words in (
            ("some", "thing"),
            ("c", b"\xc1\x00"),
            ("c", ""),
            ("s", "x"),
            ("f", "f" * 99),
        ):
            assert redis.command("XADD", STREAM, "*", *words).startswith(b"$")
        redis.command("XADD", STREAM, "*", "a", "1", "b", "2")
        store.upsert @ Box(key="box")
        await store.flush()
        assert [node["key"] for node in store.scene] == ["first", "box"]
    assert caplog.text.count("skipped the entry") == 6


async def test_one_that_has_forgotten_everything_gets_it_again(redis, caplog):
    one, two = SceneStore(bus=bus_at(redis)), SceneStore(bus=bus_at(redis))
    async with one, two:
        one.upsert @ Box(key="kept")
        await one.flush()
        await eventually(lambda: "kept" in two.scene)
        redis.command("FLUSHALL")
        one.upsert @ Box(key="new")
        await one.flush()
        two.upsert @ Box(key="newer")
        await two.flush()
        await eventually(lambda: one.scene_data == two.scene_data)
        late = SceneStore(bus=bus_at(redis))
        async with late:
            assert [node["key"] for node in late.scene] == ["kept", "new", "newer"]
    assert "has lost everything" in caplog.text


async def test_one_that_was_emptied_and_begun_by_another_shows_all_the_same(redis, caplog):
    one = SceneStore(Scene(Box(key="kept")), bus=bus_at(redis))
    two = SceneStore(bus=bus_at(redis))
    late = SceneStore(Scene(Box(key="default")), bus=bus_at(redis))
    async with one, two:
        one.upsert @ Box(key="box")
        await one.flush()
        await eventually(lambda: "box" in two.scene)
        redis.command("FLUSHALL")  # while all is quiet
        await anyio.sleep(0.002)  # the ids of entries count milliseconds
        async with late:
            late.upsert @ Box(key="new")
            await late.flush()
            await eventually(lambda: one.scene_data == two.scene_data == late.scene_data)
            two.upsert @ Box(key="newer")
            await two.flush()
            await eventually(lambda: one.scene_data == two.scene_data == late.scene_data)
        keys = [node["key"] for node in one.scene]
    # who of them was first to begin it depends on the second in which they look
    assert keys in (["default", "new", "newer"], ["kept", "box", "new", "newer"])


FORKS = """
import os, sys
import trio
from vuer_trio import SceneStore
from vuer_trio.bus import RedisBus
from vuer_trio.schemas import Box

store = SceneStore(bus=RedisBus(sys.argv[1], timeout=60))  # at import, before the fork
reads, writes = os.pipe()
child = os.fork() == 0

async def main():
    async with store:
        if child:
            for n in range(3):
                store.upsert @ Box(key=f"child{n}")
            await store.flush()
            os.write(writes, b"x")
        else:
            await trio.to_thread.run_sync(os.read, reads, 1)
            for n in range(4):
                store.upsert @ Box(key=f"parent{n}")
            await store.flush()

trio.run(main)
if child:
    os._exit(0)
os.wait()
print(*sorted(node["key"] for node in store.scene))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no process forks there")
async def test_a_fork_loses_no_changes(redis):
    with anyio.fail_after(240):
        done = await anyio.run_process([sys.executable, "-c", FORKS, redis.uri])
    assert done.stdout.split() == b"child0 child1 child2 parent0 parent1 parent2 parent3".split()


# ---- a Redis that is lost


async def test_one_that_stands_still_is_lost_and_found(redis):
    store = SceneStore(bus=bus_at(redis, timeout=0.3))
    async with store:
        store.upsert @ Box(key="before")
        await store.flush()
        redis.pause()
        try:
            store.upsert @ Box(key="during")
            await eventually(lambda: not store.bus_connected)
            assert "before" in store.scene
            assert store.waiting == 1
        finally:
            redis.resume()
        await store.flush()
        assert store.bus_connected
    async with SceneStore(bus=bus_at(redis)) as late:
        assert [node["key"] for node in late.scene] == ["before", "during"]


async def test_one_that_is_not_there(caplog):
    bus = RedisBus("redis://127.0.0.1:1", reconnect=SOON)
    with pytest.raises(ConnectionFailed, match=r"no connection to Redis at redis://127.0.0.1:1: "):
        async with SceneStore(bus=bus):
            pytest.fail("entered")


async def test_what_is_no_redis(redis):
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)

        async def answer(stream):
            async with stream:
                await stream.receive()
                await stream.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, answer)
            with pytest.raises(ConnectionFailed):
                async with SceneStore(bus=RedisBus(f"redis://127.0.0.1:{port}")):
                    pytest.fail("entered")
            tasks.cancel_scope.cancel()


# ---- cancellation


async def test_cancelled_anywhere_nothing_is_left(redis):
    count = 0

    async def scenario(here):
        nonlocal count
        count += 1
        bus, name = bus_at(redis), f"cancelled{count}"
        async with here:
            async with SceneStore(bus=bus, name=name) as store:
                store.upsert @ Box(key="box")
                await store.flush()
                async with SceneStore(bus=bus, name=name) as other:
                    assert "box" in other.scene
        assert here.cancelled or "box" in store.scene

    await cancel_everywhere(scenario, every=13)


# ---- arguments


@pytest.mark.parametrize(
    ("uri", "match"),
    [
        (5, "must be a str, got int"),
        ("http://localhost", "the scheme must be redis"),
        ("localhost:6379", "the scheme must be redis"),
        ("redis://", "it has no host"),
        ("redis://host/name", "must be the number of a database"),
        ("redis://host?timeout=3", "only db= can be in its query"),
        ("redis://host:port", "it cannot be taken apart"),
        ("unix://", "it has no path"),
        ("redis://me:a/secret@host", "cannot be taken apart"),
    ],
)
def test_a_wrong_uri(uri, match):
    with pytest.raises((TypeError, ValueError), match=match) as raised:
        RedisBus(uri)
    assert "secret" not in str(raised.value)


def test_wrong_options():
    with pytest.raises(ValueError, match="timeout must be more than 0 seconds"):
        RedisBus(timeout=0)
    with pytest.raises(TypeError, match="timeout must be a number"):
        RedisBus(timeout="5")
    with pytest.raises(ValueError, match="prefix must be a str without"):
        RedisBus(prefix="{a}")
    with pytest.raises(ValueError, match="ssl_context= is for TLS"):
        RedisBus(ssl_context=ssl.create_default_context())
    with pytest.raises(TypeError, match=r"ssl_context must be an ssl.SSLContext"):
        RedisBus("rediss://localhost", ssl_context=True)


def test_the_reason_of_a_failure_is_the_deepest_that_the_system_gives():
    inner = ConnectionRefusedError(111, "Connection refused")
    outer = OSError("All connection attempts failed")
    outer.__cause__ = ExceptionGroup("several", [inner])
    assert redis_link._reason(outer) == "Connection refused"
