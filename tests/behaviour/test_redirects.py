"""A handshake that is answered with a redirect, on every backend."""

from __future__ import annotations

import anyio
import pytest

from tests.behaviour.handshake_server import HELLO, answering, field, switching
from tests.scripted_server import event_frame, serve_peer
from vuer_trio import Backoff, ConnectionFailed
from vuer_trio._formatting import shown_uri

pytestmark = pytest.mark.anyio

#: seconds; only broken code gets there
PATIENCE = 60
SOON = Backoff(initial=0.001, maximum=0.001, first=True)


def redirect(location, status=307):
    """Its body never comes; nobody needs it."""
    return f"HTTP/1.1 {status} Go\r\nLocation: {location}\r\nContent-Length: 9\r\n\r\n".encode()


async def welcome(asked):
    await asked.send(switching(asked.request) + HELLO)


async def opens(open_client, uri, **options):
    with anyio.fail_after(PATIENCE):
        async with open_client(uri, **options) as client:
            assert (await client.recv()).etype == "HELLO"
            assert client.uri == shown_uri(uri)


async def fails(open_client, uri, **options):
    with anyio.fail_after(PATIENCE), pytest.raises(ConnectionFailed) as error:
        async with open_client(uri, **options):
            pass
    return error.value


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("scheme", ["ws", "http"])
async def test_a_redirect_is_followed(backend, open_client, status, scheme):
    async with answering(welcome) as there:
        to = redirect(f"{scheme}://127.0.0.1:{there.port}/in?a=b", status)
        async with answering(to) as here:
            await opens(open_client, here.uri)
            assert there.asked[0].startswith(b"GET /in?a=b HTTP/1.1\r\n")
            assert field(there.asked[0], "host") == f"127.0.0.1:{there.port}"


async def test_a_path_alone_leads_to_the_same_server_with_all_that_was_given(backend, open_client):
    async def answer(asked):
        if asked.request.startswith(b"GET /in "):
            await welcome(asked)
        else:
            await asked.send(redirect("/in"))

    async with answering(answer) as server:
        uri = server.uri.replace("//", "//me:pw@")
        await opens(open_client, uri, headers={"Cookie": "a=b", "X-Robot": "seven"})
        first, second = server.asked
        for name in ("authorization", "cookie", "x-robot", "host"):
            assert field(first, name) == field(second, name) is not None
        assert field(first, "sec-websocket-key") != field(second, "sec-websocket-key")


async def test_another_server_gets_no_credentials(backend, open_client):
    asked_for = []

    def headers():
        asked_for.append(1)
        return {"Authorization": "Bearer tok_1", "Cookie": "a=tok_1", "X-Robot": "seven"}

    async with answering(welcome) as there, answering(redirect(f"{there.uri}/in")) as here:
        await opens(open_client, here.uri + "/?token=tok_1", headers=headers)
        assert b"Bearer tok_1" in here.asked[0]
        assert b"tok_1" not in there.asked[0]
        assert field(there.asked[0], "x-robot") == "seven"
        assert len(asked_for) == 1

        with_user = here.uri.replace("//", "//me:pw@")
        await opens(open_client, with_user)
        assert field(here.asked[1], "authorization") is not None
        assert field(there.asked[1], "authorization") is None


async def test_a_redirect_may_lead_into_tls(backend, open_client):
    async def greet(conn):
        await conn.accept(trailing=event_frame({"etype": "HELLO", "data": 1}))

    async with serve_peer(greet, tls=True) as there:
        async with answering(redirect(f"https://localhost:{there.port}/")) as here:
            await opens(
                open_client,
                here.uri,
                ssl_context=there.client_ssl_context,
                server_hostname="another.test",  # that was for the first one
            )


async def test_redirects_are_followed_five_times_and_a_loop_is_final(backend, open_client):
    async def answer(asked):
        path = asked.request.split()[1].decode()
        if path == "/5":
            await welcome(asked)
        else:
            await asked.send(redirect(f"/{int(path[1:]) + 1}" if path[1:] else "/"))

    async with answering(answer) as server:
        await opens(open_client, server.uri + "/0")
        server.asked.clear()
        error = await fails(open_client, server.uri, reconnect=SOON)
        assert len(server.asked) == 6
        assert error.status == 307
        assert str(error) == (
            f"could not connect to {server.uri}, redirected to {server.uri}/: the server answered "
            f"HTTP 307 Go, Location: {server.uri}/; it is not followed: 5 redirects were "
            "followed: is it a loop?"
        )


