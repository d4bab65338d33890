"""A server as a program of its own: the documents' programs, signals, what it costs to idle."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import contextmanager

import anyio
import psutil
import pytest

from tests.behaviour.raw_client import eventually
from vuer_trio import ConnectionClosed, open_vuer_client
from vuer_trio.events import ClientEvent

BACKENDS = ["trio", "asyncio"]

#: the server of the documents; what differs from a program for the reference is the import root
PORTED = """
    import asyncio
    from vuer_trio import Vuer, VuerSession
    from vuer_trio.schemas import DefaultScene, Box

    app = Vuer(port=0)

    @app.add_handler("HELLO")
    async def on_hello(event, session: VuerSession):
        print(f"Received HELLO: {event.value}", flush=True)
        await asyncio.sleep(0.001)
        session.upsert @ Box(args=[0.3, 0.3, 0.3], key="box", position=[0, 0.5, 0])

    async def background_task():
        while True:
            await asyncio.sleep(0.001)
            print("tick", flush=True)
            await asyncio.sleep(3600)

    @app.spawn(start=True)
    async def main(session: VuerSession):
        task = session.spawn_task(background_task())
        e = await session.till("INIT")
        print(e.value.get("client"), flush=True)
        session.set @ DefaultScene()
        try:
            await asyncio.wait_for(session.grab_render(quality=0.9), 0.05)
        except asyncio.TimeoutError:
            print("asyncio gave up", flush=True)
        try:
            await session.grab_render(ttl=0.05)
        except asyncio.TimeoutError:
            print("Render request timed out", flush=True)
        async with asyncio.TaskGroup() as group:
            group.create_task(session.forever())

    print("start has returned", flush=True)
"""

REMOTE_CONTROL = """
    from vuer_trio import Vuer, VuerSession
    from vuer_trio.schemas import DefaultScene, Box

    app = Vuer(port=0, backend={backend!r})

    @app.add_handler("SET_POSITION")
    async def on_position(event, session: VuerSession):
        session.upsert @ Box(args=[0.3, 0.3, 0.3], key="box", position=event.value)

    @app.spawn(start=True)
    async def main(session: VuerSession):
        session.set @ DefaultScene(Box(args=[0.3, 0.3, 0.3], key="box"))
        await session.forever()

    print("start has returned", flush=True)
"""

STREAMING = """
    import math
    from vuer_trio import Vuer, VuerSession
    from vuer_trio.events import Frame, Update
    from vuer_trio.schemas import DefaultScene, Box

    app = Vuer(port=0, backend={backend!r})

    @app.bind(start=True)
    async def streaming(session: VuerSession):
        session.set @ DefaultScene()
        t = 0
        while True:
            t += 0.016
            yield Frame(Update(Box(key="box", position=[math.sin(t), 0, 0])), frame_rate=60)
"""

BY_ITSELF = """
    from functools import partial
    import trio
    from vuer_trio import Vuer

    app = Vuer(port=0)

    @app.spawn
    async def main(session):
        await session.forever()

    class Status:
        def started(self, server):
            print(f"Vuer is at {server.uri}", flush=True)

    try:
        trio.run(partial(app.serve, task_status=Status()))
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""

NO_DECORATOR = """
    from vuer_trio import Vuer
    Vuer(port=0, backend={backend!r}).run()
    print("start has returned", flush=True)
"""


class Program:
    """One of them in a subprocess; ``uri`` is what it printed."""

    def __init__(self, text, first="Vuer is at ws://localhost:", last="Backend:", **names):
        source = textwrap.dedent(text)
        for name, value in names.items():
            source = source.replace(f"{{{name}!r}}", repr(value))
        self.lines = []
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-u", "-c", source],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        line = self.process.stdout.readline()
        assert line.startswith(first), line + self.process.stdout.read()
        self.uri = line.split()[-1]
        self.banner = [line.rstrip()]
        while not self.banner[-1].startswith(last):
            line = self.process.stdout.readline()
            assert line, self.banner
            self.banner.append(line.rstrip())
        self._pump = threading.Thread(target=lambda: self.lines.extend(self.process.stdout))
        self._pump.start()

    @property
    def output(self):
        return "".join(self.lines)

    def stop(self, number):
        """Exit status, seconds."""
        began = time.monotonic()
        self.process.send_signal(number)
        status = self.process.wait(60)
        self._pump.join()
        return status, time.monotonic() - began


