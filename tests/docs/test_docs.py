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
with a client serves until it is interrupted. A line ``...`` in what a block prints stands for any
lines.

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
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import CodeType
from typing import Any

import msgpack
import pytest
import trio
import yaml

import vuer_trio
from tests import scripted_server as peer_module
from tests.docs.doc_blocks import PAGES, ROOT, Block, blocks, target_of
from tests.docs.doc_clients import CLIENTS
from tests.docs.doc_consoles import check, commands_of, matches
from tests.docs.doc_servers import SERVERS
from tests.free_ports import free_port
from tests.real_roomz_server import RoomzServer, running_roomz
from tests.recording_files import need_mcap
from tests.redis_server import RedisServer
from tests.scripted_server import Peer, serve_peer
from vuer_trio import (
    Backoff,
    Fifo,
    Vuer,
    VuerClient,
    VuerError,
    WebsocketsOptions,
    open_vuer_client,
    open_vuer_server,
)
from vuer_trio.arc import open_arc_relay
from vuer_trio.cli.statuses import EPILOG, Status
from vuer_trio.events import ClientEvent
from vuer_trio.roomz import SyncClient
from vuer_trio.schemas import Box, DefaultScene
from vuer_trio.server.banner import network_address

pytestmark = pytest.mark.no_cover

#: what a block says, and what stands for it
Addresses = dict[str, str]

DEADLINE = 120.0  # seconds
HERE, HERE_TLS = "ws://localhost:8012", "wss://robot.local:8012"
RELAY = "http://localhost:8080"
REDIS = "redis://localhost:6379"
HERE_TCP, PROXY = '"localhost", 8012', "http://proxy.local:3128"

ALL = [block for page in PAGES for block in blocks(page)]
PYTHON = [block for block in ALL if block.language == "python"]
TESTS = [block for block in PYTHON if "tests" in block.notes]
SNIPPETS = [block for block in PYTHON if not {"program", "tests"} & set(block.notes)]
PROGRAMS = [
    block
    for block in PYTHON
    if "program" in block.notes
    and "client" not in block.notes
    and block.notes.get("server") != "above"
]
#: a server, and below it its client
PAIRS = [
    (above, block)
    for above, block in pairwise(PYTHON)
    if "program" in block.notes and block.notes.get("server") == "above"
]
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
    monkeypatch.setenv("VUER_TRIO_DATA", str(tmp_path / "data"))
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
        timeout=240,
    )
    assert done.returncode == 0, done.stdout
    assert f" {block.source.count('def test_')} passed" in done.stdout


