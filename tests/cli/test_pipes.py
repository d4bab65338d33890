"""Each command through pipes, against our own server: clean output, exit statuses, signals."""

from __future__ import annotations

import json
import math
import re
import shlex
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest
import trio

from tests.cli_process import COMMAND, call, environment, run, start
from tests.pseudo_terminal import DEADLINE
from tests.scripted_server import PeerConnection
from vuer_trio import ConnectionClosed, open_vuer_client
from vuer_trio.cli import main
from vuer_trio.cli.json_text import load
from vuer_trio.cli.program import COMMANDS
from vuer_trio.cli.statuses import EPILOG

WITH_A_CONNECTION = [("listen",), ("send", "POSE", "1"), ("send", "POSE", "-"), ("ping",)]


@contextmanager
def started(*arguments):
    with start(*arguments) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, errors = process.communicate(timeout=DEADLINE)
    assert "Traceback" not in errors
    return process.returncode, out, errors


async def mute(conn: PeerConnection) -> None:
    """A WebSocket, and nothing else: no pings are answered."""
    await conn.accept()
    conn.stop_reading()


# ---- help


@pytest.mark.parametrize("arguments", [(), *((name,) for name in COMMANDS)])
def test_the_help_has_the_exit_statuses(arguments, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit) as left:
        main([*arguments, "--help"])
    out, errors = capsys.readouterr()
    assert (left.value.code, errors) == (0, "")
    assert out.startswith(" ".join(["usage: vuer-trio", *arguments]))
    assert EPILOG in out
    assert max(map(len, out.splitlines())) <= 100


def test_without_a_command_it_shows_the_help():
    done = run()
    assert (done.returncode, done.stdout) == (2, "")
    for name in COMMANDS:
        assert f"\n    {name} " in done.stderr


def test_the_package_runs_as_the_command():
    command = [sys.executable, "-W", "error", "-m", "vuer_trio"]
    for arguments in (["--help"], ["--version"], ["no-such-command"], []):
        done = subprocess.run([*command, *arguments], capture_output=True, env=environment())
        same = run(*arguments)
        assert done.returncode == same.returncode
        assert (done.stdout.decode(), done.stderr.decode()) == (same.stdout, same.stderr)


def test_a_help_that_nobody_reads_to_its_end():
    with started("listen", "--help") as process:
        process.stdout.close()
        errors = process.stderr.read()
        process.wait(DEADLINE)
    assert errors == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("lisen",), "there is no command 'lisen'; did you mean listen?"),
        (("listen", "ftp://x"), "the scheme is 'ftp'; use ws://host:port"),
        (("listen", "--count", "0"), "--count must be an integer of at least 1, got '0'"),
        (("listen", "--seconds", "-1"), "--seconds must be more than 0 seconds, got '-1'"),
        (("ping", "--interval", "nan"), "must be more than 0 seconds, got 'nan'"),
        (
            ("ping", "--header", "no colon"),
            "must be a name and a value, got no colon, or no name before it",
        ),
        (("ping", "--header", "A: b\nc"), "the header 'A' must be printable ASCII"),
        (("ping", "--ca-cert", "/nowhere"), "--ca-cert /nowhere: No such file or directory"),
        (("ping", "--ca-cert", __file__), "not a certificate in PEM format"),
        (("serve", "--port", "99999"), "--port must be from 0 to 65535, got 99999"),
        (("serve", "--key", "a"), "--key is the private key of a certificate; it needs --cert"),
        (
            ("serve", "--web-client", "/nowhere"),
            "--web-client must be a folder with an index.html in it, got '/nowhere'",
        ),
    ],
)
def test_wrong_arguments(arguments, said, capsys):
    try:
        status = main(arguments)
    except SystemExit as left:
        status = left.code
    out, errors = capsys.readouterr()
    assert (status, out) == (2, "")
    assert said in errors


