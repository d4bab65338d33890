"""What is at ``/webrtc/``: offers of browsers that want to watch, and a page to try a stream."""

from __future__ import annotations

import html
import json
import logging
import re
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import unquote

from .._formatting import shown
from .._hosting.places import NoPlace, Places, quarter
from .._interrupts import protected_methods
from .._net.http_request import BadRequest
from .._runtime import Runtime
from ..webrtc.offer import LARGEST_OFFER, BadOffer, parse_offer
from ..webrtc.stream import WebRTCStream
from ..webrtc.streams import Streams
from ..webrtc.viewer import MediaThreadEnded, Viewer, ViewerGone
from .cross_origin import allow, preflight

if TYPE_CHECKING:
    from .._websocket.incoming_request import IncomingRequest
    from ..webrtc.media_thread import MediaThread
    from ..webrtc.peers import Peers

__all__ = ["Offers"]

Fields = Sequence[tuple[str, str]]

_OFFER, _DEBUG = "/webrtc/offer/", "/webrtc/debug"
_METHODS = ("POST", "OPTIONS")


@protected_methods
class Offers:
    """The offers of one run of a server; `run` must be running."""

    def __init__(self, rt: Runtime, log: logging.Logger, streams: Streams) -> None:
        self._rt = rt
        self._log = log
        self._streams = streams
        self._soon = rt.loop_caller()
        self._places: dict[WebRTCStream, Places[Viewer]] = {}
        self._thread: MediaThread | None = None
        self._closing = False

    def has(self, target: str) -> bool:
        """Whether a request is for this."""
        path = _path(target)
        return path == _DEBUG or path.startswith(_OFFER)

    def shows_data(self, target: str) -> bool:
        """Whether the target shows data of the program."""
        return self.has(target)

    async def run(self) -> None:
        """Until cancelled; then every viewer is gone, and the thread with them."""
        try:
            await self._rt.Event().wait()
        finally:
            self._closing = True
            if self._thread is not None:
                await self._thread.aclose()

    async def answer(self, incoming: IncomingRequest, more: Fields) -> None:
        """Answer a request; ``more`` are headers of the answer: those of `Origins`.

        Raises OSError when the stream breaks. Cancelled: the answer may be cut, and its viewer is
        gone.
        """
        request = incoming.request
        path = _path(request.target)
        if path == _DEBUG:
            return await self._show_page(incoming, more)
        stream_id = unquote(path.removeprefix(_OFFER))
        stream = self._streams.get(stream_id)
        if request.method == "OPTIONS":
            await incoming.answer(204, preflight(request, more, _METHODS))
        elif stream is None:
            await _complain(incoming, 404, f"Stream {shown(repr(stream_id), 60)} not found", more)
        elif request.method != "POST":
            fields = [("allow", ", ".join(_METHODS)), *more]
            await _complain(incoming, 405, "an offer must be posted", fields)
        else:
            await self._answer_offer(incoming, stream, more)

    async def _answer_offer(
        self, incoming: IncomingRequest, stream: WebRTCStream, more: Fields
    ) -> None:
        try:
            sdp = parse_offer(await _body(incoming))
        except BadRequest as exc:
            return await _complain(incoming, exc.status, str(exc), more)
        except BadOffer as exc:
            return await _complain(incoming, 400, str(exc), more)
        places = self._places_of(stream)
        tell = partial(self._tell, places)
        viewer = Viewer(stream, incoming.peer, partial(tell, "settle"), partial(tell, "leave"))
        try:
            out = places.enter(viewer, incoming.host)
        except NoPlace as exc:
            self._log.warning(
                "%s: refused to watch %r: %s; see max_viewers=",
                incoming.peer,
                stream.stream_id,
                exc,
            )
            return await _complain(incoming, 503, "the stream has too many viewers", more)
        if out is not None:
            self._drop(out)
        answered = False
        try:
            status, answer = await self._negotiate(viewer, sdp)
            fields = [("content-type", "application/json"), ("cache-control", "no-store")]
            await incoming.answer(status, [*fields, *allow(more)], json.dumps(answer).encode())
            answered = status == 200
        finally:
            if not answered:
                places.leave(viewer)
                self._drop(viewer)

    async def _negotiate(self, viewer: Viewer, sdp: str) -> tuple[int, dict[str, str]]:
        if self._thread is None and not self._closing:
            # imported here: only a server that somebody watches pays for asyncio under Trio
            from ..webrtc.media_thread import MediaThread

            self._thread = MediaThread(self._rt)
        try:
            if self._thread is None:
                raise MediaThreadEnded
            return 200, await self._thread.call(lambda peers: peers.answer(viewer, sdp))
        except BadOffer as exc:
            return 400, {"error": str(exc)}
        except ViewerGone:
            return 503, {"error": "the stream has too many viewers, and this one gave way"}
        except Exception as exc:
            if not isinstance(exc, MediaThreadEnded):
                self._log.exception("%s: its offer could not be answered", viewer.peer)
            return 503, {"error": "no streams are served; the log of the server may say why"}

    def _places_of(self, stream: WebRTCStream) -> Places[Viewer]:
        if stream not in self._places:
            most = stream._options.max_viewers
            self._places[stream] = Places(self._rt, most, quarter(most))
        return self._places[stream]

    def _tell(self, places: Places[Viewer], what: str, viewer: Viewer) -> None:
        """In aiortc's thread."""
        try:
            self._soon(partial(getattr(places, what), viewer))
        except RuntimeError:  # the server's loop has ended
            return

    def _drop(self, viewer: Viewer) -> None:
        def drop(peers: Peers) -> None:
            peers.drop(viewer)

        if self._thread is not None:
            self._thread.soon(drop)

    async def _show_page(self, incoming: IncomingRequest, more: Fields) -> None:
        if incoming.request.method not in ("GET", "HEAD"):
            return await incoming.answer(405, [("allow", "GET, HEAD"), *more])
        names = "".join(
            f"<option>{html.escape(stream.stream_id)}</option>" for stream in self._streams
        )
        fields = [
            ("content-type", "text/html; charset=utf-8"),
            ("cache-control", "no-store"),
            *more,
        ]
        await incoming.answer(200, fields, _PAGE.replace("{names}", names).encode())


