"""What a server, or a proxy, may answer to the opening handshake; the same on every transport."""

from __future__ import annotations

import re

import anyio
import pytest

from tests.behaviour.handshake_server import HELLO, answering, switching
from vuer_trio import Backoff, ConnectionFailed
from vuer_trio.arc import AuthenticationError

pytestmark = pytest.mark.anyio

#: seconds; only broken code gets there
PATIENCE = 60
SOON = Backoff(initial=0.001, maximum=0.001, first=True)


async def failure(open_client, uri, **options):
    """What opening raises, with `reconnect=` that would go on for ever."""
    options = {"connect_timeout": 3 * PATIENCE, "reconnect": SOON} | options
    with anyio.fail_after(PATIENCE), pytest.raises(ConnectionFailed) as caught:
        async with open_client(uri, **options):
            pass
    return caught.value


# ---- refusals

BODIES = {
    "a body that never comes": b"Content-Length: 5\r\n\r\n",
    "half a body": b"Content-Length: 50\r\n\r\nyou are not on the list",
    "no length, and no end": b"WWW-Authenticate: Basic realm=x\r\n\r\n",
    "chunks without an end": b"Transfer-Encoding: chunked\r\n\r\n"
    b"4\r\nyou \r\n13\r\nare not on the list\r\n",
    "a page of 2 MB": b"Content-Length: 2000000\r\n\r\n" + b"x" * 2_000_000,
    "a head without an end": b"X-Header: ",
    "an endless head": b"X-Header: " + b"x" * 2_000_000,
    "bad headers": b"no colon here\r\nContent-Length: 0\r\nContent-Length: 7\r\n\r\n",
    "half a line": b"",
}  # fmt: skip


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_refusal_is_final_by_its_status_line(backend, open_client, status, body):
    async with answering(f"HTTP/1.1 {status} No\r\n".encode() + BODIES[body]) as server:
        error = await failure(open_client, server.uri)
        assert error.status == status
        assert str(error).startswith(
            f"could not connect to {server.uri}: the server answered HTTP {status} No"
        )
        assert len(server.asked) == 1
    shown = "you are not on the list" in str(error)
    assert shown == (body in ("half a body", "chunks without an end"))
    assert len(str(error)) < 400


async def test_a_short_connect_timeout_does_not_hide_the_status(backend, open_client):
    async with answering(b"HTTP/1.0 401 No\r\n\r\n") as server:
        error = await failure(open_client, server.uri, connect_timeout=4, reconnect=None)
        assert error.status == 401


async def test_a_refusal_ends_reconnecting_in_a_gap_too(backend, open_client):
    async def once(asked):
        if len(server.asked) > 1:
            await asked.send(b"HTTP/1.1 403 No\r\n\r\n")
        else:
            await asked.send(switching(asked.request) + HELLO + b"\x88\x02\x03\xf4")

    async with answering(once) as server:
        with anyio.fail_after(PATIENCE):
            async with open_client(server.uri, reconnect=SOON) as client:
                assert (await client.recv()).etype == "HELLO"
                with pytest.raises(ConnectionFailed) as error:
                    await client.recv()
        assert error.value.status == 403
        assert len(server.asked) == 2


async def test_any_other_status_is_tried_again(backend, open_client):
    async def at_last(asked):
        if len(server.asked) < 3:
            await asked.send(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
        else:
            await asked.send(switching(asked.request) + HELLO)

    async with answering(at_last) as server:
        with anyio.fail_after(PATIENCE):
            async with open_client(server.uri, reconnect=SOON) as client:
                assert (await client.recv()).etype == "HELLO"
        assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, AuthenticationError), (403, ConnectionFailed), (404, ConnectionFailed)],
)
async def test_a_relay_s_refusal_is_final_too(backend, open_agent, status, kind):
    async with answering(f"HTTP/1.1 {status} No\r\nContent-Length: 9\r\n\r\n".encode()) as relay:
        with anyio.fail_after(PATIENCE), pytest.raises(kind) as error:
            async with open_agent(
                relay.uri, agent_id="me", token="tok_1", reconnect=SOON, connect_timeout=60
            ):
                pass
        assert error.value.status == status
        # 401: once with the token in the header, once with it in the query
        assert len(relay.asked) == (2 if status == 401 else 1)


@pytest.mark.parametrize("status", [401, 403, 404, 407])
@pytest.mark.parametrize("body", ["a body that never comes", "no length, and no end"])
async def test_a_proxy_s_refusal_is_final_too(backend, open_client, status, body):
    async with answering(f"HTTP/1.1 {status} No\r\n".encode() + BODIES[body]) as proxy:
        error = await failure(
            open_client, "ws://robot.test:8012", proxy=f"http://127.0.0.1:{proxy.port}"
        )
        assert error.status == status
        assert f"the proxy http://127.0.0.1:{proxy.port} answered HTTP {status} No" in str(error)
        assert len(proxy.asked) == 1


