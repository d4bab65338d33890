"""Agents over a relay (ARC): a client, and a relay to embed."""

from __future__ import annotations

from ._errors import (
    AgentIdTaken,
    AuthenticationError,
    InvalidAgentId,
    RateLimited,
    RegistrationError,
)
from .client import ARCClient, open_arc_client
from .dispatcher import Filter
from .message import ARCMessage
from .rate_limit import RateLimit
from .relay import Relay, open_arc_relay, serve_arc_relay

__all__ = [
    "ARCClient",
    "ARCMessage",
    "AgentIdTaken",
    "AuthenticationError",
    "Filter",
    "InvalidAgentId",
    "RateLimit",
    "RateLimited",
    "RegistrationError",
    "Relay",
    "open_arc_client",
    "open_arc_relay",
    "serve_arc_relay",
]
