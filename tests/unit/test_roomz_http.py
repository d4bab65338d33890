"""The HTTP answers that were recorded from the real server, played back to the client."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio

from tests import DATA
from vuer_trio.roomz import AuthenticationError, ConnectionError
from vuer_trio.roomz.address import parse_server
from vuer_trio.roomz.http import ask_who, log_out, redeem, request_link

FRAMES = json.loads((DATA / "roomz.json").read_text("utf-8"))
CALLS = {
    "magic": partial(request_link, email="alice@example.com"),
    "verify": partial(redeem, token="t"),
    "me": partial(ask_who, cookie="c"),
    "logout": partial(log_out, cookie="c"),
}
ANSWERS = {
    frame["name"]: frame
    for frame in FRAMES
    if frame["direction"] == "server->client HTTP"
    if frame["name"].partition(".")[0] in CALLS and frame["name"] != "verify.HEAD"
}


@asynccontextmanager
async def playing(raw: str) -> AsyncIterator[str]:
    """A server with one answer."""

    async def answer(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some()
            await stream.send_all(raw.encode())

    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_tcp, answer, 0, host="127.0.0.1")
        (listener, *_) = await nursery.start(serve)
        yield f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
        nursery.cancel_scope.cancel()


@pytest.mark.trio
@pytest.mark.parametrize("name", ANSWERS)
async def test_each_recorded_answer_is_a_result_or_the_right_error(name):
    frame = ANSWERS[name]
    head = frame["raw"].partition("\r\n\r\n")[0]
    status, what = int(head.split()[1]), name.partition(".")[0]
    async with playing(frame["raw"]) as url:
        call = partial(CALLS[what], parse_server(url))
        if "error=" in head:
            with pytest.raises(AuthenticationError) as refused:
                await call()
            reason = head.partition("error=")[2].split()[0]
            assert refused.value.reason == reason
            assert reason in ("invalid_token", "missing_token")
        elif status == 401:
            with pytest.raises(AuthenticationError, match=frame["decoded"]["json"]["detail"]):
                await call()
        elif status in (200, 302):
            result = await call()
            if what == "verify":
                assert f"session_token={result};" in head
            elif what == "me":
                assert result == frame["decoded"]["json"]["user"]
        else:
            with pytest.raises(ConnectionError) as failed:
                await call()
            assert failed.value.status == status
            assert failed.value.detail == (frame["decoded"].get("json") or {}).get("detail", "")


def test_there_are_enough_of_them():
    assert len(ANSWERS) > 30
