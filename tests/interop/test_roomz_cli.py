"""``roomz-cli`` as a user sees it: in a pseudo-terminal, and through a pipe."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.pseudo_terminal import DEADLINE, Terminal
from tests.real_roomz_server import RoomzServer, running_roomz
from vuer_trio.roomz import SyncClient
from vuer_trio.roomz.address import parse_server
from vuer_trio.roomz.cache import SessionCache
from vuer_trio.roomz.formatting import name_of, printable, show_event

pytestmark = pytest.mark.interop

_PROGRAM = "import sys; from vuer_trio.roomz.cli import main; sys.exit(main())"
COMMAND = [sys.executable, "-c", _PROGRAM]


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[RoomzServer]:
    with running_roomz(tmp_path_factory.mktemp("roomz")) as server:
        yield server


@pytest.fixture
def terminal(server) -> Iterator[Terminal]:
    terminal = Terminal(*COMMAND, "--server", server.url)
    yield terminal
    terminal.close()


def log_in(terminal: Terminal, server: RoomzServer) -> str:
    email, before = server.email(), server.tokens
    terminal.expect("/help shows the commands")
    terminal.expect(">")
    terminal.enter(f"/login {email}")
    terminal.expect(f"A magic link is on its way to {email}")
    terminal.enter(f"/token {server.token_after(before)}")
    terminal.expect(f"Connected as {email}.")
    return email


def test_a_session_from_login_to_quit(terminal, server):
    email = log_in(terminal, server)
    terminal.enter("Hello, <world> & \N{GRINNING FACE}")
    terminal.expect(f"{email}: Hello, <world> & \N{GRINNING FACE}")
    terminal.enter("/name Alice")
    terminal.expect(f"You are Alice ({email}) now.")
    terminal.enter("named")
    terminal.expect(f"Alice ({email}): named")
    terminal.enter("/name")
    terminal.expect(f"You are {email} now.")
    terminal.enter(f"/name {'x' * 51}")
    terminal.expect("must be 1-50 characters, no newlines (400)")
    terminal.enter("/logout")
    terminal.expect("Disconnected.")
    terminal.expect("Logged out.")
    terminal.enter("to nobody")
    terminal.expect("Not sent, you are disconnected")
    terminal.enter("/quit")
    terminal.expect("Bye.")
    terminal.expect("roomz-cli: 1 message was not sent")
    assert terminal.wait() == 1
    assert "\x1b[1;32mConnected as" in terminal.raw  # colours
    assert "Traceback" not in terminal.text


def test_a_message_comes_while_a_line_is_typed(terminal, server):
    email = log_in(terminal, server)
    terminal.type("half a li")
    terminal.expect("half a li")
    other, before = SyncClient(server.url, ""), server.tokens
    other.login(email)
    other.connect(server.token_after(before))
    terminal.expect(f"{email} joined (2 connected)")
    other.set_display_name("Phone")
    terminal.expect(f"another device is now Phone ({email})")
    other.send("from the phone")
    terminal.expect(f"Phone ({email}): from the phone")
    terminal.expect("half a li")
    other.disconnect()
    terminal.expect(f"Phone ({email}) left (1 connected)")
    terminal.enter("ne")
    terminal.expect(f"{email}: half a line")


def test_each_error_is_clear(terminal, server):
    terminal.expect(">")
    for line, said in [
        ("/token", "Write /token TOKEN"),
        ("/token bogus", "unknown, used or expired"),
        ("/login", "Write /login EMAIL"),
        ("/login nope", "Invalid email format"),
        ("/login eve@example.com", "not authorized"),
        ("/nonsense", "There is no command /nonsense"),
        ("/name A", "Not sent, you are disconnected"),
        ("/help", "/login EMAIL"),
    ]:
        terminal.enter(line)
        terminal.expect(said)
    log_in_again = server.email()
    before = server.tokens
    terminal.enter(f"/login {log_in_again}")
    terminal.expect("on its way")
    terminal.enter(f"/token {server.token_after(before)}")
    terminal.expect("Connected as")
    terminal.enter("/token again")
    terminal.expect("You are already connected")
    terminal.type("\x04")  # Ctrl-D
    terminal.expect("Bye.")
    assert terminal.wait() == 0


def test_ctrl_c_leaves_cleanly(terminal, server):
    log_in(terminal, server)
    terminal.type("half a line\x03")
    terminal.expect("Bye.")
    assert terminal.wait() == 0
    assert "Traceback" not in terminal.text


def test_ctrl_c_leaves_a_server_that_says_nothing(tmp_path):
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        mute.settimeout(DEADLINE)
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        path = tmp_path / "session.json"
        SessionCache(path).save(parse_server(url).key, "a-session")
        for arguments, line in [(["--session", str(path)], ""), ([], "/login a@b.test\r")]:
            terminal = Terminal(*COMMAND, "-s", url, *arguments)
            try:
                terminal.expect("/help shows the commands")
                if line:
                    terminal.expect(">")
                    terminal.type(line)
                with mute.accept()[0]:
                    terminal.type("\x03")
                    terminal.expect("Bye.")
                    assert terminal.wait() == 0
                assert "Traceback" not in terminal.text
            finally:
                terminal.close()


def test_the_session_can_be_kept(server, tmp_path):
    path = tmp_path / "session.json"
    for visit in range(2):
        terminal = Terminal(*COMMAND, "-s", server.url, "--session", str(path))
        try:
            if visit == 0:
                log_in(terminal, server)
            else:
                terminal.expect("Connected as")
            terminal.enter("/quit")
            assert terminal.wait() == 0
        finally:
            terminal.close()
    path.write_text(path.read_text().replace("ey", "xx", 1))
    terminal = Terminal(*COMMAND, "-s", server.url, "--session", str(path))
    try:
        terminal.expect("does not accept this session")
        terminal.expect("Not connected")
        terminal.enter("/quit")
        assert terminal.wait() == 0
    finally:
        terminal.close()
    SessionCache(path).save("http://127.0.0.1:1", "a-session")
    terminal = Terminal(*COMMAND, "-s", "http://127.0.0.1:1", "--session", str(path))
    try:
        terminal.expect("is a Roomz server running there")
        terminal.expect("Not connected")
        terminal.enter("/quit")
        assert terminal.wait() == 0
    finally:
        terminal.close()


def test_through_a_pipe_there_are_no_colours(server):
    email = server.email()
    done = subprocess.run(
        [*COMMAND, "--server", server.url],
        input=f"/login {email}\n/name A\nhello\n",
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert done.returncode == 1
    assert "\x1b" not in done.stdout + done.stderr
    assert done.stdout.splitlines()[2:] == [
        f"A magic link is on its way to {email}. Then: /token TOKEN.",
        "Bye.",
    ]
    assert done.stderr.splitlines() == [
        "Not sent, you are disconnected: /login EMAIL, then /token TOKEN.",
        "Not sent, you are disconnected: /login EMAIL, then /token TOKEN.",
        "roomz-cli: 1 message was not sent",
        "roomz-cli: 1 command failed",
    ]


def piped(*arguments: str, lines: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        input=lines,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        env={**os.environ, **environment},
    )


def new_token(server: RoomzServer) -> str:
    before = server.tokens
    SyncClient(server.url, "").login(server.email())
    return server.token_after(before)


def test_json_of_each_event_and_nothing_else(server):
    token = new_token(server)
    done = piped(server.url, "--json", lines=f"/token {token}\nHello, \N{SNOWMAN}\n/name A\n")
    assert (done.returncode, done.stderr) == (0, "")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["event"] for event in events][:2] == ["authenticated", "message"]
    assert events[1]["content"] == "Hello, \N{SNOWMAN}"
    assert done.stdout.isascii()


def test_what_the_server_refuses_is_a_failure(server):
    token = new_token(server)
    done = piped(server.url, lines=f"/token {token}\n/name {'x' * 51}\nshort\n", FORCE_COLOR="1")
    assert done.returncode == 1
    assert "must be 1-50 characters, no newlines (400)" in done.stderr
    assert done.stderr.endswith("roomz-cli: 1 command failed\n")
    assert ": short" in done.stdout
    assert "\x1b[31m" in done.stderr
    assert "\x1b[1;32mConnected as" in done.stdout
    done = piped(server.url, "--color", "never", lines="/nam\n", FORCE_COLOR="1")
    assert "\x1b" not in done.stdout + done.stderr
    assert "There is no command /nam; did you mean /name?" in done.stderr


def test_a_reader_that_leaves(server):
    token = new_token(server)
    lines = f"/token {token}\n" + "hello\n" * 50
    command = f"{shlex.join(COMMAND)} {server.url} --json | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], input=lines, capture_output=True, text=True, timeout=DEADLINE
    )
    first, status = done.stdout.splitlines()
    assert json.loads(first)["event"] == "authenticated"
    assert (status, done.stderr) == ("141", "")


def test_tab_completes_commands_and_names(terminal, server, tmp_path):
    email = log_in(terminal, server)
    terminal.enter("/name Aurelia")
    terminal.expect(f"You are Aurelia ({email}) now.")
    terminal.enter("hello")
    terminal.expect(": hello")
    terminal.type("/lo\t\t")
    terminal.expect("/login  /logout")
    terminal.type("\x15/he\t")
    terminal.expect("lp")  # what is drawn anew may be no more than that
    terminal.type("\x15Dear Aur\t")
    terminal.expect("elia")
    terminal.enter("!")
    terminal.expect(f"Aurelia ({email}): Dear Aurelia!")
    terminal.enter("/quit")
    assert terminal.wait() == 0


def test_no_history_on_disk_and_no_token_in_it(server, tmp_path):
    token = new_token(server)
    it = Terminal(*COMMAND, server.url, HOME=str(tmp_path), XDG_CACHE_HOME=str(tmp_path))
    try:
        it.expect(">")
        it.enter("/help quit")
        it.expect("leave (so do")
        it.enter(f"/token {token}")
        it.expect("Connected as")
        it.type("\x1b[A")  # up
        it.expect("/help quit")
        assert it.text.count(token) <= it.text.index("Connected as")
        it.type("\x03")
        it.expect("Bye.")
        assert it.wait() == 0
    finally:
        it.close()
    assert list(tmp_path.iterdir()) == []


def test_help_and_version_need_no_packages():
    program = (
        "import sys\n"
        "for name in ('rich', 'prompt_toolkit', 'httpx2', 'socketio'): sys.modules[name] = None\n"
        "from vuer_trio.roomz.cli import main; sys.exit(main())"
    )
    for option in ("--help", "--version"):
        done = subprocess.run(
            [sys.executable, "-c", program, option], capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(("usage: roomz-cli", "roomz-cli "))


def test_wrong_arguments_and_a_server_that_is_not_there():
    done = piped("-s", "ftp://x")
    assert done.returncode == 2
    assert "use http://host:port" in done.stderr
    done = piped("--jsn")
    assert done.returncode == 2
    assert "there is no option --jsn; did you mean --json?" in done.stderr
    done = piped("http://127.0.0.1:1", lines="/login a@b.test\n/quit\n")
    assert "is a Roomz server running there" in done.stderr
    assert done.stderr.endswith("roomz-cli: 1 command failed\n")
    assert done.returncode == 1


def test_without_its_packages_it_says_which_extra():
    program = (
        "import sys; sys.modules['prompt_toolkit'] = None\n"
        "from vuer_trio.roomz.cli import main; sys.exit(main([]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "pip install 'vuer-trio[cli]'" in done.stderr


def test_nothing_that_is_shown_moves_the_cursor():
    assert printable("a\x1b[2Jb\r\nc\td\x9b") == "a\ufffd[2Jb  c d\ufffd"
    assert printable("&lt;b&gt; \N{WOMAN}\u200d\N{ROCKET}") == "<b> \N{WOMAN}\u200d\N{ROCKET}"
    assert name_of({"email": "a@b", "display_name": "A\x07"}) == "A\ufffd (a@b)"
    for strange in (None, 5, [], {}, {"display_name": 5}):
        assert name_of(strange)
    for name in ("message", "user_joined", "user_left", "display_name_changed", "error"):
        for data in ({}, {"user": 5, "timestamp": 5}, {"timestamp": "x", "content": None}):
            assert show_event(name, data)
