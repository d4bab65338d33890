"""Opening, sending and leaving, as the real server sees them."""

from __future__ import annotations

import math
import struct
import time

import anyio
import numpy as np
import psutil
import pytest

from tests.interop.reference_calls import Pose, ask, event, open_nursery, report_of
from tests.repetitions import times
from tests.resource_counts import PATIENCE
from vuer_trio import (
    ClientClosed,
    ConnectionClosed,
    EncodeError,
    Fifo,
    OutboxFull,
    get_client_info,
)
from vuer_trio.events import ClientEvent

pytestmark = [pytest.mark.anyio, pytest.mark.interop]

MIB = 1 << 20


class SetPosition(ClientEvent):
    etype = "SET_POSITION"
    value = [0, 0, 0]  # noqa: RUF012 - the documents' form


# ---- INIT


async def test_init_comes_first_with_all_its_keys(open_client, reference_server):
    async with open_client(reference_server.uri) as client:
        client.send @ Pose(value=1)
        report = await ask(client, "REPORT")
    assert report["first"] == "INIT"
    init = report["init"]
    assert init == get_client_info()
    assert init["client"] == "python"
    assert type(init["timezoneOffset"]) is int
    texts = {"clientVersion", "timezone", "pythonVersion"}
    texts |= {"platform", "platformVersion", "machine"}
    assert set(init) == {"client", "timezoneOffset"} | texts
    assert all(type(init[key]) is str and init[key] not in ("", "unknown") for key in texts)


async def test_init_arrives_even_if_nothing_else_is_sent(open_client, reference_server):
    for _ in range(20):
        async with open_client(reference_server.uri):
            pass
    async with open_client(reference_server.uri) as client:
        sessions = await ask(client, "SESSIONS")
    assert sessions[-21:] == ["INIT"] * 21


# ---- sending

DOUBLES = [0.1, -0.0, 1e300, 5e-324, math.pi, math.inf, -math.inf, math.nan, 1795212933.238]

#: what is sent, and what the server has of it
VALUES = [
    (DOUBLES, DOUBLES),
    (None, None),
    ([True, False], [True, False]),
    ([0, -1, 2**63 - 1, 2**64 - 1, -(2**63)], [0, -1, 2**63 - 1, 2**64 - 1, -(2**63)]),
    ("ünï ✓ 🦾", "ünï ✓ 🦾"),
    ((1, (2, ())), [1, [2, []]]),
    (b"\x00\xff", b"\x00\xff"),
    (bytearray(b"ab"), b"ab"),
    (memoryview(b"abcd")[::2], b"ac"),
    ({"a": {"b": [None, (1.5,)]}}, {"a": {"b": [None, [1.5]]}}),
    (np.arange(6).reshape(2, 3), [[0, 1, 2], [3, 4, 5]]),
    (np.array([0.1, 1e300]), [0.1, 1e300]),
    (np.array([True, False]), [True, False]),
    (np.zeros((0, 3)), []),
    (np.array(7), 7),
    ({"pose": np.eye(2)}, {"pose": [[1.0, 0.0], [0.0, 1.0]]}),
    ([np.float64(0.1), np.float32(0.1), np.float16(0.5)], [0.1, float(np.float32(0.1)), 0.5]),
    ([np.int8(-1), np.uint64(2**64 - 1), np.bool_(True)], [-1, 2**64 - 1, True]),
]


async def test_values_arrive_as_they_were(open_client, reference_server):
    async with open_client(reference_server.uri) as client:
        for value, _ in VALUES:
            await client.send(Pose(value=value))
        report = await ask(client, "REPORT")
    # `repr` tells True from 1, -0.0 from 0.0, bytes from text, and nan is nan
    assert [repr(value) for _, value in report["events"]] == [repr(seen) for _, seen in VALUES]


async def test_single_floats_halve_the_size_as_the_reference_does(open_client, reference_server):
    async with open_client(reference_server.uri, floats="single") as client:
        await client.send(Pose(value=[0.1, 1.5, np.float64(math.pi)]))
        report = await ask(client, "REPORT")
    singles = [struct.unpack("f", struct.pack("f", x))[0] for x in (0.1, 1.5, math.pi)]
    assert report["events"] == [["POSE", singles]]
    assert singles != [0.1, 1.5, math.pi]


