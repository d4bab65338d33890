"""The real server, in a subprocess. The fixtures are sync: they serve tests on any event loop."""

import functools
import importlib.util
import inspect
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests import PROGRAMS, ROOT
from tests.free_ports import free_port

_PROGRAM = PROGRAMS / "reference_server.py"
_START_DEADLINE = 120.0  # seconds; `import vuer` alone takes one
_STOP_DEADLINE = 60.0  # seconds
_INSTALL_DEADLINE = 300.0  # seconds
_TEST_DEADLINE = 180.0  # seconds; the slowest takes a tenth of it


class ReferenceServer:
    """One server process at a time, always on the same port."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._pump: threading.Thread | None = None
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self.port = free_port()
        self._start()

    @property
    def uri(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def output(self) -> str:
        """Everything printed so far, tracebacks included, restarts included."""
        with self._changed:
            return "".join(self._lines)

    def restart(self) -> None:
        """Kill it and start another on the same port; returns when that accepts connections."""
        self.kill()
        self._start()

    def kill(self) -> None:
        """SIGKILL: clients see TCP end without a Close. Harmless when it is dead already."""
        process, self._process = self._process, None
        if process is None:
            return
        assert self._pump is not None
        process.kill()
        process.wait(_STOP_DEADLINE)
        self._pump.join(_STOP_DEADLINE)
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()

    def wait_dead(self, timeout: float = _STOP_DEADLINE) -> int:
        """The exit status, once the process has ended by itself (DIE)."""
        assert self._process is not None
        return self._process.wait(timeout)

    def _start(self) -> None:
        # Neither the settings of whoever runs the tests nor coverage concern the peer.
        foreign = ("VUER_", "COVERAGE_", "COV_CORE_", "WEBSOCKET_MAX_SIZE", "REQUEST_MAX_SIZE")
        environment = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
        self._process = subprocess.Popen(
            [sys.executable, "-u", str(_PROGRAM), "--port", str(self.port), "--exit-with-stdin"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=environment,
            cwd=_PROGRAM.parent,
        )
        first_line = len(self._lines)
        self._pump = threading.Thread(target=self._read_output, args=(self._process,), daemon=True)
        self._pump.start()
        ready = f"READY {self.port}\n"
        with self._changed:
            self._changed.wait_for(  # the empty line marks the end of the output
                lambda: {ready, ""} & set(self._lines[first_line:]), timeout=_START_DEADLINE
            )
            is_ready = ready in self._lines[first_line:]
        if not is_ready:
            self.kill()
            raise RuntimeError(f"the reference server did not start:\n{self.output()}")

    def _read_output(self, process: "subprocess.Popen[str]") -> None:
        # Always read: the server prints with every connection, and a full pipe would stop it.
        assert process.stdout is not None
        while True:
            line = process.stdout.readline()
            with self._changed:
                self._lines.append(line)
                self._changed.notify_all()
            if not line:
                return


def _serving() -> Iterator[ReferenceServer]:
    if importlib.util.find_spec("vuer") is None:
        pytest.skip("needs the dependency group `interop`")
    server = ReferenceServer()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="module")
def reference_server() -> Iterator[ReferenceServer]:
    """One process for the module's tests, which therefore must leave it alive."""
    yield from _serving()


@pytest.fixture
def fresh_reference_server() -> Iterator[ReferenceServer]:
    """A process for this test alone, to restart or kill."""
    yield from _serving()


def _run(*command: str | Path) -> None:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("COV", "PYTHON"))}
    subprocess.run(command, env=clean, check=True, timeout=_INSTALL_DEADLINE)


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The sdist, and the wheel that is built from it, as an index's users do. The files
    with these tests are in ``tests/workers.py``, so that one worker builds them once."""
    folder = tmp_path_factory.mktemp("dist")
    _run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return {"sdist": sdist, "wheel": wheel}


@pytest.fixture(scope="session")
def new_environment(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """``new_environment(*requirements)``: the interpreter of one that has these alone."""

    def make(*requirements: str | Path) -> Path:
        folder = tmp_path_factory.mktemp("environment")
        _run(sys.executable, "-m", "venv", "--without-pip", folder)
        python = folder / "bin" / "python"
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
        _run(*pip, "--python", python, "install", *requirements)
        return python

    return make


@pytest.fixture
def tag(request: pytest.FixtureRequest) -> str:
    """A name for this test's sessions, which no other test and no other backend uses."""
    name: str = request.node.name
    return name


def pytest_itemcollected(item: pytest.Item) -> None:
    """An answer that never comes fails the test that waits for it."""
    if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
        item.obj = _with_deadline(item.obj)


def _with_deadline(test: Any) -> Any:
    @functools.wraps(test)
    async def within_the_deadline(*args: Any, **kwargs: Any) -> None:
        with anyio.fail_after(_TEST_DEADLINE):
            await test(*args, **kwargs)

    return within_the_deadline
