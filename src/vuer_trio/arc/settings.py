"""The options of an agent beside those of any connection."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ..options import check_seconds
from .message import ARCMessage
from .rate_limit import RateLimit

__all__ = ["Settings"]

_SECONDS = ("welcome_timeout", "reply_timeout", "check_every")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Times in seconds. Raises TypeError and ValueError that name the option."""

    rate_limit: RateLimit | None
    welcome_timeout: float
    reply_timeout: float
    check_every: float
    reregister: bool
    filter: Callable[[ARCMessage], object] | None

    def __post_init__(self) -> None:
        if self.rate_limit is not None and not isinstance(self.rate_limit, RateLimit):
            raise TypeError(
                f"rate_limit={self.rate_limit!r}: write RateLimit(100, per=60), or None"
            )
        check_seconds(self, _SECONDS, positive=_SECONDS)
        if self.welcome_timeout == math.inf:
            raise ValueError("welcome_timeout=inf: a relay need not say welcome")
        if not isinstance(self.reregister, bool):
            raise TypeError(f"reregister={self.reregister!r}: write True or False")
        if self.filter is not None and not callable(self.filter):
            raise TypeError(
                f"filter={self.filter!r}: write Filter(...), or a function of a message"
            )
