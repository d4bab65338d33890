"""The exit statuses, for scripts."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["EPILOG", "CommandFailed", "Status"]


class Status(IntEnum):
    """The exit status of a command."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NO_CONNECTION = 3
    CLOSED = 4
    LATE = 5
    INTERRUPTED = 130
    PIPE_CLOSED = 141
    TERMINATED = 143


_MEANINGS = {
    Status.DONE: "success",
    Status.FAILED: "failure; for doctor, something is wrong; for port, something cannot run",
    Status.USAGE: "the arguments or the JSON are invalid",
    Status.NO_CONNECTION: "no connection could be opened",
    Status.CLOSED: "the connection ended before the work was done",
    Status.LATE: "a time limit passed first",
    Status.INTERRUPTED: "Ctrl-C",
    Status.PIPE_CLOSED: "the reader of the output closed the pipe",
    Status.TERMINATED: "SIGTERM",
}

#: below the help of every command
EPILOG = (
    "exit status:\n"
    + "".join(f"  {status:<5} {meaning}\n" for status, meaning in _MEANINGS.items())
    + "A command that runs until it is stopped exits with 0 for the last three."
)


class CommandFailed(Exception):
    """Ends the command, with a message for stderr."""

    def __init__(self, message: str, status: Status = Status.FAILED) -> None:
        super().__init__(message)
        self.status = status