@pytest.mark.parametrize("command", WITH_A_CONNECTION, ids=" ".join)
def test_no_server(command):
    option = ("--uri",) if command[0] == "send" else ()
    done = call(*command, *option, "ws://127.0.0.1:1")
    assert (done.returncode, done.stdout) == (3, "")
    first, second = done.stderr.splitlines()
    assert first.startswith("vuer-trio: could not connect to ws://127.0.0.1:1")
    assert second == "`vuer-trio doctor ws://127.0.0.1:1` looks for the reason."


@pytest.mark.parametrize("command", ["listen", "doctor"])
def test_a_wrong_environment(server, command):
    done = run(command, server.uri, WEBSOCKET_MAX_SIZE="big")
    assert done.returncode == 2
    assert "WEBSOCKET_MAX_SIZE in the environment must be an int, got 'big'" in done.stderr


def test_what_a_server_says_does_not_move_the_cursor(serve):
    async def evil(conn: PeerConnection) -> None:
        await conn.reject(404, "\x1b[2J\r\n<h1>gone</h1>")

    done = call("listen", serve(evil).uri)  # `run` looks for escape sequences
    assert done.returncode == 3
    assert "HTTP 404 Not Found: \\x1b[2J\\r\\n<h1>gone</h1>" in done.stderr


def test_more_is_said_on_demand(server):
    assert call("serve", "--host", "nowhere.invalid", "--verbose").returncode == 1
    with started("serve", "--port", "0", "-v") as process:
        process.stdout.readline()
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert "info: serving at ws://localhost:" in ended(process)[2]


def test_without_its_package_it_says_which_extra():
    program = (
        "import sys; sys.modules['rich'] = None\n"
        "from vuer_trio.cli import main; sys.exit(main(['ping']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=DEADLINE
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "vuer-trio: this needs the package rich: pip install 'vuer-trio[cli]'\n"


# ---- listen


def test_listen_prints_a_line_for_each_event_and_the_rates_at_the_end(server):
    done = run("listen", f"{server.uri}/three")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    for n, line in enumerate(lines):
        shown = rf'\d\d:\d\d:\d\d\.\d{{3}}  COUNT     {{"n": {n}}}  key: "k{n}"'
        assert re.fullmatch(shown, line), line
    closed, total, row = done.stderr.splitlines()
    assert "closed the connection with code 1000" in closed
    assert re.fullmatch(r"3 events in \d+\.\d s", total)
    assert re.fullmatch(r"  COUNT  3  [\d.]+/s", row)


def test_listen_in_json_loses_nothing(server):
    done = run("listen", f"{server.uri}/odd", "--json", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    (line,) = done.stdout.splitlines()
    assert line.isascii()
    event = json.loads(line)
    assert event["data"]["raw"] == {"$bytes": "AP8="}
    event = load(line, "here")
    assert event["etype"] == "ODD"
    assert event["data"] == {"raw": b"\x00\xff", "inf": -math.inf, "esc": "\x1b[2J", "é": "ü"}


def test_listen_shows_nothing_that_moves_a_cursor(server):
    done = call("listen", f"{server.uri}/odd", "-q")
    assert '"raw": <2 bytes>, "inf": -inf, "esc": "\\u001b[2J", "é": "ü"' in done.stdout


def test_listen_to_some_types(server):
    done = call("listen", f"{server.uri}/ticks", "--etype", "TI*", "--count", "3", "--json")
    assert done.returncode == 0
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(e["etype"], e["data"]) for e in events] == [("TICK", 0), ("TICK", 2), ("TICK", 4)]
    assert done.stderr.startswith("3 events in ")
    assert "TOCK" not in done.stderr


def test_listen_for_a_time(server):
    done = call("listen", f"{server.uri}/silent", "--seconds", "0.1")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("0 events in ")
    done = call("listen", f"{server.uri}/once", "--seconds", "3", "--count", "2", "-q")
    assert done.returncode == 5
    assert done.stderr == "vuer-trio: time limit reached after 1 of 2 events\n"


def test_listen_to_a_server_that_leaves(server):
    done = call("listen", f"{server.uri}/three", "--count", "4", "-q")
    assert done.returncode == 4
    assert done.stderr == "vuer-trio: the server has closed the connection after 3 of 4 events\n"
    done = call("listen", f"{server.uri}/fails")
    assert (done.returncode, done.stdout) == (4, "")
    assert "closed the connection with code 4001: out of paint" in done.stderr


def test_listen_goes_on_after_what_is_no_event(serve):
    async def stutters(conn: PeerConnection) -> None:
        await conn.accept()
        await conn.send_event({"etype": "A", "data": 1})
        await conn.send(b"\xc1")
        await conn.send_event({"etype": "B", "data": 2})
        await conn.send_event({"etype": "DEEP", "data": nested})
        await conn.close()

    nested: list = []
    for _ in range(400):
        nested = [nested]
    for more in ([], ["--json"]):
        done = run("listen", serve(stutters).uri, *more)
        assert done.returncode == 0
        first, second, third = done.stdout.splitlines()
        assert "A" in first
        assert "B" in second
        assert "DEEP" in third
        assert "a frame that is not an event: holds a byte that msgpack does not use" in done.stderr
        assert "1 frame was not an event" in done.stderr


@pytest.mark.parametrize("more", [[], ["--json"], ["--seconds", "100"]], ids=" ".join)
def test_a_reader_that_has_enough(server, more):
    with started("listen", f"{server.uri}/once", *more) as process:
        assert "once" in process.stdout.readline()
        process.stdout.close()  # and nothing more comes that would have to be written
        errors = process.stderr.read()
        assert process.wait(DEADLINE) == (141 if "--seconds" in more else 0)
    assert errors == ""


def test_a_time_limit_tears_no_line(server):
    done = run("listen", f"{server.uri}/flood", "--json", "--seconds", "0.3")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert all(json.loads(line)["data"] == "x" * 1000 for line in lines)
    assert done.stderr.startswith(f"{len(lines):,} events in")


def test_a_reader_that_leaves_at_the_end(server):
    """It has all that it was to get, while the connection is being closed."""
    with started("listen", f"{server.uri}/once", "--count", "1") as process:
        process.stdout.readline()
        process.stdout.close()
        assert "1 event in" in process.stderr.read()
        assert process.wait(DEADLINE) == 0


@pytest.mark.parametrize(
    ("redirection", "status", "said"),
    [
        ("<&-", 2, "vuer-trio: there is no stdin to read from\n"),
        ("</dev/null >&- 2>&-", 0, ""),
    ],
)
def test_what_is_closed(server, redirection, status, said):
    command = f"{shlex.join(COMMAND)} send POSE - --uri {server.uri} {redirection}"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=DEADLINE, env=environment()
    )
    assert (done.returncode, done.stderr) == (status, said)


def test_a_full_disk(server):
    command = f"{shlex.join(COMMAND)} listen {server.uri}/three -q > /dev/full"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=DEADLINE, env=environment()
    )
    assert (done.returncode, done.stderr) == (1, "vuer-trio: No space left on device\n")


def test_a_reader_that_leaves_a_flood(server):
    with started("listen", f"{server.uri}/flood") as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(DEADLINE) == 0


def test_a_reader_that_stands_still_does_not_keep_it_from_leaving(server):
    with started("listen", f"{server.uri}/flood", "--json") as process:
        process.stdout.readline()
        time.sleep(0.5)  # the pipe is full by now
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE) == 0


@pytest.mark.parametrize(
    ("more", "number", "status"),
    [
        ([], signal.SIGINT, 0),
        ([], signal.SIGTERM, 0),
        (["--count", "100000"], signal.SIGINT, 130),
        (["--count", "100000"], signal.SIGTERM, 143),
    ],
)
def test_signals_end_it_with_the_rates(server, more, number, status):
    with started("listen", f"{server.uri}/ticks", *more) as process:
        process.stdout.readline()
        process.send_signal(number)
        code, _, errors = ended(process)
    assert code == status
    assert re.match(r"\d+ events? in", errors), errors
    assert "TICK" in errors


# ---- send