@pytest.mark.parametrize(
    ("status", "location", "why"),
    [
        (302, "mailto:me@robot.test", "its Location, 'robot.test', is not a WebSocket's"),
        (302, "", "it does not say where to"),
        (300, "/in", "Location: ws://127.0.0.1:{port}/in; it is not followed: with this status"),
    ],
)
async def test_what_leads_nowhere_is_final(backend, open_client, status, location, why):
    async with answering(redirect(location, status)) as server:
        error = await fails(open_client, server.uri, reconnect=SOON)
        assert error.status == status
        assert why.format(port=server.port) in str(error)
        assert len(server.asked) == 1


async def test_what_fails_behind_a_redirect_says_so(backend, open_client):
    async with answering(b"HTTP/1.1 404 No\r\n\r\n") as there:
        async with answering(redirect(f"{there.uri}/in")) as here:
            error = await fails(open_client, here.uri, reconnect=SOON)
            assert error.status == 404
            assert str(error).startswith(
                f"could not connect to {here.uri}, redirected to {there.uri}/in: the server "
                "answered HTTP 404 No"
            )
            assert (error.uri, len(here.asked), len(there.asked)) == (here.uri, 1, 1)
    async with answering(redirect(f"{there.uri}/in")) as here:
        error = await fails(open_client, here.uri)
        assert f"redirected to {there.uri}/in" in str(error)
        assert isinstance(error.__cause__, OSError)


async def test_each_dial_begins_at_the_address_that_was_given(backend, open_client):
    async def once(asked):
        await asked.send(switching(asked.request) + HELLO)
        if len(there.asked) == 1:
            await asked.send(b"\x88\x02\x03\xf4")

    async with answering(once) as there, answering(redirect(there.uri)) as here:
        with anyio.fail_after(PATIENCE):
            async with open_client(here.uri, reconnect=SOON) as client:
                assert [(await client.recv()).etype for _ in range(2)] == ["HELLO", "HELLO"]
        assert (len(here.asked), len(there.asked)) == (2, 2)


async def test_the_time_to_connect_is_for_all_of_them(backend, open_client):
    async def silent(asked):
        await asked.left()

    async with answering(silent) as there, answering(redirect(there.uri)) as here:
        error = await fails(open_client, here.uri, connect_timeout=0.3)
        assert "it was not open within 0.3 s" in str(error)


async def test_a_proxy_is_asked_for_each_of_them_and_its_own_redirect_is_nobody_s(
    backend, open_client
):
    targets = []

    async def tunnel(asked):
        targets.append(asked.request.split()[1].decode())
        await asked.send(b"HTTP/1.1 200 OK\r\n\r\n")
        request = b""
        while b"\r\n\r\n" not in request:
            request += await asked.stream.receive()
        to_second = redirect("http://second.test:8012/")
        second = switching(request) + HELLO
        await asked.send(to_second if len(targets) == 1 else second)

    async with answering(tunnel) as proxy:
        await opens(open_client, "ws://first.test:8012", proxy=f"http://127.0.0.1:{proxy.port}")
        assert targets == ["first.test:8012", "second.test:8012"]
    async with answering(redirect("http://second.test/")) as portal:
        error = await fails(
            open_client, "ws://first.test:8012", proxy=f"http://127.0.0.1:{portal.port}"
        )
        assert error.status == 307
        assert "answered HTTP 307 Go" in str(error)
        assert len(portal.asked) == 1


async def test_a_relay_s_token_goes_nowhere_else(backend, open_agent):
    async with answering(welcome) as there, answering(redirect(f"{there.uri}/arc")) as here:
        with anyio.fail_after(PATIENCE), pytest.raises(ConnectionFailed) as error:
            async with open_agent(here.uri, agent_id="me", token="tok_1", reconnect=SOON):
                pass
        assert f"Location: {there.uri}/arc; it is not followed: the token" in str(error.value)
        assert "tok_1" not in str(error.value)
        assert (len(here.asked), there.asked) == (1, [])
