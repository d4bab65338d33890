"""``vuer-trio record`` and ``replay``, through pipes and in a pseudo-terminal."""

from __future__ import annotations

import os
import signal
import time

import msgpack
import pytest
import trio

from tests.cli_process import COMMAND, call, run, start
from tests.pseudo_terminal import DEADLINE, Terminal
from tests.recording_files import need_mcap, packed, recorded
from vuer_trio import open_vuer_client
from vuer_trio.record import open_recording

need_mcap()

CTRL_C = "\x03"
NOBODY = "ws://127.0.0.1:1"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.mcap"


@pytest.fixture
def poses(tmp_path):
    """A recorded client's three poses, and a recorded server's two scenes, a second in all."""
    seen = [
        (0.0, "sent", packed("INIT", {})),
        (0.1, "sent", packed("POSE", 1)),
        (0.2, "received", packed("SET", data="a")),
        (0.3, "sent", packed("OTHER", 2)),
        (0.7, "received", packed("SET", data="b")),
        (1.1, "sent", packed("POSE", 3)),
    ]
    return recorded(tmp_path / "poses.mcap", seen)


def values(server):
    """What our server has received, as soon as it has."""
    return [(event["etype"], event["value"]) for event in server.take()]


def lines_until(stream, wanted):
    for line in stream:
        if wanted in line:
            return line
    raise AssertionError(f"no {wanted!r}")


# ---- record, in a pipe


def test_record_until_the_server_closes(server, path):
    done = run("record", f"{server.uri}/three", str(path))
    assert (done.returncode, done.stdout) == (0, "")
    assert f"{path}: 4 messages in " in done.stderr
    assert "  /received/COUNT  3\n" in done.stderr
    assert "  /sent/INIT       1\n" in done.stderr
    recording = open_recording(path)
    assert recording.complete
    assert recording.uri == f"{server.uri}/three"
    assert [e.event["data"]["n"] for e in recording if e.etype == "COUNT"] == [0, 1, 2]


def test_record_for_a_time_and_one_type(server, path):
    done = call("record", f"{server.uri}/ticks", str(path), "--seconds", "0.5", "--etype", "TICK")
    assert (done.returncode, done.stdout) == (0, "")
    assert {e.etype for e in open_recording(path)} == {"TICK"}


