"""``vuer-trio cert``, and ``vuer-trio serve --tls auto``."""

from __future__ import annotations

import re
import ssl

import pytest
import trio

from tests.cli_process import COMMAND, call, start
from tests.pseudo_terminal import Terminal
from vuer_trio import open_vuer_client

FINGERPRINT = r"(?:[0-9A-F]{2}:){31}[0-9A-F]{2}"


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def cert(data):
    """``cert("make")`` runs the command to its end."""
    return lambda *arguments: call("cert", *arguments, VUER_TRIO_DATA=str(data))


def prints(done):
    """The fingerprints: of the authority, of the certificate."""
    return re.findall(FINGERPRINT, done.stdout)


def test_make_show_renew_and_path(cert, data):
    for action in ("show", "path"):
        nothing = cert(action)
        assert (nothing.returncode, nothing.stdout) == (1, "")
        assert nothing.stderr == (
            "vuer-trio: there is no authority yet; `vuer-trio cert make` makes one\n"
        )
    assert not data.exists()
    made = cert("make")
    assert made.returncode == 0
    lines = made.stdout.splitlines()
    assert lines[0] == f"Authority:   {data / 'ca.pem'}"
    assert lines[-1] == f"The authority is new: install {data / 'ca.pem'} on each device, once."
    assert "Certificate: for localhost, " in made.stdout
    again = cert("make", "-v")
    assert (again.returncode, prints(again)) == (0, prints(made))
    assert "is new" not in again.stdout
    shown = cert("show")
    assert (shown.returncode, shown.stdout) == (0, again.stdout)
    path = cert("path")
    assert (path.returncode, path.stdout) == (0, f"{data / 'ca.pem'}\n")

    renewed = cert("renew", "--hosts", "robot.example")
    assert renewed.returncode == 0
    assert "robot.example" in renewed.stdout
    assert prints(renewed)[0] == prints(made)[0]
    assert prints(renewed)[1] != prints(made)[1]
    new = cert("renew", "--authority")
    assert new.returncode == 0
    assert "The authority is new" in new.stdout
    assert not set(prints(new)) & set(prints(made))
    for done in (made, renewed, new):
        assert "PRIVATE" not in done.stdout


def test_what_cannot_be_used(cert, data):
    cert("make")
    (data / "server.pem").unlink()
    shown = cert("show")
    assert shown.returncode == 1
    assert "Certificate: none; a server makes it, or `vuer-trio cert make`" in shown.stdout
    (data / "authority.pem").chmod(0o644)
    shown = cert("show")
    assert shown.returncode == 1
    assert shown.stderr.startswith(f"vuer-trio: others may read the key in {data}")
    (data / "authority.pem").chmod(0o600)
    (data / "authority.pem").write_text("x")
    assert cert("renew").returncode == 1
    assert cert("renew", "--authority").returncode == 0
    assert cert("show").returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [(), ("forge",), ("show", "--authority"), ("path", "--hosts", "a"), ("make", "--authority")],
)
def test_what_is_not_understood(cert, data, arguments):
    done = cert(*arguments)
    assert done.returncode == 2
    assert done.stderr
    assert not data.exists()


def test_a_server_with_a_certificate_of_its_own(data):
    arguments = ("serve", "--tls", "auto", "--token", "open-sesame", "--port", "0")
    command = ["env", f"VUER_TRIO_DATA={data}", *COMMAND, *arguments]
    with Terminal(*command) as terminal:
        terminal.expect("Ctrl-C ends.")
        uri = re.search(r"Vuer is at (wss://localhost:\d+)", terminal.text)
        assert uri is not None
        assert f"Authority: {data / 'ca.pem'}" in terminal.text
        assert "%3Ftoken%3Dopen-sesame" in terminal.text
        assert "█ ▄▄▄▄▄ █" in terminal.text  # a corner of the code
        context = ssl.create_default_context(cafile=data / "ca.pem")

        async def visit():
            uris = f"{uri[1]}?token=open-sesame"
            async with open_vuer_client(uris, ssl_context=context) as client:
                assert await client.recv(timeout=60) == "SET"

        trio.run(visit)
        terminal.type("\x03")
        assert terminal.wait() == 0


def test_in_a_pipe_there_is_no_code(data):
    with start("serve", "--token", "abc", "--port", "0") as process:
        said = [process.stdout.readline() for _ in range(4)]
        process.terminate()
        process.wait(60)
    assert said[1].startswith("Local:     http://localhost:")
    assert not set("█▀▄") & set("".join(said))


def test_a_folder_that_cannot_be_used_ends_the_server(data):
    data.write_text("a file")
    done = call("serve", "--tls", "auto", "--port", "0", VUER_TRIO_DATA=str(data))
    assert done.returncode == 1
    assert done.stderr.startswith(f"vuer-trio: the keys of tls='auto' are kept in {data}, which ")
    done = call("serve", "--tls", "auto", "--cert", "a.pem")
    assert done.returncode == 2
    assert "--tls auto makes a certificate, and --cert is one" in done.stderr
    assert call("serve", "--mdns").returncode == 2
