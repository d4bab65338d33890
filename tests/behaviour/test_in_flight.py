"""`Latest` over a slow line that has a queue of its own: images do not grow old in it."""

from __future__ import annotations

import math
from contextlib import asynccontextmanager, suppress
from statistics import median

import pytest
import trio
import trio.testing

from tests.behaviour.memory_server import memory_server
from tests.behaviour.raw_client import PING, masked, pack
from tests.behaviour.test_server_limits import Line
from tests.repetitions import cancel_everywhere, part, times
from tests.slow_stream import PACKET, SlowStream
from vuer_trio import ConnectionClosed, Latest, Vuer, open_vuer_client
from vuer_trio.events import ClientEvent, ServerEvent
from vuer_trio.schemas import Element
from vuer_trio.testing import memory_stream_pair

pytestmark = [pytest.mark.trio, pytest.mark.on_time]

TRANSPORTS = ["trio-websocket", "websockets", "wsproto"]
#: bytes of an image, and images a second of each of two cameras
SIZE, FRAMES = 100_000, 30


def mbit(rate):
    return rate * 125_000


class PingCounter:
    """Counts the pings among a server's frames, which come in any pieces."""

    def __init__(self):
        self.pings = 0
        self._head = b""  # of a frame, as far as it has come
        self._rest = 0  # bytes of its payload that have not

    def feed(self, data):
        while data:
            if self._rest:
                skipped = min(self._rest, len(data))
                self._rest -= skipped
                data = data[skipped:]
                continue
            self._head += data[:1]
            data = data[1:]
            if len(self._head) < 2:
                continue
            size = self._head[1] & 127
            more = {126: 2, 127: 8}.get(size, 0)
            if len(self._head) == 2 + more:
                self.pings += self._head[0] & 15 == PING
                self._rest = int.from_bytes(self._head[2:], "big") if more else size
                self._head = b""


class Show:
    """A server that shows two cameras, and a client that sees them over a slow line."""

    def __init__(self, server, session, client, line):
        self.server, self.session, self.client, self.line = server, session, client, line
        self.ages = []

    async def shoot(self, seconds, size=SIZE):
        began = trio.current_time()
        for n in range(round(seconds * FRAMES * 2)):
            self.shoot_once("left" if n % 2 else "right", size)
            await trio.sleep_until(began + (n + 1) / FRAMES / 2)

    def shoot_once(self, side, size=SIZE):
        image = Element(tag="Plane", key=side, at=trio.current_time(), image=bytes(size))
        self.session.upsert(image)

    async def see(self):
        async for event in self.client:
            if event.etype == "UPSERT":
                at = event.data["nodes"][0]["at"]
                self.ages.append(trio.current_time() - at)

    async def watch(self, seconds, **options):
        """The ages of the images that come while the cameras run."""
        self.ages.clear()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.see)
            await self.shoot(seconds, **options)
            nursery.cancel_scope.cancel()
        return list(self.ages)


@asynccontextmanager
async def show(rate, rtt, outbox, transport="websockets", **options):
    app = Vuer(transport=transport, outbox=outbox, **options)
    async with memory_server(app) as server, trio.open_nursery() as nursery:
        line = SlowStream(server.connect(), nursery, mbit(rate), rtt)
        async with open_vuer_client(server.uri, stream=line) as client:
            with trio.fail_after(60):
                while not app.sessions or app.sessions[0].client_info is None:
                    await trio.sleep(0.1)
            yield Show(server, app.sessions[0], client, line)
        nursery.cancel_scope.cancel()


async def test_pings_are_counted_wherever_the_stream_is_cut():
    stream = b"\x82\x04\x89\x01\x89\x00" + b"\x89\x01x" + b"\x82\x7e\x01\x00" + b"\x89\x01" * 128
    stream += b"\x89\x00" + b"\x02\x7f" + (70_000).to_bytes(8, "big") + bytes(70_000) + b"\x89\x01y"
    for size in (1, 2, 3, 5, 4096, len(stream)):
        counter = PingCounter()
        for at in range(0, len(stream), size):
            counter.feed(stream[at : at + size])
        assert counter.pings == 3


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("transport", "rtt"),
    part(
        [
            *(("websockets", rtt) for rtt in (0, 0.002, 0.01, 0.06, 0.15)),
            ("wsproto", 0.06),
            ("trio-websocket", 0.06),
        ],
        2,
    ),
)
async def test_images_are_fresh_and_the_line_is_full(transport, rtt, autojump_clock):
    counts = {}
    for in_flight in ("auto", None):
        async with show(20, rtt, Latest(in_flight=in_flight), transport) as seen:
            await seen.watch(4.0)
            ages = await seen.watch(5.5)
            counts[in_flight] = len(ages)
            if in_flight is None:
                assert median(ages) > 1.0  # the queue of the line is full of old ones
            else:
                # Its own transfer, half of the time between two of a camera, a little in the line.
                assert median(ages) < 0.040 + rtt + 0.5 / FRAMES + 0.012
                assert max(ages) < 0.040 + rtt + 1 / FRAMES + 0.02 + rtt
    # One image, and those of the round trip in which the way was measured again.
    assert counts["auto"] >= counts[None] - 1 - rtt / 0.04


