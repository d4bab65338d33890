"""The server's protocol of the ``websockets`` package."""

from __future__ import annotations

from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from .websockets_protocol import QUIET, WebsocketsProtocol

__all__ = ["WebsocketsServerProtocol"]


class WebsocketsServerProtocol(WebsocketsProtocol):
    """See `Frames`. Open from the beginning."""

    def __init__(self, max_size: int) -> None:
        super().__init__(ServerProtocol(state=OPEN, max_size=max_size, logger=QUIET), max_size)
