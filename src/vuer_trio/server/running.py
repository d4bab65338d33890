"""A server as a program of its own."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from .._nursery import background_service
from .._runtime import Runtime, run, runtime

__all__ = ["run_blocking"]


def run_blocking(
    backend: str, serve: Callable[..., Coroutine[Any, Any, None]], announce: Callable[[Any], None]
) -> None:
    """Run ``serve`` until Ctrl-C or SIGTERM; ``announce`` gets what it has started.

    Raises RuntimeError inside a running loop, and what ``serve`` raises.
    """
    if _in_a_loop():
        raise RuntimeError(
            "an event loop is running: `await app.serve()` there, or `async with "
            "open_vuer_server(app)`; app.start() is for a program that has no loop yet"
        )
    # Not in an `except`: what that handles would be the context of all that is raised in the loop.
    run(backend, partial(_main, serve, announce))


def _in_a_loop() -> bool:
    try:
        runtime()
    except RuntimeError:
        return False
    return True


async def _main(
    serve: Callable[..., Coroutine[Any, Any, None]], announce: Callable[[Any], None]
) -> None:
    rt = runtime()
    async with background_service(rt, serve) as server:
        await _signal(rt, partial(announce, server))


async def _signal(rt: Runtime, ready: Callable[[], None]) -> None:
    """Wait to be told to stop, and say when that is heard.

    A second Ctrl-C, while sessions are closed, interrupts.
    """
    if threading.current_thread() is not threading.main_thread():
        ready()
        await rt.Event().wait()  # the system tells the main thread only
    with rt.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        ready()
        async for _ in signals:
            return
