"""Streams of video over WebRTC: what viewers get, who may watch, and that nothing is left."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import socket
import ssl
import threading

import anyio
import anyio.to_thread
import numpy as np
import pytest
import trustme

from tests.backends import BACKENDS
from tests.behaviour.raw_client import eventually, raw
from tests.counted_frames import counted_frame
from tests.http_post import post
from tests.repetitions import cancel_everywhere, sample, times
from tests.resource_counts import open_sockets
from tests.webrtc_watcher import open_watchers
from vuer_trio import open_vuer_server
from vuer_trio.server.banner import network_address
from vuer_trio.testing import assert_no_leaks

pytest.importorskip("aiortc")
pytestmark = [pytest.mark.anyio, pytest.mark.no_cover]

SDP = "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n"


@pytest.fixture(params=BACKENDS[::2], ids=lambda backend: backend.name)
def backend(request):
    """One of each loop: no WebSocket is opened here."""
    return request.param


@pytest.fixture
async def watchers():
    async with open_watchers() as opened:
        yield opened


def url_of(server, stream):
    return f"http://127.0.0.1:{server.port}{stream.url}"


async def posted(url, body, *more, **headers):
    """Status and body, as JSON."""

    def ask():
        status, _, body_ = post(url, body, *more, **headers)
        return status, json.loads(body_)

    return await anyio.to_thread.run_sync(ask)


async def test_a_viewer_sees_what_is_sent_and_what_was_pushed_before(new_server, watchers):
    app = new_server(host="127.0.0.1")
    stream = app.create_webrtc_stream("camera")
    stream.push_frame(counted_frame(1))
    assert not stream.ready
    async with assert_no_leaks():
        async with open_vuer_server(app) as server:
            assert stream.ready
            stream.wait_ready_sync()
            assert stream.endpoint == url_of(server, stream)
            watcher = await watchers.open(url_of(server, stream))
            assert await watchers.run(watcher.number()) == 1
            for number in range(2, 12):
                assert await stream.send(counted_frame(number))
            assert await watchers.run(watcher.number_over(10)) == 11
            found = stream.statistics()
            assert (found.pushed, found.unwatched, found.dropped) == (11, 1, 0)
            assert (found.encoded, found.viewers) == (11, 1)
            stream.push_frame(counted_frame(12, 320, 240), counted_frame(12, 320, 240))
            await watchers.run(watcher.number_over(11 - 1))
        assert not stream.ready
        assert stream.statistics().viewers == 0
        assert not await stream.send(counted_frame(13))  # nobody watches


async def test_threads_push_and_a_stereo_frame_arrives(new_server, watchers):
    app = new_server(host="127.0.0.1")
    stream = app.create_webrtc_stream("camera", codec="VP8", fps=30)
    over = threading.Event()
    frame = np.zeros((240, 320, 3), np.uint8)

    def push():
        while not over.wait(0.002):
            stream.push_frame(frame, frame + 255)

    threads = [threading.Thread(target=push) for _ in range(2)]
    async with open_vuer_server(app) as server:
        for thread in threads:
            thread.start()
        try:
            watcher = await watchers.open(url_of(server, stream))
            for _ in range(5):
                got = await watchers.run(watcher.frame())
        finally:
            over.set()
            for thread in threads:
                await anyio.to_thread.run_sync(thread.join)
        assert got.shape == (240, 640, 3)
        assert got[:, :300].mean() < 30
        assert got[:, 340:].mean() > 220
        # a thousand a second were pushed, thirty are shown
        await eventually(lambda: stream.statistics().dropped > stream.statistics().encoded)


async def test_a_track_is_read_while_somebody_watches(new_server, watchers, caplog):
    from aiortc.mediastreams import MediaStreamTrack
    from av import VideoFrame

    class Numbers(MediaStreamTrack):
        kind = "video"
        number = 0

        async def recv(self):
            self.number += 1
            if self.number == 300:
                return "nonsense"
            await anyio_free_sleep(0.01)
            return VideoFrame.from_ndarray(counted_frame(self.number), format="bgr24")

    from asyncio import sleep as anyio_free_sleep  # in aiortc's loop

    app, track = new_server(host="127.0.0.1"), Numbers()
    stream = app.create_webrtc_stream("camera", track)
    async with open_vuer_server(app) as server:
        watcher = await watchers.open(url_of(server, stream))
        first = await watchers.run(watcher.number_over(0))
        assert await watchers.run(watcher.number_over(first)) > first
        await watchers.run(watcher.pc.close())
        await eventually(lambda: not stream.statistics().viewers)
        read = track.number
        again = await watchers.open(url_of(server, stream))
        await watchers.run(again.number_over(read))
        track.number = 299
        await eventually(lambda: "must return an av.VideoFrame, got str" in caplog.text)


# ---- who may watch


async def test_what_is_no_offer_is_answered_with_a_reason(new_server, caplog):
    app = new_server(host="127.0.0.1")
    stream = app.create_webrtc_stream("camera")
    with caplog.at_level(logging.ERROR):
        async with assert_no_leaks():
            async with open_vuer_server(app) as server:
                url = url_of(server, stream)
                good = json.dumps({"type": "offer", "sdp": SDP}).encode()
                for body, status, said in (
                    (b"{", 400, "not JSON"),
                    (good, 400, "the SDP could not be used"),
                    (good.replace(b"96", b"x"), 400, "the SDP could not be used"),
                    (b" " * 70_000, 413, "at most 65,536 bytes"),
                ):
                    found, answer = await posted(url, body)
                    assert (found, list(answer)) == (status, ["error"])
                    assert said in answer["error"]
                found, answer = await posted(url + "s", good)
                assert (found, answer) == (404, {"error": "Stream 'cameras' not found"})
                async with raw(server.port) as get:
                    await get.stream.send(
                        b"GET /webrtc/offer/camera HTTP/1.1\r\nHost: localhost\r\n\r\n"
                    )
                    await get.read_to_the_end()
                    assert get.received.startswith(b"HTTP/1.1 405")
                    assert b"allow: POST, OPTIONS" in get.received
    assert not caplog.records


async def test_who_does_not_take_video_is_told(new_server, watchers):
    app = new_server(host="127.0.0.1")
    stream = app.create_webrtc_stream("camera")
    async with open_vuer_server(app) as server:
        watcher = await watchers.new()
        offer = await watchers.run(watcher.offer("audio"))
        assert "asks for no video" in (await posted(url_of(server, stream), offer))[1]["error"]


async def test_places_are_limited_and_who_does_not_connect_gives_way(new_server, watchers, caplog):
    app = new_server(host="127.0.0.1")
    stream = app.create_webrtc_stream("camera", max_viewers=2)
    async with open_vuer_server(app) as server:
        url = url_of(server, stream)
        first = await watchers.open(url)
        await watchers.run(first.frame())
        silent = [await watchers.new() for _ in range(3)]
        for watcher in silent:  # each pushes the one before out
            assert (await posted(url, await watchers.run(watcher.offer())))[0] == 200
        second = await watchers.open(url)
        await watchers.run(second.frame())
        await eventually(lambda: stream.statistics().viewers == 2)
        third = await watchers.new()
        status, answer = await posted(url, await watchers.run(third.offer()))
        assert (status, answer) == (503, {"error": "the stream has too many viewers"})
        assert "all of the 2 places are taken; see max_viewers=" in caplog.text
        await watchers.run(first.pc.close())
        [places] = app._serving._offers._places.values()
        await eventually(lambda: len(places) == 1)
        await watchers.run((await watchers.open(url)).frame())


@pytest.mark.parametrize("method", ["createAnswer", "setLocalDescription"])
async def test_who_gives_way_before_it_is_answered_is_told_so(
    new_server, watchers, monkeypatch, method
):
    from aiortc import RTCPeerConnection

    as_it_is, held = getattr(RTCPeerConnection, method), []

    async def until_it_is_closed(pc, *args):
        answer = None if method == "createAnswer" else await as_it_is(pc, *args)
        if not held:
            held.append(pc)
            while pc.connectionState != "closed":
                await asyncio.sleep(0.001)
        return await as_it_is(pc, *args) if method == "createAnswer" else answer

    app = new_server(host="127.0.0.1")
    stream = app.create_webrtc_stream("camera", max_viewers=1)
    async with open_vuer_server(app) as server:
        url, first, second = url_of(server, stream), await watchers.new(), await watchers.new()
        offers = [await watchers.run(watcher.offer()) for watcher in (first, second)]
        monkeypatch.setattr(RTCPeerConnection, method, until_it_is_closed)
        answers = []

        async def post_first():
            answers.append(await posted(url, offers[0]))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(post_first)
            await eventually(lambda: held)
            assert (await posted(url, offers[1]))[0] == 200
        gave_way = "the stream has too many viewers, and this one gave way"
        assert answers == [(503, {"error": gave_way})]
        [places] = app._serving._offers._places.values()
        assert len(places) == 1


async def test_who_does_not_connect_loses_sockets(new_server, watchers, caplog):
    app = new_server(host="127.0.0.1")
    stream = app.create_webrtc_stream("camera", connect_timeout=0.2)
    async with open_vuer_server(app) as server:
        watcher = await watchers.new()
        offer = await watchers.run(watcher.offer())
        async with assert_no_leaks(patience=60) as _:
            assert (await posted(url_of(server, stream), b"{"))[0] == 400  # the thread is no leak
        assert (await posted(url_of(server, stream), offer))[0] == 200
        await eventually(
            lambda: "has not connected to the stream 'camera' within 0.2" in caplog.text
        )
        [places] = app._serving._offers._places.values()
        await eventually(lambda: not len(places))


async def test_the_rules_of_pages_hold(new_server, watchers):
    app = new_server(host="127.0.0.1", token="secret-token")
    stream = app.create_webrtc_stream("camera")
    async with open_vuer_server(app) as server:
        url = url_of(server, stream)

        def ask(address, **headers):
            return post(address, b"{}", **headers)

        for address, headers, status in (
            (url, {}, 401),
            (f"{url}?token=wrong", {}, 401),
            (f"{url}?token=secret-token", {}, 400),  # it may, and has no SDP
            (url, {"authorization": "Bearer secret-token"}, 400),
            (f"{url}?token=secret-token", {"origin": "https://evil.example"}, 403),
            (f"{url}?token=secret-token", {"origin": "https://vuer.ai"}, 400),
        ):
            found, fields, _ = await anyio.to_thread.run_sync(
                lambda a=address, h=headers: ask(a, **h)
            )
            assert found == status, (address, headers)
            allowed = fields.get("access-control-allow-origin")
            assert allowed == (headers.get("origin") if status == 400 else None)
        async with raw(server.port) as stranger:  # who is not told what there is to see
            await stranger.stream.send(b"GET /webrtc/debug HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await stranger.read_to_the_end()
            assert stranger.received.startswith(b"HTTP/1.1 401")
            assert b"camera" not in stranger.received
        async with raw(server.port) as before:
            await before.stream.send(
                b"OPTIONS /webrtc/offer/camera HTTP/1.1\r\nHost: localhost\r\n"
                b"Origin: https://vuer.ai\r\nAccess-Control-Request-Method: POST\r\n"
                b"Access-Control-Request-Headers: content-type\r\n\r\n"
            )
            await before.read_to_the_end()
            assert before.received.startswith(b"HTTP/1.1 204")
            assert b"access-control-allow-methods: POST, OPTIONS" in before.received
            assert b"access-control-allow-headers: content-type" in before.received
        watcher = await watchers.open(f"{url}?token=secret-token")
        assert (await watchers.run(watcher.frame())).mean() < 5  # nothing was pushed: black


async def test_over_tls(new_server, watchers, tmp_path):
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "cert.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    app = new_server(cert=tmp_path / "cert.pem")
    stream = app.create_webrtc_stream("camera")
    stream.push_frame(counted_frame(7))
    async with open_vuer_server(app) as server:
        assert stream.endpoint == f"https://localhost:{server.port}/webrtc/offer/camera"
        watcher = await watchers.open(stream.endpoint, context)
        assert await watchers.run(watcher.number()) == 7


async def test_what_a_viewer_would_send_is_declined(new_server, watchers):
    app = new_server(host="127.0.0.1")
    stream = app.create_webrtc_stream("camera")
    async with open_vuer_server(app) as server:
        watcher = await watchers.new()
        offer = await watchers.run(watcher.offer(audio="sendrecv"))
        _, answer = await posted(url_of(server, stream), offer)
        _, video, audio = answer["sdp"].split("m=")
        assert "a=sendonly" in video
        assert "a=inactive" in audio


async def test_nobody_is_asked_but_the_viewer(new_server, watchers):
    app = new_server(host="127.0.0.1")
    stream = app.create_webrtc_stream("camera")
    async with open_vuer_server(app) as server:
        watcher = await watchers.new()
        offer = await watchers.run(watcher.offer())
        _, answer = await posted(url_of(server, stream), offer)
        candidates = [line for line in answer["sdp"].splitlines() if "a=candidate" in line]
        assert candidates
        assert all(" typ host" in line for line in candidates)


async def test_a_stun_server_is_asked_if_it_is_named(new_server, watchers):
    stun = pytest.importorskip("aioice.stun")
    address = network_address()
    if address is None:
        pytest.skip("needs a network")
    app = new_server(host="127.0.0.1")

    def answer(listener):
        """To each request."""
        while (found := listener.recvfrom(2000))[0] != b"end":
            asked = stun.parse_message(found[0])
            reply = stun.Message(asked.message_method, stun.Class.RESPONSE, asked.transaction_id)
            reply.attributes["XOR-MAPPED-ADDRESS"] = ("203.0.113.7", 4567)
            listener.sendto(bytes(reply), found[1])

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind((address, 0))
        port = listener.getsockname()[1]
        server_ = {"urls": [f"stun:{address}:{port}"]}
        stream = app.create_webrtc_stream("camera", ice_servers=[server_])
        thread = threading.Thread(target=answer, args=(listener,))
        thread.start()
        try:
            async with open_vuer_server(app) as server:
                watcher = await watchers.new()
                offer = await watchers.run(watcher.offer())
                _, found = await posted(url_of(server, stream), offer)
                assert " 203.0.113.7 4567 typ srflx" in found["sdp"]
        finally:
            listener.sendto(b"end", listener.getsockname())
            await anyio.to_thread.run_sync(thread.join)


async def test_the_bitrate_has_a_limit(new_server, watchers):
    app = new_server(host="127.0.0.1")
    stream = app.create_webrtc_stream("camera", max_bitrate=600_000)
    async with open_vuer_server(app) as server:
        watcher = await watchers.open(url_of(server, stream))
        for number in range(1, 4):
            await stream.send(counted_frame(number))
        await watchers.run(watcher.number_over(1))
        [peer] = app._serving._offers._thread._peers._open.values()
        encoder = peer._transceiver.sender._RTCRtpSender__encoder
        assert encoder.target_bitrate == 600_000


# ---- ends


async def test_fifty_viewers_that_come_and_go_leave_nothing(new_server, watchers):
    app = new_server(host="127.0.0.1")
    stream = app.create_webrtc_stream("camera", max_viewers=200)
    hurried = app.create_webrtc_stream("hurried", max_viewers=200, connect_timeout=2)
    stream.push_frame(counted_frame(1, 64, 48))
    async with assert_no_leaks():
        async with open_vuer_server(app) as server:

            async def come_and_go(number: int) -> None:
                for n in range(number, times(50, 200), 5):
                    watched = stream if n % 2 else hurried
                    watcher = await watchers.open(url_of(server, watched))
                    if watched is stream:  # the others leave before they connect, or just after
                        await watchers.run(watcher.frame())
                    await watchers.run(watcher.pc.close())

            first = await watchers.open(url_of(server, stream))
            await watchers.run(first.number())
            loop = app._serving._offers._thread._loop
            sockets, tasks = open_sockets(), len(asyncio.all_tasks(loop))
            async with anyio.create_task_group() as group:
                for number in range(5):
                    group.start_soon(come_and_go, number)
            await eventually(lambda: stream.statistics().viewers <= 1)
            await eventually(lambda: open_sockets() <= sockets)
            await eventually(lambda: len(asyncio.all_tasks(loop)) <= tasks)
            taken = app._serving._offers._places
            await eventually(lambda: sorted(map(len, taken.values())) <= [0, 1])
        assert stream.statistics().viewers == hurried.statistics().viewers == 0


@pytest.mark.parametrize("watches", [0, 1, 3])
async def test_the_end_of_a_server_ends_the_streams(new_server, watchers, watches):
    app = new_server(host="127.0.0.1")
    stream = app.create_webrtc_stream("camera")
    async with assert_no_leaks():
        async with open_vuer_server(app) as server:
            for _ in range(watches):
                watcher = await watchers.open(url_of(server, stream))
                await watchers.run(watcher.frame())
            async with anyio.create_task_group() as tasks:
                if watches:
                    tasks.start_soon(stream.send, counted_frame(1))
                tasks.start_soon(anyio.sleep, 0)
        assert stream.statistics().viewers == 0


async def test_the_end_of_a_server_at_each_place_of_a_negotiation(new_server, watchers):
    app = new_server(host="127.0.0.1")
    stream = app.create_webrtc_stream("camera")
    watcher = await watchers.new()
    offer = await watchers.run(watcher.offer())
    head = f"POST {stream.url} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(offer)}\r\n\r\n"

    async def scenario(here):
        async with anyio.create_task_group() as tasks:
            server = await tasks.start(serve, app)
            async with here.instead(tasks.cancel_scope.cancel):
                async with raw(server.port) as client:
                    await client.stream.send(head.encode() + offer)
                    await client.read_to_the_end()
                    whole = client.received
            tasks.cancel_scope.cancel()
        if not here.fired:
            assert whole.startswith(b"HTTP/1.1 200")
        assert stream.statistics().viewers == 0

    assert await cancel_everywhere(scenario) > 5


@pytest.mark.parametrize("during", ["binding", "asking a STUN server"])
async def test_a_negotiation_that_is_cut_leaves_no_socket(
    new_server, watchers, monkeypatch, during
):
    """aioice binds one for each address of the machine, and learns of them when all are bound."""
    from aioice import ice

    from vuer_trio.webrtc import peers

    bound, real = [], asyncio.SelectorEventLoop.create_datagram_endpoint

    async def binds(*args, **options):
        if during == "binding" and bound:
            await asyncio.sleep(0.1)
        transport, protocol = await real(*args, **options)
        bound.append(transport)
        return transport, protocol

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        servers = [{"urls": f"stun:127.0.0.1:{silent.getsockname()[1]}"}]
        app = new_server(host="127.0.0.1")
        stream = app.create_webrtc_stream(
            "camera", ice_servers=[] if during == "binding" else servers
        )
        offer = await watchers.run((await watchers.new()).offer())
        size = f"Content-Length: {len(offer)}"
        head = f"POST {stream.url} HTTP/1.1\r\nHost: localhost\r\n{size}\r\n\r\n"
        monkeypatch.setattr(asyncio.SelectorEventLoop, "create_datagram_endpoint", binds)
        monkeypatch.setattr(ice, "get_host_addresses", lambda **_: ["127.0.0.1"] * 2)
        monkeypatch.setattr(peers, "_BINDING", 30 if during == "binding" else 0.01)
        monkeypatch.setattr(peers, "_CLOSING", 60)
        async with anyio.create_task_group() as tasks:
            server = await tasks.start(serve, app)
            async with raw(server.port) as client:
                await client.stream.send(head.encode() + offer)
                await eventually(lambda: len(bound) == (1 if during == "binding" else 2))
                tasks.cancel_scope.cancel()
    assert stream.statistics().viewers == 0
    assert [transport.get_extra_info("socket").fileno() for transport in bound] == [-1, -1]


async def serve(app, *, task_status):
    await app.serve(task_status=task_status)


async def test_send_cancelled_at_each_place(new_server, watchers):
    app = new_server(host="127.0.0.1")
    stream = app.create_webrtc_stream("camera", fps=200)
    async with open_vuer_server(app) as server:

        async def scenario(here):
            before = stream.statistics()
            async with here:
                await stream.send(counted_frame(1))
            after = stream.statistics()
            assert here.cancelled or after.pushed == before.pushed + 1
            assert not stream._frames._senders

        assert await cancel_everywhere(scenario, every=1) >= 2
        watcher = await watchers.open(url_of(server, stream))
        await watchers.run(watcher.frame())
        # The server's encoders may need another thread, which it keeps.
        assert await cancel_everywhere(scenario, every=1, leaks=False) >= 1
        assert await stream.send(counted_frame(2))


async def test_a_request_that_breaks_off_leaves_no_viewer(new_server, watchers):
    app = new_server(host="127.0.0.1")
    stream = app.create_webrtc_stream("camera")
    async with open_vuer_server(app) as server:
        watcher = await watchers.new()
        offer = await watchers.run(watcher.offer())
        head = f"POST {stream.url} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(offer)}\r\n\r\n"
        for cut in (10, len(offer) - 1):
            async with raw(server.port) as client:
                await client.stream.send(head.encode() + offer[:cut])
        assert (await posted(url_of(server, stream), b"{"))[0] == 400
        assert not app._serving._offers._places


async def test_without_aiortc_in_the_thread_the_offer_is_refused(
    new_server, watchers, monkeypatch, caplog
):
    app = new_server(host="127.0.0.1")
    stream = app.create_webrtc_stream("camera")
    watcher = await watchers.new()
    offer = await watchers.run(watcher.offer())
    monkeypatch.setitem(__import__("sys").modules, "vuer_trio.webrtc.peers", None)
    async with assert_no_leaks():
        async with open_vuer_server(app) as server:
            for _ in range(2):
                status, answer = await posted(url_of(server, stream), offer)
                assert status == 503
                assert "the log of the server may say why" in answer["error"]
    assert "the thread of the WebRTC streams failed" in caplog.text


async def test_mangled_offers_leave_nothing(new_server, watchers, caplog):
    """Cut, doubled, swapped and changed lines: each is answered, and none is left."""
    app = new_server(host="127.0.0.1")
    stream = app.create_webrtc_stream("camera", connect_timeout=0.5, max_viewers=1000)
    watcher = await watchers.new()
    offer = await watchers.run(watcher.offer())
    good = json.loads(offer)["sdp"].splitlines()
    chance = random.Random(sample())
    found = set()
    async with assert_no_leaks():
        async with open_vuer_server(app) as server:
            url = url_of(server, stream)
            assert (await posted(url, offer))[0] == 200
            [places] = app._serving._offers._places.values()
            await eventually(lambda: not len(places))
            sockets = open_sockets()  # the thread's own stay
            for _ in range(times(40, 1000)):
                lines = list(good)
                for _ in range(chance.randint(1, 3)):
                    mangle(lines, chance)
                body = json.dumps({"type": "offer", "sdp": "\r\n".join([*lines, ""])}).encode()
                found.add((await posted(url, body))[0])
            loop = app._serving._offers._thread._loop
            await eventually(lambda: not len(places))
            await eventually(lambda: open_sockets() <= sockets)
            await eventually(lambda: len(asyncio.all_tasks(loop)) <= 1)
    assert found == {200, 400}
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def mangle(lines, chance):
    at = chance.randrange(len(lines))
    match chance.randrange(5):
        case 0:
            del lines[at]
        case 1:
            lines.insert(at, lines[chance.randrange(len(lines))])
        case 2:
            other = chance.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        case 3:
            lines[at] = lines[at][: chance.randrange(len(lines[at]) + 1)]
        case _:
            words = lines[at].split(" ")
            words[chance.randrange(len(words))] = chance.choice(["", "x", "-1", "99999999999", "ä"])
            lines[at] = " ".join(words)
