"""The blocking server: a script, a notebook, several threads."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trio
from PIL import Image

from vuer_trio import CallTimeout, ClientClosed, EncodeError, Stale
from vuer_trio.events import ClientEvent
from vuer_trio.schemas import Box, DefaultScene, Scene, Sphere
from vuer_trio.sync import BlockingVuerServer, open_vuer_client, open_vuer_server

SECONDS = 30.0


@pytest.fixture
def server():
    with open_vuer_server(0) as server:
        yield server


def client_of(server: BlockingVuerServer, **options):
    return open_vuer_client(server.uri, mirror_scene=True, **options)


def eventually(condition):
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def threads_of_servers() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("vuer-trio server")]


def test_everybody_sees_the_scene_and_every_change(server):
    server.scene.upsert @ Box(key="before")
    with client_of(server) as first:
        assert server.wait_for_client(SECONDS).client_info["client"] == "python"
        server.scene.upsert @ [Box(key="box", args=[1, 2, 3]), Sphere(key="ball")]
        with client_of(server) as second:
            eventually(lambda: len(server.clients) == 2)
            server.scene.update @ Box(key="box", position=[0, 1, 0])
            server.scene.remove @ "ball"
            server.scene.add(Box(key="child"), to="box")
            for client in (first, second):
                eventually(lambda client=client: "child" in client.scene)
                assert client.scene.to_dict() == server.scene.scene_data
    assert server.scene.get("box")["position"] == [0, 1, 0]
    assert server.scene.get("ball") is None
    assert server.scene.get("light-stage") is not None  # of the DefaultScene
    eventually(lambda: server.clients == ())


def test_another_scene_at_first():
    with open_vuer_server(0, scene=Scene(Box(key="only"))) as server:
        assert [node["key"] for node in server.scene.scene_data["children"]] == ["only"]
        server.scene.set @ DefaultScene(Box(key="other"))
        assert [node["key"] for node in server.scene.scene_data["children"]] == ["other"]
        assert "ThreadsafeScene of <Scene" in repr(server.scene)


def test_what_cannot_be_sent_raises_at_the_call(server):
    with pytest.raises(EncodeError, match="material"):
        server.scene.upsert @ Box(key="box", material=object())
    assert server.scene.get("box") is None


def test_handlers_and_the_newest_event(server):
    seen = []

    @server.on("MOVE")
    def moved(event):
        seen.append(event.value)
        server.scene.upsert @ Box(key="box", position=event.value)

    remove = server.on("MOVE", lambda event: seen.append("other"))
    server.on("MOVE", lambda event: seen.append("once"), once=True)
    assert moved is not None
    with pytest.raises(Stale):
        server.latest("MOVE")
    with client_of(server) as client:
        client.send(ClientEvent(etype="MOVE", value=[1, 0, 0]))
        eventually(lambda: seen == [[1, 0, 0], "other", "once"])
        remove()
        remove()
        client.send(ClientEvent(etype="MOVE", value=[2, 0, 0]))
        eventually(lambda: seen[3:] == [[2, 0, 0]])
        eventually(lambda: client.scene.get("box")["position"] == [2, 0, 0])
        assert server.latest("MOVE", max_age=SECONDS).value == [2, 0, 0]


def test_a_handler_may_not_wait_for_its_own_server(server):
    refusals = []

    def impatient(event):
        assert len(server.clients) == 1  # which does not wait
        for call in (server.wait_for_client, server.grab_render, server.close):
            with pytest.raises(RuntimeError, match="handler") as caught:
                call()
            refusals.append(str(caught.value))

    server.on("GO", impatient)
    with client_of(server) as client:
        server.wait_for_client(SECONDS)
        client.send(ClientEvent(etype="GO"))
        eventually(lambda: len(refusals) == 3)
    assert "hand the event to another thread" in refusals[0]


def test_what_is_not_a_handler(server):
    async def is_async(event):
        pass

    with pytest.raises(TypeError, match="is async: the blocking server takes ordinary functions"):
        server.on("X", is_async)
    with pytest.raises(TypeError, match=r'server.on\("X"\): .* must take \(event\)'):
        server.on("X", lambda: None)
    with pytest.raises(TypeError, match="not callable"):
        server.on("X", 3)


def test_nobody_comes(server):
    with pytest.raises(CallTimeout, match=r"nobody has opened http://localhost:\d+ within 0\.01 s"):
        server.wait_for_client(0.01)
    with pytest.raises(CallTimeout, match="no page has sent an image within"):
        server.grab_render(timeout=0.01)
    with pytest.raises(CallTimeout, match=r"no page has sent an image within 0\.02 s"):
        server.grab_render(ttl=0.02)


def picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 6), (255, 0, 0)).save(file, "JPEG")
    return file.getvalue()


def test_an_image_of_the_scene(server):
    client = client_of(server)
    client.answer("GRAB_RENDER", lambda event: {"frame": picture(), "asked": event.data})
    with client:
        viewer = server.wait_for_client(SECONDS)
        event = server.grab_render(viewer, quality=0.5, timeout=SECONDS)
        assert event.value["asked"]["quality"] == 0.5
        event = server.grab_render(viewer, ttl=SECONDS)  # as the session's method calls it
        assert "ttl" not in event.value["asked"]
        assert server.scene.get("DEFAULT")["tag"] == "GrabRender"
        snapshot = server.snapshot(timeout=SECONDS)
        assert Image.open(io.BytesIO(snapshot)).format == "PNG"
        assert Image.open(io.BytesIO(snapshot._repr_png_())).size == (8, 6)
        assert repr(snapshot) == f"<Snapshot, PNG, {len(snapshot)} bytes>"
    eventually(lambda: not server.clients)
    with pytest.raises(ClientClosed, match="that viewer has left"):
        server.grab_render(viewer)
    with pytest.raises(TypeError, match=r"client must be one of server\.clients, got 3"):
        server.grab_render(3)


def test_a_page_that_says_nothing_at_first_is_asked_again(server):
    """A component that has just come into the scene does not know the first question."""
    client, asked = client_of(server), []

    def answer(event):
        asked.append(event)
        if len(asked) == 1:
            raise LookupError("not yet")
        return {"frame": picture()}

    client.answer("GRAB_RENDER", answer)
    with client:
        assert server.grab_render(timeout=SECONDS).image().size == (8, 6)
    assert len(asked) > 1  # or oftener, while the machine is busy


def test_the_next_free_port_is_taken():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with open_vuer_server(port, host="127.0.0.1") as server:
            assert server.port > port
            assert server.url == f"http://127.0.0.1:{server.port}"
        with pytest.raises(OSError, match=str(port)):
            open_vuer_server(port, host="127.0.0.1", free_port=False)
    eventually(lambda: not threads_of_servers())


def test_bad_options_are_refused_at_once():
    with pytest.raises(ValueError, match="backend must be 'auto' or 'trio' for a blocking server"):
        open_vuer_server(0, backend="asyncio")
    with pytest.raises(TypeError, match="max_sessions"):
        open_vuer_server(0, max_sessions="q")
    assert not threads_of_servers()


def test_a_trio_task_is_not_blocked():
    async def main():
        with pytest.raises(RuntimeError, match="a blocking method was called in a Trio task"):
            open_vuer_server(0)

    trio.run(main)
    assert not threads_of_servers()


def test_close_ends_it_all():
    server = open_vuer_server(0)
    assert server._repr_html_().startswith(f'<iframe src="{server.url}"')
    assert repr(server) == f"<BlockingVuerServer {server.url}>"
    with client_of(server) as client:
        server.wait_for_client(SECONDS)
        server.close()
        client.wait_closed()
        assert client.close_code == 1001
    server.close()
    assert not threads_of_servers()
    assert repr(server) == "<BlockingVuerServer closed>"
    assert "iframe" not in server._repr_html_()
    assert server.clients == ()
    for call in (server.wait_for_client, server.grab_render):
        with pytest.raises(ClientClosed, match="this server was closed"):
            call()
    with pytest.raises(ClientClosed, match="this server was closed"):
        server.latest("X")


def test_close_while_others_wait():
    server, ended = open_vuer_server(0), []

    def wait():
        try:
            server.wait_for_client()
        except ClientClosed as exc:
            ended.append(str(exc))

    waiting = [threading.Thread(target=wait) for _ in range(3)]
    for thread in waiting:
        thread.start()
    server.close()
    for thread in waiting:
        thread.join(SECONDS)
    assert len(ended) == 3
    assert all("this server was closed" in text for text in ended)


THREADS, CHANGES = 8, 200


def test_eight_threads_change_it_at_once(server):
    def change(number: int) -> None:
        for n in range(CHANGES):
            server.scene.upsert @ Box(key=f"box-{number}-{n % 10}", args=[number, n, 0])
            if n % 50 == 0:
                assert server.scene.get(f"box-{number}-0")["args"][0] == number
                assert isinstance(server.clients, tuple)

    with client_of(server) as client:
        server.wait_for_client(SECONDS)
        threads = [threading.Thread(target=change, args=(n,)) for n in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS)
        expected = server.scene.scene_data
        eventually(lambda: client.scene.to_dict() == expected)
    for number in range(THREADS):
        assert server.scene.get(f"box-{number}-9")["args"] == [number, CHANGES - 1, 0]


SCRIPT = """
import sys
from vuer_trio.schemas import Box
from vuer_trio.sync import open_vuer_server

