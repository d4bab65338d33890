"""A running server, as users see it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .session import VuerSession

__all__ = ["VuerServer"]


class VuerServer(Protocol):
    """A running server, as `open_vuer_server` and ``await nursery.start(app.serve)`` return it."""

    @property
    def uri(self) -> str:
        """The URI for clients on this machine."""

    @property
    def port(self) -> int:
        """The port in use."""

    @property
    def addresses(self) -> Sequence[tuple[str, int]]:
        """Where it listens: host and port, one for each address of ``host``."""

    @property
    def sessions(self) -> Collection[VuerSession]:
        """The open sessions, the oldest first."""
