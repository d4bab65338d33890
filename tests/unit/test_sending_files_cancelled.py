"""Cancels the sending of a file once at each of its steps: nothing is left open."""

from __future__ import annotations

import gc
from dataclasses import replace

import pytest
import trio

from tests.unit.test_greeting_cancelled import client
from vuer_trio._runtime import runtime
from vuer_trio._websocket.accept import ListenOptions, greet_stream
from vuer_trio.server.pages import Pages
from vuer_trio.testing import cancel_everywhere

pytestmark = pytest.mark.trio


async def at_once(fn, *args):
    """Virtual time does not wait for a thread."""
    await trio.lowlevel.checkpoint()
    return fn(*args)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_every_await_of_a_file_is_cancelled_once(autojump_clock, tmp_path, method):
    gc.collect()
    gc.freeze()  # what other tests have left need not be looked at in each step
    rt, content = runtime(), bytes(range(256)) * 2000
    (tmp_path / "index.html").write_bytes(content)
    pages, ended = Pages(replace(rt, run_in_thread=at_once), tmp_path), []

    async def scenario(here):
        near, far = trio.testing.memory_stream_pair()
        ended.clear()
        asked = f"{method} / HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client, near, asked, ended)
            async with here:
                await greet_stream(rt, ListenOptions(None, 0, 1000), far, pages.answer)
        with pytest.raises(trio.ClosedResourceError):
            await far.send_all(b"closed")
        assert len(pages.turns) == 0
        gc.collect()  # a file that was left open warns, which is an error here

    assert await cancel_everywhere(scenario) > 3
    whole = ended[0].partition(b"\r\n\r\n")[2]
    assert whole == (content if method == "GET" else b"")
