"""The server's protocol of the ``wsproto`` package."""

from __future__ import annotations

from wsproto.connection import Connection, ConnectionType

from .frames import server_frame
from .wsproto_protocol import WsprotoProtocol

__all__ = ["WsprotoServerProtocol"]


class WsprotoServerProtocol(WsprotoProtocol):
    """See `Frames`. Open from the beginning."""

    _frame = staticmethod(server_frame)

    def __init__(self, max_size: int) -> None:
        super().__init__(Connection(ConnectionType.SERVER), max_size)
