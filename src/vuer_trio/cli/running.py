"""Running a command: from its arguments to its exit status."""

from __future__ import annotations

import argparse
import errno
import os
import select
import signal
import stat
import sys
from collections.abc import Awaitable
from pathlib import Path
from typing import Protocol

import trio

from .._errors import (
    CallTimeout,
    ConnectionClosed,
    ConnectionFailed,
    EncodeError,
    RecvTimeout,
)
from .._formatting import HIDDEN
from .json_text import printable
from .output import Output, PipeClosed, mode_of
from .parsing import Described
from .statuses import CommandFailed, Status

__all__ = ["Command", "PlainCommand", "run_command"]


class PlainCommand(Described, Protocol):
    """A command that runs without a loop."""

    def execute(self, args: argparse.Namespace) -> int:
        """Run the command; return its exit status."""


class Command(Described, Protocol):
    """A command that runs on Trio and writes to an `Output`."""

    def endless(self, args: argparse.Namespace) -> bool:
        """Whether only Ctrl-C ends it normally."""

    def run(self, args: argparse.Namespace, out: Output) -> Awaitable[int]:
        """Run the command; return its exit status. Cancelled to end it early."""


def run_command(command: Command, args: argparse.Namespace, out: Output) -> int:
    """Run a command on Trio until it is done, or Ctrl-C, SIGTERM or a closed pipe ends it.

    A second Ctrl-C ends it immediately, without cleaning up.
    """
    try:
        return trio.run(_Run(command, args, out).main)
    except* KeyboardInterrupt:
        pass
    return Status.DONE if command.endless(args) else Status.INTERRUPTED


class _Run:
    def __init__(self, command: Command, args: argparse.Namespace, out: Output) -> None:
        self._command, self._args, self._out = command, args, out
        self._scope = trio.CancelScope()
        self._cut: Status | None = None  # the reason for ending early
        self._status: int = Status.FAILED
        self._failure: BaseException | None = None

    async def main(self) -> int:
        async with trio.open_nursery() as nursery:
            await nursery.start(self._heed_signals)
            nursery.start_soon(self._watch_reader)
            with self._scope:
                try:
                    self._status = await self._guarded()
                except Exception as exc:  # a bug: raised below, for a short traceback
                    self._failure = exc
            nursery.cancel_scope.cancel()
        if self._failure is not None:
            raise self._failure
        if self._cut is None:
            return self._status
        return Status.DONE if self._command.endless(self._args) else self._cut

    def _end(self, why: Status) -> None:
        self._cut = self._cut or why
        self._scope.cancel()

    async def _heed_signals(self, task_status: trio.TaskStatus[None]) -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for number in signals:
                if number == signal.SIGTERM:
                    return self._end(Status.TERMINATED)
                self._out.end_line()
                return self._end(Status.INTERRUPTED)

    async def _watch_reader(self) -> None:
        """End when the reader of stdout has closed the pipe, even if no event comes."""
        if (descriptor := _pipe(self._out)) is None:
            return
        try:
            # There is never anything to read, but a closed reader makes it readable.
            await trio.lowlevel.wait_readable(descriptor)
        except OSError:
            return  # not supported on this system
        if _is_broken(descriptor) and not self._out.finished:
            self._out.abandoned = True
            self._end(Status.PIPE_CLOSED)

    async def _guarded(self) -> int:
        """Run the command; print expected errors as one line on stderr."""

        def complain(text: str) -> None:
            self._out.complain(printable(text))  # it may quote text from the peer

        try:
            return await self._run()
        except PipeClosed:
            self._cut = self._cut or Status.PIPE_CLOSED
            return Status.PIPE_CLOSED
        except CommandFailed as exc:
            complain(str(exc))
            return exc.status
        except ConnectionFailed as exc:
            complain(str(exc))
            hint = "" if HIDDEN in exc.uri else f" {exc.uri}"
            self._out.report(f"`vuer-trio doctor{hint or ' URI'}` looks for the reason.")
            return Status.NO_CONNECTION
        except ConnectionClosed as exc:
            complain(str(exc))
            return Status.CLOSED
        except (RecvTimeout, CallTimeout) as exc:
            complain(str(exc))
            return Status.LATE
        except EncodeError as exc:
            complain(str(exc))
            return Status.USAGE
        except OSError as exc:
            complain(_told(exc))
            return Status.FAILED

    async def _run(self) -> int:
        """Run the command. A lone error is raised without the groups of its nurseries."""
        try:
            return await self._command.run(self._args, self._out)
        except ExceptionGroup as group:
            error: Exception = group
            while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
                error = error.exceptions[0]
            raise error from None


def _told(error: OSError) -> str:
    """What is wrong with a file, and what to do."""
    why = error.strerror or str(error) or type(error).__name__
    if error.filename is None:
        return why
    match error.errno:
        case errno.ENOENT if not (folder := Path(os.fsdecode(error.filename)).parent).exists():
            cure = f"; there is no folder {folder}"
        case errno.EISDIR:
            cure = "; name a file"
        case errno.ENOTDIR:
            cure = "; a part of the path is a file"
        case _:
            cure = ""
    return f"{error.filename}: {why}{cure}"


def _pipe(out: Output) -> int | None:
    """The file descriptor of stdout if it is a pipe, else None."""
    if out.terminal or sys.platform == "win32":
        return None
    return sys.stdout.fileno() if stat.S_ISFIFO(mode_of(sys.stdout)) else None


def _is_broken(descriptor: int) -> bool:
    """Whether the reader of a pipe has closed it."""
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(seen & (select.POLLERR | select.POLLHUP) for _, seen in poll.poll(0))
