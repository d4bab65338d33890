"""The backends: each pair of a runtime and a transport that a behavioural test runs on."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from typing import Any

__all__ = ["BACKENDS", "USUAL", "Backend", "have_eager_tasks"]

_eager = False


def have_eager_tasks() -> None:
    """From now on, a task of asyncio's begins within the call that creates it."""
    if sys.version_info < (3, 12):
        raise ValueError(f"eager tasks are there from Python 3.12 on, and this is {sys.version}")
    global _eager
    _eager = True


@dataclass(frozen=True)
class Backend:
    runtime: str  # "trio", "asyncio", or "uvloop": asyncio on uvloop's event loop
    transport: Any

    @property
    def name(self) -> str:
        return f"{self.runtime}/{self.transport}"

    @property
    def anyio(self) -> tuple[str, dict[str, Any]]:
        """What anyio takes for it: its backend, and the options of that."""
        if _eager and self.runtime != "trio":
            return "asyncio", {"loop_factory": self._loop_with_eager_tasks}
        return ("asyncio", {"use_uvloop": True}) if self.runtime == "uvloop" else (self.runtime, {})

    def _loop_with_eager_tasks(self) -> asyncio.AbstractEventLoop:
        assert sys.version_info >= (3, 12)
        if self.runtime != "uvloop":
            loop = asyncio.new_event_loop()
            loop.set_task_factory(asyncio.eager_task_factory)
            return loop
        import uvloop

        def task(coro: Any, *, eager_start: bool | None = False, **options: Any) -> Any:
            # uvloop gives None for what it was not given, and a task would not be eager
            return asyncio.Task(coro, eager_start=eager_start is not False, **options)

        of_uvloop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        # the only other kind of factory whose tasks anyio can do with
        of_uvloop.set_task_factory(asyncio.create_eager_task_factory(task))
        return of_uvloop


BACKENDS = [
    Backend("trio", "trio-websocket"),
    Backend("trio", "websockets"),
    Backend("asyncio", "websockets"),
    Backend("asyncio", "wsproto"),
    Backend("uvloop", "websockets"),
]
#: those that the tests run on without --full
USUAL = BACKENDS[:3]
