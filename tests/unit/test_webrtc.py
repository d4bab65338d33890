"""Frames, what becomes of them, options and offers: the parts of a stream that need no aiortc."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import threading

import numpy as np
import pytest
import trio

from tests.counted_frames import counted_frame, number_in
from vuer_trio import Vuer
from vuer_trio.webrtc import StreamStatistics
from vuer_trio.webrtc.frames import copy_frame
from vuer_trio.webrtc.newest_frame import NewestFrame
from vuer_trio.webrtc.offer import LARGEST_OFFER, BadOffer, parse_offer

pytest.importorskip("aiortc")

FRAME = np.zeros((4, 6, 3), np.uint8)
SDP = "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n"


# ---- frames


def test_a_frame_is_copied():
    frame = counted_frame(5)
    copied = copy_frame(frame)
    frame[:] = 0
    assert number_in(copied) == 5
    assert copied.flags.c_contiguous


def test_a_view_is_as_good():
    frame = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    copied = copy_frame(frame[::-1, :, ::-1])
    assert copied.flags.c_contiguous
    assert (copied == frame[::-1, :, ::-1]).all()


def test_two_eyes_are_side_by_side():
    both = copy_frame(FRAME, FRAME + 1)
    assert both.shape == (4, 12, 3)
    assert both[0, 5, 0] == 0
    assert both[0, 6, 0] == 1


@pytest.mark.parametrize(
    ("frame", "error", "said"),
    [
        ("a.png", TypeError, r"frame must be a uint8 array .*, got str; use numpy.asarray"),
        ([[1]], TypeError, "got list"),
        (FRAME / 2, TypeError, r"got float64; use frame.astype\(numpy.uint8\), after frame \* 255"),
        (FRAME.astype(np.uint16), TypeError, r"got uint16; use frame.astype\(numpy.uint8\)$"),
        (FRAME[:, :, 0], ValueError, r"shape \(4, 6\); of a grey one use numpy.dstack"),
        (FRAME[:, :, :1], ValueError, r"of a grey one"),
        (np.zeros((4, 6, 4), np.uint8), ValueError, r"it is frame\[:, :, :3\]"),
        (FRAME.transpose(2, 0, 1), ValueError, r"use frame.transpose\(1, 2, 0\)"),
        (np.zeros(7, np.uint8), ValueError, "reshape it"),
        (np.zeros((4, 7, 3), np.uint8), ValueError, r"even .*got 7 x 4; use frame\[:4, :6\]"),
        (np.zeros((5, 6, 3), np.uint8), ValueError, r"use frame\[:4, :6\]"),
        (np.zeros((0, 6, 3), np.uint8), ValueError, "from 2 to 8,192 pixels, got 6 x 0$"),
        (np.zeros((2, 8194, 3), np.uint8), ValueError, r"smaller: frame\[::2, ::2\]"),
    ],
)
def test_a_bad_frame_is_an_error_at_the_call(frame, error, said):
    stream = Vuer().create_webrtc_stream("camera")
    with pytest.raises(error, match=said):
        stream.push_frame(frame)
    with pytest.raises((TypeError, ValueError)):
        stream.push_frame(FRAME, frame)
    assert stream.statistics().pushed == 0


def test_two_eyes_must_be_alike_and_not_too_wide():
    with pytest.raises(ValueError, match=r"same shape, got \(4, 6, 3\) and \(4, 8, 3\)"):
        copy_frame(FRAME, np.zeros((4, 8, 3), np.uint8))
    wide = np.zeros((2, 5000, 3), np.uint8)
    with pytest.raises(ValueError, match=r"at most 8,192 pixels wide, got 10,000"):
        copy_frame(wide, wide)


def test_what_a_camera_could_not_read_is_counted():
    stream = Vuer().create_webrtc_stream("camera")
    stream.push_frame(None)
    stream.push_frame(FRAME)
    assert stream.statistics() == StreamStatistics(1, 1, 1, 0, 0, 0, None)


# ---- the newest wins


class Wakes:
    def __init__(self):
        self.count = 0

    def __call__(self):
        self.count += 1


def test_a_viewer_gets_the_newest_and_what_it_did_not_take_is_counted():
    frames, wakes = NewestFrame(), Wakes()
    tap = frames.watch(wakes)
    assert tap.take() is None
    for n in range(1, 4):
        frames.push(FRAME + n)
    assert wakes.count == 1  # for the first: it had found none
    taken = tap.take()
    assert (taken.number, taken.pixels[0, 0, 0]) == (3, 3)
    assert tap.take() is None
    found = frames.statistics()
    assert (found.pushed, found.unwatched, found.encoded, found.dropped) == (3, 0, 1, 2)
    assert found.waited >= 0
    tap.close()
    tap.close()
    frames.push(FRAME)
    assert frames.statistics().unwatched == 1
    assert tap.take() is None
    assert wakes.count == 1


def test_who_comes_later_sees_the_frame_that_is_there_and_has_missed_none():
    frames = NewestFrame()
    for _ in range(5):
        frames.push(FRAME)
    first, second = frames.watch(Wakes()), frames.watch(Wakes())
    assert first.take().number == second.take().number == 5
    assert frames.statistics().dropped == 0
    frames.push(FRAME)
    frames.push(FRAME)
    assert first.take().number == 7
    frames.push(FRAME)
    assert second.take().number == 8
    assert frames.statistics().dropped == 3


def test_a_sender_is_woken_by_a_viewer_a_newer_frame_or_the_last_viewer_that_leaves():
    frames, wakes = NewestFrame(), Wakes()
    tap, other = frames.watch(Wakes()), frames.watch(Wakes())
    number = frames.push(FRAME, wakes)
    assert not frames.has_taken(number)
    assert tap.take() is not None
    assert frames.has_taken(number)
    assert other.take() is not None
    assert wakes.count == 1
    number = frames.push(FRAME, wakes)
    frames.push(FRAME)
    assert wakes.count == 2
    assert not frames.has_taken(number)
    frames.push(FRAME, wakes)
    other.close()
    assert wakes.count == 2
    tap.close()
    assert wakes.count == 3
    frames.push(FRAME, wakes)
    frames.forget(wakes)
    frames.watch(Wakes()).take()
    assert wakes.count == 3


def test_threads_push_and_take_at_once():
    frames, over, counts = NewestFrame(), threading.Event(), []

    def take():
        there = threading.Event()
        tap, last = frames.watch(there.set), 0
        while not over.is_set():
            there.clear()
            if (found := tap.take()) is None:
                there.wait(1)
                continue
            assert found.number > last
            last = found.number
        counts.append(last)

    threads = [threading.Thread(target=take) for _ in range(3)]
    for thread in threads:
        thread.start()
    pushers = [
        threading.Thread(target=lambda: [frames.push(FRAME) for _ in range(1000)]) for _ in range(3)
    ]
    for thread in pushers:
        thread.start()
    for thread in pushers:
        thread.join()
    over.set()
    frames.push(FRAME)
    for thread in threads:
        thread.join()
    found = frames.statistics()
    assert found.pushed == 3001
    assert found.encoded + found.dropped <= 3 * found.pushed
    assert len(counts) == 3


# ---- options


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"codec": "AV1"}, ValueError, "codec must be 'H264' or 'VP8', got 'AV1'"),
        ({"codec": 5}, TypeError, "codec must be"),
        ({"fps": 0}, ValueError, "fps must be a positive number of frames a second, got 0"),
        ({"fps": "q"}, TypeError, "fps must be a number of frames a second, got 'q'"),
        ({"max_framerate": float("nan")}, ValueError, "max_framerate must be a positive"),
        ({"fps": 5, "max_framerate": 5}, TypeError, "are the same option; use fps"),
        ({"max_bitrate": 100}, ValueError, "max_bitrate must be at least 500,000 bits"),
        ({"max_bitrate": 1e6}, TypeError, "max_bitrate must be"),
        ({"resolution": (641, 480)}, ValueError, "resolution must be width and height"),
        ({"resolution": 640}, TypeError, "resolution must be"),
        ({"max_viewers": 0}, ValueError, "max_viewers must be an int of at least 1, got 0"),
        ({"max_viewers": True}, TypeError, "max_viewers must be"),
        ({"connect_timeout": -1}, ValueError, "connect_timeout must be a positive number"),
        ({"ice_servers": "stun:a"}, TypeError, "ice_servers must be a list"),
        ({"ice_servers": ["http://a"]}, ValueError, "must be a STUN or TURN address"),
        ({"ice_servers": ["stun:a?transport=udp"]}, ValueError, "must be a STUN or TURN"),
        ({"ice_servers": [5]}, TypeError, "must be a str or a dict, got 5"),
        ({"ice_servers": [{"url": "stun:a"}]}, ValueError, "must have urls, .*got url;"),
        ({"track": object()}, TypeError, "track must be a video track"),
    ],
)
def test_bad_options(options, error, said):
    with pytest.raises(error, match=said):
        Vuer().create_webrtc_stream("camera", **options)


def test_no_secret_is_shown():
    server = {"urls": "turn:a.example", "username": "me", "credential": 1234567}
    with pytest.raises(TypeError, match="credential of ice_servers must be a str, got int") as got:
        Vuer().create_webrtc_stream("camera", ice_servers=[server])
    assert "1234567" not in str(got.value)


@pytest.mark.parametrize("name", ["", "a/b", "..", "a\n", "x" * 201])
def test_bad_names(name):
    with pytest.raises(ValueError, match="stream_id must be a name of up to 200"):
        Vuer().create_webrtc_stream(name)


@pytest.mark.parametrize(
    ("last", "said"),
    [
        ("the end", "the track of a stream has ended"),
        ("no frame", "the track of a stream failed; its last frame stays"),
    ],
)
def test_frames_are_read_from_a_track_until_it_ends(caplog, last, said):
    from aiortc.mediastreams import MediaStreamError
    from av import VideoFrame

    from vuer_trio.webrtc.source import Source

    class Track:
        left = 2

        async def recv(self):
            if self.left:
                self.left -= 1
                return VideoFrame.from_ndarray(counted_frame(7), format="bgr24")
            if last == "the end":
                raise MediaStreamError
            return last

    async def read():
        frames = NewestFrame()
        source = Source(Track(), frames)
        await asyncio.wait_for(source._task, 60)
        await source.close()
        return frames

    caplog.set_level("INFO", "vuer_trio.webrtc")
    frames = asyncio.run(read())
    assert frames.statistics().pushed == 2
    assert said in caplog.text
    assert ("must return an av.VideoFrame, got str" in caplog.text) is (last == "no frame")


@pytest.mark.trio
@pytest.mark.parametrize("fps", [None, 5])
async def test_send_waits_for_a_frame_if_nobody_watches(autojump_clock, fps):
    options = {} if fps is None else {"fps": fps}
    stream = Vuer().create_webrtc_stream("camera", **options)
    start = trio.current_time()
    assert not await stream.send(FRAME)
    assert trio.current_time() - start == pytest.approx(1 / (fps or 30))
    assert not await stream.send(None), "what a camera could not read"
    assert repr(stream) == "<WebRTCStream 'camera', viewers: 0>"


def test_a_stream_has_one_name_and_knows_where_it_is():
    app = Vuer("robot.example", 9000, cert=__file__, key=__file__)
    stream = app.create_webrtc_stream("left eye", None, "vp8", 2_000_000, 15, (1280, 720))
    assert stream.stream_id == "left eye"
    assert stream.url == "/webrtc/offer/left%20eye"
    assert stream.endpoint == "https://robot.example:9000/webrtc/offer/left%20eye"
    assert not stream.ready
    with pytest.raises(TimeoutError, match=r"has app.start\(\) been called"):
        stream.wait_ready_sync(0.001)
    with pytest.raises(ValueError, match="the stream 'left eye' already exists"):
        app.create_webrtc_stream("left eye")
    assert Vuer("::1", 90).create_webrtc_stream("a").endpoint == "http://[::1]:90/webrtc/offer/a"


def test_a_track_makes_its_own_frames():
    class Track:
        kind = "video"

        async def recv(self): ...

    stream = Vuer().create_webrtc_stream("camera", Track())
    with pytest.raises(RuntimeError, match="has a track of its own"):
        stream.push_frame(FRAME)


def test_without_aiortc_the_error_names_the_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'vuer-trio\[webrtc\]'; without it"):
        Vuer().create_webrtc_stream("camera")


# ---- offers


def offer(sdp=SDP, **more):
    return json.dumps({"type": "offer", "sdp": sdp, **more}).encode()


def test_an_offer():
    assert parse_offer(offer(more=1)) == SDP


def test_as_many_codecs_as_a_browser_may_have():
    sdp = (SDP + "a=rtpmap:96 VP8/90000\r\n" * 60 + "a=rtcp-fb:96 nack\r\n" * 300)[: 1 << 16]
    assert parse_offer(offer(sdp + sdp.removeprefix("v=0\r\n"))).startswith(sdp)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "the offer is not JSON; send JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 60_000, "not JSON"),
        (b"[]", "has no SDP"),
        (b'{"sdp": 5, "type": "offer"}', "has no SDP"),
        (json.dumps({"sdp": SDP, "type": "answer"}).encode(), "must be 'offer', got 'answer'"),
        (json.dumps({"sdp": SDP}).encode(), "must be 'offer', got None"),
        (offer("hello"), "must begin with v=0"),
        (offer("v=0\r\nm=audio 9 RTP 0\r\n"), "asks for no video"),
        (offer(SDP + "m=application 9 UDP/DTLS/SCTP x\r\n"), "audio and video only, got 'appl"),
        (offer("v=0\r\n" + "m=video 9 RTP 96\r\n" * 9), "at most 8 media sections, got 9"),
        (offer(SDP + "a=candidate:1\r\n" * 65), "at most 64 candidates, got 65"),
        # what aiortc takes for the end of a line
        *(
            (offer(f"{SDP}a=x{end}m=application 9 UDP/DTLS/SCTP x\r\n"), "audio and video only")
            for end in ("\r", "\v", "\f", "\x1c", "\x85", "\u2028")
        ),
        (offer(SDP + "\rm=video 9 RTP 96" * 8), "at most 8 media sections, got 9"),
        (
            offer(SDP + "a=rtpmap:9 V/9\n" * 1500 + "a=rtcp-fb:* x\n" * 1500),
            "a section has 1500 codecs with 1500 feedbacks, too many",
        ),
        (
            offer(SDP * 2 + "a=rtcp-fb:* x\r" * 150 + "a=rtpmap:9 V/9\r" * 150),
            "150 codecs with 150 feedbacks",
        ),
    ],
)
def test_a_bad_offer(body, said):
    assert len(body) < LARGEST_OFFER
    with pytest.raises(BadOffer, match=said):
        parse_offer(body)
