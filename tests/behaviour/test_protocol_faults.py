"""What a peer may put on the wire, right and wrong, and what the client makes of it."""

from __future__ import annotations

import msgpack
import pytest
from websockets.frames import Opcode

from tests.behaviour.numbered_events import Number, numbers
from tests.scripted_server import encode_frame, event_frame, serve_peer
from vuer_trio import ConnectionClosed, ProtocolError

pytestmark = pytest.mark.anyio


def event(n, **extra):
    return msgpack.packb({"etype": "N", "data": n, **extra})


async def test_fragments_with_control_frames_between_are_one_message(open_client):
    whole = event(1, pad=bytes(1000))

    async def script(conn):
        await conn.accept()
        await conn.send(event(0))
        await conn.send_fragments([whole[:1], whole[1:500], b"", whole[500:]], ping_between=True)
        await conn.send(event(2))
        await conn.wait_until(lambda: len(conn.pongs) == 3)

    async with serve_peer(script) as peer, open_client(peer.uri) as client:
        assert [(await client.recv(timeout=60)).data for _ in range(3)] == [0, 1, 2]
        await peer.join()


@pytest.mark.parametrize("size", [0, 100, 125, 126, 65_535, 65_536, 70_000, 3_000_000])
async def test_messages_of_every_size_both_ways(open_client, size):
    async def script(conn):
        await conn.accept()
        await conn.recv()
        for _ in range(3):
            received = await conn.recv_event()
            await conn.send_event({"etype": "BACK", "data": received["value"]})

    async with serve_peer(script) as peer, open_client(peer.uri) as client:
        for n in range(3):
            value = bytes([n]) * size
            await client.send(Number(value=value))
            assert (await client.recv(timeout=60)).data == value


async def test_a_first_frame_in_the_segment_of_the_handshakes_reply(open_client):
    async def script(conn):
        ping = encode_frame(Opcode.PING, b"early")
        await conn.accept(trailing=event_frame({"etype": "N", "data": 1}) + ping)
        await conn.wait_until(lambda: conn.pongs == [b"early"])

    async with serve_peer(script) as peer, open_client(peer.uri) as client:
        assert (await client.recv(timeout=60)).data == 1
        await peer.join()


async def test_an_event_and_an_unasked_pong_may_share_the_segment_of_the_reply(open_client):
    pong = encode_frame(Opcode.PONG, b"unasked")

    async def script(conn):
        await conn.accept(trailing=event_frame({"etype": "N", "data": 1}) + pong)
        await conn.wait_ended()

    async with serve_peer(script) as peer, open_client(peer.uri) as client:
        assert (await client.recv(timeout=60)).data == 1


async def test_a_close_in_the_segment_of_the_handshakes_reply(open_client):
    async def script(conn):
        close = encode_frame(Opcode.CLOSE, b"\x03\xe9later")
        await conn.accept(trailing=event_frame({"etype": "N", "data": 1}) + close)

    async with serve_peer(script) as peer, open_client(peer.uri) as client:
        assert [event.data async for event in client] == [1]
        assert (client.close_code, client.close_reason) == (1001, "later")


@pytest.mark.parametrize("fragmented", [False, True])
async def test_a_message_over_max_size_closes_with_1009(open_client, fragmented):
    async def script(conn):
        await conn.accept()
        await conn.send(event(1))
        big = event(2, pad=bytes(2000))
        if fragmented:
            await conn.send_fragments([big[:900], big[900:1800], big[1800:]])
        else:
            await conn.send(big)
        await conn.send(event(3))

    async with serve_peer(script) as peer:
        async with open_client(peer.uri, max_size=1000) as client:
            assert (await client.recv(timeout=60)).data == 1
            with pytest.raises(ConnectionClosed, match=r"max_size, 1,000 bytes") as caught:
                await client.recv(timeout=60)
            assert caught.value.code == 1009
            with pytest.raises(ConnectionClosed):
                client.send @ Number()
        conn = await peer.connection()
        await conn.wait_ended()
        assert conn.close_code == 1009


async def test_a_message_of_just_max_size_is_received(open_client):
    payload = event(1, pad=bytes(900))

    async def script(conn):
        await conn.accept()
        await conn.send(payload)

    async with (
        serve_peer(script) as peer,
        open_client(peer.uri, max_size=len(payload)) as client,
    ):
        assert (await client.recv(timeout=60)).data == 1


MALFORMED = {
    "never used": b"\xc1",
    "truncated": b"\x82\xa5etype",
    "trailing": b"\x81\xa5etype\xa1X\x00",
    "an int": b"\x05",
    "a list": b"\x91\x01",
    "no etype": b"\x81\xa1a\x01",
    "int key": b"\x82\xa5etype\xa1X\x01\x02",
    "empty": b"",
    "deep": b"\x82\xa5etype\xa1X\xa1v" + b"\x91" * 2000 + b"\x01",
    "huge header": b"\xdf\xff\xff\xff\xff",
    "utf-8": b"\x81\xa5etype\xa2\xff\xfe",
}


