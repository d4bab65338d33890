"""The kit's byte streams: a pair in memory, and faults over any stream."""

from __future__ import annotations

import ssl

import anyio
import anyio.abc
import pytest
import sniffio
import trio
import trio.testing
from anyio.streams.tls import TLSStream

from tests.behaviour.numbered_events import Number, numbers
from tests.scripted_server import accept_and_read, peer_inside, serve_peer
from vuer_trio import ConnectionClosed, ConnectionFailed, VuerError
from vuer_trio.testing import (
    Corrupt,
    Cut,
    Delay,
    HalfClose,
    Split,
    Stall,
    TornTLS,
    assert_no_leaks,
    cancel_everywhere,
    faulty,
    memory_stream_pair,
    random_faults,
)

pytestmark = pytest.mark.anyio


class Either:
    """A stream of the running library, with anyio's names."""

    def __init__(self, stream):
        self.stream = stream
        self.of_trio = sniffio.current_async_library() == "trio"
        wanted = trio.abc.HalfCloseableStream if self.of_trio else anyio.abc.ByteStream
        assert isinstance(stream, wanted)

    async def send(self, data):
        await (self.stream.send_all(data) if self.of_trio else self.stream.send(data))

    async def receive(self, most=65_536):
        if self.of_trio:
            return await self.stream.receive_some(most)
        try:
            return await self.stream.receive(most)
        except anyio.EndOfStream:
            return b""

    async def receive_all(self):
        received = b""
        while data := await self.receive():
            received += data
        return received


BROKEN = (trio.BrokenResourceError, anyio.BrokenResourceError)
CLOSED = (trio.ClosedResourceError, anyio.ClosedResourceError)


# ---- memory


async def test_a_pair_carries_both_ways_and_ends(anyio_backend):
    a, b = (Either(end) for end in memory_stream_pair())
    await a.send(b"there")
    await b.send(b"back")
    assert (await a.receive(2), await a.receive(), await b.receive()) == (b"ba", b"ck", b"there")
    await a.stream.send_eof()
    assert await b.receive() == b""
    await b.send(b"still")
    assert await a.receive() == b"still"
    with pytest.raises(CLOSED):
        await a.send(b"x")
    await b.stream.aclose()
    assert await a.receive() == b""
    with pytest.raises(CLOSED):
        await b.receive()


async def test_sending_waits_for_room_and_breaks_when_nobody_takes(anyio_backend):
    a, b = (Either(end) for end in memory_stream_pair(capacity=10))
    with anyio.move_on_after(0.05) as scope:
        await a.send(bytes(25))
    assert scope.cancelled_caught
    assert len(await b.receive()) == 10
    async with anyio.create_task_group() as tasks:

        async def send():
            with pytest.raises(BROKEN):
                await a.send(bytes(100))

        tasks.start_soon(send)
        assert len(await b.receive(4)) == 4
        await b.stream.aclose()


async def test_nothing_is_lost_or_doubled_by_a_cancelled_receive(anyio_backend):
    async def scenario(here):
        a, b = (Either(end) for end in memory_stream_pair(capacity=3))
        got = b""
        async with anyio.create_task_group() as tasks:

            async def send():
                await a.send(b"0123456789")
                await a.stream.aclose()

            tasks.start_soon(send)
            async with here:
                while data := await b.receive():
                    got += data
            got += await b.receive_all()
        assert got == b"0123456789"

    assert await cancel_everywhere(scenario) > 5
    await cancel_everywhere(scenario, native=True)


@pytest.mark.parametrize("anyio_backend", ["trio"])
@pytest.mark.parametrize(
    "faults", [(), (Split(5000), Split(5000, on="sending"))], ids=["plain", "split"]
)
async def test_it_is_a_stream_as_trio_wants_them(anyio_backend, faults):
    async def maker():
        a, b = memory_stream_pair(capacity=10_000)
        return faulty(a, *faults), b

    await trio.testing.check_half_closeable_stream(maker, None)


# ---- faults


async def received_through(*faults, data=b"0123456789", seed=0):
    """What arrives over a faulty stream, and whether it ended in order."""
    a, b = memory_stream_pair()
    a, b = Either(a), Either(faulty(b, *faults, seed=seed))
    await a.send(data)
    await a.stream.aclose()
    pieces = []
    try:
        while data := await b.receive():
            pieces.append(data)
    except BROKEN:
        return pieces, False
    finally:
        await b.stream.aclose()
    return pieces, True


async def sent_through(*faults, data=b"0123456789", seed=0):
    a, b = memory_stream_pair()
    a, b = Either(faulty(a, *faults, seed=seed)), Either(b)
    whole = True
    try:
        await a.send(data)
    except BROKEN:
        whole = False
    await a.stream.aclose()
    return await b.receive_all(), whole


