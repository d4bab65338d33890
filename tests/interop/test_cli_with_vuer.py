"""The command against the real server, and the real web client from the command's own server."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from urllib.request import urlopen

import pytest
import trio

from tests.cli_process import COMMAND, environment, run, start
from tests.free_ports import free_port
from tests.interop.reference_calls import report_of
from tests.pseudo_terminal import DEADLINE, Terminal
from tests.recording_files import need_mcap
from vuer_trio import open_vuer_client
from vuer_trio.record import open_recording

pytestmark = [
    pytest.mark.no_cover,
    pytest.mark.interop,
    pytest.mark.skipif(find_spec("vuer") is None, reason="needs the dependency group `interop`"),
]

#: a box that moves, fifty times a second
PROGRAM = """
import asyncio, sys
from vuer import Vuer
from vuer.schemas import Box, DefaultScene

app = Vuer(host="127.0.0.1", port=int(sys.argv[1]))

@app.spawn(start=True)
async def main(session):
    session.set @ DefaultScene(Box(key="box"))
    n = 0
    while True:
        session.upsert @ Box(key="box", position=[n, 0, 0])
        n += 1
        await asyncio.sleep(0.02)
"""


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path: Path = tmp_path_factory.mktemp("moving") / "program.py"
    path.write_text(PROGRAM)
    port = free_port()
    program = subprocess.Popen(
        [sys.executable, path, str(port)], stdout=subprocess.DEVNULL, env=environment()
    )
    try:
        deadline = time.monotonic() + DEADLINE
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield f"ws://127.0.0.1:{port}"
    finally:
        program.kill()
        program.wait(DEADLINE)


def test_listen_through_a_pipe(moving):
    done = run("listen", moving, "--json", "--count", "3")
    assert done.returncode == 0
    scene, first, second = map(json.loads, done.stdout.splitlines())
    assert (scene["etype"], scene["data"]["tag"]) == ("SET", "Scene")
    for n, event in enumerate((first, second)):
        assert event["etype"] == "UPSERT"
        assert event["data"]["nodes"][0]["position"] == [n, 0, 0]
    assert "3 events in" in done.stderr


def test_listen_and_doctor_at_a_terminal(moving):
    with Terminal(*COMMAND, "listen", moving) as it:
        it.expect("SET")
        it.expect('"position": [2, 0, 0]')
        it.expect("rate")
        it.type("\x03")
        it.expect(" events in ")
        assert it.wait() == 0
    with Terminal(*COMMAND, "doctor", moving) as it:
        it.expect("ok       first event")
        it.expect("SET")
        it.expect("All is well.")
        assert it.wait() == 0


def test_ping(moving):
    done = run("ping", moving, "--count", "3", "--interval", "0.01")
    assert done.returncode == 0
    assert "3 sent, 3 answered" in done.stdout


def test_what_is_sent_arrives_there(reference_server):
    events = [
        {"etype": "TAG", "value": "the command"},
        {"etype": "POSE", "value": [1, 2.5, {"$bytes": "AP8="}]},
    ]
    lines = "".join(json.dumps(event) + "\n" for event in events)
    assert run("send", "-", "--uri", reference_server.uri, stdin=lines).returncode == 0

    async def look() -> None:
        with trio.fail_after(DEADLINE):
            async with open_vuer_client(reference_server.uri) as client:
                report = await report_of(client, "the command", wait=10)
        assert report["events"] == [["POSE", [1, 2.5, b"\x00\xff"]]]
        assert (report["first"], report["init"]["client"]) == ("INIT", "python")

    trio.run(look)


def test_the_doctor_knows_its_faults(reference_server):
    uri = reference_server.uri
    done = run("doctor", f"{uri}/scene")
    assert done.returncode == 1
    assert f"Wrong path: there is one at /; try {uri}\n" in done.stdout
    done = run("doctor", uri.replace("ws", "wss"))
    assert done.returncode == 1
    assert f"Wrong scheme: without TLS it answers HTTP; try {uri}\n" in done.stdout


def test_the_web_client_is_served():
    with start("serve", "--host", "127.0.0.1", "--port", "0") as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            address = process.stdout.readline().removeprefix("Its web client is at ").strip()
            with urlopen(address, timeout=DEADLINE) as page:
                assert b"/assets/" in page.read()
            process.send_signal(signal.SIGINT)
            assert process.wait(DEADLINE) == 0
        finally:
            process.kill()


def test_top_and_a_recording_proxy_of_the_real_server(moving, tmp_path):
    need_mcap()
    file = tmp_path / "run.mcap"
    with start("proxy", moving, "--port", "0", "--record", str(file), "-q") as process:
        assert process.stdout is not None
        there = process.stdout.readline().rpartition("localhost:")[2].strip()
        with start("top", f"ws://localhost:{there}", "--interval", "0.2") as top:
            assert top.stdout is not None
            told = json.loads(top.stdout.readline())
            while not (told["rtt_ms"] and len(told["events"]) > 1):
                told = json.loads(top.stdout.readline())
            top.terminate()
            top.stdout.read()
            assert top.wait(DEADLINE) == 0
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE) == 0
    assert {event["etype"] for event in told["events"]} == {"SET", "UPSERT"}
    assert told["sessions"] is None
    recording = open_recording(file)
    assert recording.complete
    assert {"SET", "UPSERT", "INIT"} == {entry.etype for entry in recording}
