"""The order of the house: who may import whom, and what a program pays for at its start."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import vuer_trio

ROOT = Path(vuer_trio.__file__).parent
FILES = sorted(path for path in ROOT.rglob("*.py"))
NAMES = [path.relative_to(ROOT).as_posix() for path in FILES]

#: from the bottom to the top; a file imports only from its own layer or one before it
LAYERS = [
    ["_errors.py", "_formatting.py", "_interrupts.py", "_signatures.py", "_transport_name.py"],
    ["_anyio_nursery.py"],
    ["_runtime.py"],
    ["_nursery.py", "_reentrant.py", "_failures.py"],
    ["_home.py"],
    ["_keys.py", "_values.py", "codec.py"],
    ["schemas/"],
    ["_event.py", "_received.py", "events.py"],
    ["_scene_tree.py", "scene.py"],
    ["_net/"],
    ["_websocket/"],
    ["_connection/"],
    ["_handlers.py"],
    ["_client/"],
    ["_hosting/"],
    ["server/"],
    ["_json.py", "_http.py"],
    ["arc/"],
    ["record/"],
    ["sync.py"],
    ["roomz/"],
    ["cli/"],
    ["testing/"],
    ["__init__.py"],
]
#: may name an async library
ASYNC_LIBRARIES = {"trio", "anyio", "asyncio"}
KNOW_AN_ASYNC_LIBRARY = {
    "_errors.py",
    "_interrupts.py",
    "_anyio_nursery.py",
    "_runtime.py",
    "_connection/trio_channels.py",
    "_connection/anyio_channels.py",
    "sync.py",
}
#: packages that a program pays for only when it uses them
LAZY = [
    *["numpy", "PIL", "anyio", "websockets", "trio_websocket", "wsproto"],
    *["httpx2", "socketio", "engineio", "rich", "prompt_toolkit", "vuer_trio.roomz"],
    *["mcap", "zstandard", "lz4", "vuer_trio.record", "vuer_trio.testing"],
]

each_file = pytest.mark.parametrize("name", NAMES)


def layer_of(name: str) -> int:
    for height, members in enumerate(LAYERS):
        if any(name == m or (m.endswith("/") and name.startswith(m)) for m in members):
            return height
    raise AssertionError(f"{name} has no place in the list of layers")


class Imports(ast.NodeVisitor):
    """The absolute names that a file imports; what is only for type checkers aside."""

    def __init__(self, name: str) -> None:
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
        if not (isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
            self.generic_visit(node)
        for other in node.orelse:
            self.visit(other)


def imports_of(name: str) -> list[str]:
    visitor = Imports(name)
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


@each_file
def test_a_file_imports_only_from_files_above_it_in_the_list(name):
    height = layer_of(name)
    upwards = [
        (module, file)
        for module in imports_of(name)
        if (file := file_of(module)) is not None and layer_of(file) > height
    ]
    assert not upwards


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


@each_file
def test_only_the_lowest_files_know_an_async_library_by_name(name):
    named = {module.split(".")[0] for module in imports_of(name)} & ASYNC_LIBRARIES
    lowest = ("_net/", "_websocket/", "cli/", "testing/")
    if not (name in KNOW_AN_ASYNC_LIBRARY or name.startswith(lowest)):
        assert not named


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