def test_send_returns_when_the_server_has_it(server):
    done = run(
        "send", "POSE", '{"p": [1, 2.5, null], "b": {"$bytes": "AP8="}}', "--uri", server.uri
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    wait_for(server, 1)
    assert server.take() == [{"etype": "POSE", "value": {"p": [1, 2.5, None], "b": b"\x00\xff"}}]
    for text, value in [("-5", -5), ('"x"', "x"), (None, None)]:
        assert (
            run("send", "POSE", *filter(None, [text]), VUER_CLIENT_URI=server.uri).returncode == 0
        )
        wait_for(server, 1)
        assert server.take() == [{"etype": "POSE", "value": value}]


def test_send_lines(server):
    lines = "1\n\n[2]\n" + json.dumps("x" * 200_000)  # the last one has no end
    done = run("send", "POSE", "-", "--uri", server.uri, stdin=lines)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "3 events sent\n")
    wait_for(server, 3)
    assert [event["value"] for event in server.take()] == [1, [2], "x" * 200_000]


def test_what_listen_writes_can_be_sent(server):
    lines = '{"etype":"POSE","value":{"$float":"inf"},"ts":5}\n{"etype":"OTHER","key":"k"}\n'
    done = call("send", "-", "--uri", server.uri, stdin=lines)
    assert (done.returncode, done.stderr) == (0, "2 events sent\n")
    wait_for(server, 2)
    assert server.take() == [
        {"etype": "POSE", "value": math.inf},
        {"etype": "OTHER", "value": None, "key": "k"},
    ]


def test_each_line_is_sent_when_it_comes(server):
    with started("send", "POSE", "-", "--uri", server.uri) as process:
        for n in range(2):
            process.stdin.write(f"{n}\n")
            process.stdin.flush()
            wait_for(server, n + 1)
        process.send_signal(signal.SIGINT)
        code, out, errors = ended(process)
    assert (code, out, errors) == (130, "", "2 events sent\n")


@pytest.mark.parametrize(
    ("arguments", "stdin", "said"),
    [
        (("POSE", '{"a": [1, 2'), "", "the JSON, column 12: Expecting ',' delimiter"),
        (("POSE", "[1,\n 2,\n x]"), "", "the JSON, line 3, column 2: Expecting value"),
        (("POSE", "hello"), "", "a string needs its own quotes: '\"hello\"'"),
        (("POSE", "{'a': 1}"), "", "strings have double quotes in JSON"),
        (("POSE", '{"a": [{"$bytes": "?"}]}'), "", "the JSON: a[0].$bytes: not base64"),
        (("POSE", '{"a": [1, 18446744073709551616]}'), "", "the JSON: value.a[1]: the integer"),
        (("POSE", "-"), "1\n2\n[3\n4\n", "stdin, line 3, column 3: Expecting"),
        (("-",), '{"etype": "POSE"}\n{"value": 1}\n', 'stdin, line 2: "etype" must be a string'),
        (("-",), "7\n", "stdin, line 1: an event must be an object"),
        (("-",), '{"etype": "A", "ts": "now"}\n', 'stdin, line 1: "ts" must be a number'),
        (("-", "1"), "", "`send -` reads whole events from stdin"),
    ],
)
def test_errors_name_the_place_in_the_json(server, arguments, stdin, said):
    done = call("send", *arguments, "--uri", server.uri, stdin=stdin)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.splitlines()[-1].startswith("vuer-trio: ")


def test_the_lines_before_a_bad_one_arrive(server):
    done = call("send", "POSE", "-", "--uri", server.uri, stdin="1\n2\nx\n4\n")
    assert done.returncode == 2
    assert done.stderr.startswith("2 events sent\n")
    wait_for(server, 2)
    assert [event["value"] for event in server.take()] == [1, 2]


@pytest.mark.parametrize("command", [("send", "POSE", "1", "--uri"), ("ping", "--count", "1")])
def test_a_server_that_does_not_read(serve, command):
    done = call(*command, serve(mute).uri, "--timeout", "3")
    assert done.returncode == 5
    assert "within 3 s" in done.stderr


def wait_for(server, count):
    """A flush says that the server has read; its handler comes a little later."""
    deadline = time.monotonic() + DEADLINE
    while len(server.received) < count:
        assert time.monotonic() < deadline, server.received
        time.sleep(0.01)


