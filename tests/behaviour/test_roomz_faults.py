"""The Roomz client against a server that does what it likes, on every backend."""

from __future__ import annotations

import json
import logging

import anyio
import pytest

from tests import DATA
from tests.resource_counts import PATIENCE, Census
from tests.scripted_roomz_server import (
    AUTHENTICATED,
    CONNECTED,
    USER,
    ack_of,
    client_of,
    enter,
    message,
    send_at_once,
    with_http,
)
from tests.scripted_server import encode_frame, serve_peer
from vuer_trio.roomz import AuthenticationError, ClientError, ConnectionError, ConnectionState

pytestmark = pytest.mark.anyio

FRAMES = json.loads((DATA / "roomz.json").read_text("utf-8"))
PACKETS = [
    frame["raw"]
    for frame in FRAMES
    if frame["direction"].startswith("server->client") and frame["direction"].endswith("WS")
    if frame["raw"] is not None and frame["note"] != "opcode 8"
]
MALFORMED = [
    *("", "9", "hello", "4", "47", "42[", "42[5]", '42["message",5]', "43[1]", "0[]", "b4NDI="),
    *('451-["message",{"_placeholder":true,"num":0}]', '42["disconnect",{}]', '42["connect",{}]'),
    *('42["authenticated",{"user":5}]', '42["authenticated",{}]', "44", '44"Unable to connect"'),
    *('44/other,"Unable to connect"', "40", '0{"maxPayload":0}', "3", "5", "6", "43999[{}]"),
    '42["message",' + "[" * 50_000,
]


@pytest.fixture
def client_at(backend, tmp_path):
    def client(peer, **options):
        return client_of(peer.uri, tmp_path, transport=backend.transport, **options)

    return client


async def test_every_recorded_packet_is_survived(client_at):
    async def replays(conn):
        await enter(conn)
        for packet in PACKETS:
            await conn.send_text(packet)
        await conn.send_text(message("the end"))

    names: list[str] = []
    async with serve_peer(replays) as peer, client_at(peer) as client:
        async for event in client:
            names.append(event.name)
            if event.data.get("content") == "the end":
                break
        assert client.connected
        assert len(peer.connections) == 1
    for name in ("message", "user_joined", "user_left", "display_name_changed"):
        recorded = sum(packet.startswith(f'42["{name}"') for packet in PACKETS)
        assert names.count(name) == recorded + (name == "message")
    assert names.count("authenticated") == 1


async def test_what_is_malformed_is_ignored_and_said_once(client_at, caplog):
    caplog.set_level(logging.WARNING)

    async def babbles(conn):
        await enter(conn)
        for packet in MALFORMED:
            await conn.send_text(packet)
        await conn.send(b"\x00binary")
        await conn.send(b"")
        await conn.send_text(message("the end"))
        asked = await conn.recv()
        await conn.send_text(ack_of(asked, {"status": "ok"}))

    async with serve_peer(babbles) as peer, client_at(peer) as client:
        async for event in client:
            assert event.name in ("authenticated", "message")
            if event.name == "message":
                break
        assert await client.send("alive") == {"status": "ok"}
        assert len(peer.connections) == 1
        assert client.user == USER
    assert caplog.text.count("ignored from") > 15


@pytest.mark.parametrize("reply", [[], [5], ["x"], [None], [[1]]])
async def test_an_acknowledgement_that_is_none(client_at, reply):
    async def answers(conn):
        await enter(conn)
        asked = await conn.recv()
        await conn.send_text(f"43{asked[2 : asked.index('[')]}{json.dumps(reply)}")

    async with serve_peer(answers) as peer, client_at(peer) as client:
        assert (await client.send("x"))["code"] == 502


@pytest.mark.parametrize("refusal", ['44{"message":"rejected"}', '44"rejected"', "44"])
@pytest.mark.parametrize("good", [True, False], ids=["full", "session"])
async def test_a_bad_session_is_told_from_a_full_server(client_at, refusal, good, tmp_path):
    before = Census.take()

    async def refuses(conn):
        await conn.accept()
        await conn.send_text("0{}")
        assert await conn.recv() == "40"
        await conn.send_text(refusal)
        await conn.wait_ended()
        assert conn.close_code == 1000

    me = (200, {"status": "ok", "user": {"email": "a"}}) if good else (401, {"detail": "Ended."})
    async with serve_peer(with_http(refuses, {"/auth/me": me})) as peer:
        client = client_at(peer)
        if good:
            with pytest.raises(ConnectionError, match="may be full"):
                await client.connect()
        else:
            with pytest.raises(AuthenticationError, match=r"Ended\.") as rejected:
                await client.connect()
            assert rejected.value.reason == "invalid_session"
        assert (tmp_path / "session.json").exists() is good
        assert client.connection_state is ConnectionState.DISCONNECTED
        await peer.connections[0].wait_disconnected()
    await before.assert_nothing_left(PATIENCE)


