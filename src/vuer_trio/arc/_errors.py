"""What can go wrong at a relay, beside what can go wrong with any connection.

VuerError
├── RegistrationError        the relay gave no token
│   ├── AgentIdTaken         somebody has that agent id
│   └── InvalidAgentId       no agent can have that id
└── ConnectionFailed
    ├── AuthenticationError  the relay does not accept the token
    └── RateLimited          the relay wants fewer messages, or registrations
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
    """The relay answered, and gave no token.

    ``status`` is its HTTP status, ``code`` what it calls the fault, if anything.
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
    """The relay lets no agent have this id."""


class AuthenticationError(ConnectionFailed):
    """The relay does not accept the token, or no longer (HTTP 401, close code 4001)."""


class RateLimited(ConnectionFailed):
    """The relay wants fewer messages or registrations (HTTP 429, close code 4029).

    ``retry_after`` is in seconds, if the relay has said it.
    """

    retry_after: float | None = None


for _name in __all__:
    globals()[_name].__module__ = "vuer_trio.arc"  # where users import it from, in a traceback