async def _body(incoming: IncomingRequest) -> bytes:
    """Raises BadRequest."""
    length = incoming.request.header("content-length") or "0"
    if length.isdecimal() and int(length[:20]) > LARGEST_OFFER:
        raise BadRequest(413, f"an offer must have at most {LARGEST_OFFER:,} bytes")
    try:
        return await incoming.read_body(LARGEST_OFFER)
    except OSError as exc:
        raise BadRequest(400, "the body did not come") from exc


async def _complain(incoming: IncomingRequest, status: int, why: str, more: Fields) -> None:
    fields = [("content-type", "application/json"), *allow(more)]
    await incoming.answer(status, fields, json.dumps({"error": why}).encode())


def _path(target: str) -> str:
    return re.split(r"[?#]", target, maxsplit=1)[0]


_PAGE = """<!doctype html>
<meta charset="utf-8">
<title>WebRTC streams</title>
<style>
body { font-family: sans-serif; margin: 2em; }
video { display: block; margin-top: 1em; max-width: 100%; background: black; }
</style>
<h1>WebRTC streams</h1>
<select id="name">{names}</select> <button id="go">Show</button> <span id="state"></span>
<video id="video" autoplay muted playsinline></video>
<script>
const query = new URLSearchParams(location.search);
const say = (text) => { document.getElementById("state").textContent = text; };
const show = async () => {
  const name = encodeURIComponent(document.getElementById("name").value);
  const url = new URL(query.get("url") || `/webrtc/offer/${name}`, location.href);
  // A link must not have this page, which may do more than others, post to other routes.
  if (url.origin !== location.origin || !url.pathname.startsWith("/webrtc/offer/")) {
    throw new Error("url= must be a stream of this server");
  }
  if (query.has("token")) url.searchParams.set("token", query.get("token"));
  window.connection?.close();
  const connection = window.connection = new RTCPeerConnection();
  connection.onconnectionstatechange = () => say(connection.connectionState);
  connection.ontrack = (event) => {
    if (event.track.kind === "video") {
      document.getElementById("video").srcObject = new MediaStream([event.track]);
    }
  };
  connection.addTransceiver("video", { direction: "recvonly" });
  await connection.setLocalDescription(await connection.createOffer());
  while (connection.iceGatheringState !== "complete") {
    await new Promise((go) => connection.addEventListener(
      "icegatheringstatechange", go, { once: true }));
  }
  const { type, sdp } = connection.localDescription;
  const reply = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ type, sdp }),
  });
  if (!reply.ok) throw new Error(`${reply.status}: ${await reply.text()}`);
  await connection.setRemoteDescription(await reply.json());
};
const start = () => show().catch((error) => say(String(error)));
document.getElementById("go").onclick = start;
if (query.has("stream")) document.getElementById("name").value = query.get("stream");
if (query.has("url") || query.has("stream")) start();
</script>
"""
