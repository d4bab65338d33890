"""``vuer-trio serve --workers``: several processes at one port, real ones."""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sys
import time
from contextlib import contextmanager

import psutil
import pytest
import trio

from tests.cli_process import call, run, start
from tests.redis_server import RedisServer
from vuer_trio import SceneStore, open_vuer_client
from vuer_trio.bus import RedisBus
from vuer_trio.cli import serve
from vuer_trio.schemas import Box

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no sockets are inherited there")

#: seconds, however busy the machine is
PATIENCE = 120.0
STARTED = re.compile(r"worker (\d+) is process (\d+)")


@contextmanager
def serving(*arguments):
    with start("serve", "--port", "0", *arguments) as process:
        try:
            where = re.match(r"Vuer is at (ws://\S+)$", process.stdout.readline())
            assert where is not None
            yield process, where[1]
        finally:
            process.kill()


def workers_of(process, count):
    """The processes that it says it has started."""
    found = []
    while len(found) < count:
        said = STARTED.search(process.stderr.readline())
        if said is not None:
            found.append(int(said[2]))
    return found


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


async def visit(uri, key):
    """Connects, perhaps again, until it is shown a node."""
    with trio.fail_after(PATIENCE):
        while True:
            try:
                async with open_vuer_client(uri, mirror_scene=True) as client:
                    while key not in client.scene:
                        await client.recv()
                    return
            except OSError:
                await trio.sleep(0.1)


def test_workers_share_a_scene_and_one_that_dies_is_started_again(tmp_path):
    with RedisServer(tmp_path) as redis, serving("--workers", "2", "--redis", redis.uri) as found:
        process, uri = found
        first, _ = workers_of(process, 2)

        async def look():
            async with SceneStore(bus=RedisBus(redis.uri)) as store:
                store.upsert @ Box(key="box")
                await store.flush()
                async with trio.open_nursery() as nursery:
                    for _ in range(6):
                        nursery.start_soon(visit, uri, "box")

        trio.run(look)
        os.kill(first, signal.SIGKILL)
        while f"(process {first}) has died (SIGKILL); again in" not in process.stderr.readline():
            pass
        (again,) = workers_of(process, 1)
        assert again != first
        trio.run(look)
        children = psutil.Process(process.pid).children()
        assert len(children) == 2
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
        assert not any(child.is_running() for child in children)


def test_workers_end_with_the_first_process():
    with serving("--workers", "2") as (process, uri):
        pids = workers_of(process, 2)
        trio.run(connects, uri)
        if sys.platform == "linux":
            os.kill(pids[0], signal.SIGRTMIN + 3)  # most of those have no name
            number = int(signal.SIGRTMIN + 3)
            said = f"(process {pids[0]}) has died (signal {number}); again in"
            while said not in process.stderr.readline():
                assert process.poll() is None
            pids[:1] = workers_of(process, 1)
        process.kill()
        process.wait()
        wait_until(lambda: all(map(ended, pids)))


async def connects(uri):
    with trio.fail_after(PATIENCE):
        async with open_vuer_client(uri, connect_timeout=PATIENCE) as client:
            assert (await client.recv()).etype == "SET"


def test_one_process_says_where_as_json():
    with start("serve", "--port", "0", "--workers", "2", "--json") as process:
        try:
            workers_of(process, 2)
            trio.run(connects, json.loads(process.stdout.readline())["uri"])
            process.send_signal(signal.SIGTERM)
            rest, _ = process.communicate(timeout=PATIENCE)
            assert rest == ""
        finally:
            process.kill()


def test_a_secret_that_is_to_be_in_the_address_is_said_once():
    with start("serve", "--port", "0", "--workers", "2", "--token", "a-long-secret") as process:
        try:
            workers_of(process, 2)
            process.send_signal(signal.SIGTERM)
            said, _ = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert said.count("Vuer is at ws://localhost:") == 1
    assert said.count("Local: ") == said.count("token%3Da-long-secret") == 1


def test_the_first_worker_alone_announces(monkeypatch):
    made = []
    monkeypatch.setattr(serve, "serving_app", lambda args: made.append(args.mdns) or 1 / 0)
    for number in ("1", "2"):
        pipes = [os.dup(0) for _ in range(2)]
        monkeypatch.setenv("VUER_TRIO_WORKER", f"{number},{pipes[0]},{pipes[1]}")
        args = argparse.Namespace(mdns=True, workers=2, web_client=None)
        with pytest.raises(ZeroDivisionError):
            trio.run(serve.run, args, None)
        for pipe in pipes:
            os.close(pipe)
    assert made == [True, False]


def ended(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("--workers", "0"), 2, "--workers must be from 1 to 256, got 0"),
        (("--workers", "2", "--redis", "http://me:secret@host"), 2, "the scheme must be redis"),
        (("--workers", "2", "--port", "99999"), 2, "--port must be from 0 to 65535, got 99999"),
        (("--workers", "2", "--port=-1"), 2, "--port must be from 0 to 65535, got -1"),
        (
            ("--workers", "2", "--redis", "redis://127.0.0.1:1"),
            3,
            "vuer-trio: no connection to Redis",
        ),
        (("--workers", "2", "--cert", "nowhere.pem"), 2, "nowhere.pem"),
        (("--workers", "2", "--web-client", "nowhere"), 2, "--web-client must be a folder"),
        (("--redis", "redis://127.0.0.1:1"), None, "vuer-trio: no connection to Redis"),
    ],
)
def test_what_cannot_be(arguments, status, said):
    command = call if status == 2 else run  # 2: before it begins
    done = command("serve", "--port", "0", *arguments)
    assert done.stderr.count(said) == 1
    assert done.stdout == ""
    assert "secret" not in done.stderr
    assert done.returncode != 0
    assert status is None or done.returncode == status


def test_a_port_from_the_environment_that_is_none():
    done = call("serve", "--workers", "2", VUER_PORT="abc")
    assert "VUER_PORT in the environment must be an int, got 'abc'" in done.stderr
    assert done.returncode == 2