async def test_a_session_that_ends_in_a_gap_ends_the_reconnecting(client_at):
    async def refuses_the_second(conn):
        if len(peer.connections) == 1:
            await enter(conn)
            await conn.close(1012)
        else:
            await conn.accept()
            await conn.send_text("0{}")
            await conn.send_text("44")

    errors: list[dict] = []
    answers = {"/auth/me": (401, {"detail": "Ended."})}
    async with serve_peer(with_http(refuses_the_second, answers)) as peer:
        async with client_at(peer, reconnect_delay=0.01) as client:
            client.on("error", errors.append)
            with pytest.raises(AuthenticationError, match=r"Ended\."):
                async for _ in client:
                    pass
            assert client.connection_state is ConnectionState.DISCONNECTED
        assert [error["code"] for error in errors] == [401]
        assert len(peer.connections) == 3  # the last one asked /auth/me


@pytest.mark.parametrize("status", [403, 500])
async def test_a_server_that_refuses_the_websocket(client_at, status):
    async def refuses(conn):
        await conn.reject(status, "no")

    async with serve_peer(refuses) as peer:
        with pytest.raises(ConnectionError, match=str(status)) as refused:
            await client_at(peer).connect()
        assert refused.value.status == status
        assert isinstance(refused.value, ClientError)


ANSWERS = {
    "redirects nowhere": b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
    "redirects to no URL": b"HTTP/1.1 302 Found\r\nLocation: http://[\r\n\r\n",
    "a page": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    "a cookie that is none": b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n"
    b"Set-Cookie: session_token=a b; Path=/\r\n\r\n",
    "no HTTP": b"hello\r\n\r\n",
    "nothing": b"",
    "half": b"HTTP/1.1 302 Found\r\nLoca",
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
async def test_a_server_that_is_no_roomz(client_at, answer):
    async def answers(conn):
        await conn.wait_request()
        await conn.send_raw(answer)
        await conn.end_tcp()

    async with serve_peer(answers) as peer:
        client = client_at(peer)
        with pytest.raises(ConnectionError):
            await client.connect("token")
        assert client.connection_state is ConnectionState.DISCONNECTED
        assert len(peer.connections) == 1  # no WebSocket with such a session


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("unauthorized", "not allowed any more"),
        ("missing_token", "request a link"),
        ("invalid_token", "request another"),
        ("on_holiday", "its reason is 'on_holiday'"),
    ],
)
async def test_a_token_that_is_refused_says_why(client_at, reason, said):
    async def answers(conn):
        request = await conn.wait_request()
        assert request.path == "/auth/verify?token=a%26b%3Dc%23d+e%3F"
        await conn.send_raw(
            f"HTTP/1.1 302 Found\r\nLocation: /?error={reason}#x\r\n"
            "Content-Length: 0\r\n\r\n".encode()
        )

    async with serve_peer(answers) as peer:
        with pytest.raises(AuthenticationError, match=said) as refused:
            await client_at(peer).connect("a&b=c#d e\ud83d")  # half a pair is no token's
        assert refused.value.reason == reason


