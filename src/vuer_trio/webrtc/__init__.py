"""Video for browsers and headsets over WebRTC: what `Vuer.create_webrtc_stream` returns.

Needs the extra ``webrtc``: ``pip install 'vuer-trio[webrtc]'``.
"""

from __future__ import annotations

from .statistics import StreamStatistics
from .stream import WebRTCStream
from .stream_options import IceServer
from .track import VideoTrack

__all__ = ["IceServer", "StreamStatistics", "VideoTrack", "WebRTCStream"]
