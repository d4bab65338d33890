"""``vuer-trio info`` and ``export``, and ``replay`` under control: in a pipe and at a terminal."""

from __future__ import annotations

import json
import os
import signal
import ssl
import time
import urllib.request

import pytest
import trio

from tests.cli_process import COMMAND, call, run, start
from tests.foxglove_reader import derived_in
from tests.pseudo_terminal import DEADLINE, Terminal
from tests.recording_files import new_file, packed, put_all, recorded
from vuer_trio import open_vuer_client
from vuer_trio.cli.program import build_parser
from vuer_trio.cli.replay import _why_nothing
from vuer_trio.record import open_recording
from vuer_trio.testing import hand_move, small_jpeg

LEFT, RIGHT = "\x1b[D", "\x1b[C"
#: columns that Rich leaves alone in a line of a narrow terminal
NARROW, WIDE = 40, 200


def box(x):
    return {"tag": "Box", "key": "box", "position": [x, 0, 0]}


@pytest.fixture
def poses(tmp_path):
    """Ten poses of a client, a second apart, and a scene that follows."""
    file = new_file(tmp_path / "poses.mcap")
    put_all(file, [(0.0, "sent", packed("INIT", {}))])
    scene = packed("SET", data={"tag": "Scene", "children": [box(0)]})
    put_all(file, [(0.1, "received", scene)])
    for n in range(10):
        put_all(file, [(n + 0.5, "sent", packed("POSE", n))])
        update = packed("UPDATE", data={"nodes": [box(n)]})
        put_all(file, [(n + 0.6, "received", update)])
    file.finish()
    return file.path


@pytest.fixture
def session(tmp_path):
    """A short recording of hands and a picture."""
    hands = packed("HAND_MOVE", hand_move().value)
    node = {"tag": "Image", "key": "view", "rgb": small_jpeg(), "position": [0, 1, 0]}
    seen = [
        (0.0, "sent", hands),
        (0.5, "received", packed("UPSERT", data={"nodes": [node], "to": None})),
        (2.0, "sent", hands),
    ]
    return recorded(tmp_path / "session.mcap", seen)


@pytest.fixture
def hurt(poses):
    """One whose recorder was killed, and whose disk had been slow."""
    file = new_file(poses.with_name("hurt.mcap"))
    put_all(file, [(0.0, "sent", packed("POSE", 1)), (1.0, "sent", packed("\x1b[31mX", 1))])
    file.miss(2.0, "sent", 3)
    put_all(file, [(3.0, "sent", packed("POSE", 2))])
    file.finish()
    file.path.write_bytes(file.path.read_bytes()[:-40])
    return file.path


def until(condition):
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# ---- info


def test_info_in_a_pipe(poses):
    done = run("info", str(poses))
    assert (done.returncode, done.stderr) == (0, "")
    head, by, since, count, empty, *table = done.stdout.splitlines()
    assert head == str(poses)
    assert by == "recorded by a client, ws://robot.local:8012, with vuer-trio 0"
    assert since == "from 2023-11-14 22:13:20.000 UTC, 9.600 s"
    assert count.startswith("22 messages, ")
    assert count.endswith(" in the file")
    assert empty == ""
    names, *rows = (line.split() for line in table)
    assert names[:3] == ["topic", "messages", "rate"]
    cells = {row[0]: row[1:] for row in rows}
    assert cells["/received/UPDATE"][:4] == ["10", "1.0/s", "1.000", "s"]
    assert cells["/sent/INIT"][0] == "1"