@contextmanager
def serving_program(block: Block, path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A program that serves, in a process of its own; and its port."""
    path.write_text(block.source, "utf-8")
    port = free_port()
    program = subprocess.Popen(
        [sys.executable, "-W", "error", path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8", "VUER_PORT": str(port)},
    )
    with program:
        try:
            yield program, port
        finally:
            program.kill()


@by_name(SERVING)
def test_serving_program(block: Block, tmp_path: Path) -> None:
    with serving_program(block, tmp_path / "program.py") as (program, port):
        scheme = "wss" if 'tls="auto"' in block.source else "ws"
        trio.run(visit, f"{scheme}://localhost:{port}", block.notes["client"])
        program.send_signal(signal.SIGINT)
        printed, errors = program.communicate(timeout=DEADLINE)
    assert (program.returncode, errors) == (0, "")
    printed = printed.replace(f":{port}", ":8012").replace(f"{tmp_path}/robot", "/home/me/robot")
    if 'tls="auto"' in block.source:
        if (address := network_address()) is None:
            pytest.skip("needs an address in a network")
        printed = printed.replace(address, "192.168.1.5")
        printed = printed.replace(os.environ["VUER_TRIO_DATA"], "/home/me/.local/share/vuer-trio")
    assert_printed(block, printed)


@pytest.mark.parametrize(("server", "client"), PAIRS, ids=[block.name for _, block in PAIRS])
def test_a_client_of_the_program_above(server: Block, client: Block, tmp_path: Path) -> None:
    """As a reader runs them: one in a terminal, and the other in another one."""
    path = tmp_path / "client.py"
    with serving_program(server, tmp_path / "server.py") as (program, port):
        path.write_text(client.source.replace(":8012", f":{port}"), "utf-8")
        trio.run(open_when_it_listens, port)
        done = subprocess.run(
            [sys.executable, "-W", "error", path],
            capture_output=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
            timeout=DEADLINE,
        )
        program.send_signal(signal.SIGINT)
        _, errors = program.communicate(timeout=DEADLINE)
    assert (done.returncode, done.stderr) == (0, "")
    assert (program.returncode, errors) == (0, "")
    assert_printed(client, done.stdout)


async def open_when_it_listens(port: int) -> None:
    with trio.fail_after(DEADLINE):
        soon = Backoff(initial=0.05, maximum=0.05, first=True)
        async with open_vuer_client(f"ws://localhost:{port}", reconnect=soon) as client:
            await client.flush()


async def visit(uri: str, name: str) -> None:
    with trio.fail_after(DEADLINE):
        soon = Backoff(initial=0.05, maximum=0.05, first=True)
        trust = None
        if uri.startswith("wss:"):
            authority = Path(os.environ["VUER_TRIO_DATA"]) / "ca.pem"
            while not authority.exists():  # the program makes it
                await trio.sleep(0.05)
            trust = ssl.create_default_context(cafile=authority)
        async with open_vuer_client(uri, reconnect=soon, ssl_context=trust) as client:
            await CLIENTS[name](client)


def assert_printed(block: Block, printed: str) -> None:
    printed = re.sub(r"ws://127\.0\.0\.1:\d+", HERE, printed)
    wanted = block.output or ""
    same = printed == wanted
    if "\n...\n" in wanted:
        same = matches(wanted.splitlines(), printed.splitlines())
    assert same, f"what {block.name} prints is not what it says below it:\n{printed}"


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
        if REDIS in block.source:
            addresses[REDIS] = stack.enter_context(RedisServer(Path.cwd())).uri
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
    if ".mcap" in block.source:
        need_mcap()
    trio.run(run_console, block, tmp_path)


async def run_console(block: Block, folder: Path) -> None:
    async with staged(block, {}) as stage:
        port = stage.peer.port
        if "$ vuer-trio serve" in block.source:
            port = free_port()
        here = {f"{word}8012": f"{word}{port}" for word in ("localhost:", "127.0.0.1:", "port ")}
        environment = {"VUER_CLIENT_URI": f"ws://localhost:{port}", "VUER_PORT": str(port)}
        await trio.to_thread.run_sync(lambda: check(block, folder, here, **environment))
        await stage.check_what_arrived()


def test_a_console_that_shows_something_else_is_seen() -> None:
    assert matches(["a  1.5 ms", "...", "b"], ["a    27.25 ms", "x", "y", "b"])
    assert matches(["00:00:00.000  SET"], ["12:34:56.789    SET"])
    assert matches(["f: 2 messages, 1.5 KB"], ["f: 2 messages, 664 B"])
    assert matches(["f: 2 messages, 664 B"], ["f: 2 messages, 12.0 MB"])
    assert not matches(["f: 2 messages, 664 B"], ["f: 3 messages, 664 B"])
    assert not matches(["664 B"], ["664 Bytes"])
    assert not matches(["a  1.5 ms"], ["a  x ms"])
    assert not matches(["a 15"], ["a 16"])
    assert not matches(["a"], ["a", "b"])
    assert not matches(["a", "b"], ["a"])


# ---- what is not Python


def test_every_block_can_fail() -> None:
    assert len(SNIPPETS) > 20
    assert PROGRAMS
    assert SERVING
    assert PAIRS
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
            case "yaml":  # a file of another program
                assert yaml.safe_load(block.source)
            case "text" if block.notes.get("screen") == "top":  # tests/cli/test_top.py holds it
                assert "round trip" in block.source
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
        timeout=240,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == shown


# ---- tables


def table(page: str, heading: str) -> list[list[str]]:
    """The cells of the table under a heading, without its head."""
    section = (ROOT / "docs" / page).read_text("utf-8").split(f"\n## {heading}\n")[1]
    rows = [line for line in section.split("\n## ")[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


#: an option in a list: its names, types, unit and default, and what it means
_OPTION = re.compile(
    r"- (`\w+`(?:, `\w+`)*): (`[^`]+`(?: or `[^`]+`)*)(?:, in (\w+))?, "
    r"default (`[^`]+`)(?:, else [^.]+)?\. \S.*\."
)
#: words of the lists of options for what an annotation says otherwise
_TYPES = {"PathLike[str]": "Path", "'": '"'}


def types_of(annotation: str) -> set[str]:
    """What an option takes, but None: types, and the values of a `Literal`."""
    for name, word in _TYPES.items():
        annotation = annotation.replace(name, word)
    found: set[str] = set()
    for part in re.split(r" \| (?![^\[]*\])", annotation):
        values = re.fullmatch(r"Literal\[(.*)\]", part)
        found |= set(values[1].split(", ")) if values else {part}
    return found - {"None"}


@pytest.mark.parametrize(("page", "cls"), [("connecting.md", VuerClient), ("serving.md", Vuer)])
def test_the_list_of_options_has_all_of_them_as_they_are(page: str, cls: type) -> None:
    parameters = inspect.signature(cls).parameters
    section = (ROOT / "docs" / page).read_text("utf-8").split("\n## Options\n")[1].split("\n## ")[0]
    told = {}
    for item in re.findall(r"^- .*(?:\n  .*)*", section, re.M):
        option = _OPTION.fullmatch(" ".join(item.split()))
        assert option, item
        names, types, unit, default = option.groups()
        for name in re.findall(r"`(\w+)`", names):
            told[name] = (set(re.findall(r"`([^`]+)`", types)), default.strip("`"), unit)
    assert told.keys() == {n for n, p in parameters.items() if p.kind is not p.VAR_KEYWORD}
    for name, (types, default, unit) in told.items():
        assert types == types_of(str(parameters[name].annotation)), name
        assert (unit == "seconds") == ("float" in types), name
        if name in ("max_size", "max_buffered"):
            assert unit == "bytes"
        if not default.startswith(("VUER_", "WEBSOCKET_")):  # of the environment
            assert repr(eval(default, {"Fifo": Fifo})) == repr(parameters[name].default), name


def test_the_keywords_of_websockets_are_named() -> None:
    section = (ROOT / "docs" / "connecting.md").read_text("utf-8").split("\n## Options\n")[1]
    for name in WebsocketsOptions.__annotations__.keys() - {"URI"}:
        assert f"`{name}`" in section.split("\n## ")[0], name


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
    # a forge shows these from the files that they hold
    assert {*PAGES} - reached == {ROOT / "docs" / name for name in ("changelog.md", "index.md")}
