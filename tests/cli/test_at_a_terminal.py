"""Each command in a pseudo-terminal, as its user sees it."""

from __future__ import annotations

import re
import shlex

import pytest
import trio

from tests.cli_process import COMMAND
from tests.pseudo_terminal import DEADLINE, Terminal
from tests.recording_files import need_mcap, packed, recorded
from vuer_trio import open_vuer_client

CTRL_C, CTRL_D = "\x03", "\x04"
#: a colour, or a weight
STYLE = re.compile(r"\x1b\[[0-9;]*m")


def terminal(*arguments: str, **options: str) -> Terminal:
    return Terminal(*COMMAND, *arguments, **options)


def ended(it: Terminal) -> int:
    status = it.wait()
    assert "Traceback" not in it.text
    return status


def test_listen_shows_events_above_the_rates_until_ctrl_c(server):
    with terminal("listen", f"{server.uri}/ticks") as it:
        it.expect(f"connected to {server.uri}/ticks; Ctrl-C ends")
        for n in range(3):
            it.expect(f"{'TOCK' if n % 2 else 'TICK'}      {n}\r\n")
        it.expect("type  events  ")
        it.expect("rate\r\n")
        it.expect("TICK")
        it.expect("/s")
        it.type(CTRL_C)
        it.expect(" events in ")
        it.expect("TOCK")
        assert ended(it) == 0
    assert STYLE.search(it.raw)


def test_without_colours(server):
    with terminal("listen", f"{server.uri}/ticks", "--count", "50", NO_COLOR="1") as it:
        it.expect("50 events in")
        assert ended(it) == 0
    assert "rate" in it.text
    assert set(STYLE.findall(it.raw)) <= {"\x1b[0m"}
    with terminal("doctor", f"{server.uri}/three", NO_COLOR="1") as it:
        it.expect("All is well.")
        assert ended(it) == 0
    assert not STYLE.search(it.raw)


def test_a_terminal_that_can_nothing(server):
    with terminal("listen", f"{server.uri}/three", TERM="dumb") as it:
        it.expect("3 events in")
        assert ended(it) == 0
    assert "\x1b" not in it.raw


def test_listen_cuts_lines_at_the_edge(server):
    with terminal("listen", server.uri, "--count", "1", "-q", width=40) as it:
        it.expect("SET")
        assert ended(it) == 0
    line = next(line for line in it.text.splitlines() if "SET" in line)
    assert len(line.lstrip("\r")) == 40
    assert line.endswith("…")
    with terminal("listen", server.uri, "--count", "1", "-q", "--full", width=40) as it:
        it.expect('"key": "box"')
        assert ended(it) == 0


def test_characters_of_two_columns(serve):
    async def speaks_chinese(conn) -> None:
        await conn.accept()
        await conn.send_event({"etype": "A", "data": "\u6c49" * 100})
        await conn.close()

    with terminal("listen", serve(speaks_chinese).uri, "-q", width=60) as it:
        it.expect("…")
        assert ended(it) == 0
    line = next(line for line in it.text.splitlines() if "…" in line).lstrip("\r")
    assert 59 <= len(line) + line.count("\u6c49") <= 60


def test_a_remark_is_shown_above_the_rates(serve):
    steps: list[str] = []

    async def wait_for_step(number: int) -> None:
        while len(steps) < number:
            await trio.sleep(0.02)

    async def stutters(conn) -> None:
        await conn.accept()
        await conn.send_event({"etype": "A", "data": 1})
        await wait_for_step(1)
        await conn.send(b"\xc1")
        await wait_for_step(2)
        await conn.close()

    with terminal("listen", serve(stutters).uri) as it:
        it.expect("rate")
        steps.append("a frame")
        it.expect("a frame that is not an event: ")
        it.expect("rate")
        steps.append("the end")
        it.expect("1 frame was not an event")
        assert ended(it) == 0


def test_listen_interrupted_before_its_end(server):
    with terminal("listen", f"{server.uri}/silent", "--count", "1") as it:
        it.expect("connected to")
        it.type(CTRL_C)
        it.expect("0 events in")
        assert ended(it) == 130


def test_send_says_that_the_server_has_it(server):
    with terminal("send", "POSE", "[1, 2]", "--uri", server.uri) as it:
        it.expect(f"{server.uri} has read POSE (")
        assert ended(it) == 0


def test_send_what_is_typed(server):
    with terminal("send", "POSE", "-", "--uri", server.uri) as it:
        it.expect("One line of JSON for each event; Ctrl-D ends.")
        it.enter("[1, 2")
        it.expect("stdin, line 1, column 6: Expecting")  # and it goes on
        it.enter("[1, 2]")
        it.enter("18446744073709551616")
        it.expect("stdin, line 3: value: the integer")
        it.type(CTRL_D)
        it.expect("1 event sent")
        assert ended(it) == 0
    with terminal("send", "POSE", "-", "--uri", server.uri) as it:
        it.expect("One line")
        it.type(CTRL_C)
        it.expect("\r\n0 events sent")
        assert ended(it) == 130


