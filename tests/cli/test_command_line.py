"""What people expect of a command line, whatever the command: options, help, colours, statuses."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli_process import COMMAND, call, environment, run, start
from tests.pseudo_terminal import DEADLINE, Terminal
from tests.recording_files import need_mcap
from vuer_trio._command_line.colours import coloured
from vuer_trio._command_line.suggestions import did_you_mean
from vuer_trio.cli import main
from vuer_trio.cli.connection import seconds
from vuer_trio.cli.parsing import COMMANDS, build_parser
from vuer_trio.cli.statuses import Status

NOWHERE = "ws://127.0.0.1:1"


def parsed(*arguments: str) -> argparse.Namespace:
    """The arguments as a command gets them."""
    args = build_parser().parse_args(arguments)
    if args.finish is not None:
        args.finish(args)
    return args


def complaint(capsys, *arguments: str) -> str:
    """The first line of the error for wrong arguments."""
    with pytest.raises(SystemExit) as left:
        main(arguments)
    out, errors = capsys.readouterr()
    assert (left.value.code, out) == (2, "")
    *_, told, hint = errors.splitlines()
    assert hint.endswith("--help` shows the arguments.")
    return told


# ---- what was meant


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [("lisen", "listen"), ("recrod", "record"), ("play", "replay"), ("LISTEN", "listen")],
)
def test_a_command_that_is_not_there(wrong, meant, capsys):
    told = complaint(capsys, "-v", wrong)
    assert told == f"vuer-trio: error: there is no command {wrong!r}; did you mean {meant}?"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("listen", "--ety", "X"), "there is no option --ety; did you mean --etype?"),
        (("ping", "--cuont=3"), "there is no option --cuont; did you mean --count?"),
        (("--verison",), "there is no option --verison; did you mean --version?"),
        (("listen", "-zx"), "there is no option -z"),
        (("listen", "--count"), "--count needs a value"),
        (("serve", "--port", "x"), "--port must be an integer, got 'x'"),
        (("ping", "--forever", "--count", "2"), "--count and --forever exclude each other"),
        (("listen", "ws://a", "ws://b"), "one argument too many: ws://b"),
        (("listen", "--color", "alway"), "--color cannot be 'alway'; did you mean always?"),
        (("record",), "FILE missing"),
        (("record", "ws://a"), "FILE missing"),
        (("send", "ws://a"), "ETYPE missing"),
        (("cert", "shw"), "ACTION cannot be 'shw'; did you mean show?"),
        (("listen", "http://a:1"), "http://a:1 is the address of a page; use ws://a:1"),
        (("listen", "ws://a", "--uri", "ws://b"), "there is a URI, and --uri too"),
        (("port",), "PROGRAM.py missing"),
    ],
)
def test_arguments_that_can_not_be(arguments, told, capsys):
    assert told in complaint(capsys, *arguments)


def test_what_is_like_nothing_is_no_suggestion():
    assert did_you_mean("xyzzy", COMMANDS) is None
    assert did_you_mean("", COMMANDS) is None


# ---- options, the same of each command


@pytest.mark.parametrize("command", COMMANDS)
def test_common_options_before_and_behind_the_command(command):
    needed = {
        "send": ["A"],
        "record": ["f"],
        "replay": ["f"],
        "info": ["f"],
        "export": ["f", "g"],
        "proxy": ["--record", "f"],
        "cert": ["show"],
        "port": ["f"],
        "completion": ["bash"],
    }.get(command, [])
    before = parsed("-q", "-vv", "--color", "never", command, *needed)
    assert (before.quiet, before.verbose, before.color) == (True, 2, "never")
    behind = parsed(command, "-q", "-v", "--color", "always", *needed)
    assert (behind.quiet, behind.verbose, behind.color) == (True, 1, "always")
    neither = parsed(command, *needed)
    assert (neither.quiet, neither.verbose, neither.color) == (False, 0, "auto")


URI = "ws://robot:8012"


@pytest.mark.parametrize(
    ("arguments", "uri", "others"),
    [
        (["listen", URI], URI, {}),
        (["ping", "--uri", URI], URI, {}),
        (["ping", "robot:8012"], URI, {}),
        (["doctor", URI], URI, {}),
        (["listen"], None, {}),
        (["send", URI, "A", "1"], URI, {"etype": "A", "json": "1"}),
        (["send", "robot:8012", "A"], URI, {"etype": "A", "json": None}),
        (["send", "A", "1"], None, {"etype": "A", "json": "1"}),
        (["send", "A", "--uri", URI, "1"], URI, {"etype": "A", "json": "1"}),
        (["send", "--uri", URI, "a:1"], URI, {"etype": "a:1", "json": None}),
        (["send", "A", "--timeout", "5", "1"], None, {"etype": "A", "json": "1"}),
        (["send", "A", "-1"], None, {"etype": "A", "json": "-1"}),
        (["record", URI, "run.mcap"], URI, {"file": Path("run.mcap")}),
        (["record", URI, "--seconds", "5", "run.mcap"], URI, {"file": Path("run.mcap")}),
        (["record", "run.mcap"], None, {"file": Path("run.mcap")}),
        (["replay", "run.mcap", URI], URI, {"file": Path("run.mcap")}),
        (["replay", URI, "run.mcap"], URI, {"file": Path("run.mcap")}),
        (["replay", "robot", "run.mcap"], "ws://robot", {"file": Path("run.mcap")}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_the_uri_is_the_first_argument_or_an_option(arguments, uri, others):
    args = parsed(*arguments)
    assert args.uri == uri
    assert {name: getattr(args, name) for name in others} == others


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.5", 1.5),
        ("500ms", 0.5),
        ("2m", 120),
        ("2 min", 120),
        ("1h", 3600),
        ("3s", 3),
        ("1e-3", 0.001),
        (".5", 0.5),
        ("inf", float("inf")),
    ],
)
def test_durations(text, value):
    assert seconds(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["0", "-1", "nan", "", "5x", "m", "1 2", "0ms", "5 m s"])
def test_durations_that_can_not_be(text):
    with pytest.raises(argparse.ArgumentTypeError, match="must be more than 0 seconds, got"):
        seconds(text)


def test_quiet_leaves_what_was_asked_for_and_errors(server):
    done = run("-q", "ping", server.uri, "--count", "2", "--interval", "1ms")
    assert len(done.stdout.splitlines()) == 2  # the result alone
    assert done.stderr == ""
    done = run("send", "-q", server.uri, "POSE", "-", stdin="1\n2\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = run("listen", "-q", NOWHERE)
    assert done.returncode == Status.NO_CONNECTION
    assert "looks for the reason" in done.stderr


def test_verbose_before_the_command(server):
    assert "info: " in call("-v", "ping", server.uri, "--count", "1").stderr
    assert "info: " not in call("ping", server.uri, "--count", "1").stderr


# ---- help


def test_help_is_that_of_the_option(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for words in ([], *([name] for name in COMMANDS)):
        shown = []
        for arguments in (["help", *words], [*words, "--help"]):
            with pytest.raises(SystemExit) as left:
                sys.exit(main(arguments))
            assert not left.value.code
            shown.append(capsys.readouterr())
        assert shown[0] == shown[1]
        assert shown[0].out.startswith(" ".join(["usage: vuer-trio", *words]))


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_help_fits(columns, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    for words in ([], *([name] for name in COMMANDS)):
        with pytest.raises(SystemExit):
            main([*words, "--help"])
        lines = capsys.readouterr().out.splitlines()
        # Examples are kept as they are, to be copied.
        prose = [line for line in lines if not line.startswith("  vuer-trio ")]
        prose = [line for line in prose if "vuer-trio completion" not in line]
        too_long = [line for line in prose if len(line) > min(columns, 100) and "<" not in line]
        assert too_long == []


def test_help_and_version_need_no_packages():
    program = (
        "import sys\n"
        "for name in ('rich', 'prompt_toolkit', 'shtab', 'trustme', 'mcap'):\n"
        "    sys.modules[name] = None\n"
        "from vuer_trio.cli import main; sys.exit(main())"
    )
    for arguments in (["--help"], ["--version"], ["help", "listen"], ["serve", "--help"]):
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(("usage: vuer-trio", "vuer-trio "))


def test_the_help_of_all_loads_no_command():
    program = (
        "import sys, vuer_trio.cli.program as program\n"
        "before = set(sys.modules)\n"
        "try: program.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted(set(sys.modules) - before), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=DEADLINE
    )
    loaded = [name for name in COMMANDS if f"vuer_trio.cli.{name}'" in done.stderr]
    assert loaded == []
    assert "rich" not in done.stderr


# ---- colours


class _File:
    def __init__(self, terminal: bool) -> None:
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@pytest.mark.parametrize(
    ("when", "environ", "at_a_terminal", "in_a_pipe"),
    [
        ("auto", {}, True, False),
        ("auto", {"TERM": "dumb"}, False, False),
        ("auto", {"NO_COLOR": "1"}, False, False),
        ("auto", {"NO_COLOR": ""}, True, False),
        ("auto", {"FORCE_COLOR": "1"}, True, True),
        ("auto", {"FORCE_COLOR": ""}, True, False),
        ("auto", {"FORCE_COLOR": "1", "TERM": "dumb"}, True, True),
        ("auto", {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
        ("always", {"NO_COLOR": "1", "TERM": "dumb"}, True, True),
        ("never", {"FORCE_COLOR": "1"}, False, False),
    ],
)
def test_when_there_are_colours(when, environ, at_a_terminal, in_a_pipe):
    assert coloured(_File(True), when, environ) is at_a_terminal
    assert coloured(_File(False), when, environ) is in_a_pipe
    assert coloured(None, when, environ) is in_a_pipe


def in_a_pipe(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        encoding="utf-8",
        timeout=DEADLINE,
        env=environment(**more),
    )


def test_colours_in_a_pipe_are_there_for_the_asking(server):
    done = in_a_pipe("listen", f"{server.uri}/three", FORCE_COLOR="1")
    assert "\x1b[1m" in done.stdout
    done = in_a_pipe("--color", "always", "listen", f"{server.uri}/three", "--json")
    assert "\x1b" not in done.stdout  # data
    done = in_a_pipe("doctor", NOWHERE, "--color", "always")
    assert "\x1b[1;31mFAILED" in done.stdout
    done = in_a_pipe("ping", NOWHERE, FORCE_COLOR="1")
    assert done.stderr.startswith("\x1b[1;31mvuer-trio: \x1b[0m")
    done = in_a_pipe("ping", NOWHERE, "--color", "never", FORCE_COLOR="1")
    assert "\x1b" not in done.stderr


def test_no_colours_at_a_terminal_for_the_asking():
    with Terminal(*COMMAND, "doctor", NOWHERE, "--color", "never") as it:
        it.expect("what to do")
        assert it.wait() == 1
    assert "\x1b[1;31m" not in it.raw
    with Terminal(*COMMAND, "doctor", NOWHERE, "--color", "always", TERM="dumb") as it:
        it.expect("what to do")
        assert it.wait() == 1
    assert "\x1b[1;31mFAILED" in it.raw


# ---- terminals


def test_an_error_is_wrapped_between_words():
    for arguments in (["-q", "ping", NOWHERE], ["lisen"]):
        with Terminal(*COMMAND, *arguments, width=40) as it:
            it.wait()
        lines = it.text.replace("\r", "").splitlines()
        words = in_a_pipe(*arguments).stderr.split()
        assert max(map(len, lines[:2])) <= 40
        assert " ".join(lines).split()[: len(words) - 5] == words[:-5]


def test_the_doctor_at_a_narrow_terminal():
    with Terminal(*COMMAND, "doctor", NOWHERE, width=40) as it:
        it.expect("what to do")
        it.wait()
    lines = it.text.replace("\r", "").splitlines()
    assert max(map(len, lines)) <= 40
    assert "  port 1: connection refused" in lines


def test_a_terminal_without_unicode(server):
    plain = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    with Terminal(*COMMAND, "listen", server.uri, "--count", "1", width=40, **plain) as it:
        it.expect("~")
        it.expect("1 event in")
        assert it.wait() == 0
    assert it.text.isascii()


def test_a_locale_without_utf_8(server):
    plain = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = in_a_pipe("send", server.uri, "GRÜSSE", '"\N{SNOWMAN}"', **plain)
    assert done.returncode == 0, done.stderr
    done = in_a_pipe("listen", "--etpe", "\N{SNOWMAN}", **plain)
    assert done.returncode == Status.USAGE
    need_mcap()
    done = in_a_pipe("replay", "\N{SNOWMAN}.mcap", **plain)
    assert done.returncode == Status.FAILED
    assert "No such file or directory" in done.stderr


# ---- what stdout is


@pytest.mark.parametrize("arguments", [["help"], ["--version"], ["completion", "bash"]])
def test_output_that_can_not_be_written(arguments):
    for unbuffered in ("", "1"):
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                [*COMMAND, *arguments],
                stdout=full,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                timeout=DEADLINE,
                env=environment(PYTHONUNBUFFERED=unbuffered),
            )
        assert done.returncode == Status.FAILED
        assert done.stderr == (
            "vuer-trio: the output could not be written: No space left on device\n"
        )


# ---- Tab


_TRIES = [
    ("vuer-trio comp\t", "completion"),
    ("vuer-trio listen --etype UPS\t", "UPSERT"),
    ("vuer-trio -q cert ren\t", "renew"),
    ("vuer-trio help doct\t", "doctor"),
    ("vuer-trio record {}/recor\t", "recording.mcap"),
]


@pytest.mark.parametrize(
    ("shell", "options", "line"),
    [
        ("bash", ["--norc"], 'eval "$(vuer-trio completion bash)"'),
        ("zsh", ["-f"], 'autoload -U compinit; compinit -u; eval "$(vuer-trio completion zsh)"'),
        ("fish", ["--no-config"], "vuer-trio completion fish | source"),
    ],
)
def test_tab_in_a_shell(shell, options, line, tmp_path):
    if subprocess.run(["which", shell], capture_output=True).returncode:
        pytest.skip(f"{shell} is not installed")
    command = tmp_path / "bin" / "vuer-trio"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n')
    command.chmod(0o755)
    (tmp_path / "recording.mcap").touch()
    path = f"{command.parent}{os.pathsep}{os.environ['PATH']}"
    with Terminal(shell, *options, "-i", width=200, PATH=path, HOME=str(tmp_path)) as it:
        it.enter(f'{line}; echo rea""dy')
        it.expect("ready")
        for keys, completed in _TRIES:
            it.type("\x15")  # an empty line
            it.type(keys.format(tmp_path))
            it.expect(completed)


def test_completion_without_its_package():
    program = "import sys; sys.modules['shtab'] = None\nfrom vuer_trio.cli import main\n"
    done = subprocess.run(
        [sys.executable, "-c", f"{program}sys.exit(main(['completion', 'zsh']))"],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "vuer-trio: this needs the package shtab: pip install 'vuer-trio[cli]'\n"


# ---- exit statuses


def interrupted(server, number: int) -> int:
    with start("ping", server.uri, "--count", "1000", "--interval", "10ms") as process:
        process.stdout.readline()
        process.send_signal(number)
        process.communicate(timeout=DEADLINE)
        return process.returncode


def run_closed(server) -> int:
    with start("ping", server.uri, "--count", "1000", "--interval", "10ms") as process:
        process.stdout.readline()
        process.stdout.close()
        process.stderr.read()
        return process.wait(DEADLINE)


STATUSES = {
    Status.DONE: lambda server: run("send", server.uri, "A", "1").returncode,
    Status.FAILED: lambda server: run("replay", server.uri, "/nowhere.mcap").returncode,
    Status.USAGE: lambda server: run("send", server.uri, "A", "{").returncode,
    Status.NO_CONNECTION: lambda server: run("ping", NOWHERE).returncode,
    Status.CLOSED: lambda server: run("listen", f"{server.uri}/three", "--count", "9").returncode,
    Status.LATE: lambda server: (
        run("listen", f"{server.uri}/silent", "--count", "1", "--seconds", "50ms").returncode
    ),
    Status.INTERRUPTED: lambda server: interrupted(server, signal.SIGINT),
    Status.PIPE_CLOSED: run_closed,
    Status.TERMINATED: lambda server: interrupted(server, signal.SIGTERM),
}


def test_every_status_is_shown_by_a_run():
    assert set(STATUSES) == set(Status)


@pytest.mark.parametrize("status", Status, ids=lambda status: status.name)
def test_a_run_with_each_status(status, server):
    assert STATUSES[status](server) == status


# ---- for scripts


def test_send_in_json(server):
    done = call("send", server.uri, "A", "1", "--json")
    assert done.stderr == ""
    assert {**json.loads(done.stdout), "ms": 0} == {"uri": server.uri, "sent": 1, "ms": 0}
    done = call("send", server.uri, "A", "-", "--json", stdin="1\n2\n{\n")
    assert done.returncode == Status.USAGE
    assert json.loads(done.stdout)["sent"] == 2


def test_serve_in_json():
    with start("serve", "--port", "0", "--json") as process:
        told = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=DEADLINE)
    assert told["uri"].startswith("ws://localhost:")
    assert told["page"] == told["uri"].replace("ws", "http", 1)


# ---- what a stranger tries


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["record", NOWHERE, "{}/none/run.mcap"], 1, "; there is no folder {}/none"),
        (["record", NOWHERE, "{}"], 1, "{} already exists; choose another name"),
        (["replay", NOWHERE, "{}"], 1, "{}: Is a directory"),
        (["replay", NOWHERE, __file__], 1, "is not a recording"),
        (["send", "A", "{"], 2, "the JSON, column 2: Expecting property name"),
        (["send", "A", "hello"], 2, "a string needs its own quotes"),
        (["listen", "no-such-host.invalid"], 3, "is the name of the host right?"),
        (["listen", "--ca-cert", "{}"], 2, "--ca-cert {}: Is a directory"),
        (["port", "{}"], 2, "{} cannot be read: Is a directory"),
        (["port", "{}/none.py"], 2, "{}/none.py cannot be read: No such file or directory"),
        (["doctor", "ws://a b"], 1, ""),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_can_not_be_done_says_why(arguments, status, told, tmp_path):
    if arguments[0] in ("record", "replay"):
        need_mcap()
    done = call(*(each.replace("{}", str(tmp_path)) for each in arguments))
    assert done.returncode == status
    assert told.replace("{}", str(tmp_path)) in done.stderr


def test_an_address_of_the_environment_that_can_not_be():
    for command in ("listen", "ping"):
        done = call(command, VUER_CLIENT_URI="foo://x")
        assert done.returncode == Status.USAGE
        assert done.stderr.startswith("vuer-trio: VUER_CLIENT_URI in the environment: uri must be")
