"""How a stream is sent, and to whom."""

from __future__ import annotations

import importlib.util
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

from .._formatting import must_be

__all__ = ["IceServer", "StreamOptions", "require_aiortc"]

#: what encoders there are, by the names of SDP (RFC 6184, RFC 7741)
CODECS = {"h264": "video/H264", "vp8": "video/VP8"}
#: pixels, for a stream whose first frame is still to come
DEFAULT_RESOLUTION = (640, 480)
#: viewers of one stream
DEFAULT_MAX_VIEWERS = 32
#: seconds for a browser to connect, once its offer has been answered
DEFAULT_CONNECT_TIMEOUT = 15.0
#: bits per second: encoders do with no less
LOWEST_BITRATE = 500_000
_ICE_URL = re.compile(
    r"(?:stuns?:[\w.-]+(?::\d{1,5})?|turns?:[\w.-]+(?::\d{1,5})?(?:\?transport=(?:udp|tcp))?)"
)


class IceServer(TypedDict, total=False):
    """A STUN or TURN server, as browsers describe it; ``urls`` is required."""

    urls: str | list[str]
    username: str
    credential: str


def require_aiortc() -> None:
    """Raises ImportError if it is not installed."""
    if importlib.util.find_spec("aiortc") is None:
        raise ImportError(
            "create_webrtc_stream needs aiortc: pip install 'vuer-trio[webrtc]'; without it, send "
            "images with session.upsert @ ImageBackground(...)"
        )


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """``codec`` is its name in SDP, ``fps`` the most frames a second, None without a limit,
    ``max_bitrate`` in bits per second, ``resolution`` width and height in pixels."""

    codec: str
    fps: float | None
    max_bitrate: int | None
    resolution: tuple[int, int]
    ice_servers: tuple[IceServer, ...]
    max_viewers: int
    connect_timeout: float

    @classmethod
    def checked(
        cls,
        *,
        codec: Any,
        fps: Any,
        max_framerate: Any,
        max_bitrate: Any,
        resolution: Any,
        ice_servers: Any,
        max_viewers: Any,
        connect_timeout: Any,
    ) -> StreamOptions:
        """Raises TypeError and ValueError."""
        if fps is not None and max_framerate is not None:
            raise TypeError("fps and max_framerate are the same option; use fps")
        name = "fps" if max_framerate is None else "max_framerate"
        fps = max_framerate if fps is None else fps
        if fps is not None:
            _check_number(name, fps, "frames a second")
        if max_bitrate is not None and (not _is_int(max_bitrate) or max_bitrate < LOWEST_BITRATE):
            what = f"at least {LOWEST_BITRATE:,} bits per second, which encoders need, or None"
            raise _fault(max_bitrate, must_be("max_bitrate", what, max_bitrate))
        if not _is_int(max_viewers) or max_viewers < 1:
            raise _fault(max_viewers, must_be("max_viewers", "an int of at least 1", max_viewers))
        _check_number("connect_timeout", connect_timeout, "seconds")
        return cls(
            _codec(codec),
            fps,
            max_bitrate,
            _resolution(resolution),
            tuple(_ice_servers(ice_servers)),
            max_viewers,
            connect_timeout,
        )


def _codec(codec: Any) -> str:
    if codec is None:
        codec = "H264"
    if not isinstance(codec, str):
        raise TypeError(must_be("codec", "'H264' or 'VP8'", codec))
    if codec.lower() not in CODECS:
        raise ValueError(must_be("codec", "'H264' or 'VP8'", codec))
    return CODECS[codec.lower()]


def _resolution(resolution: Any) -> tuple[int, int]:
    if resolution is None:
        return DEFAULT_RESOLUTION
    what = "width and height in pixels, even numbers: (640, 480)"
    if not isinstance(resolution, tuple | list) or not all(map(_is_int, resolution)):
        raise TypeError(must_be("resolution", what, resolution))
    if len(resolution) != 2 or any(n < 2 or n > 8192 or n % 2 for n in resolution):
        raise ValueError(must_be("resolution", what, resolution))
    return (resolution[0], resolution[1])


def _ice_servers(servers: Any) -> Iterable[IceServer]:
    hint = "use ['stun:stun.example.com:3478'], or dicts with urls, username and credential"
    if isinstance(servers, str | Mapping) or not isinstance(servers, Iterable):
        raise TypeError(must_be("ice_servers", "a list", servers, hint))
    for server in servers:
        given: Any = {"urls": server} if isinstance(server, str) else server
        if not isinstance(given, Mapping):
            raise TypeError(must_be("each of ice_servers", "a str or a dict", server, hint))
        urls = given.get("urls", ())
        urls = [urls] if isinstance(urls, str) else list(urls)
        secret = set(given) - {"urls", "username", "credential"}
        if not urls or secret:
            raise ValueError(
                f"each of ice_servers must have urls, and may have username and credential, got "
                f"{', '.join(map(str, given)) or 'nothing'}; {hint}"
            )
        for url in urls:
            if not isinstance(url, str) or not _ICE_URL.fullmatch(url):
                what = "a STUN or TURN address"
                raise ValueError(must_be("each URL of ice_servers", what, url, hint))
        found = IceServer(urls=urls)
        for name in ("username", "credential"):
            value = given.get(name)
            if value is not None and not isinstance(value, str):
                raise TypeError(must_be(f"{name} of ice_servers", "a str", value, secret=True))
        if given.get("username") is not None:
            found["username"] = given["username"]
        if given.get("credential") is not None:
            found["credential"] = given["credential"]
        yield found


def _check_number(name: str, value: Any, unit: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(must_be(name, f"a number of {unit}", value))
    if not 0 < value < math.inf:
        raise ValueError(must_be(name, f"a positive number of {unit}", value))


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _fault(value: Any, text: str) -> TypeError | ValueError:
    return ValueError(text) if _is_int(value) else TypeError(text)