server = open_vuer_server(0)
server.scene.upsert @ Box(key="box")
print(server.uri, flush=True)
{}
"""


@contextmanager
def script(rest: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", SCRIPT.format(rest)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def errors_of(process: subprocess.Popen[str]) -> str:
    """What it has printed on stderr when it has ended."""
    return process.communicate(timeout=SECONDS)[1]


def test_the_end_of_a_script_closes_it():
    with script("sys.stdin.readline()") as process:
        with open_vuer_client(process.stdout.readline().strip(), mirror_scene=True) as client:
            eventually(lambda: "box" in client.scene)
            process.stdin.write("\n")
            process.stdin.flush()
            client.wait_closed()
            assert client.close_code == 1001
        errors = errors_of(process)
    assert (process.returncode, errors) == (0, "")


def test_ctrl_c_ends_a_script_that_waits():
    with script("server.wait_for_client()") as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        errors = errors_of(process)
    assert errors.splitlines()[-1] == "KeyboardInterrupt"
    assert errors.count("Traceback") == 1


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="this system has no such signals")
def test_ctrl_c_ends_a_script_whose_other_thread_gets_the_signal():
    rest = (
        "import signal, threading\n"
        "def interrupt(event): signal.pthread_kill(threading.get_ident(), signal.SIGINT)\n"
        "server.on('STOP', interrupt)\n"
        "server.grab_render(timeout=3600)\n"
    )
    with script(rest) as process:
        with open_vuer_client(process.stdout.readline().strip()) as client:
            while client.recv(SECONDS).etype != "GRAB_RENDER":
                pass
            client.send(ClientEvent(etype="STOP"))
            errors = errors_of(process)
    assert errors.splitlines()[-1] == "KeyboardInterrupt"
    assert errors.count("Traceback") == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_is_told():
    rest = (
        "import os, warnings\n"
        "warnings.simplefilter('ignore', DeprecationWarning)\n"
        "if os.fork() == 0:\n"
        "    try: server.wait_for_client(1)\n"
        "    except RuntimeError as exc: print(exc, flush=True)\n"
        "    server.close()\n"
        "    os._exit(0)\n"
        "os.wait()\n"
        "server.close()\n"
    )
    with script(rest) as process:
        process.stdout.readline()
        assert "opened in another process" in process.stdout.readline()
        errors = errors_of(process)
    assert (process.returncode, errors) == (0, "")


def test_the_token_is_in_the_url_and_not_in_what_is_shown():
    with open_vuer_server(0, token="open-sesame") as server:
        assert "open-sesame" in server.url
        assert "open-sesame" in server._repr_html_()
        assert "open-sesame" not in repr(server)
        with pytest.raises(CallTimeout) as error:
            server.wait_for_client(timeout=0)
        assert "open-sesame" not in str(error.value)
        with open_vuer_client(f"{server.uri}?token=open-sesame") as client:
            client.flush(timeout=SECONDS)
