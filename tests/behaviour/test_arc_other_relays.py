"""Agents at a relay that is not ours, scripted: as the reference does, and as the documents say."""

from __future__ import annotations

import json

import anyio
import pytest

from tests.behaviour.raw_agent import VECTORS
from tests.behaviour.scripted_relay import frame, old_relay, relay_script
from tests.scripted_server import serve_peer
from vuer_trio import Backoff, CallTimeout, ConnectionFailed, InboxEmpty, ProtocolError
from vuer_trio.arc import (
    AuthenticationError,
    RateLimit,
    RateLimited,
    RegistrationError,
)

pytestmark = pytest.mark.anyio

NESTED = (
    '{"id":"1","from":"relay","to":["me"],"type":"welcome","payload":{"relay":"r","version":"9",'
    '"capabilities":["direct"],"extensions":["x"]},"ts":1}'
)
FLAT = (
    '{"type":"welcome","relay":"r","version":"9","capabilities":["direct"],"extensions":["x"],'
    '"limits":{"max_message_size":65536}}'
)


@pytest.fixture(autouse=True)
def a_plain_environment(monkeypatch):
    for name in ("ARC_TOKEN", "ARC_RELAY_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("refusal", ["426 Upgrade Required", "404 Not Found"])
async def test_registering_on_the_next_port(open_agent, refusal):
    async with old_relay(relay_script(welcome=NESTED), refusal=refusal) as peer:
        async with open_agent(peer.uri) as client:
            assert (client.agent_id, client.token) == ("me", "tok_1")
            assert peer.requests == [
                (0, "POST /register HTTP/1.1"),
                (1, "POST /register HTTP/1.1"),
            ]
            assert client.relay_info["extensions"] == ["x"]
            request = peer.connections[0].request
            assert request.headers["Authorization"] == "Bearer tok_1"
            assert request.path == "/arc"
        async with open_agent(
            peer.uri, register_url=f"http://127.0.0.1:{peer.port + 1}", agent_id="you"
        ) as client:
            assert peer.requests[2:] == [(1, "POST /register HTTP/1.1")]


@pytest.mark.parametrize(
    ("status", "answer", "error"),
    [
        (409, b'{"error":"taken"}', RegistrationError),
        (500, b"<html>", RegistrationError),
        (200, b"[]", RegistrationError),
        (200, b'{"agent_id":7,"token":"tok"}', RegistrationError),
        (200, b"[" * 100_000, RegistrationError),
        (429, b"", RateLimited),
        (426, b"", RegistrationError),
    ],
)
async def test_answers_without_a_token(open_agent, status, answer, error):
    async with old_relay(relay_script(), status=status, answer=answer) as peer:
        with pytest.raises(error) as raised:
            await open_agent(peer.uri).register()
        assert raised.value.status == status


async def test_a_web_server_that_is_no_relay_is_named(open_agent):
    """Nobody is at its next port: that is not what there is to say."""
    async with old_relay(relay_script(), refusal="404 Not Found", alone=True) as peer:
        client = open_agent(peer.uri)
        with pytest.raises(RegistrationError, match=rf"^{peer.uri}/register gave no token") as odd:
            await client.register()
        assert (odd.value.status, "give register_url=" in str(odd.value)) == (404, True)
        with pytest.raises(RegistrationError, match=rf"^{peer.uri}/stats gave no statistics"):
            await client.stats()


async def test_a_redirect_is_told_and_not_followed(open_agent):
    refusal = "301 Moved\r\nLocation: https://elsewhere.test"
    async with old_relay(relay_script(), refusal=refusal, alone=True) as peer:
        with pytest.raises(RegistrationError, match="redirects to 'https://elsewhere"):
            await open_agent(peer.uri).register()
        assert len(peer.requests) == 1


async def test_an_answer_without_end_is_not_read_to_its_end(open_agent):
    async with old_relay(relay_script(), answer=b"x" * 3_000_000) as peer:
        with pytest.raises(RegistrationError):  # of the first port; the next one is out of order
            await open_agent(peer.uri).register()
        with pytest.raises(ConnectionFailed, match="more than 1,048,576 bytes"):
            await open_agent(peer.uri, register_url=f"http://127.0.0.1:{peer.port + 1}").register()


@pytest.mark.parametrize("welcome", [NESTED, FLAT, None])
async def test_a_welcome_in_either_form_or_none(open_agent, welcome):
    async with serve_peer(relay_script(welcome=welcome)) as peer:
        async with open_agent(peer.uri, token="tok", welcome_timeout=0.05) as client:
            info = client.relay_info
            assert (info.get("version"), info.get("capabilities")) == (
                ("9", ["direct"]) if welcome else (None, None)
            )
            assert client.agent_id == ("me" if welcome is NESTED else None)
            await client.subscribe(["a"])
            assert await client.list_subscriptions() == ["a"]
            assert client.agent_id == "me"  # the replies say it, too


async def test_a_first_frame_that_is_no_welcome_is_received(open_agent):
    async with serve_peer(relay_script(welcome=frame("a", ["*"], "early", id="1"))) as peer:
        async with open_agent(peer.uri, token="tok", welcome_timeout=30) as client:
            assert (await client.recv(timeout=60)).payload == "early"
            assert client.relay_info == {}


async def test_control_frames_are_not_for_the_user(open_agent):
    frames = [
        '{"type":"pong"}',
        '{"type":"pong","from":"relay","to":["me"],"ts":1}',
        '{"type":"error","error":"rate_limited","message":"slow down"}',
        '{"error":"flat","message":"without a type"}',
        frame("relay", ["me"], {"code": "invalid_message", "message": "m"}, type="error"),
        frame("relay", ["me"], {"agents": ["x"], "count": 1}, type="unsubscribed"),
        frame("relay", ["me"], {"agents": 7}, type="subscriptions"),
        frame("relay", ["me"], None, type="something-new"),
        NESTED,
    ]
    theirs = [
        frame("a", ["me"], {}, type="welcome"),
        frame("a", ["me"], {"code": "fake"}, type="error"),
        frame("relay", ["*"], "of an agent that is called so"),
        '{"from":"a"}',
        '{"payload":1}',
        "{}",
    ]

    def answer(message):
        return [*frames, *theirs] if message["payload"] == "go" else None

    async with serve_peer(relay_script(welcome=NESTED, answer=answer)) as peer:
        async with open_agent(peer.uri, token="tok") as client:
            await client.broadcast("go")
            got = [await client.recv(timeout=60) for _ in theirs]
            assert [dict(message) for message in got] == [json.loads(text) for text in theirs]
            assert [m.sender for m in got] == ["a", "a", "relay", "a", None, None]
            assert client.last_error == {"code": "invalid_message", "message": "m"}
            with pytest.raises(InboxEmpty):
                client.recv_nowait()


async def test_every_broadcast_twice_is_received_once(open_agent):
    def answer(message):
        if message["payload"] != "go":
            return None
        texts = [frame("a", ["*"], n, id=f"id-{n % 3}") for n in (0, 0, 1, 1, 2, 0, 1)]
        return [*texts, frame("a", ["*"], "no id"), frame("a", ["*"], "no id")]

    async with serve_peer(relay_script(welcome=NESTED, answer=answer)) as peer:
        async with open_agent(peer.uri, token="tok") as client:
            await client.broadcast("go")
            got = [(await client.recv(timeout=60)).payload for _ in range(5)]
            assert got == [0, 1, 2, "no id", "no id"]


async def test_what_is_no_message_is_raised_where_its_turn_is(open_agent, caplog):
    junk = ["[1]", "null", "{", '"x"', "[" * 100_000]

    def answer(message):
        if message["payload"] != "go":
            return None
        return [frame("a", ["*"], 1), *junk, frame("a", ["*"], 2)]

    async with serve_peer(relay_script(welcome=NESTED, answer=answer)) as peer:
        async with open_agent(peer.uri, token="tok") as client:
            await client.broadcast("go")
            assert (await client.recv(timeout=60)).payload == 1
            for text in junk:
                with pytest.raises(ProtocolError) as error:
                    await client.recv(timeout=60)
                assert error.value.frame == text.encode()
            assert (await client.recv(timeout=60)).payload == 2
            seen = []
            await client.broadcast("go")
            async with anyio.create_task_group() as tasks:

                def handler(message):
                    seen.append(message.payload)
                    if len(seen) == 2:
                        tasks.cancel_scope.cancel()

                tasks.start_soon(client.listen, handler)
            assert seen == [1, 2]
            assert caplog.text.count("but messages are objects") == 3


@pytest.mark.parametrize(
    "vector",
    [v for v in VECTORS if v["direction"].startswith("relay->client") and v["raw"]],
    ids=lambda v: v["name"],
)
async def test_every_recorded_frame_is_understood(vector):
    from vuer_trio.arc.control import control_in
    from vuer_trio.arc.message import parse_message

    if not vector["raw"].startswith("{") or "HTTP" in vector["direction"]:
        assert "HTTP" in vector["direction"]
        return
    fields = json.loads(vector["raw"])
    message = parse_message(vector["raw"].encode("utf-8", "surrogatepass"))
    assert dict(message) == fields
    assert (message.id, message.sender, message.ts) == (fields["id"], fields["from"], fields["ts"])
    assert message.to == [name for name in fields["to"] if isinstance(name, str)]
    control = control_in(message, None)
    assert (control is None) == (fields["from"] != "relay")
    if control is not None:
        assert control.payload == fields["payload"]


# ---- tokens


async def test_the_query_is_the_way_when_the_header_is_not_seen(open_agent):
    seen = []

    async def script(conn):
        request = await conn.wait_request()
        seen.append(request.path)
        await conn.accept()
        if "?token=tok%2F1" not in request.path:
            await conn.close(4001, "Missing token")
            return
        assert "Authorization" not in request.headers
        await conn.send_text(NESTED)
        if len(seen) == 2:
            await conn.recv()
            await conn.close(1012, "restarting")

    async with serve_peer(script) as peer:
        soon = Backoff(initial=0.01)
        async with open_agent(peer.uri, token="tok/1", reconnect=soon) as client:
            assert client.agent_id == "me"
            assert "tok" not in client.uri
            await client.broadcast("x")
            with anyio.fail_after(60):
                while client.generation < 2:
                    await anyio.sleep(0.001)
        assert seen == ["/arc", "/arc?token=tok%2F1", "/arc?token=tok%2F1"]


@pytest.mark.parametrize("status", [401, 403, 429])
async def test_a_handshake_may_be_refused(open_agent, status):
    async def script(conn):
        await conn.reject(status, "no")

    async with serve_peer(script) as peer:
        error = {401: AuthenticationError, 429: RateLimited}.get(status, ConnectionFailed)
        with pytest.raises(error) as refused:
            await open_agent(peer.uri, token="tok-1").connect()
        assert (type(refused.value), refused.value.status) == (error, status)
        assert "tok-1" not in str(refused.value)
        assert len(peer.connections) == (2 if status == 401 else 1)


@pytest.mark.parametrize(
    ("code", "error"), [(4001, AuthenticationError), (4029, RateLimited), (1011, ConnectionFailed)]
)
async def test_a_close_instead_of_a_welcome(open_agent, code, error):
    async def script(conn):
        await conn.accept()
        await conn.close(code, "why")

    async with serve_peer(script) as peer:
        with pytest.raises(error, match="why"):
            await open_agent(peer.uri, token="tok").connect()
        conn = peer.connections[-1]
        with anyio.fail_after(60):
            await conn.wait_disconnected()
        assert conn.protocol_error is None
        assert conn.close_code == code  # it was answered


# ---- commands


async def test_a_relay_that_confirms_nothing(open_agent):
    async with serve_peer(relay_script(welcome=NESTED, answer=lambda message: [])) as peer:
        async with open_agent(peer.uri, token="tok", reply_timeout=0.05) as client:
            with pytest.raises(CallTimeout, match="has not answered subscribe"):
                await client.subscribe(["a"])
            assert await client.ask("?", timeout=0.05) is None


async def test_replies_belong_to_those_who_asked_for_the_same(open_agent):
    held = []

    def answer(message):
        if message["to"] != ["relay"]:
            return [frame("relay", ["me"], told, type="subscribed") for told in reversed(held)]
        held.append({"agents": message["payload"]["agents"]})
        return []

    async with serve_peer(relay_script(welcome=NESTED, answer=answer)) as peer:
        async with open_agent(peer.uri, token="tok", reply_timeout=5) as client:
            done = []

            async def subscribe(name):
                await client.subscribe([name])
                done.append(name)

            async with anyio.create_task_group() as tasks:
                async with anyio.create_task_group() as given_up:
                    given_up.start_soon(client.subscribe, ["given-up"])
                    while len(held) < 1:
                        await anyio.sleep(0.001)
                    given_up.cancel_scope.cancel()
                for name in ("a", "b"):
                    tasks.start_soon(subscribe, name)
                while len(held) < 3:
                    await anyio.sleep(0.001)
                await client.broadcast("go")
            assert sorted(done) == ["a", "b"]
            commands = client._there.dispatcher.commands
            with anyio.fail_after(60):
                while commands._pending:
                    await anyio.sleep(0.001)
            assert sorted(client._subscriptions) == ["a", "b", "given-up"]


@pytest.mark.slow
@pytest.mark.no_cover
async def test_what_is_remembered_is_bounded(open_agent):
    async def script(conn):
        await conn.accept()
        await conn.send_text(NESTED)
        for n in range(5000):
            await conn.send_text(frame("a", ["*"], n, id=str(n)))
        for _ in range(2):
            await conn.send_text(frame("a", ["*"], "a long id", id="x" * 10_000))

    async with serve_peer(script) as peer, open_agent(peer.uri, token="tok") as client:
        for n in range(5000):
            assert (await client.recv(timeout=60)).payload == n
        for _ in range(2):
            assert (await client.recv(timeout=60)).payload == "a long id"
        assert len(client._there.dispatcher._seen) == 4096


async def test_a_binary_frame_is_a_message_too(open_agent):
    async def script(conn):
        await conn.accept()
        await conn.send(NESTED.encode())
        await conn.send(frame("a", ["*"], "é").encode())

    async with serve_peer(script) as peer, open_agent(peer.uri, token="tok") as client:
        assert client.relay_info["version"] == "9"
        assert (await client.recv(timeout=60)).payload == "é"


# ---- the rate


async def test_the_limit_of_the_client_is_kept_at_the_relay(open_agent):
    async with serve_peer(relay_script(welcome=NESTED)) as peer:
        async with open_agent(peer.uri, token="tok", rate_limit=RateLimit(5, per=0.2)) as client:
            start = anyio.current_time()
            for n in range(11):
                await client.broadcast(n)
            assert anyio.current_time() - start >= 0.399  # uvloop's clock counts milliseconds
            await client.subscribe(["a"])  # does not count
        payloads = [json.loads(m)["payload"] for m in peer.connections[0].messages]
        assert payloads[:11] == list(range(11))
