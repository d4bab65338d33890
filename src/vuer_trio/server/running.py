"""A server as a program of its own."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from types import FrameType
from typing import Any

from .._nursery import background_service
from .._runtime import Runtime, run, runtime

__all__ = ["run_blocking"]


def run_blocking(
    backend: str, serve: Callable[..., Coroutine[Any, Any, None]], announce: Callable[[Any], None]
) -> bool:
    """Run ``serve`` until Ctrl-C or SIGTERM; ``announce`` gets what it has started.

    Returns whether it was one of these. Raises RuntimeError inside a running loop, and what
    ``serve`` raises.
    """
    if _in_a_loop():
        raise RuntimeError(
            "an event loop is running: `await app.serve()` there, or `async with "
            "open_vuer_server(app)`; app.start() is for a program that has no loop yet"
        )
    # Not in an `except`: what that handles would be the context of all that is raised in the loop.
    told = _Told()
    run(backend, partial(_main, serve, announce, told))
    return told.count > 0


def _in_a_loop() -> bool:
    try:
        runtime()
    except RuntimeError:
        return False
    return True


class _Told:
    """The signals that have told a program to stop."""

    def __init__(self) -> None:
        self.count = 0


async def _main(
    serve: Callable[..., Coroutine[Any, Any, None]], announce: Callable[[Any], None], told: _Told
) -> None:
    rt = runtime()
    async with background_service(rt, serve) as server:
        await _signal(rt, partial(announce, server), told)


async def _signal(rt: Runtime, ready: Callable[[], None], told: _Told) -> None:
    """Wait to be told to stop, and say when that is heard.

    A second Ctrl-C interrupts: while sessions are closed, and also while a handler that never
    waits keeps the loop from hearing of the first.
    """
    if threading.current_thread() is not threading.main_thread():
        ready()
        await rt.Event().wait()  # the system tells the main thread only
    stop, call_soon = rt.Event(), rt.loop_caller()

    # Not the runtime's own receiver: asyncio's is told by the loop, which may be kept.
    def hear(number: int, frame: FrameType | None) -> None:
        told.count += 1
        if told.count == 1:
            call_soon(stop.set)
        elif number == signal.SIGINT:
            raise KeyboardInterrupt
        else:
            raise SystemExit(128 + number)  # as a shell has it

    before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        ready()
        await stop.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