@contextmanager
def program(text, **names):
    running = Program(text, **names)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait()
        running._pump.join()
        running.process.stdout.close()


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["trio"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("backend", BACKENDS)
async def test_the_documents_program_and_its_end(backend, number):
    with program(REMOTE_CONTROL, backend=backend) as server:
        async with open_vuer_client(server.uri) as client, open_vuer_client(server.uri) as other:
            assert await client.recv(timeout=60) == "SET"
            client.send @ ClientEvent(etype="SET_POSITION", value=[1, 2, 3])
            assert (await client.recv(timeout=60)).data["nodes"][0]["position"] == [1, 2, 3]
            server.process.send_signal(number)
            for one in (client, other):
                with anyio.fail_after(60):
                    async for event in one:
                        assert event == "SET"
                assert one.close_code == 1001
                assert one.close_reason == "the server is going away"
        status, _ = server.stop(0)
        assert status == 0, server.output
        assert server.output == "start has returned\n"


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_at_once_is_an_end_like_any_other(backend, number):
    with program(NO_DECORATOR, backend=backend) as server:
        status, seconds = server.stop(number)
        assert (status, server.output) == (0, "start has returned\n")
        assert seconds < 15  # a heartbeat is 20 s


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_ctrl_c_in_a_program_that_runs_serve_itself():
    """Trio raises it in the main task, which is deep in the server."""
    with program(BY_ITSELF, last="Vuer") as server:
        async with open_vuer_client(server.uri) as client:
            await client.flush(timeout=60)
            server.process.send_signal(signal.SIGINT)
            with anyio.fail_after(60):
                assert [event async for event in client] == []
            assert (client.close_code, client.close_reason) == (1001, "the server is going away")
        assert server.stop(0)[0] == 0, server.output
        assert server.output == "interrupted\n"


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_a_ported_program_that_awaits_asyncio(tmp_path):
    with program(PORTED) as server:
        async with open_vuer_client(server.uri) as client:
            assert await client.recv(timeout=60) == "SET"
            assert await client.recv(timeout=60) == "GRAB_RENDER"
            assert await client.recv(timeout=60) == "GRAB_RENDER"
            client.send @ ClientEvent(etype="HELLO", value="you")
            assert await client.recv(timeout=60) == "UPSERT"
            await eventually(lambda: "tick" in server.output)
            await eventually(lambda: "timed out" in server.output)
        status, _ = server.stop(signal.SIGTERM)
        assert status == 0, server.output
        assert sorted(server.output.split("\n")[:-1]) == [
            "Received HELLO: you",
            "Render request timed out",
            "asyncio gave up",
            "python",
            "start has returned",
            "tick",
        ]


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["trio"])
@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_streaming_program(backend):
    with program(STREAMING, backend=backend) as server:
        async with open_vuer_client(server.uri) as client:
            assert await client.recv(timeout=60) == "SET"
            for _ in range(20):
                assert await client.recv(timeout=60) == "UPDATE"
        assert server.stop(signal.SIGINT)[0] == 0, server.output


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["trio"])
@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_client_that_does_not_answer_does_not_keep_a_program(backend):
    with program(REMOTE_CONTROL, backend=backend) as server:
        port = int(server.uri.rpartition(":")[2])
        stream = await anyio.connect_tcp("127.0.0.1", port)
        async with stream:
            await stream.send(
                b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            assert b"101" in await stream.receive()
            status, seconds = await anyio.to_thread.run_sync(server.stop, signal.SIGTERM)
            assert status == 0, server.output
            assert seconds < 15  # a heartbeat is 20 s


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["trio"])
@pytest.mark.parametrize("backend", BACKENDS)
async def test_ten_idle_sessions_cost_at_most_a_percent_of_a_core(backend):
    with program(REMOTE_CONTROL, backend=backend) as server:
        async with anyio.create_task_group() as tasks:
            opened = []

            async def idle():
                async with open_vuer_client(server.uri) as client:
                    assert await client.recv(timeout=60) == "SET"
                    opened.append(client)
                    with pytest.raises(ConnectionClosed):
                        await client.recv()
                        await client.recv()

            for _ in range(10):
                tasks.start_soon(idle)
            await eventually(lambda: len(opened) == 10)
            await anyio.sleep(0.3)
            process = psutil.Process(server.process.pid)
            before = process.cpu_times()
            await anyio.sleep(5)
            after = process.cpu_times()
            tasks.cancel_scope.cancel()
        used = after.user + after.system - before.user - before.system
        print(f"{backend}: {used:.3f} s of CPU in 5 s")
        assert used <= 0.05


def test_start_in_a_thread_serves_until_the_process_ends():
    text = """
        import threading
        from vuer_trio import Vuer
        app = Vuer(port=0)
        threading.Thread(target=app.start, daemon=True).start()
        threading.Event().wait()
    """
    with program(text) as server:
        assert server.process.poll() is None
        server.process.terminate()
        assert server.process.wait(60) == -signal.SIGTERM


def test_a_port_in_use_is_one_clear_line():
    with program(NO_DECORATOR, backend="trio") as server:
        port = server.uri.rpartition(":")[2]
        for backend in BACKENDS:
            second = subprocess.run(
                [
                    sys.executable,
                    "-c",
                    f"from vuer_trio import Vuer; Vuer(port={port}, backend={backend!r}).start()",
                ],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert second.returncode == 1
            last = second.stderr.splitlines()[-1]
            assert "in use" in last
            assert port in last
            assert "ExceptionGroup" not in second.stderr