async def test_an_endless_answer_ends(client_at):
    async def pours(conn):
        await conn.wait_request()
        await conn.send_raw(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await conn.send_raw(b"x" * 65536)

    async with serve_peer(pours) as peer:
        with pytest.raises(ConnectionError, match="more than 1,048,576 bytes"):
            await client_at(peer).connect("token")
        assert (await peer.connection()).bytes_received < 10_000


async def test_no_answer_ends_at_the_timeout(client_at):
    async def waits(conn):
        await conn.wait_disconnected()

    async with serve_peer(waits) as peer:
        client = client_at(peer, connection_timeout=0.2)
        for call in (client.me, client.connect, lambda: client.connect("token")):
            with anyio.fail_after(60), pytest.raises(ConnectionError, match=r"within 0\.2 s"):
                await call()


@pytest.mark.parametrize("packet", ["1", "41"])
@pytest.mark.parametrize("at_once", [True, False], ids=["in-one-segment", "later"])
async def test_a_server_that_ends_the_session_on_its_own_layers(client_at, packet, at_once):
    async def ends(conn):
        if len(peer.connections) > 1:
            await enter(conn)
        elif at_once:
            await conn.accept(trailing=encode_frame(1, b"0{}"))
            assert await conn.recv() == "40"
            await send_at_once(conn, AUTHENTICATED, CONNECTED, packet)
        else:
            await enter(conn)
            await left_alone.wait()
            await conn.send_text(packet)

    names: list[str] = []
    left_alone = anyio.Event()
    async with serve_peer(ends) as peer:
        async with client_at(peer, reconnect_delay=0.01) as client:
            async for event in client:
                names.append(event.name)
                left_alone.set()
                if len(names) == 3:
                    break
        assert peer.connections[0].close_code == 1000
    assert names == ["authenticated", "disconnect", "authenticated"]


async def test_a_wire_fault_is_a_loss_like_any_other(client_at):
    async def cuts(conn):
        await enter(conn)
        if len(peer.connections) == 1:
            await conn.send_raw(b"\x83\x00")  # a frame of a kind that is none

    names: list[str] = []
    async with serve_peer(cuts) as peer:
        async with client_at(peer, reconnect_delay=0.01) as client:
            async for event in client:
                names.append(event.name)
                if len(names) == 3:
                    break
    assert names == ["authenticated", "disconnect", "authenticated"]


async def test_the_two_signs_may_come_in_either_order_and_events_between(client_at):
    async def shuffles(conn):
        await conn.accept(trailing=encode_frame(1, b"0{}"))
        assert await conn.recv() == "40"
        for packet in (CONNECTED, message("early"), AUTHENTICATED, message("late")):
            await conn.send_text(packet)

    async with serve_peer(shuffles) as peer, client_at(peer) as client:
        assert client.user == USER
        got = [await anext(client) for _ in range(3)]
    assert [event.data.get("content") for event in got] == ["early", None, "late"]


@pytest.mark.parametrize(
    ("many", "size", "kept"),
    [(1200, 1, 1000), (6, 1_000_000, 5)],  # 4 MiB, and the last one may overshoot
)
async def test_what_comes_before_the_client_is_let_in_is_bounded(
    client_at, caplog, many, size, kept
):
    async def hurries(conn):
        await conn.accept()
        await conn.send_text("0{}")
        for n in range(many):
            await conn.send_text(message(f"{n} {'x' * size}"))
        await send_at_once(conn, AUTHENTICATED, CONNECTED, message("just after"), message("late"))

    seen: list[str] = []
    late = anyio.Event()

    def hear(data):
        seen.append(data["content"].partition(" x")[0])
        if data["content"] == "late":
            late.set()

    async with serve_peer(hurries) as peer:
        client = client_at(peer)
        client.on("message", hear)
        client.on("authenticated", lambda data: seen.append("let in"))
        async with client:
            with anyio.fail_after(60):
                await late.wait()
    assert seen == [*map(str, range(kept)), "let in", "just after", "late"]
    assert f"{many - kept} events are lost" in caplog.text


async def test_a_handler_that_another_has_taken_away_is_not_called(client_at):
    heard: list[str] = []

    def first(data):
        heard.append("first")
        client.off("authenticated", second)
        client.on("authenticated", third)

    def second(data):
        heard.append("second")

    def third(data):
        heard.append("third")  # from the next event on

    async with serve_peer(enter) as peer:
        client = client_at(peer)
        client.on("authenticated", first)
        client.on("authenticated", second)
        async with client:
            pass
        assert heard == ["first"]


async def test_limits_are_the_servers_own(client_at):
    async def stingy(conn):
        await enter(conn, maxPayload=100, pingInterval="x", pingTimeout=float("nan"))

    async with serve_peer(stingy) as peer, client_at(peer) as client:
        reply = await client.send("x" * 100)
        assert (reply["code"], "limit is 100" in reply["error"]) == (413, True)


async def test_two_connects_at_once_are_one(client_at):
    failures: list[ClientError] = []

    async def connect(client):
        try:
            await client.connect()
        except ClientError as exc:
            failures.append(exc)

    async with serve_peer(enter) as peer:
        client = client_at(peer)
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(connect, client)
        assert client.connected
        assert len(failures) == 2
        assert "already connecting" in str(failures[0])
        assert len(peer.connections) == 1
        await client.disconnect()


async def test_disconnecting_while_it_connects(client_at):
    async def waits(conn):
        await conn.accept()
        await conn.wait_disconnected()

    async with serve_peer(waits) as peer:
        client = client_at(peer)
        async with anyio.create_task_group() as tasks:

            async def leave():
                await peer.connection()
                await client.disconnect()

            tasks.start_soon(leave)
            with pytest.raises(ConnectionError, match="while connecting"):
                await client.connect()
        assert client.connection_state is ConnectionState.DISCONNECTED
        await peer.connections[0].wait_disconnected()


async def test_the_bodys_own_exception_leaves_untouched(client_at):
    before = Census.take()
    async with serve_peer(enter) as peer:
        error = KeyError("of the body")
        with pytest.raises(KeyError) as raised:
            async with client_at(peer) as client:
                raise error
        assert raised.value is error
        assert not client.connected
        await peer.connections[0].wait_disconnected()
    await before.assert_nothing_left(PATIENCE)


async def test_the_table_of_handlers(client_at):
    async with serve_peer(enter) as peer:
        client = client_at(peer)
        for event, handler in [(5, print), ("message", "x"), ("message", None)]:
            with pytest.raises(TypeError):
                client.on(event, handler)
        client.off("nothing")
        client.off("nothing", print)

        class Listener:
            def __init__(self):
                self.heard = 0

            def hear(self, data):
                self.heard += 1

        listener = Listener()
        client.on("authenticated", listener.hear)
        client.on("authenticated", listener.hear)
        client.off("authenticated", listener.hear)
        client.on("disconnect", listener.hear)
        async with client:
            pass
        assert listener.heard == 1
