"""Opening: TLS, headers, refusals, limits, streams of the user's."""

from __future__ import annotations

import ssl

import anyio
import pytest

from tests.behaviour.numbered_events import Number, numbers
from tests.behaviour.user_stream import open_stream
from tests.scripted_server import serve_peer
from vuer_trio import ConnectionFailed

pytestmark = pytest.mark.anyio


async def test_tls_with_a_context_of_the_users(open_client):
    async with (
        serve_peer(tls=True) as peer,
        open_client(peer.uri, ssl_context=peer.client_ssl_context) as client,
    ):
        await client.send(Number(value=1))
        await client.flush()
        assert numbers((await peer.connection()).messages) == [1]


async def test_tls_with_the_documents_keyword(open_client):
    async with (
        serve_peer(tls=True) as peer,
        open_client(peer.uri, ssl=peer.client_ssl_context) as client,
    ):
        await client.flush()


async def test_tls_without_verifying(open_client):
    async with serve_peer(tls=True) as peer, open_client(peer.uri, ssl_verify=False) as client:
        await client.flush()


async def test_tls_is_verified_by_default(open_client):
    async with serve_peer(tls=True) as peer:
        with pytest.raises(ConnectionFailed, match="ssl_verify=False") as caught:
            async with open_client(peer.uri):
                pytest.fail("it opened")
        error = caught.value.__cause__
        assert isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError)


async def test_tls_to_a_server_that_speaks_none(open_client):
    async with serve_peer() as peer:
        with pytest.raises(ConnectionFailed):
            async with open_client(peer.uri.replace("ws:", "wss:"), ssl_verify=False):
                pytest.fail("it opened")


async def test_headers_are_asked_for_at_each_dial(open_client):
    dials = []

    def headers():
        dials.append(len(dials))
        return {"Authorization": f"Bearer {len(dials)}", "X-Robot": "r2"}

    async with serve_peer() as peer:
        client = open_client(peer.uri, headers=headers, origin="https://robot.example")
        for n in (1, 2):
            async with client:
                pass
            request = (await peer.connection(n - 1)).request
            assert request.headers["Authorization"] == f"Bearer {n}"
            assert request.headers["X-Robot"] == "r2"
            assert request.headers["Origin"] == "https://robot.example"
            assert request.headers["Host"] == peer.uri.removeprefix("ws://")
            assert "Sec-WebSocket-Extensions" not in request.headers


async def test_user_and_password_of_the_uri_are_sent_and_never_shown(open_client):
    async with serve_peer() as peer:
        uri = peer.uri.replace("://", "://me:s%20ecret@") + "/path?x=1"
        async with open_client(uri) as client:
            pass
        request = (await peer.connection()).request
        assert request.headers["Authorization"] == "Basic bWU6cyBlY3JldA=="
        assert request.path == "/path?x=1"
    assert "ecret" not in client.uri + repr(client)
    with pytest.raises(ConnectionFailed) as caught:
        async with open_client("ws://me:secret@127.0.0.1:1"):
            pytest.fail("it opened")
    assert "secret" not in str(caught.value) + caught.value.uri


async def test_a_subprotocol_is_negotiated(open_client):
    async def script(conn):
        await conn.accept(extra_headers={"Sec-WebSocket-Protocol": "b"})

    async with (
        serve_peer(script) as peer,
        open_client(peer.uri, subprotocols=["a", "b"]) as client,
    ):
        assert client.subprotocol == "b"


@pytest.mark.parametrize("status", [401, 403, 404, 503])
async def test_a_refusal_tells_its_status(open_client, status):
    async def script(conn):
        await conn.reject(status, "not today")

    async with serve_peer(script) as peer:
        with pytest.raises(ConnectionFailed, match=f"HTTP {status}") as caught:
            async with open_client(peer.uri):
                pytest.fail("it opened")
        assert caught.value.status == status
        assert "not today" in str(caught.value)
        assert caught.value.uri == peer.uri


async def test_opening_takes_at_most_connect_timeout(open_client):
    async def script(conn):
        await conn.wait_request()
        await anyio.sleep_forever()

    async with serve_peer(script) as peer:
        with anyio.fail_after(60), pytest.raises(ConnectionFailed, match=r"within 0\.05 s"):
            async with open_client(peer.uri, connect_timeout=0.05):
                pytest.fail("it opened")
        with anyio.fail_after(60), pytest.raises(ConnectionFailed, match=r"within 0\.05 s"):
            await open_client(peer.uri, open_timeout=0.05).connect()


async def test_a_stream_of_the_users_is_used_as_it_is(open_client):
    async with serve_peer() as peer:
        async with open_client(stream=await open_stream(peer)) as client:
            await client.send(Number(value=1))
        conn = await peer.connection()
        assert numbers(conn.messages) == [1]
        assert conn.close_code == 1000


async def test_one_byte_at_a_time(open_client):
    async def script(conn):
        await conn.accept()
        await conn.send_event({"etype": "N", "data": bytes(300)})
        await conn.send_fragments([b"\x82\xa5etype\xa1N", b"\xa4data\x02"], ping_between=True)
        await conn.close()

    async with (
        serve_peer(script) as peer,
        open_client(stream=await open_stream(peer, most=1)) as client,
    ):
        assert [event.data async for event in client] == [bytes(300), 2]


@pytest.mark.needs("compression")
async def test_compression_is_offered_when_asked_for(open_client):
    async def script(conn):
        await conn.accept()
        while (event := await conn.recv_event()) is not None:
            if event["etype"] == "NUMBER":
                await conn.send_event({"etype": "N", "data": event["value"]})

    async with serve_peer(script, compression=True) as peer:
        async with open_client(peer.uri, compression="deflate") as client:
            for value in (1, bytes(1_000_000), "x" * 70_000):
                await client.send(Number(value=value))
                assert (await client.recv(timeout=60)).data == value
            await client.flush()
        conn = await peer.connection()
        assert "permessage-deflate" in conn.request.headers["Sec-WebSocket-Extensions"]
        assert conn.bytes_received < 100_000
        assert conn.close_code == 1000


async def test_compression_is_refused_where_it_can_not_be(backend, open_client):
    if backend.transport == "trio-websocket":
        with pytest.raises(ValueError, match="cannot compress"):
            async with open_client("ws://127.0.0.1:1", compression="deflate"):
                pytest.fail("it opened")
    async with (
        serve_peer() as peer,
        open_client(peer.uri) as client,
    ):
        assert client.transport == backend.transport


@pytest.mark.parametrize("uri", ["localhost:8012", "http://x", "ws://", "ws://h:99999", "ws://a b"])
async def test_a_wrong_uri_is_refused_at_once(open_client, uri):
    with pytest.raises(ValueError, match=r"uri must be a WebSocket URI.*use ws://host:port"):
        open_client(uri)
