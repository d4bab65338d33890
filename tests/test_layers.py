"""The order of the house: who may import whom, and what a program pays for at its start."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import vuer_trio
from tests import ROOT as REPOSITORY

ROOT = Path(vuer_trio.__file__).parent
FILES = sorted(path for path in ROOT.rglob("*.py"))
NAMES = [path.relative_to(ROOT).as_posix() for path in FILES]

#: from the bottom to the top; a file imports only from its own layer or one before it
LAYERS = [
    ["_async_types.py", "_errors.py", "_formatting.py", "_interrupts.py", "_memory.py"],
    ["_signatures.py", "_transport_name.py"],
    ["_anyio_nursery.py", "_asyncio_event.py", "_trio_event.py"],
    ["_runtime.py"],
    ["_nursery.py", "_reentrant.py", "_failures.py"],
    ["_home.py"],
    ["_keys.py", "_values.py", "codec.py"],
    ["frame/", "serdes.py", "types.py", "utils.py"],
    ["schemas/"],
    ["_event.py", "_received.py", "events.py"],
    ["xr/"],
    ["_web_client/"],
    ["_scene_tree.py", "scene.py"],
    ["_net/"],
    ["_websocket/"],
    ["_connection/"],
    ["bus/"],
    ["_handlers.py"],
    ["_client/", "client.py"],
    ["_hosting/"],
    ["workspace/"],
    ["webrtc/"],
    ["server/"],
    ["_proxy/"],
    ["base.py", "rtc/"],
    ["_json.py", "_http.py"],
    ["arc/"],
    ["record/"],
    ["sync/"],
    ["_command_line/"],
    ["roomz/"],
    ["port/"],
    ["cli/"],
    ["testing/"],
    ["__init__.py", "__main__.py"],
]
#: may name an async library
ASYNC_LIBRARIES = {"trio", "anyio", "asyncio"}
KNOW_AN_ASYNC_LIBRARY = {
    "_errors.py",
    "_interrupts.py",
    "_anyio_nursery.py",
    "_asyncio_event.py",
    "_trio_event.py",
    "_runtime.py",
    "_connection/trio_channels.py",
    "_connection/anyio_channels.py",
    "webrtc/frame_track.py",
    "webrtc/media_thread.py",
    "webrtc/peers.py",
    "webrtc/source.py",
    "bus/redis_link.py",
    "server/asyncio_task.py",
    "server/session_task.py",
    "sync/portal.py",
    "sync/lease.py",
    "sync/server.py",
}
#: packages that a program pays for only when it uses them
LAZY = [
    *["numpy", "PIL", "anyio", "websockets", "trio_websocket", "wsproto"],
    *["coredis", "httpx2", "socketio", "engineio", "rich", "prompt_toolkit", "vuer_trio.roomz"],
    *["trustme", "cryptography", "segno", "zeroconf", "ifaddr"],
    *["pyarrow", "foxglove_schemas_protobuf", "google.protobuf"],
    *["aiortc", "av", "vuer_trio.webrtc.peers"],
    *["mcap", "zstandard", "lz4", "vuer_trio.record", "vuer_trio.testing"],
    *["vuer_trio._async_types", "vuer_trio._connection.trio_channels", "vuer_trio.server"],
]


def layer_of(name: str) -> int:
    for height, members in enumerate(LAYERS):
        if any(name == m or (m.endswith("/") and name.startswith(m)) for m in members):
            return height
    raise AssertionError(f"{name} has no place in the list of layers")


class Imports(ast.NodeVisitor):
    """The absolute names that a file imports; with ``typed``, for type checkers only, too."""

    def __init__(self, name: str, *, typed: bool = False) -> None:
        self.typed = typed
        self.package = ("vuer_trio", *Path(name).parent.parts)
        self.found: list[str] = []

    def visit_Import(self, node: ast.Import) -> None:
        self.found += [alias.name for alias in node.names]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = node.module or ""
        if node.level:
            parts = self.package[: len(self.package) - node.level + 1]
            base = ".".join([*parts, *filter(None, [base])])
        self.found += [f"{base}.{alias.name}" for alias in node.names]

    def visit_If(self, node: ast.If) -> None:
        if self.typed or not (isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
            self.generic_visit(node)
            return
        for other in node.orelse:
            self.visit(other)


def imports_of(name: str, *, typed: bool = False) -> list[str]:
    visitor = Imports(name, typed=typed)
    visitor.visit(ast.parse((ROOT / name).read_text()))
    return visitor.found


def file_of(module: str) -> str | None:
    """The file of ours that ``vuer_trio.a.b`` comes from, if it is one of ours."""
    parts = module.split(".")
    if parts[0] != "vuer_trio":
        return None
    for length in range(len(parts), 0, -1):
        stem = "/".join(parts[1:length])
        for candidate in (f"{stem}.py", f"{stem}/__init__.py" if stem else "__init__.py"):
            if candidate in NAMES:
                return candidate
    raise AssertionError(f"{module} is no module of ours")


def test_every_file_has_its_place_and_every_place_a_file():
    heights = {layer_of(name) for name in NAMES}
    assert heights == set(range(len(LAYERS)))


def test_a_file_imports_only_from_files_above_it_in_the_list():
    upwards = [
        (name, module, file)
        for name in NAMES
        for module in imports_of(name)
        if (file := file_of(module)) is not None and layer_of(file) > layer_of(name)
    ]
    assert not upwards


def test_the_map_for_contributors_shows_the_same_order():
    contributing = REPOSITORY / "CONTRIBUTING.md"
    drawn = re.search(
        r"\n## The map\n.*?```text\n(.*?)\n```", contributing.read_text("utf-8"), re.S
    )
    assert drawn is not None
    rows = [[line.split()[0] for line in row.splitlines()] for row in drawn[1].split("\n\n")]
    inner = {path.parent.relative_to(ROOT).as_posix() for path in ROOT.glob("*/*/__init__.py")}
    assert inner == {"arc/relay"}
    shown = [[name for name in row if name.strip("/") not in inner] for row in rows]
    assert shown == LAYERS
    named = {name for row in rows for name in row}
    folders = {
        f"{path.parent.relative_to(ROOT).as_posix()}/" for path in ROOT.rglob("*/__init__.py")
    }
    assert named == folders | {path.name for path in ROOT.glob("*.py")}


def test_the_rule_above_sees_an_import_that_breaks_it(monkeypatch):
    visitor = Imports("_connection/link.py")
    visitor.visit(
        ast.parse("from .._client.client import VuerClient\nfrom . import queue\nimport trio.abc")
    )
    assert [file_of(module) for module in visitor.found] == [
        "_client/client.py",
        "_connection/queue.py",
        None,
    ]
    assert layer_of("_client/client.py") > layer_of("_connection/link.py")


def circles(imports: dict[str, set[str]]) -> list[set[str]]:
    """The groups of files that import each other, each of them by way of the others."""
    reach = {name: set(targets) for name, targets in imports.items()}
    for middle in reach:
        for targets in reach.values():
            if middle in targets:
                targets |= reach[middle]
    groups = {frozenset(o for o in reach[n] if n in reach[o]) for n in reach if n in reach[n]}
    return [set(group) for group in groups]


def test_no_two_files_import_each_other():
    imports = {
        name: {file_of(module) for module in imports_of(name, typed=True)} - {None, name}
        for name in NAMES
    }
    assert circles(imports) == []


def test_the_rule_above_sees_a_circle():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [{"a", "b", "c"}]
    visitor = Imports("_connection/link.py", typed=True)
    visitor.visit(ast.parse("if TYPE_CHECKING:\n    from .connection import Connection"))
    assert [file_of(module) for module in visitor.found] == ["_connection/connection.py"]


def test_only_the_lowest_files_know_an_async_library_by_name():
    lowest = ("_net/", "_websocket/", "cli/", "testing/")
    wrong = [
        (name, module)
        for name in NAMES
        if name not in KNOW_AN_ASYNC_LIBRARY and not name.startswith(lowest)
        for module in imports_of(name)
        if module.split(".")[0] in ASYNC_LIBRARIES
    ]
    assert not wrong


def loaded_after(code: str) -> set[str]:
    """Which of the lazy packages a fresh interpreter has loaded after ``code``."""
    code += f"\nimport sys\nprint(*(name for name in {LAZY!r} if name in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "code",
    [
        "import vuer_trio",
        "from vuer_trio import open_vuer_client",
        "import vuer_trio.events, vuer_trio.schemas, vuer_trio.codec",
        "from vuer_trio.schemas import DefaultScene, Box, Img; DefaultScene(Box(), Img(src='a'))",
        "from vuer_trio import VuerClient; VuerClient('ws://localhost:1', headers={'A': 'b'})",
    ],
)
def test_a_start_does_not_load_what_it_does_not_use(code):
    assert loaded_after(code) == set()


def test_the_siblings_are_not_loaded_with_the_package():
    code = (
        "import sys, vuer_trio; print(*(n for n in sys.modules if n.startswith('vuer_trio.arc')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == []
    assert "httpx2" not in loaded_after("import vuer_trio.arc")


def test_the_check_above_sees_a_package_that_is_loaded():
    assert "websockets" in loaded_after("import vuer_trio._websocket.stream_transport")


def test_a_stream_costs_nothing_until_somebody_watches():
    code = (
        "from vuer_trio import Vuer\n"
        "Vuer().create_webrtc_stream('camera')\n"
        "import sys\n"
        "print(*sorted({'asyncio', 'aiortc', 'av', 'numpy'} & set(sys.modules)))"
    )
    pytest.importorskip("aiortc")
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == []
