"""Plain HTTP requests: a bounded number at a time, and never at the cost of a WebSocket."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .._runtime import Runtime

if TYPE_CHECKING:
    from .._async_types import CancelScope

__all__ = ["Visits"]


class Visits:
    """At most ``most`` at a time; for one more, the oldest is cancelled."""

    def __init__(self, rt: Runtime, most: int) -> None:
        self._rt = rt
        self._most = most
        self._scopes: dict[CancelScope, None] = {}  # the oldest first

    def __len__(self) -> int:
        return len(self._scopes)

    @contextmanager
    def visit(self, seconds: float) -> Iterator[None]:
        """The block is one visit. It is cancelled after ``seconds``, or when it has to give way."""
        if len(self._scopes) >= self._most:
            oldest = next(iter(self._scopes))
            del self._scopes[oldest]
            oldest.cancel()
        with self._rt.move_on_after(seconds) as scope:
            self._scopes[scope] = None
            try:
                yield
            finally:
                self._scopes.pop(scope, None)
