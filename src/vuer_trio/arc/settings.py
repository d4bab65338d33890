"""The options of an agent beside those of any connection."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from .message import ARCMessage
from .rate_limit import RateLimit

__all__ = ["Settings"]


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
        for name in ("welcome_timeout", "reply_timeout", "check_every"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise TypeError(f"{name}={value!r}: write seconds, or math.inf for no limit")
            if not value > 0:
                raise ValueError(f"{name}={value!r}: write positive seconds, or math.inf")
        if self.welcome_timeout == math.inf:
            raise ValueError("welcome_timeout=inf: a relay need not say welcome")
        if not isinstance(self.reregister, bool):
            raise TypeError(f"reregister={self.reregister!r}: write True or False")
        if self.filter is not None and not callable(self.filter):
            raise TypeError(
                f"filter={self.filter!r}: write Filter(...), or a function of a message"
            )
