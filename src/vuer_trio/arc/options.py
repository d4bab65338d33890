"""The options of an agent in addition to those of every client."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from .._client.options import check_seconds
from .._formatting import must_be
from .message import ARCMessage
from .rate_limit import RateLimit

__all__ = ["AgentOptions"]

_SECONDS = ("welcome_timeout", "reply_timeout", "check_every")


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentOptions:
    """The options of `ARCClient` in addition to those of every client. Times are in seconds.

    Raises TypeError and ValueError that name the option.
    """

    rate_limit: RateLimit | None
    welcome_timeout: float
    reply_timeout: float
    check_every: float
    reregister: bool
    filter: Callable[[ARCMessage], object] | None

    def __post_init__(self) -> None:
        if self.rate_limit is not None and not isinstance(self.rate_limit, RateLimit):
            raise TypeError(
                must_be("rate_limit", "RateLimit(100, per=60), or None", self.rate_limit)
            )
        check_seconds(self, _SECONDS, positive=_SECONDS)
        if self.welcome_timeout == math.inf:
            raise ValueError(
                "welcome_timeout must be finite, got inf; a relay need not send a welcome"
            )
        if not isinstance(self.reregister, bool):
            raise TypeError(must_be("reregister", "True or False", self.reregister))
        if self.filter is not None and not callable(self.filter):
            what = "Filter(...), or a function of a message"
            raise TypeError(must_be("filter", what, self.filter))
