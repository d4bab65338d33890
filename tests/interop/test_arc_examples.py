"""The examples of agents run as they stand: nothing else is to be started."""

from __future__ import annotations

import ast
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trio

from tests import ROOT
from tests.free_ports import free_port
from vuer_trio import Backoff, Connected, ConnectionClosed, ConnectionFailed, Disconnected
from vuer_trio.arc import open_arc_client

pytestmark = pytest.mark.no_cover

EXAMPLES = ROOT / "examples"
_DEADLINE = 200.0  # seconds

#: name: what it prints, and how many lines of code the protocol's documents need for the same,
#: beside a client of a hundred lines
PROGRAMS = {
    "send_receive": (
        r"\[agent-123\] → \[\*\]: {'can': \['weather'\]}\n"
        r"\[agent-123\] → \[\*\]: Is anybody there\?\n"
        r"\[agent-123\] → \[my-agent\]: Hello back\n",
        10,
    ),
    "handler": (
        r"Agent discovered: agent-123\nQuestion from agent-123: Is anybody there\?\n",
        16,
    ),
    "ask": (r"Answer: Sunny\n", 30),
    "subscribe": (
        r"\[agent-123\] → \[\*\]: {'can': \['weather'\]}\n"
        r"\[agent-123\] → \[\*\]: Is anybody there\?\n",
        9,
    ),
    "robust": (
        r"(\[agent-123\] → \[\*\]: {'can': \['weather'\]}\n"
        r"\[agent-123\] → \[\*\]: Is anybody there\?\n){2}"
        r"Giving up: could not connect to ws://localhost:\d+/arc: .*\n",
        16,
    ),
}


def environment(**settings: str) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("ARC_")}
    return {**own, "PYTHONIOENCODING": "utf-8", **settings}


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_prints_what_it_should(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / f"arc_{name}.py"],
        capture_output=True,
        encoding="utf-8",
        env=environment(),
        timeout=_DEADLINE,
    )
    assert re.fullmatch(PROGRAMS[name][0], done.stdout), done.stdout
    gave_up = "gave up: could not connect to " if name == "robust" else ""
    assert done.stderr.startswith(gave_up)
    assert done.stderr.count("\n") == bool(gave_up)
    assert done.returncode == 0


def lines_of_code(path: Path) -> int:
    source = path.read_text("utf-8")
    docstring = ast.parse(source).body[0]
    lines = source.splitlines()[docstring.end_lineno :]
    return sum(bool(line.strip()) and not line.strip().startswith("#") for line in lines)


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_is_shorter_than_in_the_documents_of_the_protocol(name: str) -> None:
    assert lines_of_code(EXAMPLES / f"arc_{name}.py") < PROGRAMS[name][1]


def test_the_relay_serves_other_programs_until_it_is_interrupted() -> None:
    port = free_port()
    relay = subprocess.Popen(
        [sys.executable, EXAMPLES / "arc_relay.py", str(port)],
        env=environment(),
        stderr=subprocess.PIPE,
    )
    try:
        deadline = time.monotonic() + _DEADLINE
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert time.monotonic() < deadline
            assert relay.poll() is None
            time.sleep(0.02)
        done = subprocess.run(
            [sys.executable, "-c", ASKS],
            capture_output=True,
            encoding="utf-8",
            env=environment(ARC_RELAY_URL=f"localhost:{port}"),
            timeout=_DEADLINE,
        )
        assert (done.stdout, done.stderr) == ("['someone']\n", "")
        relay.send_signal(signal.SIGINT)
        assert relay.wait(_DEADLINE) == 0
        assert relay.stderr is not None
        assert relay.stderr.read() == b""
    finally:
        relay.kill()
        relay.wait()
        assert relay.stderr is not None
        relay.stderr.close()


def start_relay(port: int) -> subprocess.Popen[bytes]:
    relay = subprocess.Popen(
        [sys.executable, EXAMPLES / "arc_relay.py", str(port)], env=environment()
    )
    deadline = time.monotonic() + _DEADLINE
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return relay
        assert time.monotonic() < deadline
        time.sleep(0.02)


async def come_back(relays: list[subprocess.Popen[bytes]], port: int) -> None:
    soon = Backoff(initial=0.05, maximum=0.2)
    url = f"http://127.0.0.1:{port}"
    plain = open_arc_client(url, agent_id="plain", token=None)
    async with (
        open_arc_client(url, agent_id="stays", reconnect=soon, reregister=True) as stays,
        open_arc_client(url, agent_id="refused", reconnect=soon) as refused,
        plain,
    ):
        await stays.subscribe(["somebody"])
        changes = stays.link_changes()
        relays[0].kill()
        with trio.fail_after(_DEADLINE):
            lost = await anext(changes)
            assert isinstance(lost, Disconnected)
            assert lost.code == 1006
            with pytest.raises(ConnectionClosed) as closed:
                await plain.recv()
            assert closed.value.code == 1006
            relays[0].wait()
            relays.append(await trio.to_thread.run_sync(start_relay, port))
            assert await anext(changes) == Connected(generation=2)
            assert await stays.list_subscriptions() == ["somebody"]
            with pytest.raises(ConnectionFailed, match="does not accept the token"):
                await refused.recv()
            await stays.direct("stays", "back again")
            assert (await stays.recv()).payload == "back again"


def test_a_relay_that_is_killed_and_started_again() -> None:
    port = free_port()
    relays = [start_relay(port)]
    try:
        trio.run(come_back, relays, port)
    finally:
        for relay in relays:
            relay.kill()
            relay.wait()


ASKS = """
import asyncio
from vuer_trio.arc import open_arc_client

async def main():
    async with open_arc_client(agent_id="someone") as client:
        print((await client.stats())["relay"]["agents"])

asyncio.run(main())
"""


def test_every_example_is_run_here() -> None:
    names = {f"arc_{name}.py" for name in PROGRAMS} | {"arc_relay.py"}
    assert {path.name for path in EXAMPLES.glob("arc_*.py")} == names
    for name in names:
        source = (EXAMPLES / name).read_text("utf-8")
        assert f"python examples/{name}" in source.split('"""')[1]  # says how to run it
