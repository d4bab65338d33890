"""What one viewer's encoder takes its frames from."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction

from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame

from .newest_frame import Numbered, Tap
from .stream import WebRTCStream

__all__ = ["FrameTrack"]

#: ticks a second of the timestamps of video in RTP (RFC 3551 §5)
_CLOCK = 90_000
#: seconds after which a frame is sent again
_AGAIN = 1.0


class FrameTrack(MediaStreamTrack):
    """``adjust()`` is called before each frame, ``ended()`` when the track has ended."""

    kind = "video"

    def __init__(
        self,
        stream: WebRTCStream,
        adjust: Callable[[], object],
        ended: Callable[[], object],
    ) -> None:
        super().__init__()
        self._stream = stream
        self._adjust = adjust
        self._ended = ended
        self._home = asyncio.get_running_loop()
        self._is_there = asyncio.Event()
        self._tap: Tap | None = None  # from the first frame on: before it nobody watches
        self._next = 0.0  # when the next frame is due, by ``fps``
        self._began = time.monotonic()
        self._ticks = -1

    async def recv(self) -> VideoFrame:
        """A newer frame than the last one, as soon as there is one; after a second, the last one
        again. Before the first one, a black one at once. Raises MediaStreamError once it is
        stopped.
        """
        if self.readyState != "live":
            raise MediaStreamError
        if self._tap is None:
            self._tap = self._stream._frames.watch(self._wake)
        fps = self._stream._options.fps
        if fps is not None:
            await asyncio.sleep(self._next - self._home.time())
        found = await self._newer(self._tap)
        if self.readyState != "live":
            raise MediaStreamError
        if fps is not None:
            self._next = max(self._next + 1 / fps, self._home.time())
        self._adjust()
        return self._framed(found)

    async def _newer(self, tap: Tap) -> Numbered | None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_AGAIN if self._ticks >= 0 else 0):
                while True:
                    self._is_there.clear()
                    if (found := tap.take()) is not None:
                        return found
                    await self._is_there.wait()
        return None

    def _framed(self, found: Numbered | None) -> VideoFrame:
        shown = found or self._stream._frames.newest
        if shown is None:
            width, height = self._stream._options.resolution
            frame = VideoFrame(width, height, "gray")
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
        else:
            frame = VideoFrame.from_numpy_buffer(shown.pixels, format="bgr24")
        at = time.monotonic() if found is None else found.pushed
        self._ticks = max(self._ticks + 1, int((at - self._began) * _CLOCK))
        frame.pts = self._ticks
        frame.time_base = Fraction(1, _CLOCK)
        return frame

    def _wake(self) -> None:
        with suppress(RuntimeError):  # the loop has ended
            self._home.call_soon_threadsafe(self._is_there.set)

    def stop(self) -> None:
        """End it: by whoever closes the connection, or by the sender when that is lost."""
        if self.readyState == "live":
            super().stop()
            if self._tap is not None:
                self._tap.close()
            self._is_there.set()
            self._ended()
