"""The real `vuer.VuerClient` at our server, on every backend of the server's; and other clients."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys

import aiohttp
import anyio
import anyio.to_thread
import msgpack
import pytest
import websockets.sync.client

from tests import PROGRAMS
from tests.behaviour.raw_client import eventually
from vuer_trio import open_vuer_server
from vuer_trio.events import ServerEvent
from vuer_trio.schemas import DefaultScene, Element

pytestmark = [pytest.mark.anyio, pytest.mark.interop]

_PROGRAM = PROGRAMS / "reference_client.py"


def box(key="box", **props):
    return Element(tag="Box", key=key, **props)


@pytest.fixture(scope="module")
def program():
    """Its start takes longer than all that these tests have it do."""
    if importlib.util.find_spec("vuer") is None:
        pytest.skip("needs the dependency group `interop`")
    process = subprocess.Popen(
        [sys.executable, _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={k: v for k, v in os.environ.items() if not k.startswith(("COV", "VUER_"))},
    )
    with process:
        yield process
        process.kill()


@pytest.fixture
def app(new_server, program):
    """The documents' server, and what the tests ask of it besides."""
    app = new_server()
    app.seen = []
    app.program = program

    @app.add_handler("HELLO")
    async def on_hello(event, session):
        app.seen.append(event.value)
        session.upsert @ box(args=[0.3, 0.3, 0.3], position=[0, 0.5, 0])

    @app.add_handler("SET_POSITION")
    async def on_position(event, session):
        session.upsert @ box(position=event.value)

    @app.add_handler("SCENE")
    async def on_scene(event, session):
        session.update @ box(color="blue")
        session.add(box("child"), to="box")
        session.upsert @ [box("a"), box("b")]
        session.remove @ ["a", "b"]
        await session.aclose(1000, "done")

    @app.add_handler("ECHO")
    async def on_echo(event, session):
        await session.send(ServerEvent(event.value, etype="ECHO"))

    @app.add_handler("CLOSE")
    async def on_close(event, session):
        await session.aclose(event.value, "as you wish")

    @app.add_handler("GRAB")
    async def on_grab(event, session):
        render = await session.grab_render(ttl=5, quality=0.5)
        session @ ServerEvent([render.value["key"], len(render.value["frame"])], etype="GOT")

    @app.spawn(client="python")
    async def main(session):
        app.seen.append((await session.till("INIT")).value)
        session.set @ DefaultScene(box(args=[1, 1, 1]))
        await session.forever()

    return app


async def run(app, name):
    """What a function of the program returns."""

    def talk(uri):
        app.program.stdin.write(f"{uri} {name}\n")
        app.program.stdin.flush()
        for line in app.program.stdout:
            word, _, what = line.partition(" ")
            if word == "RETURNED":
                return json.loads(what)
            assert word != "RAISED", what
        raise AssertionError("it has ended")

    async with open_vuer_server(app) as server:
        result = await anyio.to_thread.run_sync(talk, server.uri, abandon_on_cancel=True)
        await eventually(lambda: not app.sessions)
    return result


def node(data):
    return data["nodes"][0]


async def test_the_tutorial(app):
    scene, hello, moved, at_rest = await run(app, "tutorial")
    assert scene[0] == "SET"
    assert [child["key"] for child in scene[1]["children"]] == ["box"]
    assert (hello[0], node(hello[1])["position"]) == ("UPSERT", [0, 0.5, 0])
    assert (moved[0], node(moved[1])["position"]) == ("UPSERT", [1, 0.5, 0])
    assert node(at_rest[1])["position"] == [0, 0, 0]
    init, message = app.seen
    assert message == {"message": "Hi!"}
    assert init["client"] == "python"
    assert {"clientVersion", "timezone", "pythonVersion", "platform", "machine"} <= init.keys()


async def test_connecting_by_hand_twice(app):
    first, second = await run(app, "manual")
    assert first[0] == second[0] == "SET"
    assert first[1]["children"] == second[1]["children"]


async def test_an_animation(app):
    assert await run(app, "animation") == list(range(100))


async def test_every_change_of_a_scene_and_a_close(app):
    received, closing = await run(app, "scene")
    assert [etype for etype, _ in received] == ["SET", "UPDATE", "ADD", "UPSERT", "REMOVE"]
    assert node(received[1][1])["color"] == "blue"
    assert received[2][1]["to"] == "box"
    assert [item["key"] for item in received[3][1]["nodes"]] == ["a", "b"]
    assert received[4][1]["keys"] == ["a", "b"]
    assert closing == [1000, "done"]


@pytest.mark.slow
async def test_sixty_megabytes_both_ways(app, new_server):
    app._given["max_size"] = 2**28
    assert await run(app, "large") == ["ECHO", 60 << 20, True]


async def test_a_message_over_max_size(app, new_server):
    app._given["max_size"] = 100_000
    ended, (code, reason) = await run(app, "too_large")
    assert ended is None
    assert code == 1009
    assert reason


async def test_close_codes(app):
    assert await run(app, "closes") == [[code, "as you wish"] for code in (1000, 1001, 1011, 4000)]


async def test_what_is_no_event(app):
    code, reason = await run(app, "malformed")
    assert code == 1007
    assert "truncated" in reason


@pytest.mark.slow
async def test_a_request_of_the_server(app):
    assert await run(app, "answers") == ["GOT", ["DEFAULT", 2]]


@pytest.mark.slow
async def test_compression_is_declined(app):
    assert await run(app, "compressed") == [None, True]


# ---- other people's clients

PING = msgpack.packb({"etype": "ECHO", "value": "x" * 300})
INIT = msgpack.packb({"etype": "INIT", "value": {"client": "python"}})


async def test_the_websockets_client(app):
    def talk(uri):
        with websockets.sync.client.connect(uri, compression="deflate", max_size=None) as ws:
            assert "Sec-WebSocket-Extensions" not in ws.response.headers
            ws.send(INIT)
            assert msgpack.unpackb(ws.recv(timeout=60))["etype"] == "SET"
            ws.send([PING[:5], PING[5:20], PING[20:]])
            assert msgpack.unpackb(ws.recv(timeout=60))["data"] == "x" * 300
            assert ws.ping().wait(60)
            ws.send("text")
            with pytest.raises(websockets.exceptions.ConnectionClosedError) as info:
                ws.recv(timeout=60)
            return info.value.rcvd.code, info.value.rcvd.reason

    async with open_vuer_server(app) as server:
        code, reason = await anyio.to_thread.run_sync(talk, server.uri)
        await eventually(lambda: not app.sessions)
    assert code == 1007
    assert reason.startswith("a text frame")


async def test_the_aiohttp_client(app):
    async def talk(uri):
        async with aiohttp.ClientSession() as http, http.ws_connect(uri, compress=15) as ws:
            assert not ws.compress
            await ws.send_bytes(INIT)
            assert msgpack.unpackb(await ws.receive_bytes(timeout=60))["etype"] == "SET"
            await ws.send_bytes(PING)
            assert msgpack.unpackb(await ws.receive_bytes(timeout=60))["data"] == "x" * 300
            await ws.send_bytes(msgpack.packb({"etype": "CLOSE", "value": 4001}))
            last = await ws.receive(timeout=60)
            assert last.type == aiohttp.WSMsgType.CLOSE
            page = await http.get(uri.replace("ws://", "http://"))
            assert '<div id="root">' in await page.text()  # its own web client
            return last.data, last.extra

    async with open_vuer_server(app) as server:
        closing = await anyio.to_thread.run_sync(anyio.run, talk, server.uri)
        await eventually(lambda: not app.sessions)
    assert closing == (4001, "as you wish")
