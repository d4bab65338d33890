"""A command's life: from its arguments to its exit status."""

from __future__ import annotations

import argparse
import select
import signal
import stat
import sys
from collections.abc import Awaitable
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
from .statuses import CommandFailed, Status

__all__ = ["Command", "run_command"]


class Command(Protocol):
    """A command's file."""

    HELP: str
    DESCRIPTION: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Say what it takes."""

    def endless(self, args: argparse.Namespace) -> bool:
        """Whether only Ctrl-C ends it normally."""

    def run(self, args: argparse.Namespace, out: Output) -> Awaitable[int]:
        """Do it. Cancelled when it is to end early."""


def run_command(command: Command, args: argparse.Namespace, out: Output) -> int:
    """Run it on Trio until it is done, or Ctrl-C, SIGTERM or the end of the pipe ends it.

    A second Ctrl-C, while it is leaving, does not wait for anything.
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
        self._cut: Status | None = None  # what ended it early
        self._status: int = Status.FAILED
        self._failure: BaseException | None = None

    async def main(self) -> int:
        async with trio.open_nursery() as nursery:
            await nursery.start(self._heed_signals)
            nursery.start_soon(self._watch_reader)
            with self._scope:
                try:
                    self._status = await self._guarded()
                except Exception as exc:  # a bug: raised out here, its traceback is short
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
        """`head -1` may leave long before the next event comes."""
        if (descriptor := _pipe(self._out)) is None:
            return
        try:
            # Nothing can ever be read there, but the error that the end brings wakes us.
            await trio.lowlevel.wait_readable(descriptor)
        except OSError:
            return  # this system cannot tell
        if _is_broken(descriptor) and not self._out.finished:
            self._out.abandoned = True
            self._end(Status.PIPE_CLOSED)

    async def _guarded(self) -> int:
        """Its status; errors that are expected become one line on stderr."""

        def complain(text: str) -> None:
            self._out.complain(printable(text))  # it may quote the peer

        try:
            return await self._command.run(self._args, self._out)
        except PipeClosed:
            self._cut = self._cut or Status.PIPE_CLOSED
            return Status.PIPE_CLOSED
        except CommandFailed as exc:
            complain(str(exc))
            return exc.status
        except ConnectionFailed as exc:
            complain(str(exc))
            hint = "" if HIDDEN in exc.uri else f" {exc.uri}"
            self._out.remark(f"`vuer-trio doctor{hint or ' URI'}` looks for the reason.")
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
            why = exc.strerror or str(exc) or type(exc).__name__
            complain(f"{exc.filename}: {why}" if exc.filename is not None else why)
            return Status.FAILED


def _pipe(out: Output) -> int | None:
    """The descriptor of stdout, if that is a pipe."""
    if out.terminal or sys.platform == "win32":
        return None
    return sys.stdout.fileno() if stat.S_ISFIFO(mode_of(sys.stdout)) else None


def _is_broken(descriptor: int) -> bool:
    """Whether a pipe's reader has gone."""
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(seen & (select.POLLERR | select.POLLHUP) for _, seen in poll.poll(0))
