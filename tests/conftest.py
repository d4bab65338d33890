"""What all tests share: the backends that behavioural tests run on, and settings of the run.

A behavioural test (``tests/behaviour``) takes ``open_client``, and so runs once on every backend.
What a backend cannot do is in `LACKS`, is asked for with ``@pytest.mark.needs("...")``, and is
printed at the end of the run; there is no other way for such a test to be skipped.
"""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests import backend_table, disturbances, repetitions
from tests.backends import BACKENDS, Backend, have_eager_tasks
from tests.workers import TestsScheduling
from vuer_trio import Vuer, VuerClient, open_vuer_client

pytest_plugins = ["pytest_vuer_trio"]  # as an installed package has it
collect_ignore = ["sample_project"]  # a project of its own, see tests/interop

_HERE = Path(__file__).parent
#: what is beside real peers, in a real browser, or long
FULL_ONLY = {
    *(_HERE / name for name in ("browser", "interop", "ported", "soak", "typing")),
    _HERE / "docs" / "test_build.py",
}

#: backend, ability: why not
LACKS = {
    ("trio/trio-websocket", "compression"): "the package can offer no extension",
    ("asyncio/wsproto", "compression"): "its extension is not used here",
    (
        "trio/trio-websocket",
        "freeing at once",
    ): "the package's connection and its stream hold each other",
}


# Hypothesis gives an example 200 ms, which tells of the machine.
settings.register_profile("usual", deadline=None, max_examples=25)
settings.register_profile("thorough", deadline=None)

# A shell that runs the tests in the background has them ignore Ctrl-C, and with them every program
# that a test starts, and means to interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# A container often has this in its environment. A run starts a thousand programs, and each would
# compile this library, and itself, before it begins.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("vuer-trio's own tests")
    group.addoption(
        "--full",
        action="store_true",
        help="also beside real peers and in a browser, on every backend",
    )
    group.addoption(
        "--thorough", action="store_true", help="every repetition, every case on every backend"
    )
    group.addoption(
        "--sample",
        type=int,
        default=os.environ.get("TESTS_SAMPLE", "0"),
        help="which part of the repetitions runs without --thorough (default: TESTS_SAMPLE, or 0)",
    )
    group.addoption(
        "--lag",
        type=float,
        nargs="?",
        const=5,
        metavar="MS",
        help="tests/behaviour with readers that lag by up to so many milliseconds (5)",
    )
    group.addoption(
        "--shuffle",
        action="store_true",
        help="tests/behaviour on Trio and asyncio, each in an order of tasks that --sample chooses",
    )
    group.addoption(
        "--eager-tasks",
        action="store_true",
        help="asyncio.eager_task_factory on the backends of asyncio (Python 3.12 or newer)",
    )
    group.addoption(
        "--table",
        type=Path,
        metavar="FILE",
        help="add what each backend came to; `python -m tests.backend_table FILE` shows it",
    )


def pytest_configure(config: pytest.Config) -> None:
    thorough = config.getoption("thorough")
    repetitions.choose(
        full=config.getoption("full"), thorough=thorough, sample=config.getoption("sample")
    )
    settings.load_profile("thorough" if thorough else "usual")
    if config.getoption("eager_tasks"):
        try:
            have_eager_tasks()
        except ValueError as error:
            raise pytest.UsageError(f"--eager-tasks: {error}") from None


