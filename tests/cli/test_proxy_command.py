"""`vuer-trio proxy` as its user runs it."""

from __future__ import annotations

import re
import signal
import socket
import subprocess

import pytest
import trio

from tests.cli_process import COMMAND, call, start
from tests.pseudo_terminal import DEADLINE, Terminal
from tests.recording_files import need_mcap
from vuer_trio import open_vuer_client
from vuer_trio.events import ClientEvent
from vuer_trio.record import open_recording

CTRL_C = "\x03"


async def visit(uri: str) -> None:
    with trio.fail_after(DEADLINE):
        async with open_vuer_client(uri) as client:
            assert await client.recv() == "SET"
            await client.send(ClientEvent(value=1, etype="POSE"))
            await client.flush()


def port_of(text: str) -> int:
    found = re.search(r"is at https?://localhost:(\d+)", text)
    assert found is not None, text
    return int(found[1])


def test_at_a_terminal(server, tmp_path):
    need_mcap()
    file = tmp_path / "run.mcap"
    arguments = ["proxy", server.uri, "--port", "0", "--record", str(file)]
    with Terminal(*COMMAND, *arguments, width=250) as it:
        it.expect(f"A proxy to {server.uri} is at http://localhost:")
        it.expect("Ctrl-C ends.")
        it.expect("0 connections open, 0 messages")
        trio.run(visit, f"ws://localhost:{port_of(it.text)}")
        it.expect("0 connections open, 3 messages")
        it.type(CTRL_C)
        it.expect("1 connection passed on")
        it.expect("3 messages in ")
        it.expect("/received/INIT")
        assert it.wait() == 0
    assert "Traceback" not in it.text
    recording = open_recording(file)
    assert recording.complete
    assert recording.uri == server.uri
    assert {(e.sender, e.etype) for e in recording} == {
        ("client", "INIT"),
        ("client", "POSE"),
        ("server", "SET"),
    }


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_under_an_open_connection(server, tmp_path, number):
    need_mcap()
    file = tmp_path / "run.mcap"
    command = ["proxy", server.uri, "--port", "0", "--record", str(file), "-q"]
    with start(*command) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        port = port_of(process.stdout.readline())

        async def stay() -> tuple[int | None, str | None]:
            async with open_vuer_client(f"ws://localhost:{port}") as client:
                assert await client.recv() == "SET"
                process.send_signal(number)
                await client.wait_closed()
                return client.close_code, client.close_reason

        assert trio.run(stay) == (1001, "the proxy is going away")
        assert process.wait(DEADLINE) == 0
        assert process.stderr.read() == ""
    assert open_recording(file).complete


def test_a_recording_is_played_again(server, tmp_path):
    need_mcap()
    file = tmp_path / "run.mcap"
    command = ["proxy", server.uri, "--port", "0", "--record", str(file), "--seconds", "60", "-q"]
    with start(*command) as process:
        assert process.stdout is not None
        trio.run(visit, f"ws://localhost:{port_of(process.stdout.readline())}")
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE) == 130  # before its time
    [first] = server.take()
    done = call("replay", str(file), server.uri)
    assert "1 event sent" in done.stderr
    assert server.take() == [first]


def fails(status: int, *arguments: str) -> str:
    done = call("proxy", *arguments)
    assert done.returncode == status, done.stderr
    return done.stderr


def test_what_it_refuses(server):
    assert "a server without a path and a query" in fails(2, f"{server.uri}/path")
    assert "a server without a user" in fails(2, "ws://me:secret@localhost")
    assert "secret" not in fails(2, "ws://me:secret@localhost")
    assert "use ws://host:port" in fails(2, "ftp://localhost")
    assert "each of origins must be" in fails(2, server.uri, "--origins", "evil")
    assert "--key" in fails(2, server.uri, "--key", "nothing.pem")


def test_a_file_that_is_there_is_not_overwritten(server, tmp_path):
    need_mcap()
    file = tmp_path / "exists.mcap"
    file.write_bytes(b"")
    assert "already exists" in fails(1, server.uri, "--port", "0", "--record", str(file))


def test_a_port_that_is_taken_leaves_no_file(server, tmp_path):
    need_mcap()
    file = tmp_path / "new.mcap"
    with socket.socket() as taken:
        taken.bind(("localhost", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        fails(1, server.uri, "--port", port, "--record", str(file))
    assert not file.exists()  # it would be empty


def test_a_server_that_is_not_there_yet(tmp_path):
    with start("proxy", "ws://127.0.0.1:1", "--port", "0") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        port = port_of(process.stdout.readline())
        done = call("send", "A", "1", "--uri", f"ws://localhost:{port}")
        assert done.returncode == 3
        assert "there is no server behind this proxy" in done.stderr
        process.send_signal(signal.SIGINT)
        told = process.stderr.read()
        assert process.wait(DEADLINE) == 0
    assert "Nothing is recorded; --record FILE does that." in told
    assert "warning: ws://127.0.0.1:1 cannot be reached: Connection refused" in told


def test_tls_of_its_own(server, tmp_path):
    environment = {"VUER_TRIO_DATA": str(tmp_path)}
    arguments = ["proxy", server.uri, "--port", "0", "--tls", "auto", "--host", "localhost"]
    with Terminal(*COMMAND, *arguments, **environment) as it:
        it.expect("is at https://localhost:")
        it.expect("Ctrl-C ends.")
        port = port_of(it.text)
        [ca] = tmp_path.rglob("*ca*.pem")
        done = subprocess.run(
            [*COMMAND, "ping", f"wss://localhost:{port}", "--count", "1", "--ca-cert", str(ca)],
            capture_output=True,
            text=True,
        )
        assert "1 sent, 1 answered" in done.stdout, done.stderr
        it.type(CTRL_C)
        assert it.wait() == 0
