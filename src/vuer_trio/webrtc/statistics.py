"""The statistics of a stream."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["StreamStatistics"]


@dataclass(frozen=True, slots=True)
class StreamStatistics:
    """What has happened to the frames of a `WebRTCStream` since it was created."""

    #: frames that were pushed or sent
    pushed: int
    #: None in place of a frame, as a camera gives it that could not read one
    missing: int
    #: pushed while nobody watched
    unwatched: int
    #: frames that encoders took; one that two viewers were shown counts twice
    encoded: int
    #: frames that an encoder did not take, as a newer one was there when it was ready for the next
    dropped: int
    #: those that watch now
    viewers: int
    #: seconds from the push of the frame that an encoder took last until it took it
    waited: float | None