# ---- ping


def test_ping_shows_each_trip_and_the_percentiles(server):
    done = call("ping", server.uri, "--count", "4", "--interval", "0.01")
    assert (done.returncode, done.stderr) == (0, "")
    *trips, total, result = done.stdout.splitlines()
    for n, line in enumerate(trips, 1):
        assert re.fullmatch(rf" +{n}  \d+\.\d\d ms", line)
    assert len(trips) == 4
    assert total == f"{server.uri}: 4 sent, 4 answered"
    found = re.findall(r"(\w+) (\d+\.\d\d)", result)
    assert [name for name, _ in found] == ["min", "p50", "p90", "p99", "max"]
    assert sorted(float(ms) for _, ms in found) == [float(ms) for _, ms in found]


def test_ping_in_json(server):
    done = run("ping", server.uri, "--count", "3", "--interval", "0.01", "--json")
    result = json.loads(done.stdout)
    assert (result["uri"], result["sent"], result["answered"]) == (server.uri, 3, 3)
    assert 0 < result["ms"]["min"] <= result["ms"]["p99"] <= result["ms"]["max"]


@pytest.mark.parametrize(("more", "status"), [(["--forever"], 0), (["--count", "100000"], 130)])
def test_ping_until_ctrl_c(server, more, status):
    with started("ping", server.uri, "--interval", "0.01", *more) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        code, out, errors = ended(process)
    assert (code, errors) == (status, "")
    assert "round trip in ms:" in out.splitlines()[-1]


# ---- serve


def page(uri: str) -> str:
    with urlopen(uri.replace("ws", "http", 1), timeout=DEADLINE) as answer:
        return answer.read().decode()


def test_serve_has_an_empty_scene_until_ctrl_c():
    async def visit(uri: str) -> None:
        with trio.fail_after(DEADLINE):
            async with open_vuer_client(uri) as client:
                scene = await client.recv()
                assert (scene.etype, scene.data["tag"]) == ("SET", "Scene")
                assert not scene.data.get("children")
                process.send_signal(signal.SIGINT)
                with pytest.raises(ConnectionClosed) as caught:
                    await client.recv()
                assert caught.value.code == 1001

    with started("serve", "--port", "0") as process:
        uri = process.stdout.readline().removeprefix("Vuer is at ").strip()
        assert process.stdout.readline().startswith("Its web client is at http")
        trio.run(visit, uri)
        code, out, errors = ended(process)
    assert (code, out) == (0, "")
    came, went = [line for line in errors.splitlines() if line[0] in "+-"]
    assert re.fullmatch(r"\+ 127\.0\.0\.1:\d+ \(python\)", came)
    assert went == came.replace("+", "-", 1)


def test_serve_a_folder(tmp_path: Path):
    (tmp_path / "index.html").write_text("<title>mine</title>")
    with started("serve", "--host", "0.0.0.0", "--port", "0", "--web-client", str(tmp_path)) as it:
        uri = it.stdout.readline().removeprefix("Vuer is at ").strip()
        assert uri.startswith("ws://localhost:")
        assert "mine" in page(uri)
        it.terminate()
        assert ended(it)[0] == 0


def test_serve_without_the_web_client(tmp_path):
    # a `vuer` that comes first and brings no client: as where none is installed
    tmp_path.joinpath("vuer").mkdir()
    tmp_path.joinpath("vuer", "__init__.py").touch()
    with subprocess.Popen(
        [*COMMAND, "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=environment(PYTHONPATH=str(tmp_path)),
    ) as process:
        try:
            uri = process.stdout.readline().removeprefix("Vuer is at ").strip()
            assert process.stdout.readline() == f"Its web client is at https://vuer.ai?ws={uri}\n"
            assert f"https://vuer.ai?ws={uri}" in page(uri)
            process.send_signal(signal.SIGINT)
            code, _, errors = ended(process)
        finally:
            process.kill()
    assert code == 0
    assert "pip install vuer" in errors