def test_info_as_json(hurt):
    done = call("info", str(hurt), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert (told["messages"], told["complete"], told["dropped"]) == (3, False, 3)
    assert {topic["topic"]: topic["messages"] for topic in told["topics"]} == {
        "/sent/POSE": 2,
        "/sent/\x1b[31mX": 1,
    }
    assert told["topics"][0]["longest_gap"] == 3
    (gap,) = told["gaps"]
    assert (gap["received"], gap["sent"]) == (0, 3)
    assert "it was not finished" in told["damages"][0]


def test_info_of_what_is_hurt(hurt):
    done = call("info", str(hurt))
    assert done.returncode == 0
    assert "not finished" in done.stdout
    assert "the disk was too slow, 3 messages were dropped:" in done.stdout
    assert "  from 2.000 to 2.000 s: 0 received, 3 sent" in done.stdout
    assert (
        "damaged: it was not finished, its recorder is still running or was killed" in done.stdout
    )


@pytest.mark.parametrize("command", ["info", "export"])
def test_what_is_no_recording(tmp_path, command):
    other = tmp_path / "other.mcap"
    other.write_bytes(b"hello")
    more = [str(tmp_path / "out")] if command == "export" else []
    for path, said in [(other, "is not a recording"), (tmp_path / "no.mcap", "No such file")]:
        done = call(command, str(path), *more)
        assert (done.returncode, done.stdout) == (1, "")
        assert said in done.stderr
        assert str(path) in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_info_at_a_terminal(session, width):
    with Terminal(*COMMAND, "info", str(session), width=width) as it:
        assert it.wait() == 0
    assert "Traceback" not in it.text
    lines = it.text.replace("\r", "").split("\n")
    table = [line for line in lines if line.startswith(("topic", "/sent", "/received", " "))]
    assert max(map(len, table)) <= width
    (row,) = [line for line in lines if line.startswith("/sent/HAND_MOVE")]
    columns = 3 if width == NARROW else 8
    assert len([cell for cell in row.split("  ") if cell.strip()]) == columns
    assert "0.5/s" in row
    if width == WIDE:
        assert "2.000 s" in row
    assert "\x1b[" in it.raw


# ---- export


def test_export_to_a_folder(session, tmp_path):
    out = tmp_path / "out"
    done = run("export", str(session), str(out))
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.splitlines() == [
        f"{out}: 3 messages",
        "  images.csv      1 row",
        "  left-hand.csv   50 rows",
        "  nodes.csv       1 row",
        "  right-hand.csv  50 rows",
    ]
    assert (out / "images" / "view-rgb" / "000001.jpg").read_bytes() == small_jpeg()
    done = run("export", str(session), str(out))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"vuer-trio: {out} already exists; choose another name\n"


def test_export_as_parquet_and_quietly(session, tmp_path):
    done = call("export", str(session), str(tmp_path / "out"), "--parquet", "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "out" / "left-hand.parquet").exists()


def test_export_for_foxglove(session, tmp_path):
    out = tmp_path / "out.mcap"
    done = run("export", str(session), str(out), "--foxglove")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith(f"{out}: 3 messages, ")
    assert len(derived_in(out)["/tf/left-hand"]) == 50
    done = run("export", str(session), str(out), "--foxglove")
    assert (done.returncode, done.stderr) == (
        1,
        f"vuer-trio: {out} already exists; choose another name\n",
    )
    done = run("export", str(session), str(tmp_path / "no" / "out.mcap"), "--foxglove")
    assert (done.returncode, done.stdout) == (1, "")
    assert "No such file or directory" in done.stderr


def test_export_of_what_is_hurt_tells_and_fails(hurt, tmp_path):
    done = call("export", str(hurt), str(tmp_path / "out"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "it was not finished" in done.stderr
    assert done.stderr.endswith("vuer-trio: what could be read was exported\n")
    assert (tmp_path / "out" / "recording.json").exists()


def test_export_without_its_package(session, tmp_path):
    (tmp_path / "pyarrow.py").write_text("raise ImportError('no pyarrow')")
    away = {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    done = run("export", str(session), str(tmp_path / "out"), "--parquet", **away)
    assert (done.returncode, done.stdout) == (1, "")
    assert "pip install 'vuer-trio[parquet]'" in done.stderr


def test_export_that_is_interrupted_leaves_nothing(tmp_path):
    hands = packed("HAND_MOVE", hand_move().value)
    path = recorded(tmp_path / "long.mcap", [(n / 100, "sent", hands) for n in range(6_000)])
    with start("export", str(path), str(tmp_path / "out")) as process:
        try:
            until((tmp_path / "out" / "left-hand.csv").exists)
            process.send_signal(signal.SIGINT)
            out, errors = process.communicate(timeout=DEADLINE)
        finally:
            process.kill()
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in errors
    assert not (tmp_path / "out").exists()


def test_record_for_foxglove(server, tmp_path):
    path = tmp_path / "run.mcap"
    done = call("record", f"{server.uri}/three", str(path), "--foxglove")
    assert (done.returncode, done.stdout) == (0, "")
    assert len(derived_in(path)["/json/received/COUNT"]) == 3
    assert len(list(open_recording(path))) == 4


# ---- replay: a part, and nothing


def values(server):
    return [event["value"] for event in server.take()]


def test_replay_of_a_part(server, poses):
    arguments = ["--start", "3", "--end", "5.5", "--speed", "inf"]
    done = call("replay", str(poses), server.uri, *arguments)
    assert (done.returncode, done.stdout) == (0, "")
    assert values(server) == [3, 4, 5]


@pytest.mark.parametrize(
    ("seen", "arguments", "why"),
    [
        ([], [], "no message can be read in "),
        (
            [("received", packed("SET")), ("received", packed("SET"))],
            [],
            "all 2 messages are of the server; replay it with --serve, as a server",
        ),
        ([("sent", packed("INIT", {}))], [], "the client has sent INIT alone, which is not"),
        (
            [("sent", packed("POSE", 1))],
            ["--start", "3"],
            "the client has sent nothing from 3 s; the recording is 0.0 s long",
        ),
        (
            [("sent", packed("POSE", 1)), ("sent", packed("POSE", 1)), ("sent", packed("SAY", 1))],
            ["--etype", "PSE"],
            "no event has the --etype; those of the client are POSE (2), SAY (1)",
        ),
        ([("sent", b"\xc1")], [], "none of the 1 messages can be sent again"),
    ],
)
def test_why_nothing_can_be_sent(tmp_path, seen, arguments, why):
    path = recorded(tmp_path / "run.mcap", [(0.0, *one) for one in seen])
    args = build_parser().parse_args(["replay", str(path), *arguments])
    told = _why_nothing(args, open_recording(path), "client")
    assert told.startswith(f"nothing to send: {why}")


def test_nothing_sent_is_said_and_a_failure(server, tmp_path):
    path = recorded(tmp_path / "run.mcap", [(0.0, "sent", packed("POSE", 1))])
    done = call("replay", str(path), server.uri, "--etype", "PSE")
    assert (done.returncode, done.stdout) == (1, "")
    sent, reason = done.stderr.splitlines()
    assert sent.startswith("0 events sent in ")
    assert reason.startswith("vuer-trio: nothing to send: no event has the --etype; those of the")


@pytest.mark.parametrize(
    "arguments",
    [
        ("info",),
        ("export", "run.mcap"),
        ("export", "run.mcap", "out", "--foxglove", "--parquet"),
        ("replay", "run.mcap", "--start", "-1"),
        ("replay", "run.mcap", "--start", "inf"),
    ],
)
def test_wrong_arguments(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        build_parser().parse_args(arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--start", "2", "--end", "1"), "--end must be after --start, got 2 and 1"),
        (("--pause",), "--pause needs a terminal, where a key goes on"),
        (("--tls", "auto"), "--tls is for --serve"),
        (("--web-client", "x"), "--web-client is for --serve"),
    ],
)
def test_arguments_that_do_not_go_together(arguments, said):
    done = call("replay", "run.mcap", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"vuer-trio: {said}\n"


def test_the_keys_are_in_the_help():
    done = call("replay", "--help")
    assert "space         pause, go on" in done.stdout
    assert "q             quit" in done.stdout


# ---- replay: a server


async def positions(uri, count, **options):
    """Of the box, in each message."""
    found = []
    with trio.fail_after(DEADLINE):
        async with open_vuer_client(uri, **options) as client:
            for _ in range(count):
                data = (await client.recv()).data
                (node,) = data["nodes"] if "nodes" in data else data["children"]
                found.append(node["position"][0])
    return found


def test_a_page_that_begins_in_the_middle_has_the_scene_of_then(poses):
    arguments = ["--serve", "--port", "0", "--start", "5", "--speed", "inf"]
    with start("replay", str(poses), *arguments) as process:
        try:
            uri = process.stdout.readline().split()[-1]
            # 4 was moved to before the fifth second.
            assert trio.run(positions, uri, 3) == [4, 5, 6]
        finally:
            process.kill()


def test_replay_serves_the_page_with_tls(poses, tmp_path):
    arguments = ["replay", str(poses), "--serve", "--tls", "auto", "--port", "0", "--token", "abc"]
    with Terminal(*COMMAND, *arguments, width=WIDE, VUER_TRIO_DATA=str(tmp_path)) as it:
        it.expect("Playing ")
        it.expect("Ctrl-C ends.")
        uri = next(word for word in it.text.split() if word.startswith("wss://"))
        port = uri.rsplit(":", 1)[1].strip("/").split("?")[0]
        context = ssl.create_default_context(cafile=str(next(tmp_path.rglob("ca.pem"))))
        page = f"https://localhost:{port}/?token=abc"
        with urllib.request.urlopen(page, context=context, timeout=DEADLINE) as answer:
            assert answer.status == 200
            assert b"<html" in answer.read().lower()

        async def play():
            address = f"wss://localhost:{port}/?token=abc"
            return await positions(address, 2, ssl_context=context)

        assert trio.run(play) == [0, 0]
        it.type("q")
        assert it.wait() == 0
    assert "Traceback" not in it.text


# ---- replay: keys


def test_keys_pause_step_seek_and_quit(server, poses):
    arguments = ["replay", str(poses), server.uri, "--pause"]
    with Terminal(*COMMAND, *arguments, width=WIDE) as it:
        it.expect(f"paused {poses}: 0.5 of 9.6 s, 0 sent")
        it.type("..")
        it.expect("1.5 of 9.6 s, 2 sent")
        it.type(",")
        it.expect("0.5 of 9.6 s, 3 sent")
        it.type(f"{RIGHT}.")
        it.expect("5.5 of 9.6 s, 4 sent")
        it.type(f"{LEFT}.")
        it.expect("0.5 of 9.6 s, 5 sent")
        it.type("++-")
        it.expect("2 times as fast")
        it.type(" ")
        it.expect("playing ")
        it.type("q")
        it.expect(" events sent in ")
        assert it.wait() == 0
    assert "Traceback" not in it.text
    assert values(server)[:5] == [0, 1, 0, 5, 0]


def test_keys_of_a_server_are_for_every_page(poses):
    arguments = ["replay", str(poses), "--serve", "--port", "0", "--pause"]
    with Terminal(*COMMAND, *arguments, width=WIDE) as it:
        it.expect("Keys: ")
        uri = next(word for word in it.text.split() if word.startswith("ws://"))

        async def play():
            async with (
                open_vuer_client(uri, mirror_scene=True) as one,
                open_vuer_client(uri, mirror_scene=True) as other,
            ):
                await trio.to_thread.run_sync(it.expect, "2 clients")
                it.type(".")
                assert [(await one.recv()).etype, (await other.recv()).etype] == ["SET", "SET"]
                it.type(f"{RIGHT}.")
                for client in (one, other):
                    assert (await client.recv()).etype == "SET"  # the scene of there
                    assert (await client.recv()).etype == "UPDATE"
                    assert client.scene.get("box")["position"] == [5, 0, 0]

        async def with_patience():
            with trio.fail_after(DEADLINE):
                await play()

        trio.run(with_patience)
        it.type("q")
        assert it.wait() == 0
    assert "Traceback" not in it.text


def test_progress_in_a_narrow_terminal_is_one_line(server, poses):
    arguments = ["replay", str(poses), server.uri, "--speed", "4"]
    with Terminal(*COMMAND, *arguments, width=NARROW) as it:
        it.expect("10 events sent in ")
        assert it.wait() == 0
    shown = [line for line in it.text.replace("\r", "\n").split("\n") if "playing: " in line]
    assert shown
    assert max(map(len, shown)) <= NARROW
    assert "Traceback" not in it.text


def test_the_terminal_is_what_it_was(poses, server):
    """Also after Ctrl-C: what is typed then is shown again."""
    command = [*COMMAND, "replay", str(poses), server.uri, "--pause"]
    script = (
        'trap : INT; before=$(stty -g); "$@"; test "$(stty -g)" = "$before" && echo same as before'
    )
    with Terminal("sh", "-c", script, "sh", *command, width=WIDE) as it:
        it.expect("paused ")
        it.type("\x03")
        it.expect("same as before")
        it.wait()


def test_without_a_terminal_there_are_no_keys(server, poses):
    done = call("replay", str(poses), server.uri, "--speed", "inf", stdin="q")
    assert done.returncode == 0
    assert len(values(server)) == 10