def pytest_report_header(config: pytest.Config) -> list[str]:
    if config.getoption("thorough"):
        return ["repetitions: all of them, on every backend"]
    sample = config.getoption("sample")
    backends = ", ".join(backend.name for backend in repetitions.backends())
    more = "" if repetitions.full() else " (--full for all)"
    return [
        f"backends: {backends}{more}",
        f"repetitions: sample {sample} of them (--sample={sample}, --thorough for all)",
    ]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leaves out what only ``--full`` runs, unless it, or something in it, is named."""
    if collection_path not in FULL_ONLY:
        return None  # others may say
    named = (Path(os.path.abspath(name.partition("::")[0])) for name in config.args)
    asked = any(path.is_relative_to(collection_path) for path in named)
    return None if repetitions.full() or asked else True


@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makeitem(collector: pytest.Collector) -> Any:
    """Leaves out what only ``--full`` or ``--thorough`` runs; a test that is named with ``::`` is
    there."""
    made = yield
    named = any("::" in name for name in collector.config.args)
    if repetitions.thorough() or named or not isinstance(made, list):
        return made
    kept = [item for item in made if not item.get_closest_marker("thorough")]
    if not repetitions.full():
        kept = [item for item in kept if is_usual(item)]
    on_backends = [item for item in kept if can_run_it(item)]
    if on_backends:
        shared = set(repetitions.shared_out(on_backends))
        kept = [item for item in kept if item in shared or item not in on_backends]
    return kept


def backend_of(item: pytest.Item) -> Backend | None:
    backend = item.callspec.params.get("backend") if hasattr(item, "callspec") else None
    return backend if isinstance(backend, Backend) else None


def is_usual(item: pytest.Item) -> bool:
    """Whether it is for a backend that every run is on, or for none."""
    backend = backend_of(item)
    return backend is None or backend in repetitions.backends()


def can_run_it(item: pytest.Item) -> bool:
    """Whether it is for a backend, which can do what it needs."""
    backend = backend_of(item)
    return backend is not None and lacking(item, backend) is None


def lacking(item: pytest.Item, backend: Backend) -> str | None:
    for mark in item.iter_markers("needs"):
        for ability in mark.args:
            if (backend.name, ability) in LACKS:
                return f"{backend.name}: no {ability}: {LACKS[backend.name, ability]}"
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Any:
    """Of a test with the mark `no_cover`, the programs that it starts are not counted either."""
    with pytest.MonkeyPatch.context() as environment:
        if item.get_closest_marker("no_cover"):
            environment.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
        return (yield)


def pytest_collection_finish() -> None:
    """Fourteen thousand tests live as long as the run: `gc.collect`, which many tests call once
    for each step that they cancel, need not look at them each time."""
    gc.collect()
    gc.freeze()


def pytest_xdist_setupnodes() -> None:
    """A worker's coverage is pytest-cov's. Another one, which starts with any program that a test
    starts, would go on where a test with the mark `no_cover` pauses that."""
    os.environ.pop("COVERAGE_PROCESS_CONFIG", None)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Nor may that go on which pytest-cov has started because it took the worker for the
    controller: `--dist` is among the options of pyproject.toml, and so among a worker's, too."""
    plugin = session.config.pluginmanager.getplugin("_cov")
    if hasattr(session.config, "workerinput") and plugin and plugin.cov_controller:
        plugin.cov_controller.cov.stop()


def pytest_xdist_auto_num_workers() -> int:
    """For ``-n auto``: a fifth of a test is waiting, in which another one can run."""
    return 2 * (os.cpu_count() or 1)


@pytest.fixture(params=BACKENDS, ids=lambda backend: backend.name)
def backend(request: pytest.FixtureRequest) -> Backend:
    backend: Backend = request.param
    if reason := lacking(request.node, backend):
        pytest.skip(reason)
    return backend


@pytest.fixture
def anyio_backend(backend: Backend, request: pytest.FixtureRequest) -> Any:
    return disturbances.backend_of(request.node, backend)


@pytest.fixture(autouse=True)
def _disturbed(request: pytest.FixtureRequest) -> Iterator[None]:
    """With --lag and --shuffle, and a few tests without."""
    with disturbances.around(request.node):
        yield


@pytest.fixture
def open_client(backend: Backend) -> Callable[..., VuerClient]:
    """``open_vuer_client`` on this backend."""
    return partial(open_vuer_client, transport=backend.transport)


@pytest.fixture
def new_server(backend: Backend) -> Callable[..., Vuer]:
    """``Vuer`` on this backend, at any free port."""
    return partial(Vuer, port=0, transport=backend.transport)


@pytest.fixture
def open_agent(backend: Backend) -> Callable[..., Any]:
    """``open_arc_client`` on this backend."""
    from vuer_trio.arc import open_arc_client

    return partial(open_arc_client, transport=backend.transport)


@pytest.fixture
def open_relay(backend: Backend) -> Callable[..., Any]:
    """``open_arc_relay`` on this backend."""
    from vuer_trio.arc import open_arc_relay

    def opened(*args: Any, **options: Any) -> Any:
        if not args or isinstance(args[0], int):
            args = ("127.0.0.1", *args)
        return open_arc_relay(*args, transport=backend.transport, **options)

    return opened


@pytest.fixture
def no_web_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where `vuer` is not installed."""
    monkeypatch.setattr("vuer_trio.server.serving.web_client", lambda: None)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    return TestsScheduling(config, log)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return  # nobody sees it, and the controller knows all
    rows = backend_table.rows_of(terminalreporter.stats)
    eager = "eager tasks" if config.getoption("eager_tasks") else ""
    if config.getoption("table") is not None:
        backend_table.save(rows, config.getoption("table"), eager)
    terminalreporter.section(", ".join(filter(None, ["tests on each backend", eager])))
    for line in backend_table.lines_of(rows):
        terminalreporter.write_line(line)
    terminalreporter.section("what a backend cannot do")
    for (backend, ability), reason in LACKS.items():
        terminalreporter.write_line(f"{backend:22} {ability:14} {reason}")
