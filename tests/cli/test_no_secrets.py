"""No output of the commands holds a password, a token, or a sequence that moves the cursor."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cli_process import call, environment, run
from tests.recording_files import need_mcap
from tests.scripted_server import PeerConnection, event_frame
from tests.secret_watch import MARK, secret
from vuer_trio.record import open_recording

pytestmark = pytest.mark.no_cover

PASSWORD, TOKEN = secret("password"), secret("token")
HEADER = ("--header", f"Authorization: Bearer {TOKEN}", "--timeout", "5")
COMMANDS = [["listen"], ["top"], ["ping", "--count", "1"], ["doctor"], ["doctor", "--json"]]


def with_secrets(uri):
    scheme, _, host = uri.partition("://")
    return f"{scheme}://me:{PASSWORD}@{host}/path?token={TOKEN}"


def clean(done):
    for text in (done.stdout, done.stderr):
        assert MARK not in text, text
        assert "\x9b" not in text, ascii(text)
    return done


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_of_a_server_that_is_not_there(command):
    done = clean(call(*command, with_secrets("ws://127.0.0.1:1"), *HEADER))
    assert done.returncode == (1 if command[0] == "doctor" else 3)
    if command[0] != "doctor":
        first, second = done.stderr.splitlines()
        assert "ws://me:***@127.0.0.1:1/path?token=***: Connection refused" in first
        assert second == "`vuer-trio doctor URI` looks for the reason."


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_of_a_server_that_sends_them_back(serve, command):
    async def evil(conn: PeerConnection) -> None:
        request = await conn.wait_request()
        auth = request.headers.get("Authorization", "")
        told = f"\x1b[2J\x9b31m{request.path} {auth}"
        if command[0] == "doctor":
            told = ""  # it asks again without a word of the client's
        await conn.reject(404, told)

    peer = serve(evil)
    clean(call(*command, with_secrets(peer.uri), *HEADER))


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_of_a_server_whose_certificate_is_not_known(serve, command):
    async def never(conn: PeerConnection) -> None:
        await conn.wait_ended()

    peer = serve(never, tls=True)
    done = clean(call(*command, with_secrets(peer.uri), *HEADER))
    assert "certificate" in done.stdout + done.stderr


def test_of_a_connection(serve, tmp_path):
    async def talks(conn: PeerConnection) -> None:
        await conn.accept(trailing=event_frame({"etype": "HELLO", "data": 1}))
        await conn.wait_ended()

    peer = serve(talks)
    for command in (["listen", "-v", "--count", "1"], ["doctor"], ["doctor", "--json"]):
        done = clean(run(*command, with_secrets(peer.uri), *HEADER))
        assert "HELLO" in done.stdout
    need_mcap()
    file = tmp_path / "run.mcap"
    done = clean(run("record", with_secrets(peer.uri), str(file), "--seconds", "0.5", *HEADER))
    assert done.returncode == 0
    assert open_recording(file).uri.endswith("/path?token=***")
    assert MARK.encode() not in file.read_bytes()


@pytest.mark.parametrize(
    "arguments",
    [
        ("ping", "--header", TOKEN),
        ("ping", "--header", f": {TOKEN}"),
        ("ping", "--header", f"X: {TOKEN}é"),
        ("ping", f"ws://me:a/{PASSWORD}@host"),
        ("ping", f"ftp://me:{PASSWORD}@host"),
        ("ping", f"me:a#{PASSWORD}@host"),
        ("ping", "ws://a", f"ws://me:{PASSWORD}@host"),
        ("ping", f"--url=ws://host/?token={TOKEN}"),
        ("ping", "--hedaer", f"Authorization: Bearer {TOKEN}"),
        ("ping", f"--hedaer=Authorization: Bearer {TOKEN}", "-x"),
        (f"ws://me:{PASSWORD}@host/?token={TOKEN}",),
        ("doctor", f"http://me:{PASSWORD}@host/?token={TOKEN}"),
        ("doctor", f"ws://me:a/{PASSWORD}@host"),
    ],
)
def test_of_arguments_that_can_not_be(arguments):
    done = clean(call(*arguments))
    assert done.returncode in (1, 2)


def test_of_an_environment_that_can_not_be():
    done = clean(call("ping", VUER_CLIENT_URI=f"ws://me:a/{PASSWORD}@host"))
    assert done.returncode == 2
    assert "uri must be a WebSocket URI, got 'ws://***@host'" in done.stderr
    done = clean(call("doctor", VUER_CLIENT_URI=f"ws://me:a/{PASSWORD}@host"))
    assert "uri must be a WebSocket URI, got 'ws://***@host'" in done.stdout


def test_a_certificate_that_is_not_checked_is_said(serve):
    async def talks(conn: PeerConnection) -> None:
        await conn.accept(trailing=event_frame({"etype": "HELLO", "data": 1}))
        await conn.wait_ended()

    peer = serve(talks, tls=True)
    done = call("listen", "--count", "1", peer.uri, VUER_SSL_VERIFY="0")
    assert done.returncode == 0
    assert "warning: the certificate of localhost is not checked (VUER_SSL_VERIFY" in done.stderr


def test_certificates_that_are_not_there(tmp_path):
    gone = str(tmp_path / "gone.pem")
    done = call("serve", "--port", "0", "--cert", gone, "--key", gone)
    assert done.returncode == 2
    assert f"--cert '{gone}' cannot be read: No such file or directory" in done.stderr


@pytest.mark.parametrize(
    "url", [f"http://me:a/{PASSWORD}@host", f"http://me:a#{PASSWORD}@host", f"me:{PASSWORD}@host"]
)
def test_of_the_server_of_a_chat(url):
    program = "import sys; from vuer_trio.roomz.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", program, "--server", url],
        capture_output=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
        env=environment(),
        timeout=240,
    )
    clean(done)
    assert done.returncode == 2
    assert "***@host" in done.stderr
