"""The exceptions of Roomz, under those of the library.

VuerError
└── ClientError
    ├── ConnectionError       everything about reaching the server     builtin ConnectionError
    └── AuthenticationError   who you are: a token, a session
"""

from __future__ import annotations

import builtins
from types import ModuleType

from .._errors import VuerError
from .._net.failure_reason import say_why

__all__ = ["AuthenticationError", "ClientError", "ConnectionError", "needed", "unreachable"]


class ClientError(VuerError):
    """The root of what a Roomz client raises."""


class ConnectionError(ClientError, builtins.ConnectionError):
    """The server could not be reached, did not do what was asked, or is not connected.

    ``status`` is the HTTP status of a server that answered, and ``detail`` what it said.
    """

    status: int | None
    detail: str

    def __init__(self, message: str = "", *, status: int | None = None, detail: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.detail = detail


class AuthenticationError(ClientError):
    """The server does not accept who you are.

    ``reason``: "missing_token", "invalid_token" (unknown, used or expired: the server does not
    tell which), "unauthorized" (the address is no longer allowed), "invalid_session" (a session
    that ended), or another reason given by the server.
    """

    reason: str

    def __init__(self, message: str = "", *, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


for _error in (ClientError, ConnectionError, AuthenticationError):
    _error.__module__ = "vuer_trio.roomz"  # where users import it from, in a traceback


#: this client takes no context of TLS
_TRUST = "SSL_CERT_FILE=/path/to/the/authority.pem in the environment trusts it"


def unreachable(where: str, exc: Exception) -> ConnectionError:
    """The error for not having reached ``where``, with its reason."""
    reason = say_why(exc, "a Roomz server", _TRUST)
    error = ConnectionError(
        f"could not reach {where}: {reason}", status=getattr(exc, "status", None)
    )
    error.__cause__ = exc
    return error


def needed(package: str, extra: str = "roomz") -> ModuleType:
    """Import a package that an extra brings. Raises ImportError that names the extra."""
    import importlib

    try:
        return importlib.import_module(package)
    except ImportError as exc:
        raise ImportError(
            f"this needs the package {exc.name or package}: pip install 'vuer-trio[{extra}]'",
            name=exc.name,
        ) from exc
