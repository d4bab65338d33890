"""Cancels a greeting once at each of its steps, over streams in memory."""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio

from tests.behaviour.test_incoming_requests import GOOD, head, masked
from tests.behaviour.transport_harness import MAX_SIZE, RecordingSink
from vuer_trio._runtime import runtime
from vuer_trio._websocket.accept import ListenOptions, greet_stream
from vuer_trio.testing import cancel_everywhere

pytestmark = pytest.mark.trio


async def page_or_websocket(incoming):
    if not incoming.wants_websocket:
        return await incoming.answer(200, (), b"x" * 200_000)
    async with trio.open_nursery() as nursery:
        sink = RecordingSink(echo=True)
        await sink.carry(await incoming.accept(sink, nursery))
        nursery.cancel_scope.cancel()


async def client(stream, request, ended):
    """Sends a request, answers a pong with a close frame, reads to the end."""
    data = b""
    with trio.move_on_after(30), suppress(trio.BrokenResourceError):
        await stream.send_all(request)
        while chunk := await stream.receive_some():
            data += chunk
            if data.endswith(b"\x8a\x01p"):
                await stream.send_all(masked(8, b""))
        ended.append(data)
    await stream.aclose()


@pytest.mark.parametrize("transport", ["trio-websocket", "websockets", "wsproto"])
@pytest.mark.parametrize(
    "request_", [head(b"Host: x"), head(*GOOD) + masked(9, b"p"), b"?\r\n\r\n"]
)
@pytest.mark.no_cover
async def test_every_await_of_a_greeting_is_cancelled_once(autojump_clock, transport, request_):
    rt, ended = runtime(), []

    async def scenario(here):
        near, far = trio.testing.memory_stream_pair()
        ended.clear()
        listening = ListenOptions(None, 0, MAX_SIZE, transport=transport)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client, near, request_, ended)
            async with here:
                await greet_stream(rt, listening, far, page_or_websocket)
        with pytest.raises(trio.ClosedResourceError):
            await far.send_all(b"closed")

    assert await cancel_everywhere(scenario) > 3
    assert ended