async def test_all_forms_of_sending_arrive_in_order(open_client, reference_server):
    async with open_client(reference_server.uri) as client:
        client.send @ SetPosition(value=[1, 2, 3])
        await client.send(SetPosition())
        await client.send @ SetPosition(value=2)
        client.send_nowait(SetPosition(value=3))
        await client.send_many([SetPosition(value=4), SetPosition(value=5)])
        permit = await client.send
        client.send @ SetPosition(value=6)
        permit @ SetPosition(value=7)
        await client.send_channel.send(SetPosition(value=8))
        report = await ask(client, "REPORT")
    values = [[1, 2, 3], [0, 0, 0], 2, 3, 4, 5, 6, 7, 8]
    assert report["events"] == [["SET_POSITION", value] for value in values]


async def test_ts_arrives_in_whole_milliseconds(open_client, reference_server):
    before = time.time()
    async with open_client(reference_server.uri) as client:
        client.send @ Pose()
        client.send @ Pose(ts=1795212933.2389)  # seconds
        client.send @ Pose(ts=1795212933238)  # milliseconds
        now, *given = (await ask(client, "REPORT"))["ts"]
    assert type(now) is int
    assert before * 1000 - 1 <= now <= time.time() * 1000
    assert given == [1795212933238, 1795212933238]
    assert [type(ts) for ts in given] == [int, int]


async def test_what_would_end_the_session_is_refused_here(open_client, reference_server):
    async with open_client(reference_server.uri) as client:
        for value in ({1: 2}, {"a": {"b": {None: 1}}}, {1, 2}, object(), 2**64, 1j):
            with pytest.raises(EncodeError):
                client.send @ Pose(value=value)
        client.send @ Pose(value="fine")
        report = await ask(client, "REPORT")
    assert report["events"] == [["POSE", "fine"]]


@pytest.mark.parametrize("count", [100, 10_000])
async def test_nothing_sent_is_lost_by_leaving_at_once(open_client, reference_server, tag, count):
    async with open_client(reference_server.uri, outbox=Fifo(20_000)) as client:
        client.send @ event("TAG", tag)
        for n in range(count):
            client.send @ Pose(value=n)
    async with open_client(reference_server.uri) as client:
        report = await report_of(client, tag, wait=10)
    assert report["ended"]
    assert report["events"] == [["POSE", n] for n in range(count)]


async def test_a_full_outbox_says_so_and_loses_nothing_that_it_took(
    open_client, reference_server, tag
):
    async with open_client(reference_server.uri, outbox=Fifo(50)) as client:
        await client.flush(timeout=60)  # INIT has left the outbox
        client.send @ event("TAG", tag)
        for n in range(49):
            client.send @ Pose(value=n)
        with pytest.raises(OutboxFull, match=r"50 of 50 messages"):
            client.send @ Pose(value="too many")
        await client.send(Pose(value=49))
    async with open_client(reference_server.uri) as client:
        report = await report_of(client, tag, wait=10)
    assert report["events"] == [["POSE", n] for n in range(50)]


