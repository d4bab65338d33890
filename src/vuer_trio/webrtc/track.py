"""A source of frames that the program provides."""

from __future__ import annotations

from typing import Any, Protocol

__all__ = ["VideoTrack"]


class VideoTrack(Protocol):
    """What `Vuer.create_webrtc_stream` takes as ``track``: an ``aiortc.MediaStreamTrack``."""

    #: "video"
    kind: str

    async def recv(self) -> Any:
        """The next frame, an ``av.VideoFrame``. It is awaited while somebody watches, in aiortc's
        loop, which runs in a thread of its own.
        """
