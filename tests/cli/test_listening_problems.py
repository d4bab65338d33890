"""Whatever command listens: where it cannot, it says why, and what to do."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.cli_process import call, run
from tests.recording_files import need_mcap, packed, recorded

COMMANDS = {
    "serve": ["serve"],
    "workers": ["serve", "--workers", "2"],
    "replay": ["replay", "run.mcap", "--serve"],
    "proxy": ["proxy", "ws://127.0.0.1:1"],
}


need_mcap()


@pytest.fixture(params=COMMANDS)
def command(request, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if request.param == "replay":
        recorded(Path("run.mcap"), [(0.0, "received", packed("SET"))])
    return COMMANDS[request.param]


def test_a_port_that_another_program_has(command):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run(*command, "--host", "127.0.0.1", "--port", str(port))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"vuer-trio: cannot listen on 127.0.0.1, port {port}: ")
    assert done.stderr.endswith(": another program has that port; port 0 is any free one\n")


def test_an_address_of_another_machine(command):
    done = run(*command, "--host", "192.0.2.1", "--port", "0")
    assert (done.returncode, done.stdout) == (1, "")
    assert "it is not an address of this machine; host 0.0.0.0 is all of them" in done.stderr


def test_a_port_that_is_none(command):
    done = call(*command, "--port", "99999")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--port must be from 0 to 65535, got 99999" in done.stderr


def test_a_certificate_that_is_none(command):
    Path("empty.pem").write_bytes(b"")
    for options, told in (
        (["--cert", "none.pem"], "--cert 'none.pem' cannot be read: No such file or directory"),
        (["--cert", "empty.pem"], "--cert 'empty.pem'"),
        (["--key", "none.pem"], "--key is the private key of a certificate; it needs --cert"),
        (["--tls", "auto", "--cert", "a"], "--tls auto makes a certificate, and --cert is one"),
    ):
        done = call(*command, "--port", "0", *options)
        assert done.returncode == 2
        assert told in done.stderr