async def test_a_cancelled_send_does_not_tear_the_stream(open_client, reference_server, backend):
    image = bytes(range(256)) * (2 * MIB // 256)  # the server takes 4 MiB
    async with open_client(reference_server.uri, outbox=Fifo(8, max_bytes=1)) as client:
        async with open_nursery(backend) as nursery:
            for delay in (0, 0, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02):
                nursery.start_soon(send_for, client, delay, Pose(value=image))
        await client.send(Pose(value="whole"))
        await client.flush(timeout=60)
        report = await ask(client, "REPORT")
    assert report["events"].pop() == ["POSE", "whole"]
    assert all(sent == ["POSE", image] for sent in report["events"])
    assert client.close_code == 1000


async def send_for(client, seconds, what):
    with anyio.move_on_after(seconds):
        await client.send(what)


async def test_flush_returns_when_the_server_has_read_everything(
    open_client, reference_server, tag
):
    uri = reference_server.uri
    async with open_client(uri) as client, open_client(uri) as other:
        client.send @ event("TAG", tag)
        for n in range(5000):
            await client.send(Pose(value=n))
        await client.flush(timeout=60)
        report = await report_of(other, tag, tail=1)
        assert (report["count"], report["events"]) == (5000, [["POSE", 4999]])
        assert not report["ended"]
        assert client.statistics().outbox == 0


@pytest.mark.needs("compression")
async def test_compressed_messages_arrive_in_both_directions(open_client, reference_server):
    zeros = "0" * MIB
    async with open_client(reference_server.uri, compression="deflate") as client:
        assert await ask(client, "ECHO", zeros) == zeros
        assert client.statistics().bytes_received < MIB / 10


@pytest.mark.slow
async def test_a_message_too_large_for_the_server_ends_the_connection(
    open_client, fresh_reference_server
):
    client = open_client(fresh_reference_server.uri)
    await client.connect()
    await client.send(Pose(value=bytes(32 * MIB)))
    with pytest.raises(ConnectionClosed, match="message too big") as caught:
        await client.recv(timeout=60)
    assert caught.value.code == client.close_code == 1009
    with pytest.raises(ConnectionClosed, match="1 message was not sent") as caught:
        await client.close()
    assert caught.value.code == 1009
    await client.close()  # that was said once


async def test_the_counts_are_those_of_the_server(open_client, reference_server):
    async with open_client(reference_server.uri) as client:
        for n in range(20):
            client.send @ Pose(value=n)
        assert len((await ask(client, "REPORT"))["events"]) == 20
        numbers = client.statistics()
        assert (numbers.sent, numbers.received) == (21, 1)  # REPORT too; INIT does not count
        assert (numbers.outbox, numbers.inbox, numbers.dropped) == (0, 0, 0)


# ---- opening and leaving


async def test_the_documents_manual_form(open_client, reference_server):
    client = open_client(URI=reference_server.uri)
    assert (client.connected, client.close_code) == (False, None)
    await client.connect()
    assert client.connected
    assert await ask(client, "ECHO", "manual") == "manual"
    with pytest.raises(RuntimeError, match="is already connected"):
        await client.connect()
    await client.close()
    assert (client.connected, client.close_code) == (False, 1000)
    with pytest.raises(ClientClosed):
        await client.send(Pose())
    await client.close()
    await client.connect()
    assert await ask(client, "ECHO", "again") == "again"
    assert client.generation == 2
    await client.close()


async def test_a_connection_in_a_nursery(open_client, reference_server, backend):
    async with open_nursery(backend) as nursery:
        client = await nursery.start(open_client(reference_server.uri).run)
        assert await ask(client, "ECHO", "run") == "run"
        await client.close()

        client = await open_client(reference_server.uri).connect(nursery)
        assert await ask(client, "ECHO", "connect") == "connect"
        await client.close()
        # and the nursery ends by itself
    assert not client.connected


async def test_run_returns_on_a_normal_close(open_client, reference_server, backend):
    async with open_nursery(backend) as nursery:
        client = await nursery.start(open_client(reference_server.uri).run)
        client.send @ event("CLOSE", 1001)
    assert client.close_code == 1001


async def test_run_raises_on_any_other(open_client, reference_server, backend):
    with pytest.RaisesGroup(pytest.RaisesExc(ConnectionClosed, check=lambda e: e.code == 4000)):
        async with open_nursery(backend) as nursery:
            client = await nursery.start(open_client(reference_server.uri).run)
            client.send @ event("CLOSE", 4000)
            await anyio.sleep_forever()


async def test_the_uri_may_stand_in_the_environment(open_client, reference_server, monkeypatch):
    monkeypatch.setenv("VUER_CLIENT_URI", reference_server.uri)
    async with open_client() as client:
        assert client.uri.rstrip("/") == reference_server.uri
        assert await ask(client, "ECHO", 1) == 1


async def test_a_client_may_be_entered_again(open_client, reference_server, tag):
    client = open_client(reference_server.uri)
    for n in range(3):
        async with client:
            client.send @ event("TAG", tag)
            client.send @ Pose(value=n)
    async with client:
        report = await report_of(client, tag, wait=10)
    assert (report["sessions"], report["ended"]) == (3, True)
    assert report["events"] == [["POSE", n] for n in range(3)]


@pytest.mark.slow
async def test_many_connections_leave_nothing_behind(open_client, reference_server, tag):
    process = psutil.Process()

    async def cycle():
        async with open_client(reference_server.uri) as client:
            client.send @ event("TAG", tag)
            await client.flush(timeout=60)

    await cycle()
    files, tasks = process.num_fds(), len(anyio.get_running_tasks())
    count = times(50, 200)
    for _ in range(count):
        await cycle()
    with anyio.fail_after(PATIENCE):
        while process.num_fds() > files or len(anyio.get_running_tasks()) > tasks:
            await anyio.sleep(0.01)
    async with open_client(reference_server.uri) as client:
        report = await report_of(client, tag, wait=10)
    assert (report["sessions"], report["ended"]) == (count + 1, True)
