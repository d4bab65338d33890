"""A window for each address: who asks too often is refused, and nobody else."""

from __future__ import annotations

from ..._hosting.places import network
from ..._runtime import Runtime
from ..rate_limit import RateLimit, Window

__all__ = ["Windows"]

#: addresses that are remembered; for one more, the one that has been silent for longest is not
_MOST = 4096


class Windows:
    """Of all addresses that have asked. This machine is one address."""

    def __init__(self, rt: Runtime, limit: RateLimit) -> None:
        self._rt = rt
        self._limit = limit
        self._windows: dict[str | None, Window] = {}  # the one that has asked last, last

    def of(self, host: str | None) -> Window:
        """That of an address."""
        where = network(host)
        window = self._windows.pop(where, None)
        if window is None:
            window = Window(self._rt, self._limit)
            if len(self._windows) >= _MOST:
                del self._windows[next(iter(self._windows))]
        self._windows[where] = window
        return window
