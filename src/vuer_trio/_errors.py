"""The exceptions of this library: one tree, drawn here.

    VuerError
    ├── ConnectionFailed   could not open              ConnectionError
    ├── ConnectionClosed   it was open, and ended      trio.BrokenResourceError, ConnectionError
    ├── ClientClosed       closed here, or not open    trio.ClosedResourceError, ConnectionError
    ├── RecvTimeout        recv(timeout=...) ran out   trio.TooSlowError, TimeoutError
    ├── CallTimeout        flush or a call ran out     trio.TooSlowError, TimeoutError
    ├── Stale              the newest is too old       trio.TooSlowError, TimeoutError
    ├── OutboxFull         no room to send             trio.WouldBlock
    ├── InboxFull          the reader stands still     trio.WouldBlock
    ├── InboxEmpty         recv_nowait() found none    trio.WouldBlock
    ├── TaskCancelled      what you await was ended
    ├── ProtocolError      a peer sent what is wrong   ValueError
    └── EncodeError        you sent what is not data   TypeError

The bases on the right let code that knows nothing of this library catch what it knows.
Each error hands one positional argument to its bases: two would make an ``OSError`` read them
as ``errno`` and ``strerror``. All are picklable and copyable, their fields included.
"""

from __future__ import annotations

from typing import Any, TypeVar

import trio

__all__ = [
    "CallTimeout",
    "ClientClosed",
    "ConnectionClosed",
    "ConnectionFailed",
    "EncodeError",
    "InboxEmpty",
    "InboxFull",
    "OutboxFull",
    "ProtocolError",
    "RecvTimeout",
    "Stale",
    "TaskCancelled",
    "VuerError",
]


class VuerError(Exception):
    """The root of the tree. ``str(error)`` says what happened, where, and what to do."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message)

    def __reduce__(self) -> tuple[Any, ...]:
        # An OSError's own __reduce__ forgets __dict__, which holds .code, .uri, .frame.
        return type(self), (str(self),), dict(self.__dict__)


class ConnectionFailed(VuerError, ConnectionError):
    """No connection could be opened to ``uri``; ``__cause__`` is the underlying error.

    ``status`` is the HTTP status of a server that answered, but not with a WebSocket.
    """

    uri: str
    status: int | None

    def __init__(self, message: str = "", *, uri: str = "", status: int | None = None) -> None:
        super().__init__(message)
        self.uri = uri
        self.status = status


class ConnectionClosed(VuerError, trio.BrokenResourceError, ConnectionError):
    """The connection was open and ended, by the peer's close frame or by a loss.

    ``code`` and ``reason`` are those of the close frame; 1005 stands for a close frame without a
    code and 1006 for an end without a close frame (RFC 6455 §7.4.1).
    """

    code: int
    reason: str

    def __init__(self, message: str = "", *, code: int = 1006, reason: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason

    @property
    def normal(self) -> bool:
        """Whether the peer ended it cleanly: close code 1000 or 1001."""
        return self.code in (1000, 1001)


class ClientClosed(VuerError, trio.ClosedResourceError, ConnectionError):
    """This side closed the connection, or did not open it yet."""

    #: ended it where nobody waits, and could not be raised in the program: so each call raises it
    interrupt: KeyboardInterrupt | SystemExit | None = None


class RecvTimeout(VuerError, trio.TooSlowError, TimeoutError):
    """Nothing arrived within ``recv(timeout=...)``. The connection is unaffected."""


class CallTimeout(VuerError, trio.TooSlowError, TimeoutError):
    """The peer did not answer in time."""


class OutboxFull(VuerError, trio.WouldBlock):
    """There is no room to send without waiting."""


class InboxFull(VuerError, trio.WouldBlock):
    """A full inbox has stopped the reader, so the answer awaited cannot be read."""


class InboxEmpty(VuerError, trio.WouldBlock):
    """``recv_nowait()`` found nothing."""


class TaskCancelled(VuerError):
    """On Trio: a `SessionTask` that is awaited was cancelled, or its session has ended."""


class Stale(VuerError, trio.TooSlowError, TimeoutError):
    """The newest event of a type is older than the caller allows, or there is none."""


class ProtocolError(VuerError, ValueError):
    """A peer sent what the protocol does not allow. ``frame`` holds the bytes.

    ``too_large``: it may be well-formed, but holds more values than this side accepts.
    """

    frame: bytes
    too_large: bool = False

    def __init__(self, message: str = "", *, frame: bytes = b"") -> None:
        super().__init__(message)
        self.frame = frame


class EncodeError(VuerError, TypeError):
    """An event holds what the wire cannot carry. ``path`` says where: ``value.pose[2]``."""

    path: str

    def __init__(self, message: str = "", *, path: str = "") -> None:
        super().__init__(message)
        self.path = path


for _name in __all__:
    globals()[_name].__module__ = "vuer_trio"  # where users import it from, in a traceback

_E = TypeVar("_E", bound=VuerError)


def renew(error: _E) -> _E:
    """A new exception like ``error``: what many callers raise must not share one traceback."""
    if isinstance(error, ClientClosed) and error.interrupt is not None:
        return type(error.interrupt)(*error.interrupt.args)  # type: ignore[return-value]
    twin = type(error)(str(error))
    twin.__dict__.update(error.__dict__)
    twin.__cause__ = error.__cause__
    return twin
