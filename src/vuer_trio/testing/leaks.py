"""Finding what code has left behind: tasks, sockets, threads."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import sniffio
import trio
import trio.testing

from .._interrupts import protected_block

__all__ = ["Census", "assert_no_leaks"]

#: real seconds in which tasks, sockets and threads may still end, before they count as leaks
PATIENCE = 5.0
#: real seconds between two looks
_PAUSE = 0.001
#: workers that the libraries keep for the next job; one that has a job has its name, on Trio
_KEPT = ("Trio thread ", "AnyIO worker thread", "asyncio_")


@dataclass(frozen=True)
class Census:
    """The tasks of the running loop; the open sockets and the threads of the process."""

    tasks: frozenset[Any]
    #: each socket is one of the system's, whoever holds it
    sockets: frozenset[str]
    threads: frozenset[threading.Thread]

    @classmethod
    def take(cls) -> Census:
        """As it is now. Outside a loop there are no tasks."""
        threads = (t for t in threading.enumerate() if not t.name.startswith(_KEPT))
        return cls(frozenset(_tasks()), frozenset(_sockets()), frozenset(threads))

    def left_behind(self) -> list[str]:
        """A description of everything that exists now but did not exist then."""
        now = Census.take()
        tasks = [f"task {_shown_task(task)}" for task in now.tasks - self.tasks]
        threads = [f"thread {thread.name}" for thread in now.threads - self.threads]
        return sorted(tasks) + sorted(now.sockets - self.sockets) + sorted(threads)

    async def assert_nothing_left(self, patience: float = PATIENCE) -> None:
        """Wait up to ``patience`` real seconds until nothing is left.

        Raises an AssertionError that names whatever is left.
        """
        deadline = time.monotonic() + patience
        await _settle()
        while left := self.left_behind():
            if time.monotonic() > deadline:
                raise AssertionError(f"left behind: {', '.join(left)}")
            # Not a sleep of the loop's: its clock may be a mock that stands still.
            time.sleep(_PAUSE)  # noqa: ASYNC251
            await _settle()


@protected_block
async def assert_no_leaks(*, patience: float = PATIENCE) -> AsyncGenerator[None, None]:
    """``async with assert_no_leaks():`` fails if the block leaves a task, socket or thread behind.

    It looks at the tasks of the running loop, and at the sockets and threads of the process; idle
    worker threads, which the async libraries keep, do not count. They have ``patience`` real
    seconds to end. Raises an AssertionError that names whatever is left; an exception of the block
    is raised unchanged.
    """
    before = Census.take()
    yield
    await before.assert_nothing_left(patience)


async def _settle() -> None:
    """Let all tasks run until they wait for something."""
    if sniffio.current_async_library() == "trio":
        await trio.testing.wait_all_tasks_blocked()
    else:
        for _ in range(10):
            await asyncio.sleep(0)


def _tasks() -> Iterator[Any]:
    try:
        library = sniffio.current_async_library()
    except sniffio.AsyncLibraryNotFoundError:
        return
    if library == "asyncio":
        yield from asyncio.all_tasks()
        return
    pending = [trio.lowlevel.current_root_task()]
    while pending:
        if (task := pending.pop()) is not None:
            yield task
            for nursery in task.child_nurseries:
                pending.extend(nursery.child_tasks)


def _shown_task(task: Any) -> str:
    of_asyncio = isinstance(task, asyncio.Task)
    name = task.get_name() if of_asyncio else task.name
    frame = getattr(task.get_coro() if of_asyncio else task.coro, "cr_frame", None)
    where = f" at {frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else ""
    return f"{name}{where}"


def _sockets() -> Iterator[str]:
    """The system's names of this process's sockets; on Windows nobody tells them."""
    folder = "/proc/self/fd"
    if sys.platform == "win32" or not os.path.isdir(folder):
        return
    for descriptor in os.listdir(folder):
        with suppress(OSError):  # the folder itself was open for a moment
            target = os.readlink(f"{folder}/{descriptor}")
            if target.startswith("socket:"):
                yield f"{target}{_shown_ends(int(descriptor))}"


def _shown_ends(descriptor: int) -> str:
    """Of an inet socket: who it is, which does not change while it is open."""
    with suppress(OSError, ValueError):
        copy = socket.socket(fileno=os.dup(descriptor))
        with copy:
            if copy.family in (socket.AF_INET, socket.AF_INET6):
                return f" at port {copy.getsockname()[1]}"
    return ""
