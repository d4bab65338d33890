"""The legs: each runtime and transport that a behavioural test runs on.

A behavioural test (``tests/behaviour``) takes ``open_client``, and so runs once on every leg. What
a leg cannot do stands in `LACKS`, is asked for with ``@pytest.mark.needs("...")``, and is printed
at the end of the run; there is no other way for such a test to be skipped.
"""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from legs import LEGS, Leg
from vuer_trio import Vuer, VuerClient, open_vuer_client

pytest_plugins = ["pytest_vuer_trio"]  # as an installed package has it
collect_ignore = ["sample_project"]  # a project of its own, see tests/interop

#: leg, ability: why not
LACKS = {
    ("trio/trio-websocket", "compression"): "the package can offer no extension",
    ("asyncio/wsproto", "compression"): "its extension is not used here",
}


# Hypothesis gives an example 200 ms, which tells of the machine.
settings.register_profile("vuer_trio", deadline=None)
settings.load_profile("vuer_trio")

# A shell that runs the tests in the background has them ignore Ctrl-C, and with them every program
# that a test starts, and means to interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Fourteen thousand tests live as long as the run: `gc.collect`, which many tests call once
    for each step that they cancel, need not look at them each time."""
    gc.collect()
    gc.freeze()


def pytest_xdist_auto_num_workers() -> int:
    """For ``-n auto``: a fifth of a test is waiting, in which another one can run."""
    return 2 * (os.cpu_count() or 1)


@pytest.fixture(params=LEGS, ids=lambda leg: leg.name)
def leg(request: pytest.FixtureRequest) -> Leg:
    leg: Leg = request.param
    for mark in request.node.iter_markers("needs"):
        for ability in mark.args:
            if (leg.name, ability) in LACKS:
                pytest.skip(f"{leg.name}: no {ability}: {LACKS[leg.name, ability]}")
    return leg


@pytest.fixture
def anyio_backend(leg: Leg) -> str | tuple[str, dict[str, bool]]:
    return ("asyncio", {"use_uvloop": True}) if leg.backend == "uvloop" else leg.backend


@pytest.fixture
def open_client(leg: Leg) -> Callable[..., VuerClient]:
    """``open_vuer_client`` on this leg."""
    return partial(open_vuer_client, transport=leg.transport)


@pytest.fixture
def new_server(leg: Leg) -> Callable[..., Vuer]:
    """``Vuer`` on this leg, at any free port."""
    return partial(Vuer, port=0, transport=leg.transport)


@pytest.fixture
def open_agent(leg: Leg) -> Callable[..., Any]:
    """``open_arc_client`` on this leg."""
    from vuer_trio.arc import open_arc_client

    return partial(open_arc_client, transport=leg.transport)


@pytest.fixture
def open_relay(leg: Leg) -> Callable[..., Any]:
    """``open_arc_relay`` on this leg."""
    from vuer_trio.arc import open_arc_relay

    def opened(*args: Any, **options: Any) -> Any:
        if not args or isinstance(args[0], int):
            args = ("127.0.0.1", *args)
        return open_arc_relay(*args, transport=leg.transport, **options)

    return opened


@pytest.hookimpl(tryfirst=True)  # before the marks are read
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Under ``-n`` any worker takes any test of these folders, and of the others whole files: what
    a module there sets up once, an environment, a browser, real peers, takes long."""
    spread = [Path(__file__).parent / name for name in ("behaviour", "soak", "unit")]
    for item in items:
        if not any(folder in item.path.parents for folder in spread):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.split("::")[0]))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    terminalreporter.section("what a leg cannot do")
    for (leg, ability), reason in LACKS.items():
        terminalreporter.write_line(f"{leg:22} {ability:14} {reason}")
