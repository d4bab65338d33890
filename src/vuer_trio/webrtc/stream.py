"""A stream of frames, as a program uses it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from threading import Event
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from .._formatting import shown
from .._runtime import runtime
from .frames import copy_frame
from .newest_frame import NewestFrame
from .statistics import StreamStatistics
from .stream_options import StreamOptions
from .track import VideoTrack

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["WebRTCStream"]

#: frames a second of a sender whom neither a viewer nor ``fps`` holds back
_USUAL_FPS = 30.0


class WebRTCStream:
    """Frames for browsers: made by `Vuer.create_webrtc_stream`, shown by `WebRTCVideoPlane`.

    Only the newest frame is kept. Each viewer has an encoder of its own, which takes the newest
    frame whenever it is ready for one: frames that were replaced in the meantime are dropped,
    and counted in `statistics`. A frame that is not replaced is sent again every second.

    It lasts as long as its app, over several runs of the server. Frames may be pushed before the
    server starts: a viewer that comes later is shown the newest.
    """

    def __init__(
        self,
        stream_id: str,
        options: StreamOptions,
        track: VideoTrack | None,
        base: Callable[[], str],
        serving: Event,
    ) -> None:
        #: its name
        self.stream_id: str = stream_id
        self._options = options
        self._track = track
        self._base = base
        self._serving = serving
        self._frames = NewestFrame()

    def __repr__(self) -> str:
        watching = self._frames.statistics().viewers
        return f"<WebRTCStream {shown(repr(self.stream_id))}, viewers: {watching}>"

    # ---- frames

    def push_frame(
        self, bgr_numpy: npt.NDArray[Any] | None, right: npt.NDArray[Any] | None = None
    ) -> None:
        """Replace the newest frame, from any thread, without waiting.

        A frame is an array of uint8 of shape (height, width, 3): blue, green and red, as in OpenCV.
        Width and height are even numbers of pixels, from 2 to 8,192, and may change. The frame is
        copied. With ``right``, a second frame of the same shape, both are put side by side, as
        `WebRTCStereoVideoPlane` shows them with ``layout="stereo-left-right"``. None, which a
        camera returns when it could not read a frame, is counted.

        Raises TypeError and ValueError for anything else, and RuntimeError for a stream with a
        ``track`` of its own.
        """
        self._push(bgr_numpy, right, None)

    async def send(
        self, frame: npt.NDArray[Any] | None, right: npt.NDArray[Any] | None = None
    ) -> bool:
        """As `push_frame`, and wait until an encoder has taken the frame; return True.

        Returns False if another frame has replaced it, if the last viewer has left, or if nobody
        has watched for the duration of a frame: 1/fps, or 1/30 s. A loop over ``send`` therefore
        runs as fast as the fastest viewer, for which nothing is dropped.

        Works under Trio and asyncio, in any loop. Cancelled before it pushes the frame: the frame
        is not pushed. Cancelled while it waits: the frame stays the newest.
        """
        rt = runtime()
        await rt.checkpoint()
        taken, soon = rt.Event(), rt.loop_caller()

        def wake() -> None:
            with suppress(RuntimeError):  # its loop has ended
                soon(taken.set)

        number = self._push(frame, right, wake)
        try:
            if number is not None and self._frames.watched:
                await taken.wait()
            else:
                with rt.move_on_after(1 / (self._options.fps or _USUAL_FPS)):
                    await taken.wait()
        finally:
            self._frames.forget(wake)
        return number is not None and self._frames.has_taken(number)

    def _push(self, frame: Any, right: Any, wake: Callable[[], object] | None) -> int | None:
        if self._track is not None:
            raise RuntimeError(
                f"the stream {shown(repr(self.stream_id))} has a track of its own, which makes its "
                "frames; to push them, create it without track="
            )
        if frame is None:
            self._frames.miss()
            return None
        return self._frames.push(copy_frame(frame, right), wake)

    def statistics(self) -> StreamStatistics:
        """How many frames were pushed, encoded and dropped, and how many viewers there are. Call it
        from any thread.
        """
        return self._frames.statistics()

    # ---- where it is

    @property
    def url(self) -> str:
        """The path on the server, for the ``src`` of an element: "/webrtc/offer/camera"."""
        return f"/webrtc/offer/{quote(self.stream_id, safe='')}"

    @property
    def endpoint(self) -> str:
        """The full address, for pages that are not from this server."""
        return f"{self._base()}{self.url}"

    @property
    def ready(self) -> bool:
        """Whether the server is running."""
        return self._serving.is_set()

    def wait_ready_sync(self, timeout: float = 10) -> None:
        """Block the calling thread until the server runs. Raises TimeoutError after ``timeout``
        seconds. Do not call it in the thread of the server, which it would keep from starting."""
        began = time.monotonic()
        if not self._serving.wait(timeout):
            raise TimeoutError(
                f"no server was running for the stream {shown(repr(self.stream_id))} within "
                f"{time.monotonic() - began:.1f} s; has app.start() been called?"
            )
