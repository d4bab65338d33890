"""The bare install: exactly the four run-time packages, and the client works on them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from importlib.metadata import requires
from pathlib import Path
from urllib.request import urlopen

import pytest

from vuer_trio.events import ClientEvent
from vuer_trio.sync import open_vuer_client

pytestmark = pytest.mark.interop


PROGRAM = """
import json, sys, trio
from vuer_trio import open_vuer_client
from vuer_trio.events import ClientEvent

class Echo(ClientEvent):
    etype = "ECHO"

async def main():
    async with open_vuer_client(sys.argv[1]) as client:
        await client.send(Echo(value=[1.5, "x", b"y"]))
        event = await client.recv(timeout=60)
        print(json.dumps([client.transport, event.etype, event.data[:2]]))

trio.run(main)
"""

SERVER = """
import sys
from vuer_trio import Vuer
from vuer_trio.schemas import Box, DefaultScene

app = Vuer(port=0, backend=sys.argv[1], client_root=sys.argv[2])

@app.add_handler("SET_POSITION")
async def on_position(event, session):
    session.upsert @ Box(key="box", position=event.value)

@app.spawn(start=True)
async def main(session):
    session.set @ DefaultScene(Box(key="box"))
    assert "websockets" not in sys.modules and ("anyio" in sys.modules) == (sys.argv[1] != "trio")
    await session.forever()
"""


@pytest.fixture(scope="module")
def bare_python(
    packages: dict[str, Path],
    new_environment: Callable[..., Path],
) -> Path:
    """The interpreter of a new virtual environment with this project and no extra."""
    return new_environment(packages["wheel"])


def test_the_runtime_dependencies_are_exactly_these():
    names = {text.split(">")[0] for text in requires("vuer-trio") or () if "extra" not in text}
    assert names == {"trio", "trio-websocket", "msgpack", "anyio"}


def test_the_bare_install_talks_to_the_real_server(bare_python, reference_server):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("COV", "PYTHON"))}
    result = subprocess.run(
        [bare_python, "-W", "error", "-c", PROGRAM, reference_server.uri],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == ["trio-websocket", "ECHO", [1.5, "x"]]


@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_the_bare_install_serves(bare_python, backend, tmp_path):
    (tmp_path / "index.html").write_text("<p>the page")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("COV", "PYTHON"))}
    with subprocess.Popen(
        [bare_python, "-u", "-W", "error", "-c", SERVER, backend, tmp_path],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    ) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            assert first.startswith("Vuer is at ws://"), first + process.stdout.read()
            uri = first.split()[-1]
            with urlopen(uri.replace("ws:", "http:"), timeout=60) as page:
                assert page.read() == b"<p>the page"
            with open_vuer_client(uri) as client:
                assert client.recv(timeout=60) == "SET"
                client.send(ClientEvent(etype="SET_POSITION", value=[1.5, 2, bytes(200_000)]))
                moved = client.recv(timeout=60)
                assert moved.data["nodes"][0]["position"] == [1.5, 2, bytes(200_000)]
            process.terminate()
            assert process.stdout.read().endswith(f"Backend:   {backend}\n")
            assert process.wait(30) == 0
        finally:
            process.kill()


def test_what_needs_an_extra_says_which(bare_python):
    program = (
        "import trio; from vuer_trio import open_vuer_client\n"
        "async def main():\n"
        "    async with open_vuer_client('ws://127.0.0.1:1', {}): pass\n"
        "trio.run(main)"
    )
    for option in ("transport='websockets'", "compression='deflate'"):
        result = subprocess.run(
            [bare_python, "-c", program.replace("{}", option)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "pip install 'vuer-trio[fast]'" in result.stderr.splitlines()[-1]


def test_the_command_says_which_extra_it_needs(bare_python):
    result = subprocess.run(
        [bare_python.with_name("vuer-trio"), "listen"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert "pip install 'vuer-trio[cli]'" in result.stderr
    assert len(result.stderr.splitlines()) == 1
