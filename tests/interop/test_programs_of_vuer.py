"""Programs as they are written for the reference, with the import root changed, in subprocesses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import anyio
import pytest

from tests.behaviour.raw_client import eventually
from tests.free_ports import free_port
from tests.interop.test_server_programs import program
from vuer_trio import open_vuer_client
from vuer_trio.events import ClientEvent

pytestmark = pytest.mark.anyio

ON = """
    from vuer_trio import Vuer, VuerSession
    from vuer_trio.schemas import Box, DefaultScene
    {imports}

    app = Vuer(port=0)

    @app.spawn(start=True)
    async def main(session: VuerSession):
        session.set @ DefaultScene()
        n = 0
        while True:
            session.upsert @ Box(key="box", position=[n, 0, 0])
            n += 1
            await sleep(0.01)

    print("between", flush=True)
    app.run()
    print("end", flush=True)
"""

METHODS = """
    import asyncio
    from functools import partial
    from vuer_trio import Vuer
    from vuer_trio.schemas import Box, DefaultScene

    class Robot:
        def __init__(self):
            self.app = Vuer(port=0, queries=dict(grid=False), queue_len=3, cors="*", free_port=True)
            self.app.add_handler("MOVE")(self.on_move)
            self.app.spawn(start=False)(partial(self.main, "robot"))

        async def on_move(self, event, session, fps=60):
            await asyncio.sleep(0.001)
            session.upsert @ Box(key="box", position=event.value)

        async def main(self, name, session, fps=60):
            session.set @ DefaultScene()
            while True:
                await asyncio.sleep(0.01)

    Robot().app.run()
    print("end", flush=True)
"""

STARTED_LATER = """
    import trio
    from vuer_trio import Vuer
    from vuer_trio.schemas import DefaultScene

    app = Vuer(port=0)

    @app.spawn(client="python")
    async def main(session):
        session.set @ DefaultScene()
        await trio.sleep_forever()

    main.start(host="127.0.0.1")
    print("end", flush=True)
"""

WRONG = """
    import asyncio
    from vuer_trio import Vuer

    app = Vuer(port=0, backend="trio")

    @app.spawn(start=True)
    async def main(session):
        await asyncio.sleep(1)
"""

BLOCKS = """
    {imports}
    import time
    from vuer_trio import Vuer

    app = Vuer(port=0)

    @app.add_handler("BLOCK")
    async def on_block(event, session):
        print("blocked", flush=True)
        while True:
            try:
                time.sleep(0.01)
            except Exception:
                pass

    app.run()
    print("not reached", flush=True)
"""

LIBRARIES = {"trio": "from trio import sleep", "asyncio": "from asyncio import sleep"}


def on(text, backend):
    return text.replace("{imports}", LIBRARIES[backend])


@pytest.fixture
def anyio_backend():
    return "trio"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("backend", LIBRARIES)
async def test_a_program_runs_on_what_it_imports_and_ends_with_one_signal(backend, number):
    with program(on(ON, backend)) as server:
        assert server.banner[-1] == f"Backend:   {backend}"
        async with open_vuer_client(server.uri) as client:
            assert await client.recv(timeout=60) == "SET"
            for n in range(3):
                assert (await client.recv(timeout=60)).data["nodes"][0]["position"] == [n, 0, 0]
        status, _ = await anyio.to_thread.run_sync(server.stop, number)
        assert (status, server.output) == (0, "between\nend\n")


async def test_methods_and_the_references_keywords():
    with program(METHODS) as server:
        assert server.banner[-1] == "Backend:   asyncio"
        assert "Client:    https://vuer.ai?ws=" + server.uri + "&grid=False" in server.banner
        async with open_vuer_client(server.uri, origin="http://any.example") as client:
            assert await client.recv(timeout=60) == "SET"
            client.send @ ClientEvent(etype="MOVE", value=[1, 2, 3])
            assert (await client.recv(timeout=60)).data["nodes"][0]["position"] == [1, 2, 3]
        status, _ = await anyio.to_thread.run_sync(server.stop, signal.SIGTERM)
        assert (status, server.output) == (0, "end\n")


async def test_what_spawn_gives_starts_the_app():
    source = STARTED_LATER.replace("localhost", "127.0.0.1")
    with program(source, first="Vuer is at ws://127.0.0.1:") as server:
        assert server.banner[-1] == "Backend:   trio"
        async with open_vuer_client(server.uri) as client:
            assert await client.recv(timeout=60) == "SET"
        status, _ = await anyio.to_thread.run_sync(server.stop, signal.SIGINT)
        assert (status, server.output) == (0, "end\n")


async def test_a_backend_that_is_wrong_is_named_in_the_error():
    with program(WRONG) as server:
        async with open_vuer_client(server.uri) as client:
            await client.wait_closed()
            assert client.close_reason == (
                "the server's program awaits asyncio, but backend='trio' runs it"
            )
        await eventually(lambda: "use backend='asyncio'" in server.output)
        assert "RuntimeError: no running event loop" in server.output
        assert "no async library" not in server.output
        assert "During handling" not in server.output


@pytest.mark.parametrize("backend", LIBRARIES)
async def test_the_second_ctrl_c_ends_a_program_with_a_handler_that_blocks(backend):
    with program(on(BLOCKS, backend)) as server:
        async with open_vuer_client(server.uri, heartbeat=60) as client:
            client.send @ ClientEvent(etype="BLOCK")
            await eventually(lambda: "blocked" in server.output)
            server.process.send_signal(signal.SIGINT)
            await anyio.sleep(2)
            assert server.process.poll() is None
            status, _ = await anyio.to_thread.run_sync(server.stop, signal.SIGINT)
            assert status in (1, 130, -signal.SIGINT), server.output
    assert "KeyboardInterrupt" in server.output
    assert "not reached" not in server.output


def test_the_variables_of_the_reference(tmp_path):
    """Those that ask for TLS are not passed over."""
    import trustme

    issued = trustme.CA().issue_cert("localhost")
    issued.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    issued.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    port = free_port()
    tls = {"VUER_SSL_CERT": str(tmp_path / "cert.pem"), "VUER_SSL_KEY": str(tmp_path / "key.pem")}
    text = "from vuer_trio import Vuer; Vuer().run()"

    def started(**variables):
        return subprocess.Popen(
            [sys.executable, "-u", "-c", text],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "VUER_HOST": "127.0.0.1", "VUER_PORT": str(port), **variables},
        )

    with started(**tls) as served:
        try:
            assert served.stdout.readline() == f"Vuer is at wss://127.0.0.1:{port}\n"
        finally:
            served.terminate()
    with started(VUER_SSL_KEY=tls["VUER_SSL_KEY"]) as refused:
        assert "ValueError: key= is the private key" in refused.communicate(timeout=60)[0]
    assert refused.returncode == 1
