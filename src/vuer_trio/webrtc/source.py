"""Frames of a track of the program's own."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from aiortc.mediastreams import MediaStreamError
from av import VideoFrame

from .frames import copy_frame
from .newest_frame import NewestFrame
from .track import VideoTrack

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["Source"]

log: logging.Logger = logging.getLogger("vuer_trio.webrtc")


class Source:
    """It reads while somebody watches. It does not stop the track, which belongs to the program."""

    def __init__(self, track: VideoTrack, frames: NewestFrame) -> None:
        self._track = track
        self._frames = frames
        self._task = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                frame = await self._track.recv()
                if not isinstance(frame, VideoFrame):
                    raise TypeError(
                        f"recv of a track must return an av.VideoFrame, got {type(frame).__name__}"
                    )
                pixels = await loop.run_in_executor(None, _pixels, frame)
                self._frames.push(pixels)
        except MediaStreamError:
            log.info("the track of a stream has ended")
        except Exception:
            log.exception("the track of a stream failed; its last frame stays")

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])


def _pixels(frame: VideoFrame) -> npt.NDArray[np.uint8]:
    return copy_frame(frame.to_ndarray(format="bgr24"))
