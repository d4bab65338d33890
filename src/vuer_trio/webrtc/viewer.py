"""A viewer of a stream, or one that is about to connect."""

from __future__ import annotations

from collections.abc import Callable

from .stream import WebRTCStream

__all__ = ["MediaThreadEnded", "Viewer", "ViewerGone"]

Tell = Callable[["Viewer"], object]


class MediaThreadEnded(Exception):
    """No viewer can be served: the loop has ended, or could not start; the log has the reason."""


class ViewerGone(Exception):
    """It gave way to another one before its offer was answered."""


class Viewer:
    """``connected`` and ``gone`` are called with it, once each at most, in aiortc's thread."""

    def __init__(self, stream: WebRTCStream, peer: str, connected: Tell, gone: Tell) -> None:
        self.stream: WebRTCStream = stream
        #: for logs: "127.0.0.1:51234"
        self.peer: str = peer
        self._connected = connected
        self._gone = gone

    def __repr__(self) -> str:
        return f"<viewer {self.peer} of {self.stream.stream_id!r}>"

    def connected(self) -> None:
        """Its connection is up."""
        self._connected(self)

    def gone(self) -> None:
        """Its connection has ended, and everything of it."""
        self._gone(self)
