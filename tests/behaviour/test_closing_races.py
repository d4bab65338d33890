"""A close, or a fault of the peer's, that meets a writer at work, a ping, or a second fault."""

from __future__ import annotations

import logging
import time

import anyio
import pytest

from tests.behaviour.numbered_events import Number, numbers
from tests.behaviour.raw_client import eventually
from tests.scripted_server import Opcode, encode_frame, serve_peer
from vuer_trio import ConnectionClosed, Fifo

pytestmark = pytest.mark.anyio
DEADLINE = 60  # seconds; only broken code gets there
CLOSE_4001 = encode_frame(Opcode.CLOSE, (4001).to_bytes(2, "big"))
CLOSE_1000 = encode_frame(Opcode.CLOSE, (1000).to_bytes(2, "big"))
FAULT = b"\x83\x00"  # there is no such opcode


def faults(caplog):
    return [record for record in caplog.records if record.levelno >= logging.ERROR]


plain_or_packed = pytest.mark.parametrize(
    "options",
    [{}, pytest.param({"compression": "deflate"}, marks=pytest.mark.needs("compression"))],
    ids=["plain", "deflate"],
)


@plain_or_packed
@pytest.mark.parametrize(("frame", "code"), [(CLOSE_4001, 4001), (CLOSE_1000, 1000), (FAULT, 1002)])
@pytest.mark.parametrize("early", [True, False], ids=["with the handshake", "later"])
async def test_a_writer_that_meets_it_ends_quietly(
    open_client, caplog, options, frame, code, early
):
    async def script(conn):
        await conn.accept(trailing=frame if early else b"")
        if not early:
            await conn.recv()
            await conn.send_raw(frame)

    async with serve_peer(script, compression=bool(options)) as peer:
        for _ in range(5):
            with pytest.raises(ConnectionClosed) as caught, anyio.fail_after(DEADLINE):
                async with open_client(
                    peer.uri, close_timeout=0.2, outbox=Fifo(100_000), **options
                ) as client:
                    while True:
                        client.send @ Number(value="x" * 300)
                        await anyio.lowlevel.checkpoint()
            assert caught.value.code == code
    assert faults(caplog) == []


@plain_or_packed
async def test_what_it_does_not_write_any_more_counts_as_not_sent(open_client, caplog, options):
    """Every message reaches the peer or is counted, also those that the writer had taken."""
    count = 0

    async def script(conn):
        conn.answer_close = False
        await conn.accept()
        await conn.recv()
        await conn.send_raw(CLOSE_1000)

    async with serve_peer(script, compression=bool(options)) as peer:
        client = open_client(peer.uri, close_timeout=1, outbox=Fifo(100_000), **options)
        said = ""
        try:
            async with client:
                with pytest.raises(ConnectionClosed, match="closed the connection"):
                    while True:
                        client.send @ Number(value=count)
                        count += 1
                        if count % 10 == 0:
                            await anyio.lowlevel.checkpoint()
        except ConnectionClosed as exc:
            said = str(exc)
        sent = client.statistics().sent
        conn = await peer.connection()
        with anyio.fail_after(DEADLINE):
            await conn.wait_disconnected()
        arrived = numbers(conn.messages)
        assert arrived == list(range(len(arrived)))
        assert sent <= len(arrived)
        assert sent == count or said.startswith(f"{count - sent} message")
    assert faults(caplog) == []


async def test_a_ping_of_the_peer_before_its_answer_to_our_close(open_client, caplog):
    async def script(conn):
        conn.answer_close = False
        await conn.accept()
        await conn.wait_until(lambda: conn.close_code is not None)
        await conn.send_raw(encode_frame(Opcode.PING, b"late") * 3)
        await anyio.sleep(0.05)
        await conn.send_raw(CLOSE_1000)
        await conn.end_tcp()

    async with serve_peer(script) as peer:
        with anyio.fail_after(DEADLINE):
            async with open_client(peer.uri, close_timeout=60) as client:
                await client.send(Number(value=1))
            assert client.close_code == 1000
            await peer.join()
            conn = await peer.connection()
            assert numbers(conn.messages) == [1]
            assert not conn.reset, "what was sent last may be destroyed by that"
    assert faults(caplog) == []


async def test_a_heartbeat_between_our_close_and_the_answer(open_client, caplog):
    async def script(conn):
        conn.answer_close = False
        await conn.accept()
        await conn.wait_until(lambda: conn.close_code is not None)
        await anyio.sleep(0.5)
        await conn.send_raw(CLOSE_1000)
        await conn.end_tcp()

    async with serve_peer(script) as peer:
        with anyio.fail_after(DEADLINE):
            async with open_client(peer.uri, close_timeout=60, heartbeat=0.35) as client:
                before = time.monotonic()
            assert client.close_code == 1000
            assert time.monotonic() - before >= 0.5, "the answer was waited for"
    assert faults(caplog) == []


async def test_a_second_message_that_is_too_big(open_client, caplog):
    big = encode_frame(Opcode.BINARY, bytes(2000), fin=False)
    more = encode_frame(Opcode.CONT, bytes(2000), fin=False)

    async def script(conn):
        await conn.accept()
        await conn.recv()
        await conn.send_raw(big + more + more)

    async with serve_peer(script) as peer:
        with anyio.fail_after(DEADLINE):
            with pytest.raises(ConnectionClosed, match="over max_size, 1,000 bytes") as caught:
                async with open_client(peer.uri, max_size=1000, close_timeout=0.2) as client:
                    await client.recv()
            assert caught.value.code == 1009
            await eventually(lambda: not client.connected)
    assert faults(caplog) == []