@pytest.mark.no_cover
@pytest.mark.parametrize("rate", [5, 50])
async def test_other_rates(rate, autojump_clock):
    async with show(rate, 0.03, Latest()) as seen:
        await seen.watch(5.0)
        ages = await seen.watch(4.0)
    transfer = SIZE / mbit(rate)
    assert len(ages) >= min(4.0 / transfer, 2 * 4.0 * FRAMES) - 2
    # The ping that measures the round trip may share its packet with the image behind it, by the
    # order of tasks: then its pong comes so much later, and each image is sent so much earlier.
    packet = PACKET / mbit(rate)
    assert median(ages) < transfer + 0.03 + 0.5 / FRAMES + 0.015 + packet


async def test_a_client_that_sends_images_sends_fresh_ones(autojump_clock):
    ages = []
    app = Vuer()

    @app.add_handler("CAMERA")
    async def on_camera(event, session):
        ages.append(trio.current_time() - event.value["at"])

    async with memory_server(app) as server, trio.open_nursery() as nursery:
        # What the server receives comes over the line.
        def pair():
            client_end, server_end = memory_stream_pair()
            return client_end, SlowStream(server_end, nursery, mbit(5), 0.06)

        outbox = Latest()
        async with open_vuer_client(
            server.uri, stream=server.connect(pair), outbox=outbox
        ) as client:
            for _ in range(300):
                value = {"at": trio.current_time(), "image": bytes(SIZE)}
                client.send @ ClientEvent(value=value, etype="CAMERA")
                await trio.sleep(1 / FRAMES)
        nursery.cancel_scope.cancel()
    assert len(ages) >= 9.0 * mbit(5) / SIZE
    assert median(ages) < 0.16 + 0.06 + 1 / FRAMES + 0.015


@pytest.mark.no_cover
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_peer_without_pongs_is_served_as_before(transport, autojump_clock):
    """It gets as much as without a window, and is asked a few times only."""
    got = {}
    for in_flight in ("auto", None):
        app = Vuer(transport=transport, outbox=Latest(in_flight=in_flight), heartbeat=math.inf)
        async with memory_server(app) as server, trio.open_nursery() as nursery:
            stream = SlowStream(server.connect(), nursery, mbit(20), 0.03)
            line = Line(stream)
            await line.handshake()
            await line.stream.send_all(masked(pack("INIT")))

            counter = PingCounter()
            counter.feed(line.received.partition(b"\r\n\r\n")[2])

            async def reads(stream=stream, counter=counter):
                while data := await stream.receive_some():
                    counter.feed(data)

            nursery.start_soon(reads)
            while not app.sessions or app.sessions[0].client_info is None:
                await trio.sleep(0.1)
            seen = Show(server, app.sessions[0], None, stream)
            await seen.shoot(5.0)
            got[in_flight] = stream.carried
            assert counter.pings == (8 if in_flight else 0)
            nursery.cancel_scope.cancel()
    assert got["auto"] >= got[None] - 1000


async def test_small_events_and_replies_go_between_images(autojump_clock):
    """Each waits for what is before it in the outbox, and for one image at most."""
    async with show(5, 0.06, Latest()) as seen:
        took = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(seen.shoot, 10.0)
            await trio.sleep(3.0)
            async with trio.open_nursery() as inner:
                inner.start_soon(seen.see)
                for _ in range(10):
                    began = trio.current_time()
                    await seen.session.flush()
                    took.append(trio.current_time() - began)
                    await trio.sleep(0.313)
                inner.cancel_scope.cancel()
            nursery.cancel_scope.cancel()
    image = SIZE / mbit(5)
    assert max(took) < 3 * image + 0.06 + 0.06


async def test_a_ping_of_the_peer_is_answered_while_the_window_is_closed(autojump_clock):
    async with show(5, 0.0, Latest()) as seen:
        await seen.watch(3.0)
        link = seen.session._connection.open_link
        async with trio.open_nursery() as nursery:
            nursery.start_soon(seen.see)
            nursery.start_soon(seen.shoot, 3.0)
            for _ in range(10):
                while link._opening is None:
                    await trio.testing.wait_all_tasks_blocked()
                    await trio.sleep(0.001)
                sent = seen.session._connection.counters.sent
                began = trio.current_time()
                await seen.client.flush()
                # Through the line, behind what is on it, but not behind another image.
                assert trio.current_time() - began < 1.1 * SIZE / mbit(5)
                assert seen.session._connection.counters.sent - sent <= 1
            nursery.cancel_scope.cancel()


