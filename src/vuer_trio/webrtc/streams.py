"""The streams of an app, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Event
from typing import Any

from .._formatting import must_be, shown
from .stream import WebRTCStream
from .stream_options import StreamOptions, require_aiortc
from .track import VideoTrack

__all__ = ["Streams"]

#: characters of a name
_LONGEST = 200


class Streams:
    """``base()`` is the address of the app's server."""

    def __init__(self, base: Callable[[], str]) -> None:
        self._base = base
        self._streams: dict[str, WebRTCStream] = {}
        #: set while a server runs
        self.serving: Event = Event()

    def __reduce__(self) -> tuple[Any, ...]:
        if self._streams:
            raise TypeError(
                f"the stream {shown(repr(next(iter(self._streams))))} cannot go to another "
                "process; create it in the one that serves"
            )
        return Streams, (self._base,)

    def __iter__(self) -> Iterator[WebRTCStream]:
        return iter(list(self._streams.values()))

    def get(self, stream_id: str) -> WebRTCStream | None:
        """None if there is no such stream."""
        return self._streams.get(stream_id)

    def create(self, stream_id: str, track: VideoTrack | None, **options: Any) -> WebRTCStream:
        """Raises TypeError and ValueError, and ImportError without aiortc."""
        require_aiortc()
        if not isinstance(stream_id, str):
            raise TypeError(must_be("stream_id", "a str, 'camera'", stream_id))
        fits = 0 < len(stream_id) <= _LONGEST and stream_id.isprintable()
        if not fits or "/" in stream_id or stream_id in (".", ".."):
            what = f"a name of up to {_LONGEST} characters without '/'"
            raise ValueError(must_be("stream_id", what, stream_id))
        if track is not None and (
            getattr(track, "kind", None) != "video" or not callable(getattr(track, "recv", None))
        ):
            what = "a video track: an aiortc.MediaStreamTrack whose kind is 'video'"
            raise TypeError(must_be("track", what, track))
        checked = StreamOptions.checked(**options)
        if stream_id in self._streams:
            raise ValueError(
                f"the stream {shown(repr(stream_id))} already exists; choose another name"
            )
        stream = WebRTCStream(stream_id, checked, track, self._base, self.serving)
        self._streams[stream_id] = stream
        return stream
