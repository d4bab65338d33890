"""The plain HTTP of the siblings: what it sends, what it reads, and what it tells nobody."""

from __future__ import annotations

import base64
import logging
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest
import trio

from vuer_trio._http import Answer, ask

pytestmark = pytest.mark.trio

#: a request that is all there; TLS is not spoken
_REQUEST = re.compile(rb"(?si)\x16|GET .*\r\n\r\n|POST .*length: (\d).*\r\n\r\n..")


@asynccontextmanager
async def answering(raw: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server with one answer; where it is, and what it was asked."""
    asked: list[bytes] = []

    async def answer(stream: trio.SocketStream) -> None:
        async with stream:
            received = b""
            while not _REQUEST.match(received):
                if not (part := await stream.receive_some()):
                    return
                received += part
            asked.append(received)
            with suppress(trio.BrokenResourceError):  # who asked has had enough
                await stream.send_all(raw)

    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_tcp, answer, 0, host="127.0.0.1")
        (listener, *_) = await nursery.start(serve)
        yield f"127.0.0.1:{listener.socket.getsockname()[1]}", asked
        nursery.cancel_scope.cancel()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nX-A: 1\r\n\r\n"


async def test_what_is_sent_and_what_comes_back():
    async with answering(OK + b'{"a": 1}') as (at, asked):
        answer = await ask("POST", f"http://{at}/x?y=%26", body=b"{}", headers=[("x-b", "2")])
    (head, _, body) = asked[0].partition(b"\r\n\r\n")
    first, *fields = head.lower().split(b"\r\n")
    assert first == b"post /x?y=%26 http/1.1"
    assert {b"host: " + at.encode(), b"x-b: 2", b"content-type: application/json"} <= {*fields}
    assert body == b"{}"
    assert (answer.status, answer.headers["x-a"], answer.json) == (200, "1", {"a": 1})


@pytest.mark.parametrize("body", [b"", b"[1]", b"{", b"\xff", b"[" * 100_000, b"7"])
async def test_a_body_that_is_no_object_is_an_empty_one(body):
    assert Answer(200, {}, body).json == {}


async def test_no_log_shows_an_address_its_query_or_its_password(caplog):
    """Such as a magic link's, and that of a server behind a gate."""
    caplog.set_level(logging.INFO)
    async with answering(OK + b'{"a": 1}') as (at, asked):
        await ask("GET", f"http://alice:s3cret@{at}/verify?token=t0ken")
    assert base64.b64encode(b"alice:s3cret") in asked[0]
    assert b"GET /verify?token=t0ken " in asked[0]
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "disconnected"),
        (b"nonsense\r\n\r\n", "illegal"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", "without"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 3_000_000, "more than 1,048,576 bytes"),
    ],
)
async def test_whatever_goes_wrong_is_an_oserror(raw, said):
    async with answering(raw) as (at, _):
        with pytest.raises(OSError, match=f"(?i){said}"):
            await ask("GET", f"http://{at}/")


async def test_nobody_there_and_no_tls_there():
    with pytest.raises(OSError, match=r"."):
        await ask("GET", "http://127.0.0.1:1/")
    async with answering(OK) as (at, _):
        for tls in (None, ssl.create_default_context()):
            with trio.fail_after(60), pytest.raises(OSError, match=r"."):
                await ask("GET", f"https://{at}/", tls=tls, verify=False)


async def test_a_redirect_is_not_followed_and_a_cookie_not_kept():
    raw = b"HTTP/1.1 302 Found\r\nLocation: /y\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
    async with answering(raw) as (at, asked):
        for _ in range(2):
            answer = await ask("GET", f"http://{at}/x")
            assert (answer.status, answer.headers["location"]) == (302, "/y")
    assert [b"GET /x " in request for request in asked] == [True, True]
    assert not any(b"cookie" in request.lower() for request in asked)


async def test_through_a_proxy(monkeypatch):
    async with answering(OK + b'{"a": 1}') as (at, asked):
        assert (await ask("GET", "http://x.test/y", proxy=f"http://{at}")).json == {"a": 1}
        monkeypatch.setenv("http_proxy", f"http://{at}")
        for name in ("https_proxy", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.upper(), raising=False)
        assert (await ask("GET", "http://x.test/y", proxy=True)).json == {"a": 1}
        with pytest.raises(OSError, match=r"."):
            await ask("GET", "http://127.0.0.1:1/y")  # not unless it is asked for
    assert [b"GET http://x.test/y " in request for request in asked] == [True, True]