async def shoot_to_the_end(seen):
    with suppress(ConnectionClosed):
        await seen.shoot(60.0)


async def closed_window(seen, size=SIZE):
    """Park until something waits for the window."""
    link = seen.session._connection.open_link
    while link._opening is None:
        seen.shoot_once("left", size)
        seen.shoot_once("right", size)
        await trio.sleep(0.01)
    return link


async def test_closing_writes_what_waits_without_the_window(autojump_clock):
    async with show(5, 0.06, Latest(), close_timeout=2.0) as seen:
        await seen.watch(3.0)
        seen.ages.clear()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reads_to_the_end, seen)
            await closed_window(seen)
            seen.session @ ServerEvent(None, etype="LAST")
            began = trio.current_time()
            await seen.session.aclose()
            assert trio.current_time() - began < 2.0
        assert seen.last == "LAST"


async def reads_to_the_end(seen):
    with pytest.raises(ConnectionClosed):
        while True:
            seen.last = (await seen.client.recv()).etype


async def test_a_link_that_is_lost_while_the_window_is_closed_ends(autojump_clock):
    async with show(5, 0.06, Latest()) as seen:
        await seen.watch(3.0)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(seen.see)
            link = await closed_window(seen)
            link.lose("a test")
            with trio.fail_after(3):
                await seen.session._connection.gone.wait()
            nursery.cancel_scope.cancel()


async def test_a_peer_that_stops_to_read_is_ended_as_soon_as_without(autojump_clock):
    ended = {}
    for in_flight in ("auto", None):
        async with show(
            20, 0.01, Latest(in_flight=in_flight), stall_timeout=5.0, heartbeat=math.inf
        ) as seen:
            await seen.watch(4.0)
            connection = seen.session._connection
            seen.line.queue = -1e9  # nothing moves any more
            began = trio.current_time()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(shoot_to_the_end, seen)
                await connection.gone.wait()
                ended[in_flight] = trio.current_time() - began
                nursery.cancel_scope.cancel()
    assert ended["auto"] < ended[None] + 2.5


async def test_the_round_trip_of_a_busy_line_is_known_without_heartbeats(autojump_clock):
    async with show(20, 0.06, Latest(), heartbeat=1.0) as seen:
        await seen.watch(4.0)
        rtt = seen.session.statistics().rtt
        assert rtt == pytest.approx(0.06, abs=0.003)
        await trio.sleep(3.0)
        assert seen.session.statistics().rtt != rtt  # of a heartbeat
        assert seen.session.statistics().rtt == pytest.approx(0.06, abs=0.003)


@pytest.mark.parametrize("how", ["server", "abort", "close given up"])
async def test_cancelled_at_the_wait_it_ends_at_once(how, autojump_clock):
    async with show(5, 0.06, Latest()) as seen:
        await seen.watch(3.0)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(seen.see)
            await closed_window(seen)
            began, gone = trio.current_time(), seen.session._connection.gone
            if how == "server":
                seen.server.cancel()
            elif how == "abort":
                seen.session._connection.abort()
            else:
                with trio.move_on_after(0):
                    await seen.session.aclose()
            await gone.wait()
            assert trio.current_time() - began < 2.0
            nursery.cancel_scope.cancel()


@pytest.mark.no_cover
async def test_cancelled_anywhere_no_message_is_torn(autojump_clock, caplog):
    """The link ends with the nursery of its client, wherever its writer is just then."""
    at_the_wait = 0

    async def scenario(here):
        nonlocal at_the_wait
        arrived = []
        app = Vuer()

        @app.add_handler("CAMERA")
        async def on_camera(event, session):
            arrived.append(len(event.value["image"]))

        async with memory_server(app) as server, trio.open_nursery() as nursery:

            def pair():
                client_end, server_end = memory_stream_pair()
                return client_end, SlowStream(server_end, nursery, mbit(1), 0.03)

            def shoot():
                client.send @ ClientEvent(value={"image": bytes(SIZE // 5)}, etype="CAMERA")

            async with trio.open_nursery() as own:
                client = open_vuer_client(server.uri, stream=server.connect(pair), outbox=Latest())
                await client.connect(own)
                for _ in range(10):
                    shoot()
                    await trio.sleep(0.08)
                async with here:
                    for _ in range(3):
                        shoot()
                        await trio.sleep(0.08)
                at_the_wait += client._connection.open_link._opening is not None
                own.cancel_scope.cancel()
            assert set(arrived) == {SIZE // 5}
            await trio.sleep(5)
            assert app.sessions == ()
            nursery.cancel_scope.cancel()

    assert await cancel_everywhere(scenario) > 10
    assert at_the_wait > times(2, 5)
    assert "rotocol" not in caplog.text
