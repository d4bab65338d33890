"""A running server, as its user sees it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .session import VuerSession

__all__ = ["VuerServer"]


class VuerServer(Protocol):
    """A server while it runs: what `open_vuer_server` and a nursery's ``start(app.serve)`` give."""

    @property
    def uri(self) -> str:
        """For a client on this machine."""

    @property
    def port(self) -> int:
        """The port in use."""

    @property
    def addresses(self) -> Sequence[tuple[str, int]]:
        """Where it listens: host and port, one for each address of ``host``."""

    @property
    def sessions(self) -> Collection[VuerSession]:
        """The open sessions, the oldest first."""