def test_record_quietly(server, path):
    done = call("record", f"{server.uri}/three", str(path), "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert open_recording(path).complete


@pytest.mark.parametrize(
    ("number", "options", "status"),
    [
        (signal.SIGINT, (), 0),
        (signal.SIGTERM, (), 0),
        (signal.SIGINT, ("--seconds", "1000"), 130),
        (signal.SIGTERM, ("--seconds", "1000"), 143),
    ],
)
def test_a_signal_ends_a_recording_that_is_whole(server, path, number, options, status):
    with start("record", f"{server.uri}/ticks", str(path), *options) as process:
        try:
            until_written(path)
            process.send_signal(number)
            out, errors = process.communicate(timeout=DEADLINE)
        finally:
            process.kill()
    assert (process.returncode, out) == (status, "")
    assert "/received/TICK" in errors
    recording = open_recording(path)
    assert recording.complete
    assert len(list(recording)) > 2


def until_written(path):
    deadline = time.monotonic() + DEADLINE
    while not path.exists() or path.stat().st_size < 1000:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_record_where_there_is_no_server_leaves_no_file(path):
    done = run("record", NOBODY, str(path))
    assert (done.returncode, done.stdout) == (3, "")
    assert "could not connect" in done.stderr
    assert not path.exists()


def test_record_never_overwrites(server, path):
    path.write_bytes(b"precious")
    done = call("record", server.uri, str(path))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"vuer-trio: {path} already exists; choose another name\n"
    assert path.read_bytes() == b"precious"


def test_record_into_a_folder_that_is_not_there(server, path):
    done = call("record", server.uri, str(path / "run.mcap"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "No such file or directory" in done.stderr


def test_record_from_a_server_that_fails(server, path):
    done = call("record", f"{server.uri}/fails", str(path))
    assert (done.returncode, done.stdout) == (4, "")
    assert "out of paint" in done.stderr
    assert open_recording(path).complete


def test_record_goes_on_over_lost_connections(serve, path):
    async def short(conn):
        await conn.accept()
        await conn.send_event({"etype": "COUNT", "data": len(peer.connections)})
        await conn.close(1012)

    peer = serve(short)
    with start("record", peer.uri, str(path), "--reconnect", "--etype", "COUNT") as process:
        try:
            deadline = time.monotonic() + DEADLINE
            while len(peer.connections) < 3:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=DEADLINE)
        finally:
            process.kill()
    assert process.returncode == 0
    counted = [e.event["data"] for e in open_recording(path)]
    assert counted[:2] == [1, 2]


@pytest.mark.parametrize(
    "arguments",
    [
        ("record",),
        ("record", "a", "b", "c"),
        ("record", "ftp://x", "run.mcap"),
        ("record", "run.mcap", "--seconds", "0"),
        ("replay",),
        ("replay", "run.mcap", "--speed", "0"),
        ("replay", "run.mcap", "--speed", "nan"),
        ("replay", "run.mcap", "ws://localhost:1", "--serve"),
        ("replay", "run.mcap", "--port", "0"),
        ("replay", "run.mcap", "--host", "localhost"),
    ],
)
def test_wrong_arguments(arguments):
    done = call(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr


def test_without_its_package_it_says_which_extra(tmp_path, server, poses):
    (tmp_path / "mcap.py").write_text("raise ImportError('no mcap')")
    away = {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    for arguments in [("record", server.uri, "new.mcap"), ("replay", str(poses), server.uri)]:
        done = run(*arguments, **away)
        assert (done.returncode, done.stdout) == (1, "")
        assert "pip install 'vuer-trio[mcap]'" in done.stderr


# ---- replay, in a pipe


def test_replay_to_a_server(server, poses):
    done = run("replay", str(poses), server.uri, "--speed", "10")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("3 events sent in 0.")
    assert values(server) == [("POSE", 1), ("OTHER", 2), ("POSE", 3)]


def test_replay_takes_its_time(server, poses):
    began = time.monotonic()
    done = call("replay", str(poses), server.uri)
    assert done.returncode == 0
    assert time.monotonic() - began > 1


def test_replay_without_waiting_and_of_one_type(server, poses):
    done = call("replay", str(poses), server.uri, "--speed", "inf", "--etype", "POSE", "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert values(server) == [("POSE", 1), ("POSE", 3)]


def test_replay_in_a_loop_until_it_is_interrupted(server, poses):
    with start("replay", str(poses), server.uri, "--speed", "100", "--loop") as process:
        try:
            deadline = time.monotonic() + DEADLINE
            while len(server.received) < 7:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            out, errors = process.communicate(timeout=DEADLINE)
        finally:
            process.kill()
    assert (process.returncode, out) == (0, "")
    assert "events sent" in errors
    assert [value for _, value in values(server)][:7] == [1, 2, 3, 1, 2, 3, 1]


def test_replay_of_an_unfinished_recording_says_what_is_lost(server, poses):
    poses.write_bytes(poses.read_bytes()[:-40])
    done = call("replay", str(poses), server.uri, "--speed", "inf")
    assert (done.returncode, done.stdout) == (0, "")
    first, second = done.stderr.splitlines()
    assert first.startswith(f"vuer-trio: {poses}: it was not finished")
    assert second.startswith("3 events sent")


def test_replay_of_what_can_not_be_read(tmp_path, server):
    other = tmp_path / "other.mcap"
    other.write_bytes(b"hello")
    for path, said in [(other, "is not a recording"), (tmp_path / "no.mcap", "No such file")]:
        done = call("replay", str(path), server.uri)
        assert (done.returncode, done.stdout) == (1, "")
        assert said in done.stderr
        assert str(path) in done.stderr


def test_replay_where_there_is_no_server(poses):
    done = call("replay", str(poses), NOBODY)
    assert (done.returncode, done.stdout) == (3, "")


def test_replay_to_a_server_that_closes(serve, poses):
    async def short(conn):
        await conn.accept()
        await conn.close(1001)

    done = call("replay", str(poses), serve(short).uri)
    assert (done.returncode, done.stdout) == (4, "")
    assert "Traceback" not in done.stderr


def test_replay_as_a_server(poses):
    with start("replay", str(poses), "--serve", "--port", "0", "--speed", "100") as process:
        try:
            line = process.stdout.readline()
            assert line.startswith(f"Playing {poses}, 0.0 s at ws://")
            assert process.stdout.readline().startswith("Its web client is at http")
            assert trio.run(received, line.split()[-1]) == ["a", "b"]
            assert trio.run(received, line.split()[-1]) == ["a", "b"]
            process.send_signal(signal.SIGINT)
            out, errors = process.communicate(timeout=DEADLINE)
        finally:
            process.kill()
    assert (process.returncode, out) == (0, "")
    assert errors.count("(python)") == 2


async def received(uri):
    with trio.fail_after(DEADLINE):
        async with open_vuer_client(uri) as client:
            return [event.data async for event in client]


def test_what_was_recorded_is_what_is_replayed(server, serve, path):
    """The whole way: a server, `record`, `replay --serve`, a client."""
    assert run("record", f"{server.uri}/three", str(path)).returncode == 0
    with start("replay", str(path), "--serve", "--port", "0", "--speed", "inf") as process:
        try:
            uri = process.stdout.readline().split()[-1]
            assert trio.run(received, uri) == [{"n": 0}, {"n": 1}, {"n": 2}]
        finally:
            process.kill()


# ---- at a terminal


def test_record_shows_its_progress_until_ctrl_c(server, path):
    with Terminal(*COMMAND, "record", f"{server.uri}/ticks", str(path), width=200) as it:
        it.expect(f"recording to {path}: ")
        it.expect(" s; Ctrl-C ends")
        it.expect(" messages, ")
        it.type(CTRL_C)
        it.expect(f"{path}: ")
        it.expect("/received/TICK")
        assert it.wait() == 0
    assert "Traceback" not in it.text
    assert open_recording(path).complete


def test_replay_shows_its_progress(server, poses):
    with Terminal(*COMMAND, "replay", str(poses), server.uri, width=200) as it:
        it.expect(f"playing {poses}: ")
        it.expect(" of 1.1 s, ")
        it.expect("3 events sent in ")
        assert it.wait() == 0
    assert "Traceback" not in it.text


def test_replay_as_a_server_tells_who_comes(poses):
    with Terminal(*COMMAND, "replay", str(poses), "--serve", "--port", "0", width=200) as it:
        it.expect("Playing ")
        it.expect("Ctrl-C ends.")
        uri = next(word for word in it.text.split() if word.startswith("ws://"))
        assert trio.run(received, uri) == ["a", "b"]
        it.expect("(python)")
        it.type(CTRL_C)
        assert it.wait() == 0
    assert "Traceback" not in it.text


def test_a_terminal_that_can_nothing(server, path):
    with Terminal(*COMMAND, "record", f"{server.uri}/three", str(path), TERM="dumb") as it:
        it.expect("4 messages in")
        assert it.wait() == 0
    assert "\x1b" not in it.raw


def test_messages_are_recorded_as_they_came(server, path):
    assert call("record", f"{server.uri}/odd", str(path)).returncode == 0
    (odd,) = [e for e in open_recording(path) if e.etype == "ODD"]
    assert msgpack.unpackb(odd.payload)["data"]["raw"] == b"\x00\xff"
