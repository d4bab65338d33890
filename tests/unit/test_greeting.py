"""Cancels a greeting once at each of its steps, over streams in memory."""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio
from doors import MAX_SIZE, Talk
from support import task_count
from test_knocking import GOOD, head, masked

from vuer_trio._runtime import runtime
from vuer_trio._transport.listen import greet_stream
from vuer_trio._transport.listening import Listening

pytestmark = pytest.mark.trio


class CancelAt(trio.abc.Instrument):
    """Cancels a scope when the loop is about to take its n-th step."""

    def __init__(self, step):
        self.steps_left = step
        self.scope = trio.CancelScope()

    def before_task_step(self, task):
        self.steps_left -= 1
        if self.steps_left == 0:
            self.scope.cancel()


async def page_or_talk(knock):
    if not knock.wants_websocket:
        return await knock.answer(200, (), b"x" * 200_000)
    async with trio.open_nursery() as nursery:
        talk = Talk(echo=True)
        await talk.carry(await knock.accept(talk, nursery))
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
async def test_every_await_of_a_greeting_is_cancelled_once(autojump_clock, transport, request_):
    rt = runtime()
    tasks = task_count()
    step, ran_through = 1, False
    while not ran_through:
        near, far = trio.testing.memory_stream_pair()
        cancel = CancelAt(step)
        ended = []

        listening = Listening(None, 0, MAX_SIZE, transport=transport)
        trio.lowlevel.add_instrument(cancel)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client, near, request_, ended)
                with cancel.scope:
                    await greet_stream(rt, listening, far, page_or_talk)
                ran_through = not cancel.scope.cancelled_caught
        finally:
            trio.lowlevel.remove_instrument(cancel)
        with pytest.raises(trio.ClosedResourceError):
            await far.send_all(b"closed")
        await trio.testing.wait_all_tasks_blocked()
        assert task_count() == tasks
        step += 1
    assert step > 5
    assert ended
