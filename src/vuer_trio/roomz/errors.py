"""The exceptions of Roomz, under those of the library.

VuerError
└── ClientError
    ├── ConnectionError       the server cannot be reached, ...        builtin ConnectionError
    └── AuthenticationError   the token or session is not accepted
"""

from __future__ import annotations

import builtins
from types import ModuleType

from .._errors import VuerError
from .._net.failure_reason import say_why

__all__ = ["AuthenticationError", "ClientError", "ConnectionError", "needed", "unreachable"]


class ClientError(VuerError):
    """The base class of the errors of a Roomz client."""


class ConnectionError(ClientError, builtins.ConnectionError):
    """The server could not be reached, refused a request, or is not connected.

    If the server answered, ``status`` is its HTTP status and ``detail`` its explanation.
    """

    status: int | None
    detail: str

    def __init__(self, message: str = "", *, status: int | None = None, detail: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.detail = detail


class AuthenticationError(ClientError):
    """The server does not accept the token or the session.

    ``reason``: "missing_token", "invalid_token" (unknown, used or expired: the server does
    not say which), "unauthorized" (the address is no longer allowed), "invalid_session" (a session
    that ended), or another reason given by the server.
    """

    reason: str

    def __init__(self, message: str = "", *, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


for _error in (ClientError, ConnectionError, AuthenticationError):
    _error.__module__ = "vuer_trio.roomz"  # tracebacks show the public name


#: advice for untrusted certificates: this client has no ssl_context=
_TRUST = "SSL_CERT_FILE=/path/to/the/authority.pem in the environment trusts it"


def unreachable(where: str, exc: Exception) -> ConnectionError:
    """The error for failing to reach ``where``, with the reason."""
    reason = say_why(exc, "a Roomz server", _TRUST)
    error = ConnectionError(
        f"could not reach {where}: {reason}", status=getattr(exc, "status", None)
    )
    error.__cause__ = exc
    return error


def needed(package: str, extra: str = "roomz") -> ModuleType:
    """Import a package of an extra. Raises ImportError that names the extra."""
    import importlib

    try:
        return importlib.import_module(package)
    except ImportError as exc:
        raise ImportError(
            f"this needs the package {exc.name or package}: pip install 'vuer-trio[{extra}]'",
            name=exc.name,
        ) from exc
