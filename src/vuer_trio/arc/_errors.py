"""The exceptions of ARC, in addition to those of every connection.

VuerError
├── RegistrationError        the relay issued no token
│   ├── AgentIdTaken         the agent id is registered already
│   └── InvalidAgentId       the relay rejects the agent id
└── ConnectionFailed
    ├── AuthenticationError  the relay rejects the token
    └── RateLimited          the relay limits messages or registrations
"""

from __future__ import annotations

from .._errors import ConnectionFailed, VuerError

__all__ = [
    "AgentIdTaken",
    "AuthenticationError",
    "InvalidAgentId",
    "RateLimited",
    "RegistrationError",
]


class RegistrationError(VuerError):
    """The relay answered, but issued no token.

    ``status`` is the HTTP status and ``code`` the relay's error code, or ``""``.
    """

    status: int
    code: str

    def __init__(self, message: str = "", *, status: int = 0, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class AgentIdTaken(RegistrationError):
    """The agent id is registered already: take another, or the token that belongs to it."""


class InvalidAgentId(RegistrationError):
    """The relay rejects this agent id."""


class AuthenticationError(ConnectionFailed):
    """The relay rejects the token, or no longer accepts it (HTTP 401, close code 4001)."""


class RateLimited(ConnectionFailed):
    """Too many messages or registrations (HTTP 429, close code 4029).

    ``retry_after`` is in seconds; None if the relay did not say.
    """

    retry_after: float | None = None


for _name in __all__:
    globals()[_name].__module__ = "vuer_trio.arc"  # tracebacks show the public name
