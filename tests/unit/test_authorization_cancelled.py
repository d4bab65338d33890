"""Cancels a server once at each of its steps while a client waits to be let in."""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio

from tests.behaviour.raw_client import request
from vuer_trio import Vuer
from vuer_trio._runtime import runtime
from vuer_trio.server.serving import Serving
from vuer_trio.testing import cancel_everywhere

pytestmark = pytest.mark.trio


@pytest.mark.parametrize("transport", ["trio-websocket", "websockets", "wsproto"])
@pytest.mark.parametrize("answer", [True, False])
async def test_every_await_of_a_question_is_cancelled_once(autojump_clock, transport, answer):
    asked, answered, heard = [], [], []

    async def authorize(given):
        asked.append(given)
        try:
            await trio.sleep(1)
            await trio.lowlevel.checkpoint()
        finally:
            answered.append(given)
        return answer

    app = Vuer(authorize=authorize, transport=transport)

    async def client(stream):
        data = b""
        with trio.move_on_after(30), suppress(trio.BrokenResourceError):
            await stream.send_all(request())
            while chunk := await stream.receive_some():
                data += chunk
                if data.startswith(b"HTTP/1.1 101 "):
                    break
        heard.append(data)
        await stream.aclose()

    async def scenario(here):
        serving = Serving(app._registered, runtime(), app._options)
        near, far = trio.testing.memory_stream_pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client, near)
            async with here:
                await serving.server.serve_stream(far)
        assert len(answered) == len(asked)
        assert not serving.server.connections
        with pytest.raises(trio.ClosedResourceError):
            await far.send_all(b"closed")

    assert await cancel_everywhere(scenario) > 4
    statuses = {data[9:12] for data in heard}
    # cancelled while it was asked: the server goes away
    assert statuses >= {b"503", b"101" if answer else b"403"}
    assert statuses <= {b"", b"101", b"403", b"503"}
