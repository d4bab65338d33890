"""``vuer-trio serve --workers N``: several processes that accept from one socket.

The first process listens, says where, and serves nobody itself. Each worker runs the same command,
and inherits the sockets and two pipes: one on which it says that it serves, and one whose other end
the first process holds: when that has died, the worker ends.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING

import trio

from .._connection.backoff import Backoff, Delays
from .._net.listeners import bind
from .._net.trio_backend import resolve
from .._nursery import open_plain_nursery
from .._runtime import runtime
from .output import Output
from .statuses import CommandFailed, Status

if TYPE_CHECKING:
    from ..server.options import ServerOptions

__all__ = ["Worker", "inherited", "supervise"]

#: in the environment of a worker: its number, and the descriptors of its pipes and its sockets,
#: separated by commas
_VARIABLE = "VUER_TRIO_WORKER"
_MOST = 256
#: how soon a worker that has died is started again
_RESTARTS = Backoff(initial=0.2, maximum=10.0)
#: seconds that workers have to end
_PATIENCE = 5.0


class Worker:
    """What a worker has inherited."""

    def __init__(self, number: int, life: int, ready: int, sockets: Sequence[int]) -> None:
        #: from 1 on
        self.number = number
        self.sockets: Sequence[socket.socket] = [socket.socket(fileno=one) for one in sockets]
        self._life, self._ready = life, ready

    @asynccontextmanager
    async def block(self) -> AsyncGenerator[None, None]:
        """Cancelled when the first process has died."""
        try:
            async with open_plain_nursery(runtime()) as nursery:

                @nursery.start_soon
                async def watch() -> None:
                    await trio.lowlevel.wait_readable(self._life)  # nothing is ever written
                    nursery.cancel_scope.cancel()

                yield
                nursery.cancel_scope.cancel()
        finally:
            for sock in self.sockets:
                sock.close()
            os.close(self._life)

    def say_ready(self) -> None:
        """Tell the first process that this one serves."""
        with closing(os.fdopen(self._ready, "wb", buffering=0)) as pipe:
            pipe.write(b".")


def inherited() -> Worker | None:
    """What this process is, if it is a worker."""
    found = os.environ.pop(_VARIABLE, "")
    if not found:
        return None
    number, life, ready, *sockets = map(int, found.split(","))
    return Worker(number, life, ready, sockets)


async def supervise(
    count: int, options: ServerOptions, say_where: Callable[[int, str], None], out: Output
) -> int:
    """Run the workers until cancelled. ``say_where(port, uri)`` is called once the first serves.

    The first one starts alone, so that what is wrong is said once. Raises CommandFailed, OSError.
    """
    if not 1 <= count <= _MOST:
        raise CommandFailed(f"--workers must be from 1 to {_MOST}, got {count}", Status.USAGE)
    if sys.platform == "win32":
        raise CommandFailed(
            "--workers needs a system whose processes inherit sockets", Status.USAGE
        )
    options.tls_context()  # raises what would be wrong in each worker
    host = options.host
    sockets = await bind(host, options.port, resolve)
    life, writing = os.pipe()
    try:
        port = sockets[0].getsockname()[1]
        shown = f"[{host}]" if host and ":" in host else host or "localhost"
        uri = f"{'wss' if options.secure else 'ws'}://{shown}:{port}"
        async with open_plain_nursery(runtime()) as nursery:
            await nursery.start(_keep_running, 1, sockets, life, out)
            say_where(port, uri)
            for number in range(2, count + 1):
                nursery.start_soon(_keep_running, number, sockets, life, out)
    finally:
        os.close(writing)
        os.close(life)
        for sock in sockets:
            sock.close()
    return Status.DONE


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # of those for real time, most have no name
        return f"signal {number}"


async def _keep_running(
    number: int,
    sockets: Sequence[socket.socket],
    life: int,
    out: Output,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Start one worker, and again each time that it has died; the first has to serve at once."""
    delays = Delays(_RESTARTS)
    served = number > 1
    while True:
        since = trio.current_time()
        process, ready = await _start(number, sockets, life)
        out.remark(f"worker {number} is process {process.pid}")
        try:
            async with ready:
                if await ready.receive_some(1) and not served:
                    served = True
                    task_status.started()
            status = await process.wait()
        finally:
            await _end(process)
        if not served or status == Status.USAGE:
            known = status in {*Status} - {Status.DONE}
            why_not = Status(status) if known else Status.FAILED
            raise CommandFailed(f"worker {number} cannot start: see above", why_not)
        why = f"status {status}" if status >= 0 else _signal_name(-status)
        delay = delays.after_link(trio.current_time() - since)
        out.remark(
            ("warning: ", "yellow"),
            f"worker {number} (process {process.pid}) has died ({why}); again in {delay:.1f} s",
        )
        await trio.sleep(delay)


async def _start(
    number: int, sockets: Sequence[socket.socket], life: int
) -> tuple[trio.Process, trio.lowlevel.FdStream]:
    """A worker, and what it says: a byte once it serves, and nothing when it has ended before."""
    reading, writing = os.pipe()
    ready = trio.lowlevel.FdStream(reading)
    try:
        descriptors = [life, writing, *(sock.fileno() for sock in sockets)]
        process = await trio.lowlevel.open_process(
            [sys.executable, "-m", "vuer_trio", *sys.argv[1:]],
            env={**os.environ, _VARIABLE: ",".join(map(str, [number, *descriptors]))},
            pass_fds=descriptors,
            stdin=subprocess.DEVNULL,
        )
    except BaseException:
        ready.close()
        raise
    finally:
        os.close(writing)
    return process, ready


async def _end(process: trio.Process) -> None:
    """Have it close its sessions; kill what does not."""
    if process.poll() is not None:
        return
    process.terminate()
    with trio.CancelScope(shield=True, deadline=trio.current_time() + _PATIENCE):
        await process.wait()
    if process.poll() is None:
        process.kill()
        with trio.CancelScope(shield=True, deadline=trio.current_time() + _PATIENCE):
            await process.wait()