async def test_what_each_fault_does(anyio_backend):
    assert await received_through() == ([b"0123456789"], True)
    assert await received_through(Split()) == ([b"%d" % n for n in range(10)], True)
    pieces, _ = await received_through(Split(4, least=2))
    assert all(2 <= len(piece) <= 4 for piece in pieces[:-1])
    assert await received_through(Cut(at=4)) == ([b"0123"], False)
    assert await received_through(Cut(at=4), Split()) == ([b"0", b"1", b"2", b"3"], False)
    assert await received_through(HalfClose(at=4)) == ([b"0123"], True)
    ((piece,), _) = await received_through(Corrupt(at=4))
    assert (piece[:4], piece[5:]) == (b"0123", b"56789")
    assert (piece[4] ^ ord("4")).bit_count() == 1
    assert await sent_through(Cut(at=4, on="sending")) == (b"0123", False)
    assert await sent_through(HalfClose(at=4, on="sending")) == (b"0123", False)
    assert await sent_through(Split(3, on="sending")) == (b"0123456789", True)
    # the other direction is as it was
    assert await sent_through(Cut(at=4), Corrupt(at=1)) == (b"0123456789", True)


async def test_the_same_seed_does_the_same(anyio_backend):
    noise = (Split(5), Corrupt(rate=0.5))
    first = await received_through(*noise, data=bytes(100), seed=7)
    assert await received_through(*noise, data=bytes(100), seed=7) == first
    assert await received_through(*noise, data=bytes(100), seed=8) != first
    assert random_faults(7) == random_faults(7)
    assert len({tuple(random_faults(seed)) for seed in range(20)}) > 15


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_times_are_the_clocks(anyio_backend):
    clock = trio.lowlevel.current_clock()
    assert not isinstance(clock, trio.testing.MockClock)
    began = trio.current_time()
    await received_through(Delay(0.02), Stall(at=5, seconds=0.05))
    assert trio.current_time() - began >= 0.1
    with trio.move_on_after(0.05) as scope:
        await received_through(Stall(at=5))
    assert scope.cancelled_caught


# ---- the library over faulty lines


def wrapped_pair(*faults, seed=0):
    def pair():
        client_end, server_end = memory_stream_pair()
        return faulty(client_end, *faults, seed=seed), server_end

    return pair


async def test_messages_byte_by_byte_in_both_directions(open_client):
    async def script(conn):
        await conn.accept()
        for n in range(3):
            await conn.send_event({"etype": "N", "data": n})
        await conn.wait_ended()

    pair = wrapped_pair(Split(), Split(on="sending"))
    async with peer_inside(script, pair=pair) as peer, open_client(peer.uri) as client:
        assert [(await client.recv()).data for _ in range(3)] == [0, 1, 2]
        for n in range(3):
            await client.send(Number(value=n))
        await client.flush()
        assert numbers(peer.connections[0].messages) == [0, 1, 2]


@pytest.mark.slow
async def test_by_chance_messages_are_a_prefix_or_the_connection_ends(open_client):
    """Twenty bad lines: what arrives is what was sent, in order, up to an error that says so."""
    ended = 0
    for seed in range(20):
        faults = [f for f in random_faults(seed, within=2000) if not isinstance(f, Corrupt)]
        sent = []
        async with assert_no_leaks():
            async with peer_inside(accept_and_read, pair=wrapped_pair(*faults, seed=seed)) as peer:
                try:
                    async with open_client(peer.uri, connect_timeout=5) as client:
                        for n in range(40):
                            await client.send(Number(value=n, pad=bytes(50)))
                            sent.append(n)
                        await client.flush(timeout=60)
                except (ConnectionFailed, ConnectionClosed, VuerError, TimeoutError):
                    ended += 1
                for conn in peer.connections:
                    await conn.wait_disconnected()
                    arrived = numbers(conn.messages)
                    assert arrived == sent[: len(arrived)] or arrived == [*sent, len(sent)]
    assert 3 < ended < 20


async def test_a_corrupt_handshake_is_refused(open_client):
    async with peer_inside(pair=wrapped_pair(Corrupt(at=1))) as peer:
        with pytest.raises(ConnectionFailed):
            async with open_client(peer.uri, connect_timeout=1):
                pass


@pytest.mark.parametrize("at", [300, 2500, 3000])
async def test_torn_tls(open_client, at):
    """Below TLS the line ends without a goodbye: in the handshake, or in a message."""

    async def script(conn):
        await conn.accept()
        for n in range(100):
            await conn.send_event({"etype": "N", "data": n, "pad": bytes(100)})
        await conn.wait_ended()

    async with assert_no_leaks(), serve_peer(script, tls=True) as peer:
        context = peer.client_ssl_context
        got, ended = [], False
        try:
            if sniffio.current_async_library() == "trio":
                tcp = faulty(await trio.open_tcp_stream("127.0.0.1", peer.port), TornTLS(at=at))
                stream = trio.SSLStream(tcp, context, server_hostname="localhost")
                await stream.do_handshake()
            else:
                tcp = faulty(await anyio.connect_tcp("127.0.0.1", peer.port), TornTLS(at=at))
                stream = await TLSStream.wrap(tcp, hostname="localhost", ssl_context=context)
            async with open_client("ws://localhost", stream=stream) as client:
                async for event in client:
                    got.append(event.data)
        except (VuerError, *BROKEN, anyio.EndOfStream, ssl.SSLError):
            ended = True
        assert ended
        assert got == list(range(len(got)))
        assert len(got) < 100