def test_ping_at_a_terminal(server):
    with terminal("ping", server.uri, "--forever", "--interval", "0.01") as it:
        it.expect("    3  ")
        it.expect(" ms")
        it.type(CTRL_C)
        it.expect(" answered")
        it.expect("round trip in ms:  min ")
        assert ended(it) == 0
    with terminal("ping", server.uri, "--count", "2", "--interval", "0.01") as it:
        it.expect("2 sent, 2 answered")
        assert ended(it) == 0
    assert STYLE.search(it.raw)


def at_a_terminal(command: str) -> Terminal:
    """For bash, which redirects some of it; `vuer-trio` is the command."""
    return Terminal("bash", "-c", f'vuer-trio() {{ {shlex.join(COMMAND)} "$@"; }}; {command}')


def test_progress_is_shown_where_the_lines_are_not(server, tmp_path):
    kept = tmp_path / "events"
    with at_a_terminal(f"vuer-trio listen {server.uri}/ticks --json --count 120 > {kept}") as it:
        it.expect(" events in ")
        it.expect("120 events in")
        assert ended(it) == 0
    assert len(kept.read_text().splitlines()) == 120
    assert "\x1b" not in kept.read_text()
    with at_a_terminal(f"vuer-trio ping {server.uri} --count 40 --interval 0.01 --json") as it:
        it.expect(" sent")
        it.expect('"sent": 40')
        assert ended(it) == 0
    lines = "for n in 1 2 3 4 5 6 7 8; do echo $n; sleep 0.1; done"
    with at_a_terminal(f"({lines}) | vuer-trio send POSE - --uri {server.uri}") as it:
        it.expect(" sent")
        it.expect("8 events sent")
        assert ended(it) == 0


def test_a_path_is_no_markup(tmp_path):
    need_mcap()
    (tmp_path / "runs[").mkdir()
    path = recorded(tmp_path / "runs[" / "old] [bold]a.mcap", [(0.0, "sent", packed("A"))])
    with terminal("info", str(path), width=250) as it:
        it.expect("runs[/old] [bold]a.mcap")
        assert ended(it) == 0


def test_a_terminal_behind_a_pipe_is_not_disturbed(server):
    with at_a_terminal(f"vuer-trio listen {server.uri}/ticks --json --count 60 | cat") as it:
        it.expect("60 events in")
        assert ended(it) == 0
    assert it.text.count("events in") == 1
    assert it.text.count('"etype"') == 60


def test_serve_shows_who_comes_and_goes():
    async def visit(uri: str) -> None:
        with trio.fail_after(DEADLINE):
            async with open_vuer_client(uri) as client:
                assert await client.recv() == "SET"

    with terminal("serve", "--host", "127.0.0.1", "--port", "0") as it:
        it.expect("Vuer is at ")
        it.expect("\r\n")
        it.expect("Ctrl-C ends.")
        uri = re.search(r"ws://127\.0\.0\.1:\d+", it.text)
        assert uri
        trio.run(visit, uri[0])
        it.expect("+ 127.0.0.1:")
        it.expect("- 127.0.0.1:")
        it.type(CTRL_C)
        assert ended(it) == 0


def test_doctor_at_a_terminal(server):
    with terminal("doctor", server.uri) as it:
        for step in ("address", "DNS", "TCP", "handshake", "INIT", "first event"):
            it.expect(f"ok       {step} ")
        it.expect("All is well.")
        assert ended(it) == 0
    assert STYLE.search(it.raw)
    with terminal("doctor", "ws://127.0.0.1:1", width=60) as it:
        it.expect("FAILED   TCP")
        it.expect("what to do   The machine is there")
        assert ended(it) == 1
    advice = it.text[it.text.index("what to do") :].splitlines()
    assert max(map(len, advice)) <= 60 < sum(map(len, advice))
    assert all(line.startswith(" " * 13) for line in advice[1:])


def test_doctor_interrupted(serve):
    async def hangs(conn) -> None:
        await trio.sleep_forever()

    with terminal("doctor", serve(hangs).uri, "--timeout", "1000") as it:
        it.expect("ok       TCP")
        it.expect("handshake ...")  # what it is at
        it.type(CTRL_C)
        assert ended(it) == 130


@pytest.mark.parametrize("arguments", [("listen",), ("ping",), ("send", "A", "1")], ids=" ".join)
def test_a_second_ctrl_c_does_not_matter(serve, arguments):
    async def hangs(conn) -> None:
        await trio.sleep_forever()

    option = ("--uri",) if arguments[0] == "send" else ()
    with terminal(*arguments, *option, serve(hangs).uri, "--timeout", "1000") as it:
        it.expect("connecting to ws://127.0.0.1")
        it.type(CTRL_C + CTRL_C)
        assert ended(it) == (0 if arguments == ("listen",) else 130)
