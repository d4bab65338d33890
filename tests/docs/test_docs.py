"""Every block of the README and of the guide is run, and every link leads somewhere.

A Python block is a snippet, unless a note says that it is a program, or tests. A snippet runs
inside an async function, under Trio, with these names: ``trio``, ``open_vuer_client``,
``VuerClient``, ``Vuer``, ``open_vuer_server``, ``Box``, ``DefaultScene``, ``SetPosition`` (the
README's event), and
``client``, which is connected, unless the snippet opens one of its own. Wherever a block says
``ws://localhost:8012`` or ``"localhost", 8012``, there is a server as its note wants it; at
``wss://robot.local:8012`` it speaks TLS, with a certificate that ``robot.pem`` vouches for;
``ws://localhost:1`` is nobody's, at ``http://localhost:8080`` is a relay, and
``http://proxy.local:3128`` is a proxy. Where the server is ``roomz``, the real one is at
``http://localhost:8000``, and ``"TOKEN"`` is alice@example.com's. ``server.pem`` and
``server-key.pem`` are a certificate of localhost, which ``authority.pem`` vouches for. A program
with a client serves until it is interrupted.

Each block must be able to fail: by an assert, by what it prints, or by what arrives at the server.
Each ``except`` of a snippet must be entered.
The notes are in `doc_blocks.py`.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import CodeType
from typing import Any

import msgpack
import pytest
import trio
from doc_blocks import PAGES, ROOT, Block, blocks, target_of
from doc_clients import CLIENTS
from doc_consoles import check, commands_of, matches
from doc_servers import SERVERS

import peer as peer_module
import vuer_trio
from peer import Peer, serve_peer
from roomz_server import RoomzServer, running_roomz
from vuer_trio import Backoff, Vuer, VuerClient, VuerError, open_vuer_client, open_vuer_server
from vuer_trio.arc import open_arc_relay
from vuer_trio.cli.statuses import EPILOG, Status
from vuer_trio.events import ClientEvent
from vuer_trio.roomz import SyncClient
from vuer_trio.schemas import Box, DefaultScene

#: what a block says, and what stands for it
Addresses = dict[str, str]

DEADLINE = 20.0  # seconds
HERE, HERE_TLS = "ws://localhost:8012", "wss://robot.local:8012"
RELAY = "http://localhost:8080"
HERE_TCP, PROXY = '"localhost", 8012', "http://proxy.local:3128"

ALL = [block for page in PAGES for block in blocks(page)]
PYTHON = [block for block in ALL if block.language == "python"]
TESTS = [block for block in PYTHON if "tests" in block.notes]
SNIPPETS = [block for block in PYTHON if not {"program", "tests"} & set(block.notes)]
PROGRAMS = [block for block in PYTHON if "program" in block.notes and "client" not in block.notes]
SERVING = [block for block in PYTHON if "client" in block.notes]
CONSOLES = [block for block in ALL if block.language == "console"]


class SetPosition(ClientEvent):
    etype = "SET_POSITION"
    value = (0, 0, 0)


@pytest.fixture(autouse=True)
def a_plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(("VUER_", "ARC_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


# ---- Python


def by_name(chosen: list[Block]) -> Any:
    return pytest.mark.parametrize("block", chosen, ids=lambda block: block.name)


@by_name(SNIPPETS)
def test_snippet(
    block: Block, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    if "needs" in block.notes:
        pytest.importorskip(block.notes["needs"])
    roomz = roomz_for(block, request)
    trio.run(run_snippet, block, roomz)
    printed = capsys.readouterr().out
    for name, address in roomz.items():
        printed = printed.replace(address, name)
    assert_printed(block, printed)


async def run_snippet(block: Block, roomz: Addresses) -> None:
    with trio.fail_after(DEADLINE):
        async with staged(block, roomz) as stage:
            names = {
                "trio": trio,
                "open_vuer_client": open_vuer_client,
                "open_vuer_server": open_vuer_server,
                "VuerClient": VuerClient,
                "Vuer": Vuer,
                "Box": Box,
                "DefaultScene": DefaultScene,
                "SetPosition": SetPosition,
                "_entered": stage.handlers.discard,
            }
            opens = ("VuerClient(", "open_vuer_client(", "vuer_trio.arc", "roomz import")
            if any(name in block.source for name in opens):
                await execute(stage.compiled(), names)
            else:
                async with open_vuer_client(stage.peer.uri) as names["client"]:
                    await execute(stage.compiled(), names)
            assert not stage.handlers, "nothing was raised for the `except` in these lines"
            await stage.check_what_arrived()


async def execute(code: CodeType, names: dict[str, Any]) -> None:
    result = eval(code, names)
    if inspect.isawaitable(result):
        await result


@by_name(PROGRAMS)
def test_program(block: Block, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    trio.run(run_program, block, tmp_path / "program.py", roomz_for(block, request))


async def run_program(block: Block, path: Path, roomz: Addresses) -> None:
    with trio.fail_after(DEADLINE):
        async with staged(block, roomz) as stage:
            await trio.Path(path).write_text(stage.here(block.source), "utf-8")
            done = await trio.run_process(
                [sys.executable, "-W", "error", path],
                capture_stdout=True,
                capture_stderr=True,
                check=False,
                env={**os.environ, "PYTHONIOENCODING": "utf-8"},
            )
            assert (done.returncode, done.stderr.decode()) == (0, ""), done.stderr.decode()
            await stage.check_what_arrived()
    assert_printed(block, stage.there(done.stdout.decode()))


@by_name(TESTS)
def test_tests(block: Block, tmp_path: Path) -> None:
    path = tmp_path / "test_block.py"
    path.write_text(block.source, "utf-8")
    deprecated = "ignore:.*strict_exception_groups.*:DeprecationWarning"  # pytest-trio 0.8
    options = ["-c", os.devnull, "-p", "no:cacheprovider", "-W", "error", "-W", deprecated]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, path],
        capture_output=True,
        encoding="utf-8",
        # as the plugin of an installed package, from a checkout too
        env={**os.environ, "PYTEST_PLUGINS": "pytest_vuer_trio"},
        timeout=60,
    )
    assert done.returncode == 0, done.stdout
    assert f" {block.source.count('def test_')} passed" in done.stdout


@by_name(SERVING)
def test_serving_program(block: Block, tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text(block.source, "utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = subprocess.Popen(
        [sys.executable, "-W", "error", path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8", "VUER_PORT": str(port)},
    )
    with program:
        try:
            trio.run(visit, f"ws://localhost:{port}", block.notes["client"])
            program.send_signal(signal.SIGINT)
            printed, errors = program.communicate(timeout=DEADLINE)
        finally:
            program.kill()
    assert (program.returncode, errors) == (0, "")
    assert_printed(block, printed.replace(f":{port}", ":8012"))


async def visit(uri: str, name: str) -> None:
    with trio.fail_after(DEADLINE):
        soon = Backoff(initial=0.05, maximum=0.05, first=True)
        async with open_vuer_client(uri, reconnect=soon) as client:
            await CLIENTS[name](client)


def assert_printed(block: Block, printed: str) -> None:
    printed = re.sub(r"ws://127\.0\.0\.1:\d+", HERE, printed)
    assert printed == (block.output or ""), f"what {block.name} prints is not what it says below it"


@pytest.fixture(scope="module")
def roomz_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RoomzServer]:
    with running_roomz(tmp_path_factory.mktemp("roomz")) as server:
        yield server


def roomz_for(block: Block, request: pytest.FixtureRequest) -> Addresses:
    """The real Roomz server and a new token, for who needs them; each user is called Alice."""
    if block.notes.get("server") != "roomz":
        return {}
    server: RoomzServer = request.getfixturevalue("roomz_server")
    client, before, email = SyncClient(server.url, ""), server.tokens, server.email()
    client.login(email)
    return {
        "http://localhost:8000": server.url,
        "TOKEN": server.token_after(before),
        "alice@example.com": email,
        "bob@example.com": server.email(),
    }


@asynccontextmanager
async def staged(block: Block, roomz: Addresses) -> AsyncIterator[Stage]:
    """The servers that a block talks to."""
    script = SERVERS["listens" if roomz else block.notes.get("server", "listens")]
    small = 4096 if script.__name__ == "stalls" else None
    async with AsyncExitStack() as stack:
        peer = await stack.enter_async_context(serve_peer(script, receive_buffer=small))
        addresses = {HERE: peer.uri, HERE_TCP: f'"127.0.0.1", {peer.port}', **roomz}
        if HERE_TLS in block.source:
            secure = await stack.enter_async_context(serve_peer(script, tls=True))
            addresses[HERE_TLS] = secure.uri
            peer_module._certificate_authority().cert_pem.write_to_path("robot.pem")
        if "server-key.pem" in block.source:
            authority = peer_module._certificate_authority()
            issued = authority.issue_cert("localhost")
            authority.cert_pem.write_to_path("authority.pem")
            issued.private_key_pem.write_to_path("server-key.pem")
            issued.cert_chain_pems[0].write_to_path("server.pem")
        if PROXY in block.source:
            addresses[PROXY] = await stack.enter_async_context(serve_proxy())
        if RELAY in block.source:
            addresses[RELAY] = (await stack.enter_async_context(open_arc_relay())).url
        yield Stage(block, peer, addresses)


@dataclass
class Stage:
    """A block among its servers; their addresses are not those that it says."""

    block: Block
    peer: Peer
    addresses: dict[str, str]
    handlers: set[int] = field(default_factory=set)  # lines of `except` that were not entered

    def here(self, text: str) -> str:
        for name, address in self.addresses.items():
            text = text.replace(name, address)
        return text

    def there(self, text: str) -> str:
        for name, address in self.addresses.items():
            text = text.replace(address, name)
        return text

    def compiled(self) -> CodeType:
        block = self.block
        source = "\n" * (block.line - 1) + self.here(block.source)
        tree = ast.parse(source, str(block.page))
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler):
                self.handlers.add(node.lineno)
                node.body.insert(0, ast.parse(f"_entered({node.lineno})").body[0])
        return compile(tree, str(block.page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)

    async def check_what_arrived(self) -> None:
        if (wanted := self.block.notes.get("got")) is None:
            return
        events = []
        for conn in self.peer.connections:
            await conn.wait_disconnected()
            events += [msgpack.unpackb(message) for message in conn.messages]
        assert [e["value"] for e in events if e["etype"] != "INIT"] == json.loads(wanted)


@asynccontextmanager
async def serve_proxy() -> AsyncIterator[str]:
    """An HTTP proxy that does CONNECT, and nothing else."""

    async def pump(source: trio.SocketStream, sink: trio.SocketStream) -> None:
        async for data in source:
            await sink.send_all(data)
        await sink.send_eof()

    async def handle(stream: trio.SocketStream) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += await stream.receive_some()
        method, target, *_ = head.decode().split()
        assert method == "CONNECT"
        host, port = target.rsplit(":", 1)
        await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\n")
        async with await trio.open_tcp_stream(host, int(port)) as onward, trio.open_nursery() as n:
            n.start_soon(pump, stream, onward)
            n.start_soon(pump, onward, stream)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, handle, 0, host="127.0.0.1"))
        try:
            yield f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        finally:
            nursery.cancel_scope.cancel()


# ---- consoles


@by_name(CONSOLES)
def test_console(block: Block, tmp_path: Path) -> None:
    trio.run(run_console, block, tmp_path)


async def run_console(block: Block, folder: Path) -> None:
    async with staged(block, {}) as stage:
        port = stage.peer.port
        if "$ vuer-trio serve" in block.source:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
        here = {f"{word}8012": f"{word}{port}" for word in ("localhost:", "127.0.0.1:", "port ")}
        environment = {"VUER_CLIENT_URI": f"ws://localhost:{port}", "VUER_PORT": str(port)}
        await trio.to_thread.run_sync(lambda: check(block, folder, here, **environment))
        await stage.check_what_arrived()


def test_a_console_that_shows_something_else_is_seen() -> None:
    assert matches(["a  1.5 ms", "...", "b"], ["a    27.25 ms", "x", "y", "b"])
    assert matches(["00:00:00.000  SET"], ["12:34:56.789    SET"])
    assert not matches(["a  1.5 ms"], ["a  x ms"])
    assert not matches(["a 15"], ["a 16"])
    assert not matches(["a"], ["a", "b"])
    assert not matches(["a", "b"], ["a"])


# ---- what is not Python


def test_every_block_can_fail() -> None:
    assert len(SNIPPETS) > 20
    assert PROGRAMS
    assert SERVING
    assert TESTS
    for block in ALL:
        match block.language:
            case "{toctree}":
                assert block.page.name == "index.md"
            case "python":
                can = (
                    "assert " in block.source
                    or block.output
                    or {"got", "client"} & set(block.notes)
                )
                assert can, f"{block.name} asserts nothing, prints nothing and sends nothing"
            case "bash" if "command" not in block.notes:
                for line in block.source.splitlines():
                    assert line.startswith(("pip install ", "export ")), f"{block.name}: {line}"
            case "bash":
                assert block.page.name == "README.md"
            case "console":
                shown = commands_of(block)
                assert any(set(s.lines) - {"...", "^C"} for s in shown), f"{block.name}: no output"
            case other:
                assert other == "text", f"{block.name} is {other!r}: nothing runs that"
                assert "output" in block.notes, f"{block.name} is not below a Python block"


def commands() -> dict[str, Block]:
    return {b.notes["command"]: b for b in ALL if "command" in b.notes}


def test_the_two_commands_are_one_line_each_and_set_up_all_they_need() -> None:
    assert list(commands()) == ["demo", "tests"]
    for block in commands().values():
        assert block.language == "bash"
        (line,) = block.source.splitlines()
        # --group wants pip 25.1, and a Python may bring an older one
        assert line.startswith("python3 -m venv .venv && .venv/bin/pip install -q -U pip && ")
        for path in re.findall(r"[\w/]+\.py\b", line):
            assert (ROOT / path).exists()


def test_the_demo_prints_what_the_readme_shows() -> None:
    (shown,) = (b.source for b in ALL if b.notes.get("output") == "demo")
    done = subprocess.run(
        [sys.executable, "-W", "error", ROOT / "examples" / "demo.py"],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == shown


# ---- tables


def table(page: str, heading: str) -> list[list[str]]:
    """The cells of the table under a heading, without its head."""
    section = (ROOT / "docs" / page).read_text("utf-8").split(f"\n## {heading}\n")[1]
    rows = [line for line in section.split("\n## ")[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


@pytest.mark.parametrize(("page", "cls"), [("connecting.md", VuerClient), ("serving.md", Vuer)])
def test_the_table_of_options_has_all_of_them_with_their_defaults(page: str, cls: type) -> None:
    parameters = inspect.signature(cls).parameters
    told: dict[str, str] = {}
    for names, default, _ in table(page, "Options"):
        told |= dict.fromkeys(re.findall(r"`(\w+)`", names), default.strip("`"))
    named = {name for name, p in parameters.items() if p.kind is not p.VAR_KEYWORD}
    assert told.keys() == named
    for name, default in told.items():
        if default and not default.startswith(("VUER_", "WEBSOCKET_", "Fifo")):
            assert eval(default) == parameters[name].default, name


def test_the_table_of_errors_has_all_of_them_with_their_bases() -> None:
    told = {}
    for name, _, bases in table("cancellation.md", "Errors"):
        told[name.strip("`")] = re.findall(r"`([\w.]+)`", bases)
    for name, bases in told.items():
        for base in bases:
            where = trio if base.startswith("trio.") else builtins
            assert issubclass(getattr(vuer_trio, name), getattr(where, base.split(".")[-1]))
    errors = {n for n in vuer_trio.__all__ if issubclass_(getattr(vuer_trio, n), VuerError)}
    assert told.keys() == errors - {"VuerError", "Stale"}  # nothing raises `Stale` so far


def test_the_table_of_exit_statuses_has_all_of_them() -> None:
    told = {int(status): meaning for status, meaning in table("command_line.md", "Exit statuses")}
    for status in Status:
        assert f"  {status:<5} {told.pop(status)}\n" in EPILOG
    assert not told


def issubclass_(item: object, base: type) -> bool:
    return isinstance(item, type) and issubclass(item, base)


# ---- links

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def prose(page: Path) -> str:
    return re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.M | re.S)


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def links() -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        for target in _LINK.findall(prose(page)):
            yield page, target


def test_links_within_the_repository_lead_somewhere() -> None:
    seen = 0
    for page, target in links():
        if (there := target_of(page, target)) is None:
            continue
        found, anchor = there
        assert found.exists(), f"{page.name} links to {target}"
        assert found.is_relative_to(ROOT)
        if anchor:
            assert anchor in anchors(found), f"{page.name} links to {target}"
        seen += 1
    assert seen > 10


def test_every_page_of_the_guide_can_be_reached_from_the_readme() -> None:
    """By links that a forge shows. The first page of the site is made of the README."""
    leads: dict[Path, set[Path]] = {}
    for page, target in links():
        if there := target_of(page, target):
            leads.setdefault(page, set()).add(there[0])
    reached: set[Path] = set()
    ahead = {ROOT / "README.md"}
    while ahead:
        reached |= ahead
        ahead = {page for known in ahead for page in leads.get(known, ())} & {*PAGES} - reached
    assert {*PAGES} - reached == {ROOT / "docs" / "index.md"}