@pytest.mark.parametrize("frame", MALFORMED.values(), ids=MALFORMED)
async def test_a_malformed_frame_is_one_error_with_its_bytes(open_client, frame):
    async def script(conn):
        await conn.accept()
        await conn.send(event(1))
        await conn.send(frame)
        await conn.send(event(2))

    async with serve_peer(script) as peer, open_client(peer.uri) as client:
        assert (await client.recv(timeout=60)).data == 1
        with pytest.raises(ProtocolError) as caught:
            await client.recv(timeout=60)
        assert caught.value.frame == frame
        assert (await client.recv(timeout=60)).data == 2
        assert client.connected


async def test_iteration_may_be_resumed_after_a_malformed_frame(open_client):
    async def script(conn):
        await conn.accept()
        for frame in (event(1), b"\xc1", event(2), b"\xc1", event(3)):
            await conn.send(frame)
        await conn.close()

    seen, errors = [], 0
    async with serve_peer(script) as peer, open_client(peer.uri) as client:
        while True:
            try:
                async for received in client:
                    seen.append(received.data)
                break
            except ProtocolError:
                errors += 1
    assert (seen, errors) == ([1, 2, 3], 2)


async def test_recv_many_stops_before_a_malformed_frame(open_client):
    async def script(conn):
        await conn.accept()
        await conn.send_raw(
            b"".join(encode_frame(Opcode.BINARY, frame) for frame in (event(1), event(2), b"\xc1"))
        )

    async with serve_peer(script) as peer, open_client(peer.uri) as client:
        await client.flush()
        assert [e.data for e in await client.recv_many()] == [1, 2]
        with pytest.raises(ProtocolError):
            await client.recv_many()


async def test_a_text_frame_is_a_protocol_error(open_client):
    async def script(conn):
        await conn.accept()
        await conn.send_text('{"etype":"X"}')
        await conn.send(event(2))

    async with serve_peer(script) as peer, open_client(peer.uri) as client:
        with pytest.raises(ProtocolError, match="text frame") as caught:
            await client.recv(timeout=60)
        assert caught.value.frame == b'{"etype":"X"}'
        assert (await client.recv(timeout=60)).data == 2


FAULTS = {
    "a masked frame": b"\x82\x81\0\0\0\0a",
    "a reserved bit": b"\xc2\x01a",
    "an unknown opcode": b"\x83\x01a",
    "a stray continuation": b"\x80\x01a",
    "a fragmented ping": b"\x09\x01a",
    "a long ping": b"\x89\x7e\x00\xc8" + bytes(200),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_a_fault_of_framing_closes_with_1002(open_client, fault):
    async def script(conn):
        await conn.accept()
        await conn.send(event(1))
        await conn.send_raw(fault)
        await conn.send(event(2))

    async with serve_peer(script) as peer:
        async with open_client(peer.uri) as client:
            assert (await client.recv(timeout=60)).data == 1
            with pytest.raises(ConnectionClosed) as caught:
                await client.recv(timeout=60)
            assert caught.value.code == 1002
        conn = await peer.connection()
        await conn.wait_ended()
        assert conn.close_code == 1002


async def test_keys_named_like_attributes_clobber_nothing(open_client):
    keys = {"self": 1, "_serialize": 2, "__class__": 3, "raw": 4, "image": 5, "to_wire": 6}

    async def script(conn):
        await conn.accept()
        await conn.send_event({"etype": "X", "data": 0, "plain": 7, **keys})

    async with serve_peer(script) as peer, open_client(peer.uri) as client:
        received = await client.recv(timeout=60)
        assert received.plain == 7
        assert received.self == 1
        assert received.raw["_serialize"] == 2
        assert callable(received._serialize)
        assert callable(received.image)
        assert isinstance(received.raw, dict)


@pytest.mark.slow
@pytest.mark.no_cover
async def test_pongs_overtake_queued_data(open_client):
    from vuer_trio import Fifo

    async with serve_peer(receive_buffer=4096) as peer:
        async with open_client(peer.uri, outbox=Fifo(10_000), close_timeout=10) as client:
            conn = await peer.connection()
            await conn.wait_until(lambda: conn.messages)
            conn.stop_reading()
            for n in range(300):
                client.send @ Number(value=n, pad=bytes(50_000))
            await conn.ping(b"now")
            import anyio

            await anyio.sleep(0.05)
            conn.resume_reading()
            await conn.wait_until(lambda: conn.pongs)
            before = len(numbers(conn.messages))
        assert before < 250, "the pong waited behind nearly all data"
        assert numbers(conn.messages) == list(range(300))