async def test_a_proxy_may_say_something_before_it_lets_through(backend, open_client):
    early = b"HTTP/1.1 100 Continue\r\n\r\n"

    async def let_through(asked):
        await asked.send(early + b"HTTP/1.0 200 OK\nContent-Length: 0\n\n")
        request = b""
        while b"\r\n\r\n" not in request:
            request += await asked.stream.receive()
        await asked.send(switching(request) + HELLO)

    async with answering(let_through) as proxy:
        with anyio.fail_after(PATIENCE):
            async with open_client(
                "ws://robot.test:8012", proxy=f"http://127.0.0.1:{proxy.port}"
            ) as client:
                assert (await client.recv()).etype == "HELLO"


async def test_a_proxy_that_speaks_before_it_is_asked_is_refused(backend, open_client):
    async with answering(b"HTTP/1.1 200 OK\r\n\r\nsurprise") as proxy:
        error = await failure(
            open_client,
            "ws://robot.test:8012",
            proxy=f"http://127.0.0.1:{proxy.port}",
            reconnect=None,
        )
        assert "the proxy sent something after its answer" in str(error)


# ---- what lets a client in

INTERIM = {
    "100": b"HTTP/1.1 100 Continue\r\n\r\n",
    "103": b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n",
    "102, 100": b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 100 \r\nX: y\r\n\r\n",
    "LF": b"HTTP/1.1 100 Continue\nX: y\n\n",
    "as many as may be": b"HTTP/1.1 100 Continue\r\n\r\n" * 16,
}


@pytest.mark.parametrize("interim", INTERIM)
@pytest.mark.parametrize("step", [0, 1])
async def test_interim_replies_are_skipped(backend, open_client, interim, step):
    async def answer(asked):
        await asked.send(INTERIM[interim] + switching(asked.request) + HELLO, step)

    async with answering(answer) as server:
        with anyio.fail_after(PATIENCE):
            async with open_client(server.uri) as client:
                assert (await client.recv()).etype == "HELLO"


async def test_interim_replies_without_an_end_are_refused(backend, open_client):
    async with answering(b"HTTP/1.1 100 Continue\r\n\r\n" * 100) as server:
        error = await failure(open_client, server.uri, reconnect=None)
        assert str(error).endswith("the server sent more than 16 interim replies")


def folded(request):
    """A header that goes on in the next line, among them one that matters."""
    more = ["X-Long: one", "\ttwo", "   three"]
    return switching(request, *more).replace(b"Connection: Upgrade", b"Connection:\r\n  Upgrade")


