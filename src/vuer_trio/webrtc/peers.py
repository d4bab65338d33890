"""The peer connections of a server: aiortc's, in its loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from aiortc import (
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpSender,
    RTCRtpTransceiver,
    RTCSessionDescription,
)

from .frame_track import FrameTrack
from .offer import BadOffer
from .source import Source
from .stream import WebRTCStream
from .viewer import Viewer, ViewerGone

__all__ = ["Peer", "Peers"]

log: logging.Logger = logging.getLogger("vuer_trio.webrtc")

#: seconds for connections to say goodbye
_CLOSING = 1.0
#: seconds for sockets to be bound, one for each address of the machine
_BINDING = 0.5
_RTX = "video/rtx"


class Peer:
    """One viewer's connection."""

    def __init__(self, peers: Peers, viewer: Viewer) -> None:
        options = viewer.stream._options
        servers = [RTCIceServer(**server) for server in options.ice_servers]
        # Without the list aiortc would ask a STUN server on the internet.
        self.pc: RTCPeerConnection = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        self.viewer: Viewer = viewer
        self.track: FrameTrack = FrameTrack(viewer.stream, self._adjust, self._drop)
        self._max_bitrate = options.max_bitrate
        self._peers = peers
        self._timer: asyncio.TimerHandle | None = None  # from the answer on
        self._gathering: asyncio.Task[None] | None = None  # binds the sockets
        self.pc.on("connectionstatechange", self._changed)
        self._transceiver: RTCRtpTransceiver = self.pc.addTransceiver(
            self.track, direction="sendonly"
        )
        self._transceiver.setCodecPreferences(_preferred(options.codec))

    async def answer(self, sdp: str) -> dict[str, str]:
        """Raises BadOffer."""
        try:
            await self.pc.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
            if self._transceiver.mid is None:
                raise BadOffer("the SDP takes no video; its direction must be recvonly")
            for other in self.pc.getTransceivers():
                if other is not self._transceiver:
                    other.direction = "inactive"  # nothing that a viewer sends is decoded
            answer = self.pc.setLocalDescription(await self.pc.createAnswer())
            self._gathering = asyncio.ensure_future(answer)
            await asyncio.wait([self._gathering])  # cut by `close` alone
            if self._gathering.cancelled():
                raise BadOffer("its connection was closed")
            self._gathering.result()
        except BadOffer:
            raise
        except Exception as exc:  # its parser raises whatever it stumbles over
            log.info("%s: the SDP could not be used", self.viewer.peer, exc_info=exc)
            raise BadOffer(
                "the SDP could not be used: it is malformed, or has neither H.264 nor VP8"
            ) from exc
        local = self.pc.localDescription
        return {"sdp": local.sdp, "type": local.type}

    def expect_connection(self) -> None:
        """It has been answered, and has `connect_timeout` seconds to connect."""
        seconds = self.viewer.stream._options.connect_timeout
        self._timer = asyncio.get_running_loop().call_later(seconds, self._late)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    async def close(self) -> None:
        """Its sockets and its encoder, too."""
        self._stop_timer()
        self.track.stop()
        if self._gathering is not None:
            # aioice learns of the sockets once all are bound, and closes no others: this is not cut
            # before. What may take longer is to ask a STUN server.
            await asyncio.wait([self._gathering], timeout=_BINDING)
            self._gathering.cancel()
            await asyncio.wait([self._gathering])
        # aiortc has no public name for them
        transports = list(getattr(self.pc, "_RTCPeerConnection__iceTransports", ()))
        try:
            await self.pc.close()
        except Exception as exc:  # where an offer that made no sense has left it half made
            log.info("%s: closing its connection failed", self.viewer.peer, exc_info=exc)
            for transport in transports:
                await transport.stop()
        for transport in transports:
            # One that was closed just when it had connected goes on asking the peer for half a
            # minute whether it is still there.
            asking = getattr(transport._connection, "_query_consent_task", None)
            if asking is not None:
                asking.cancel()

    def _changed(self) -> None:
        state = self.pc.connectionState
        if state == "connected":
            self._stop_timer()
            log.info("%s watches %r", self.viewer.peer, self.viewer.stream.stream_id)
            self.viewer.connected()
        elif state in ("failed", "closed"):
            self._drop()

    def _late(self) -> None:
        log.warning(
            "%s has not connected to the stream %r within %g s; see connect_timeout=",
            self.viewer.peer,
            self.viewer.stream.stream_id,
            self.viewer.stream._options.connect_timeout,
        )
        self._drop()

    def _drop(self) -> None:
        self._peers.drop(self.viewer)

    def _adjust(self) -> None:
        """aiortc has no limit of the program's: the encoder follows the receiver's estimate."""
        limit = self._max_bitrate
        encoder = getattr(self._transceiver.sender, "_RTCRtpSender__encoder", None)
        if limit is not None and encoder is not None and encoder.target_bitrate > limit:
            encoder.target_bitrate = limit


def _preferred(codec: str) -> list[Any]:
    """That one first, and for a peer that lacks it the other; lost packets may be sent again."""
    known = RTCRtpSender.getCapabilities("video").codecs
    first = [found for found in known if found.mimeType == codec]
    return first + [found for found in known if found.mimeType != codec]


class Peers:
    """All of them. Use them only in their loop."""

    def __init__(self) -> None:
        self._open: dict[Viewer, Peer] = {}
        self._sources: dict[WebRTCStream, Source] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def answer(self, viewer: Viewer, sdp: str) -> dict[str, str]:
        """Open a connection. Raises BadOffer and ViewerGone. Unless it returns, nothing is left."""
        self._open[viewer] = peer = Peer(self, viewer)
        try:
            answer = await peer.answer(sdp)
        except BaseException as exc:
            gone = viewer not in self._open
            self.drop(viewer)
            if gone and isinstance(exc, BadOffer):  # its connection was closed under it
                raise ViewerGone from exc
            raise
        if viewer not in self._open:
            raise ViewerGone
        peer.expect_connection()
        stream = viewer.stream
        if stream._track is not None and stream not in self._sources:
            self._sources[stream] = Source(stream._track, stream._frames)
        return answer

    def drop(self, viewer: Viewer) -> None:
        """End a viewer's connection soon. Idempotent."""
        peer = self._open.pop(viewer, None)
        if peer is None:
            return
        if not any(other.stream is viewer.stream for other in self._open):
            source = self._sources.pop(viewer.stream, None)
            if source is not None:
                self._start(source.close())
        self._start(self._close(peer))

    async def _close(self, peer: Peer) -> None:
        try:
            await peer.close()
        finally:
            peer.viewer.gone()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End all connections. Those that take longer than a second are ended by the end of the
        loop.
        """
        for viewer in list(self._open):
            self.drop(viewer)
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=_CLOSING)
            if late:
                log.warning("%d WebRTC connections did not close in time", len(late))