FORMS = {
    "as always": switching,
    "LF": lambda request: switching(request, end="\n"),
    "LF, and CRLF": lambda request: switching(request).replace(b"\r\n", b"\n", 2),
    "CRLF, and LF at the end": lambda request: switching(request)[:-2] + b"\n",
    "folded": folded,
    "folded, LF": lambda request: folded(request).replace(b"\r\n", b"\n"),
    "no phrase": lambda request: switching(request).replace(b" Switching Protocols", b""),
    "spaces": lambda request: switching(request)
    .replace(b": ", b": \t ")
    .replace(b"e\r\n", b"e \r\n"),
    "other case": lambda request: switching(request)
    .replace(b"Upgrade: websocket", b"UPGRADE: WebSocket")
    .replace(b"Connection: Upgrade", b"connection: keep-alive, UPGRADE"),
    "two fields": lambda request: switching(request, "Connection: keep-alive"),
    "a large cookie": lambda request: switching(request, "Set-Cookie: " + "x" * 30_000),
    "many headers": lambda request: switching(request, *[f"X-{n}: y" for n in range(500)]),
    "bytes that are not ASCII": lambda request: switching(request, "X-Name: \xe9\xff"),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("step", [0, 1])
async def test_a_reply_may_look_like_this_and_the_first_frame_is_not_lost(
    backend, open_client, form, step
):
    async def answer(asked):
        data = FORMS[form](asked.request) + HELLO + HELLO
        await asked.send(data, step if len(data) < 2000 else step * 1000)

    async with answering(answer) as server:
        with anyio.fail_after(PATIENCE):
            async with open_client(server.uri) as client:
                assert [(await client.recv()).etype for _ in range(2)] == ["HELLO", "HELLO"]


@pytest.mark.parametrize("end", ["\r\n", "\n"])
async def test_a_reply_may_be_cut_anywhere(backend, open_client, end):
    size = len(switching(b"", end=end) + HELLO)

    async def answer(asked):
        data = switching(asked.request, end=end) + HELLO
        cut = 3 * len(server.asked) - 2
        await asked.send(data[:cut])
        await anyio.sleep(0.002)  # so that mostly they come apart; nothing hangs on it
        await asked.send(data[cut:])

    async with answering(answer) as server:
        with anyio.fail_after(3 * PATIENCE):
            for _ in range(1, size, 3):
                async with open_client(server.uri) as client:
                    assert (await client.recv()).etype == "HELLO"


# ---- what does not

WRONG = {
    "another key's": (
        lambda request: switching(request, accept="AAAA"),
        "the handshake failed: the server's Sec-WebSocket-Accept does not match the key",
    ),
    "no key's": (
        lambda request: re.sub(rb"Sec-W[^\r]*\r\n", b"", switching(request)),
        "the handshake failed: the server's answer has no Sec-WebSocket-Accept",
    ),
    "two keys'": (
        lambda request: switching(request, "Sec-WebSocket-Accept: AAAA"),
        "the handshake failed: the server's Sec-WebSocket-Accept does not match the key",
    ),
    "no upgrade": (
        lambda request: switching(request).replace(b"Upgrade: websocket\r\n", b""),
        "the handshake failed: the server's answer has no Upgrade: websocket",
    ),
    "another upgrade": (
        lambda request: switching(request).replace(b"websocket", b"h2c"),
        "the handshake failed: the server's answer has no Upgrade: websocket",
    ),
    "no connection": (
        lambda request: switching(request).replace(b"Connection: Upgrade\r\n", b""),
        "the handshake failed: the server's answer has no Connection: Upgrade",
    ),
    "HTTP/1.0": (
        lambda request: switching(request).replace(b"HTTP/1.1", b"HTTP/1.0"),
        "the handshake failed: the server answered in HTTP/1.0, not in HTTP/1.1",
    ),
    "no colon": (
        lambda request: switching(request, "token tok_1"),
        "the handshake failed: the server's answer is not HTTP: line 5 of its head",
    ),
    "no name": (
        lambda request: switching(request, ": tok_1"),
        "the handshake failed: the server's answer is not HTTP: line 5 of its head",
    ),
    "CR": (
        lambda request: switching(request, "X-Split: a\rtok_1: b"),
        "the handshake failed: the server's answer is not HTTP: line 5 of its head",
    ),
    "NUL": (
        lambda request: switching(request, "X-Nul: tok_1\0"),
        "the handshake failed: the server's answer is not HTTP: line 5 of its head",
    ),
    "a subprotocol": (
        lambda request: switching(request, "Sec-WebSocket-Protocol: other"),
        "the handshake failed: the server chose the subprotocol 'other': it was not offered",
    ),
    "an extension": (
        lambda request: switching(request, "Sec-WebSocket-Extensions: permessage-deflate"),
        "the handshake failed: the server chose the extension 'permessage-deflate': none was",
    ),
    "SSH": (
        lambda request: b"SSH-2.0-OpenSSH_9.6\r\n",
        "the server's answer is not HTTP: it begins with 'SSH-2.0-OpenSSH_9.6'",
    ),
    "no end of a line": (
        lambda request: b"\x16\x03\x01",
        "the server's answer is not HTTP: it begins with '\\x16\\x03\\x01'",
    ),
    "a status of two digits": (
        lambda request: b"HTTP/1.1 99 No\r\n\r\n",
        "the server's answer is not HTTP: it begins with 'HTTP/1.1 99 No'",
    ),
    "a frame": (
        lambda request: HELLO,
        "the server's answer is not HTTP: it begins with '\\x82",
    ),
}


@pytest.mark.parametrize("what", WRONG)
async def test_what_is_wrong_with_a_reply_is_said_in_the_same_words_everywhere(
    backend, open_client, what
):
    make, words = WRONG[what]

    async def answer(asked):
        await asked.send(make(asked.request))

    async with answering(answer) as server:
        error = await failure(open_client, server.uri, reconnect=None)
        assert str(error).startswith(f"could not connect to {server.uri}: {words}")
        assert "tok_1" not in str(error), "a header may hold a secret"
        assert error.status is None


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"", "the server closed the stream before it answered"),
        (b"HTT", "the server closed the stream before it answered"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgr", "the server closed the stream within its"),
        (b"HTTP/1.1 302 Found\r\nLoca", "the server closed the stream within its answer, HTTP 302"),
    ],
)
async def test_a_reply_that_is_cut_off_is_worth_another_try(backend, open_client, said, words):
    async def answer(asked):
        if len(server.asked) > 1:
            await asked.send(switching(asked.request) + HELLO)
        else:
            await asked.send(said or b"") if said else None
            await asked.stream.send_eof()

    async with answering(answer) as server:
        with anyio.fail_after(PATIENCE):
            with pytest.raises(ConnectionFailed, match=words) as error:
                async with open_client(server.uri):
                    pass
            assert error.value.status is None
            server.asked.clear()
            async with open_client(server.uri, reconnect=SOON) as client:
                assert (await client.recv()).etype == "HELLO"


# ---- zones


@pytest.mark.parametrize("zone", ["%251", "%1"])
async def test_the_zone_of_an_address_is_dialled_and_not_told(backend, open_client, zone):
    async def answer(asked):
        await asked.send(switching(asked.request) + HELLO)

    async with answering(answer, "::1") as server:
        uri = f"ws://[::1{zone}]:{server.port}/"
        with anyio.fail_after(PATIENCE):
            async with open_client(uri) as client:
                assert client.uri == uri
                assert (await client.recv()).etype == "HELLO"
        assert f"\r\nhost: [::1]:{server.port}\r\n".encode() in server.asked[0].lower()
        assert b"%" not in server.asked[0]
